"""Known differences between Keras and other frameworks: one file per family, found by its stem.

A family's file has
    differences(run: ForeignRun) -> Iterator[Difference]      those that this layer and these shapes can have
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from rnncli.registry import names_in

if TYPE_CHECKING:
    from rnncli.commands.port.hypothesis import Difference, ForeignRun


def names() -> tuple[str, ...]:
    """Return the families: the stems of the files in this folder."""
    return names_in(__path__)


def list_known(run: ForeignRun) -> Iterator[Difference]:
    """Yield the differences of every family."""
    for name in names():
        yield from import_module(f"{__name__}.{name}").differences(run)
