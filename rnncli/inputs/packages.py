"""Import the packages that read individual formats, only when they are needed."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from rnncli.errors import EngineError, Text
from rnncli.process.signals import defer_signals


def import_package(package: str, what: Text, install: str = "") -> Any:
    """Return the module `package`, which is needed to read `what`.

    install: what pip installs, other than the package itself.  Raises EngineError if it is not installed.
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
