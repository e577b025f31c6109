"""List of commands: the files and folders of `rnncli/commands`, loaded when they are called."""

from __future__ import annotations

import ast
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

PACKAGE = "rnncli.commands"
FOLDER = Path(__file__).parents[1] / "commands"

FIRST = "run"
"""The first command in the help; the others follow in alphabetical order."""


@cache
def names() -> tuple[str, ...]:
    """Return the names of all commands."""
    found = (module.name for module in iter_modules([str(FOLDER)]) if not module.name.startswith("_"))
    return tuple(sorted(found, key=lambda name: (name != FIRST, name)))


def load(name: str) -> ModuleType:
    """Load the module of a command."""
    return import_module(f"{PACKAGE}.{name}")


def sections() -> dict[str, dict[str, str]]:
    """Return the headings with their commands and summaries.

    Parsed from the source text: importing every command would take longer than showing the help.
    """
    found: dict[str, dict[str, str]] = {}
    for name in names():
        constants = _constants(name)
        found.setdefault(constants["SECTION"], {})[name] = constants["SUMMARY"]
    return found


def _constants(name: str) -> dict[str, str]:
    file, folder = FOLDER / f"{name}.py", FOLDER / name / "__init__.py"
    tree = ast.parse((file if file.exists() else folder).read_text(encoding="utf-8"))
    return {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }
