"""The commands that README and the handbook show, and what they print."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]\d+)?")
ROUNDING = re.compile(r"(?<=TensorFlow )\S+|(?<=remainder )\S+")
"""Text that depends on float32 rounding in the last place, and so on the processor."""


def examples(text: str) -> list[tuple[str, str]]:
    """Return every command of the console blocks, with the output that the text shows."""
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    parts = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    return [(command, shown.strip()) for command, _, shown in (part.partition("\n") for part in parts)]


def run(command: str, folder: Path = ROOT) -> str:
    """Return what a shell prints for the command, with standard error, 80 columns wide."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path, "COLUMNS": "80", "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ).stdout.strip()


def check(command: str, printed: str, shown: str) -> None:
    """Compare what a command prints with what the text shows; the last place of a number may differ."""
    printed, shown = (ROUNDING.sub("~", text) for text in (printed, shown))
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", shown)
    # Processors differ in the last place of a float32; printed numbers have four decimals.
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (printed, shown)]
    assert numbers[0] == pytest.approx(numbers[1], abs=1.01e-4 if "json" not in command else 1e-6)


def fill(path: Path, folder: Path = ROOT) -> None:
    """Write into the console blocks of a page what their commands print."""

    def rewrite(block: re.Match[str]) -> str:
        commands = re.findall(r"^\$ (.*)$", block[1], re.MULTILINE)
        shown = [f"$ {command}\n{run(command, folder)}".rstrip() + "\n" for command in commands]
        return "```console\n" + "\n".join(shown) + "```"

    path.write_text(re.sub(r"```console\n(.*?)```", rewrite, path.read_text(), flags=re.DOTALL))
