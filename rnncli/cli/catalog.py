"""List of commands: the files and folders of `rnncli/commands`, loaded when they are called."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from rnncli.registry import names_in

if TYPE_CHECKING:
    from typer import _click as click

PACKAGE = "rnncli.commands"
FOLDER = Path(__file__).parents[1] / "commands"

FIRST = "run"
"""The first command in the help, in the first section; the others follow in alphabetical order."""


@cache
def names() -> tuple[str, ...]:
    """Return the names of all commands."""
    return tuple(sorted(names_in((str(FOLDER),)), key=FIRST.__ne__))


def load(name: str) -> ModuleType:
    """Load the module of a command."""
    return import_module(f"{PACKAGE}.{name}")


def command(context: click.Context, name: str) -> click.Command:
    """Return another command of the program that this context is of: its flags, and its help."""
    root = context.find_root()
    group: Any = root.command
    found: click.Command = group.get_command(root, name)
    return found


def sections() -> dict[str, dict[str, str]]:
    """Return the headings with their commands and summaries: that of FIRST, then in alphabetical order.

    Found in the source text: importing every command would take longer than showing the help.
    """
    found: dict[str, dict[str, str]] = {}
    for name in names():
        file, folder = FOLDER / f"{name}.py", FOLDER / name / "__init__.py"
        source = (file if file.exists() else folder).read_text(encoding="utf-8")
        found.setdefault(_constant(source, "SECTION"), {})[name] = _constant(source, "SUMMARY")
    return dict(sorted(found.items(), key=lambda section: (FIRST not in section[1], section[0])))


def _constant(source: str, name: str) -> str:
    return source.partition(f'\n{name} = "')[2].partition('"\n')[0]
