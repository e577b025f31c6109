"""Helpers that run the real command."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
UNWANTED = (
    "NO_COLOR",
    "FORCE_COLOR",
    "COLUMNS",
    "LINES",
    "LC_ALL",
    "LC_MESSAGES",
    "PYTHONIOENCODING",
    "RNNCLI_DEBUG",
)

HEAVY = {"tensorflow", "keras", "torch", "onnx", "onnxruntime", "matplotlib", "h5py", "textual", "pandas"}
PROGRAM = """
import contextlib, io, json, sys
from rnncli.cli.app import main
with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO())):
    code = main(json.loads(sys.argv[1]))
print(json.dumps([code, sorted(sys.modules)]))
"""

Completed = subprocess.CompletedProcess[str]
Run = Callable[..., Completed]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without the variables that change how an answer looks."""
    kept = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    return kept | {"LANG": "C.UTF-8", "PYTHONPATH": str(ROOT)} | dict(extra or {})


def loaded_by(*args: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(args)], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=60, check=True,
    )  # fmt: skip
    code, modules = json.loads(done.stdout)
    assert code == 0, done.stderr
    return set(modules)


def print_here(capfd: pytest.CaptureFixture[str], *args: str, code: int = 0) -> str:
    """Run the command in this process; return stdout, or stderr where the exit code is another than 0."""
    from rnncli.cli.app import main

    assert main(list(args)) == code
    streams = capfd.readouterr()
    assert not code or not streams.out
    return streams.err if code else streams.out


def in_a_terminal(columns: int, *args: str, **env: str) -> str:
    """Return what `rnncli ARGS` prints in a terminal of `columns` columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    shown = b""
    variables = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    with subprocess.Popen(
        [sys.executable, "-m", "rnncli", *args], stdin=theirs, stdout=theirs, stderr=theirs,
        env=variables | {"LANG": "C.UTF-8", "TERM": "xterm"} | env,
    ):  # fmt: skip
        os.close(theirs)
        with contextlib.suppress(OSError):
            while part := os.read(ours, 65536):
                shown += part
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")
