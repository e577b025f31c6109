"""What the messages of the package name exists: every flag, every command, every extra."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from rnncli.cli import app
from rnncli.cli.flags import load

pytestmark = pytest.mark.slow

PACKAGE = Path(app.__file__).parent.parent
PROJECT = PACKAGE.parent / "pyproject.toml"
SHELLS = {"--install-completion", "--show-completion", "--help", "--version"}
STYLES = "show/formats/html.py"
"""Its names with two dashes are colors."""
OTHERS = {"--no"}
"""The beginning of a flag that switches something off."""

VERBS = {
    "did", "does", "shows", "supports", "needs", "looks", "computes", "cannot", "can", "has", "reads", "runs",
    "and", "extra", "again", "knows",
}  # fmt: skip
"""What rnncli does in a sentence about it."""


@cache
def texts() -> list[tuple[str, str]]:
    """Every string of the package that is not a docstring, with its file."""
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE).as_posix()
        nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
        docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        for node in nodes if name != STYLES else ():
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                found.append((name, node.value))
    return found


@pytest.fixture(scope="module")
def commands() -> dict[str, set[str]]:
    from rnncli.cli import catalog

    return {
        name: {flag for one in load(name).params for flag in (*one.opts, *one.secondary_opts)}
        for name in catalog.names()
    }


def test_every_flag_that_is_named_exists(commands: dict[str, set[str]]) -> None:
    known = SHELLS | OTHERS | set().union(*commands.values())
    unknown = {
        (file, flag)
        for file, text in texts()
        for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]\b", text)
        if flag not in known
    }
    assert not unknown


def test_every_command_that_is_named_exists(commands: dict[str, set[str]]) -> None:
    unknown = {
        (file, word)
        for file, text in texts()
        for word in re.findall(r"\brnncli ([a-z]+)\b", text)
        if word not in commands and word not in VERBS
    }
    assert not unknown


def test_every_extra_that_is_named_exists() -> None:
    extras = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    named = {extra for _, text in texts() for extra in re.findall(r"rnncli\[([a-z0-9]+)\]", text)}
    assert named <= set(extras)
