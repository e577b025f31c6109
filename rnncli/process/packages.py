"""Packages that are loaded when they are first needed: to read a file, or to compute."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from rnncli.errors import EngineError, Text
from rnncli.process.signals import defer_signals


def import_package(package: str, what: Text, install: str = "") -> Any:
    """Return the module `package`, which is needed to read `what`.

    install: what pip installs, if its name is not `package`.  Raises EngineError if it is not installed.
    A signal waits until the module is loaded: orjson crashes the process if its loading is interrupted.
    """
    if (loaded := sys.modules.get(package)) is not None:
        return loaded
    try:
        with defer_signals():
            return import_module(package)
    except ImportError:
        name = package.partition(".")[0]
        raise EngineError(
            "{name} is not installed; it is needed to read {what}.",
            "pip install {install}",
            name=name,
            what=what,
            install=install or name,
        ) from None


def import_engine(engine: str, *packages: str) -> list[Any]:
    """Return the modules of the packages that an engine needs.  Raises EngineError if one is missing."""
    from rnncli.process.isolation import isolated

    try:
        with defer_signals(), isolated():
            return [import_module(package) for package in packages]
    except ImportError as error:
        what = "the engine {engine} is not installed: {error}."
        raise EngineError(
            what, "pip install {packages}", engine=engine, error=error, packages=" ".join(packages)
        ) from error
