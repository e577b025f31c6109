"""engines: what can compute here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnncli.answers._parts import head, no_tensors
from rnncli.page import Column, Page, Records, Table, View, cell, line
from rnncli.wording import say

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.engines import EngineInfo


@dataclass(frozen=True)
class EnginesAnswer:
    """Names, versions, and whether they are there."""

    engines: Sequence[EngineInfo]

    def document(self, view: View) -> dict[str, Any]:
        """Each engine as it describes itself."""
        return {**head(), "engines": [engine._asdict() for engine in self.engines]}

    def page(self, view: View) -> Page:
        """One engine a row, its note under its version; those that are missing step back."""
        headings = tuple(Column(say(key, view.lang)) for key in ("engine", "available", "version"))
        rows = tuple(
            (
                cell(engine.name, "strong" if engine.available else "dim"),
                cell(say("yes" if engine.available else "no", view.lang)),
                (*(cell(engine.version) if engine.version else ()), line(engine.note, "dim")),
            )
            for engine in self.engines
        )
        return Page((), (), (Table(headings, rows),))

    def records(self, view: View) -> Records:
        """One engine a row."""
        rows = ((engine.name, engine.available, engine.version, engine.note) for engine in self.engines)
        return ("name", "available", "version", "note"), rows

    def tensors(self) -> dict[str, Array]:
        """There are none: UsageError."""
        return no_tensors("engines")
