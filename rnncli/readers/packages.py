"""The packages that read one format each, imported when a file of it is read."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rnncli.errors import EngineError


def needed(package: str, what: str) -> Any:
    """The module `package`, without which `what` cannot be read.  Raises EngineError."""
    try:
        return import_module(package)
    except ImportError:
        name = package.partition(".")[0]
        raise EngineError(
            f"{name} is not installed; it is needed to read {what}.", f"pip install {name}"
        ) from None
