"""What a layer can be exported to: one file per target.

A target's file has
    SUFFIX                 of the file's name
    BINARY                 whether it is written to a file only
    refusal(exports)       why it cannot express them, as a clause, or None
    write(exports)         the file, text or bytes

`exports` holds one ExportCase; of a saved model, one for each of its layers or chains of layers.
"""

from __future__ import annotations

import importlib
from functools import cache
from types import ModuleType

from rnncli.registry import names_in


@cache
def names() -> tuple[str, ...]:
    """Return the names of all targets: the stems of the files in this folder."""
    return names_in(__path__)


def get(name: str) -> ModuleType:
    """Return the module of a target."""
    return importlib.import_module(f"{__name__}.{name}")
