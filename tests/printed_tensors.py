"""Reads what an exported script prints."""

from __future__ import annotations

import io
import re
import subprocess
from contextlib import redirect_stdout
from math import prod
from pathlib import Path
from runpy import run_path

import numpy as np

from rnncli.case import Array


def numbers(text: str) -> dict[str, Array]:
    """Return the tensors by name, in the order printed."""
    found: dict[str, Array] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, sizes = re.fullmatch(r"(.+?)((?: \d+)+)", line).groups()  # type: ignore[union-attr]
        shape = tuple(map(int, sizes.split()))
        rows = [list(map(float, next(lines).split())) for _ in range(prod(shape[:-1]))]
        found[name] = np.array(rows).reshape(shape)
    return found


def printed(script: Path) -> dict[str, Array]:
    """Run a script, of Python in this process; return the tensors that it prints."""
    if script.suffix == ".c":
        strict = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]
        subprocess.run(["gcc", *strict, script, "-o", script.with_suffix(""), "-lm"], check=True)
        return numbers(subprocess.run([script.with_suffix("")], capture_output=True, text=True).stdout)
    import torch

    # A script of PyTorch turns its gradients off; the tests that follow need them.
    with redirect_stdout(io.StringIO()) as text, torch.set_grad_enabled(torch.is_grad_enabled()):
        run_path(str(script))
    return numbers(text.getvalue())
