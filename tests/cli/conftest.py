"""Ways to call the real command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNWANTED = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LC_ALL", "LC_MESSAGES", "PYTHONIOENCODING", "RNNCLI_DEBUG")

Completed = subprocess.CompletedProcess[str]
Run = Callable[..., Completed]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's own, without what changes how an answer looks."""
    kept = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    return kept | {"LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)} | dict(extra or {})


@pytest.fixture
def rnncli() -> Run:
    """`rnncli ARGS` in a process of its own; stdin is the null device unless `input` or `stdin` says more."""

    def run(*args: str, env: Mapping[str, str] | None = None, **more: Any) -> Completed:
        if "input" not in more:
            more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("stdout", subprocess.PIPE)
        return subprocess.run(
            [sys.executable, "-m", "rnncli", *args],
            env=environment(env), stderr=subprocess.PIPE, text=True, encoding="utf-8", timeout=120, **more,
        )  # fmt: skip

    return run


@pytest.fixture
def shell() -> Run:
    """A line of bash, in which `rnncli` is the command under test."""

    def run(line: str, env: Mapping[str, str] | None = None, **more: Any) -> Completed:
        define = f'rnncli() {{ "{sys.executable}" -m rnncli "$@"; }}\n'
        more.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(
            ["bash", "-c", define + line], env=environment(env), capture_output=True, text=True,
            encoding="utf-8", timeout=120, **more,
        )  # fmt: skip

    return run
