"""`rnncli engines`: the available engines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnncli.case import Array
from rnncli.cli.language import localize
from rnncli.show.page import Answer, Page, Records, Table, View, cell, line
from rnncli.show.parts import head, headings, refuse_tensors
from rnncli.show.wording import say

if TYPE_CHECKING:
    from rnncli.cli.output import OutputFlags
    from rnncli.compute.engines import EngineInfo

EXAMPLES = """\
rnncli engines
rnncli engines --format json
"""


def engines(output: OutputFlags) -> None:
    """The engines that are available here, with versions."""
    from rnncli.cli.output import delivery
    from rnncli.compute.engines import available

    delivery(output)(EnginesAnswer(available()))


@dataclass(frozen=True)
class EnginesAnswer(Answer):
    """Engine names, versions and availability."""

    engines: Sequence[EngineInfo]

    def document(self, view: View) -> dict[str, Any]:
        """Return each engine's description of itself."""
        return {**head(), "engines": [engine._asdict() for engine in self.engines]}

    def page(self, view: View) -> Page:
        """Return one row per engine, with its note below the version; missing engines are dim."""
        rows = tuple(
            (
                cell(engine.name, "strong" if engine.available else "dim"),
                cell(say("yes" if engine.available else "no", view.lang)),
                (
                    *(cell(engine.version) if engine.version else ()),
                    line(localize(engine.note, view.lang), "dim"),
                ),
            )
            for engine in self.engines
        )
        return Page((), (), (Table(headings(("engine", "available", "version"), view), rows),))

    def records(self, view: View) -> Records:
        """Return one row per engine."""
        rows = ((engine.name, engine.available, engine.version, engine.note) for engine in self.engines)
        return ("name", "available", "version", "note"), rows

    def tensors(self) -> dict[str, Array]:
        """Raise UsageError; this command has no tensors."""
        return refuse_tensors("engines")
