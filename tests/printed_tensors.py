"""Reads what an exported script prints."""

import io
import re
import subprocess
import sys
from contextlib import redirect_stdout
from math import prod
from pathlib import Path
from runpy import run_path
from shutil import which
from typing import Any

import numpy as np
import pytest

from rnncli.values import Array


def read_tensors(text: str) -> dict[str, Array]:
    """Return the tensors by name, in the order printed."""
    tensors: dict[str, Array] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, sizes = re.fullmatch(r"(.+?)((?: \d+)+)", line).groups()  # type: ignore[union-attr]
        shape = tuple(map(int, sizes.split()))
        rows = [list(map(float, next(lines).split())) for _ in range(prod(shape[:-1]))]
        tensors[name] = np.array(rows).reshape(shape)
    return tensors


STRICT = ("-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror")


def run_in_process(text: str, target: str, folder: Path) -> str:
    """Run a script in a new process; return what it prints."""
    if target == "c":
        if which("gcc") is None:
            pytest.skip("there is no gcc")
        (folder / "a.c").write_text(text, encoding="utf-8")
        subprocess.run(["gcc", *STRICT, "a.c", "-o", "a", "-lm"], cwd=folder, check=True)
        run: list[Any] = [folder / "a"]
    else:
        run = [sys.executable, "-W", "ignore", "-X", "utf8", "-I", "-c", text]
    return subprocess.run(run, capture_output=True, text=True, check=True, encoding="utf-8").stdout


def run_script(script: Path) -> dict[str, Array]:
    """Run a script, of Python in this process; return the tensors that it prints."""
    if script.suffix == ".c":
        return read_tensors(run_in_process(script.read_text(encoding="utf-8"), "c", script.parent))
    import torch

    # A script of PyTorch turns its gradients off; the tests that follow need them.
    with redirect_stdout(io.StringIO()) as text, torch.set_grad_enabled(torch.is_grad_enabled()):
        run_path(str(script))
    return read_tensors(text.getvalue())
