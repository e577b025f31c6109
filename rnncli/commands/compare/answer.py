"""compare: one row per tensor and pair."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rnncli.case import format_shape
from rnncli.commands.compare.engine_pairs import RefusedEngine
from rnncli.compute.compare import TensorDifference
from rnncli.errors import Message, Text
from rnncli.result import Result
from rnncli.show.answer import Answer, Field, Listing, Records, spell
from rnncli.show.page import Column, Line, Page, Table, TableCell, Variants, View, cell, line
from rnncli.show.parts import format_difference, head_of, note_of, title

COLUMNS = {
    "tensor": "tensor",
    "pair": "compared",
    "absolute": "largest difference",
    "relative": "relative",
    "index": "at",
    "step": "first step",
    "verdict": "verdict",
}
"""The columns of the table, with their headings."""
NARROW = ("tensor", "absolute", "index", "verdict")
BELOW = {"tensor": "pair", "absolute": "relative", "index": "step"}
"""The texts that go below those of other columns in a table that has no columns for them."""
VERDICTS = {"same": "same", "differs": "differs", "shape": "different shape"}
NONE = "-"
MOST_ULPS = 10_000
"""Above this, units in the last place add nothing to the difference; documents always have them."""


def verdict_of(one: TensorDifference) -> str:
    """Return `same`, `differs` or `shape`."""
    if one.shapes[0] != one.shapes[1]:
        return "shape"
    return "same" if one.agrees else "differs"


def _known(name: str) -> Any:
    """Return a function that returns a difference, None where the shapes differ."""
    return lambda one: None if verdict_of(one) == "shape" else getattr(one, name)


def _mismatch(one: TensorDifference) -> dict[str, Any] | None:
    found = one.mismatch
    if found is None:
        return None
    index, first, second, number = found
    return {
        "index": list(index),
        "first": spell(first),
        "second": spell(second),
        "count": number,
        "size": one.size,
    }


FIELDS = (
    Field("name"),
    Field("first", lambda one: one.sides[0]),
    Field("second", lambda one: one.sides[1]),
    Field("shapes", lambda one: [list(shape) for shape in one.shapes], csv=False),
    Field("absolute", _known("absolute")),
    Field("relative", _known("relative")),
    Field("ulps"),
    Field("index", lambda one: None if one.place is None else list(one.place)),
    Field("timestep", lambda one: one.step),
    Field("atol", csv=False),
    Field("rtol", csv=False),
    Field("mismatch", _mismatch, csv=False),
    Field("mismatches", lambda one: one.mismatch.number if one.mismatch else 0, json=False),
    Field("size", json=False),
    Field("verdict", verdict_of),
)
"""What JSON and CSV say of a difference; the table joins columns."""


@dataclass(frozen=True, eq=False)
class CompareAnswer(Answer):
    """How far the tensors of each pair differ.

    header: a result of the case.  refused: engines that cannot compute it.  tolerances: as text.
    conclusion: one line below the table; "" to leave it out.
    """

    header: Result
    differences: tuple[TensorDifference, ...]
    tolerances: tuple[str, str]
    refused: tuple[RefusedEngine, ...] = ()
    conclusion: Text = ""
    command = "compare"

    @property
    def agrees(self) -> bool:
        """Whether every tensor agrees on both sides."""
        return not self.disagreeing

    @property
    def disagreeing(self) -> tuple[str, ...]:
        """The names of the tensors that differ."""
        return tuple(dict.fromkeys(one.name for one in self.differences if not one.agrees))

    def document(self, view: View) -> dict[str, Any]:
        """Return the head of a run, with one object per tensor and pair under `comparisons`."""
        document = {
            **head_of(self.header),
            "agree": self.agrees,
            "comparisons": Listing(FIELDS, self.differences).objects(),
            "refused": [one._asdict() for one in self.refused],
        }
        return {**document, "conclusion": view.say(self.conclusion)} if self.conclusion else document

    def page(self, view: View) -> Page:
        """Return one table, and lines with what was not compared and with the tolerances."""
        forms = Variants(((self._table(tuple(COLUMNS), view),), (self._table(NARROW, view),)))
        atol, rtol = self.tolerances
        refused = "{engine} was not compared: {reason}"
        below: list[Line] = [line(view.say(refused, **one._asdict()), "alarm") for one in self.refused]
        if self.conclusion:
            below.append(line(view.say(self.conclusion)))
        rule = Message(
            "same: |first - second| <= atol + rtol {times} |second| for every number; "
            "atol {atol}, rtol {rtol}",
            times="*" if view.ascii else "·",
            atol=atol,
            rtol=rtol,
        )
        below.append(line(view.say(rule), "dim"))
        return Page(title(self.header.specs, view), (note_of(self.header, view),), (forms, *below))

    def records(self, view: View) -> Records:
        """Return one row per tensor and pair."""
        return Listing(FIELDS, self.differences).records()

    def _table(self, keys: Sequence[str], view: View) -> Table:
        columns = tuple(Column(view.say(COLUMNS[key])) for key in keys)
        return Table(
            columns, tuple(tuple(_cell(key, one, keys, view) for key in keys) for one in self.differences)
        )


def _cell(key: str, one: TensorDifference, keys: Sequence[str], view: View) -> TableCell:
    """Return a cell; in a narrow table, texts without a column of their own go below the others."""
    texts, below = _texts(one, view), BELOW.get(key, key)
    found = cell(texts[key], {"tensor": "strong", "verdict": "" if one.agrees else "alarm"}.get(key, ""))
    if below not in keys and texts[below] not in (NONE, "0"):
        heading = "" if below == "pair" else f"{view.say(COLUMNS[below])} "
        found += cell(f"{heading}{texts[below]}", "dim")
    if key == "verdict" and len(keys) == len(COLUMNS) and one.mismatch is not None:
        counts = {"count": f"{one.mismatch.number:,}", "size": f"{one.size:,}"}
        found += cell(view.say("{count} of {size} numbers", **counts), "dim")
    return found


def _texts(difference: TensorDifference, view: View) -> dict[str, str]:
    """Return the text of each column."""
    verdict = verdict_of(difference)
    ulps = f" ({difference.ulps} ulp)" if difference.ulps is not None and difference.ulps <= MOST_ULPS else ""
    shapes = ", ".join(map(format_shape, difference.shapes))
    return {
        "tensor": difference.name,
        "pair": ", ".join(side if isinstance(side, str) else view.say(side) for side in difference.sides),
        "absolute": shapes if verdict == "shape" else f"{format_difference(difference.absolute)}{ulps}",
        "relative": NONE if verdict == "shape" else format_difference(difference.relative),
        "index": NONE if difference.place is None else str(list(difference.place)),
        "step": NONE if difference.step is None else f"t={difference.step}",
        "verdict": view.say(VERDICTS[verdict]),
    }
