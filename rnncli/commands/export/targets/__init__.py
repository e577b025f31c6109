"""What a layer can be exported to: one file per target.

A target's file has
    SUFFIX                 of the file's name
    BINARY                 whether it is written to a file only
    refusal(exports)       why it cannot express them, as a clause, or None
    write(exports)         the file, text or bytes

`exports` holds one ExportCase; of a saved model, one for each of its layers or chains of layers.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

TARGETS = {
    "c": "rnncli.commands.export.targets.c",
    "cell": "rnncli.commands.export.targets.cell",
    "config": "rnncli.commands.export.targets.config",
    "keras": "rnncli.commands.export.targets.keras",
    "latex": "rnncli.commands.export.targets.latex",
    "numpy": "rnncli.commands.export.targets.numpy",
    "onnx": "rnncli.commands.export.targets.onnx",
    "torch": "rnncli.commands.export.targets.torch",
}


def get(name: str) -> ModuleType:
    """Return the module of a target."""
    return import_module(TARGETS[name])
