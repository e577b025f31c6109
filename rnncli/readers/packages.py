"""Import the packages that read individual formats, only when they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rnncli.errors import EngineError


def import_package(package: str, what: str) -> Any:
    """Return the module `package`, which is needed to read `what`.  Raises EngineError if not installed."""
    try:
        return import_module(package)
    except ImportError:
        name = package.partition(".")[0]
        raise EngineError(
            f"{name} is not installed; it is needed to read {what}.", f"pip install {name}"
        ) from None
