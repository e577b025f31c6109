"""Runs README's examples as written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
NUMBER = re.compile(r"-?\d+\.\d+(?:e[+-]\d+)?")
ROUNDING = re.compile(r"(?<=TensorFlow )\S+|(?<=rounding )\S+")
"""Text that depends on float32 rounding in the last place, and so on the processor."""


def examples() -> list[tuple[str, str]]:
    """Return every command of the console blocks, with the output that README shows."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    parts = [part for block in blocks for part in re.split(r"^\$ ", block, flags=re.MULTILINE) if part]
    return [(command, shown.strip()) for command, _, shown in (part.partition("\n") for part in parts)]


@pytest.mark.parametrize(("command", "shown"), examples(), ids=[command for command, _ in examples()])
def test_example_prints_what_readme_shows(command: str, shown: str) -> None:
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "80",
            "LC_ALL": "C.UTF-8",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    printed, shown = (ROUNDING.sub("~", text) for text in (done.stdout.strip(), shown))
    assert NUMBER.sub("#", printed) == NUMBER.sub("#", shown)
    # Processors differ in the last place of a float32; printed numbers have four decimals.
    numbers = [[float(number) for number in NUMBER.findall(text)] for text in (printed, shown)]
    assert numbers[0] == pytest.approx(numbers[1], abs=1.01e-4 if "json" not in command else 1e-6)


def test_examples_are_there() -> None:
    assert len(examples()) > 10


def test_picture_is_drawn_by_the_tool() -> None:
    picture = ROOT / re.search(r"!\[[^\]]*\]\(([^)]+)\)", README)[1]  # type: ignore[index]
    command = "rnncli run -l bilstm --units 2 --return-sequences --return-state --seed 42 -f svg --width 80"
    done = subprocess.run(
        [Path(sys.executable).with_name("rnncli"), *command.split()[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert NUMBER.sub("#", done.stdout) == NUMBER.sub("#", picture.read_text())


def test_setup_commands_are_those_that_ci_runs() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    assert "-m venv --clear .venv" in ci
    assert "--editable '.[test]'" in ci
    assert ci.endswith("\ntests/check\n")
    assert "pip install -e '.[test]' && tests/check" in README
