"""The habits of the house, held by its tools: lint, format, types, and the direction of imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy"],
        ["lint-imports", "--no-cache"],
    ],
    ids=" ".join,
)
def test_tool_finds_nothing(command: list[str]) -> None:
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_top_level_holds_what_the_plan_says() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a checkout")
    tops = {line.split("/")[0] for line in listed.stdout.splitlines()}
    named = {top for top in tops if not top.startswith(".")}
    assert named <= {"pyproject.toml", "rnncli", "tests", "README.md", "samples", "LICENSE", "CHANGELOG.md"}


def test_every_reader_engine_layer_has_its_import_contract() -> None:
    """A new file in these folders has to be named in pyproject.toml, or its siblings could import it."""
    contracts = (ROOT / "pyproject.toml").read_text()
    for folder in ("layers", "engines", "readers"):
        for file in (ROOT / "rnncli" / folder).glob("[!_]*.py"):
            assert f'"rnncli.{folder}.{file.stem}"' in contracts
