"""The folders that register what they contain: every module is one layer, engine, format or command.

A name that begins with an underscore is not registered.
"""

from __future__ import annotations

import os
from collections.abc import Iterable


def names_in(path: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the modules in a package's `__path__`, in alphabetical order."""
    found = (_module_name(entry) for folder in path for entry in os.scandir(folder))
    return tuple(sorted(name for name in found if name and name[0] not in "_."))


def _module_name(entry: os.DirEntry[str]) -> str | None:
    """Return the name of the module that an entry of a folder is; None if it is none."""
    if entry.name.endswith(".py"):
        return entry.name.removesuffix(".py")
    is_package = "." not in entry.name and os.path.exists(f"{entry.path}/__init__.py")  # noqa: PTH110
    return entry.name if is_package else None
