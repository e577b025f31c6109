"""compare: one row per tensor and pair."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rnncli.case import Array, format_shape
from rnncli.cli.language import localize
from rnncli.commands.compare.engine_pairs import RefusedEngine
from rnncli.compute.compare import TensorDifference
from rnncli.show.page import (
    Answer,
    Column,
    Line,
    Page,
    Records,
    Table,
    TableCell,
    Variants,
    View,
    cell,
    line,
)
from rnncli.show.parts import ResultHeader, format_difference, head_of, note_of, refuse_tensors, title
from rnncli.show.wording import Bilingual

TEXTS = {
    "tensor": Bilingual("tensor", "텐서"),
    "pair": Bilingual("compared", "비교 대상"),
    "absolute": Bilingual("largest difference", "최대 차이"),
    "relative": Bilingual("relative", "상대 차이"),
    "index": Bilingual("at", "위치"),
    "step": Bilingual("first step", "첫 시점"),
    "verdict": Bilingual("verdict", "판정"),
    "same": Bilingual("same", "같음"),
    "differs": Bilingual("differs", "다름"),
    "shape": Bilingual("different shape", "형태 다름"),
    "mismatches": Bilingual("{count} of {size} numbers", "{size}개 중 {count}개"),
    "rule": Bilingual(
        "same: |first - second| <= atol + rtol · |second| for every number; atol {atol}, rtol {rtol}",
        "같음: 모든 값에서 |첫째 - 둘째| <= atol + rtol · |둘째|; atol {atol}, rtol {rtol}",
    ),
    "refused": Bilingual("{engine} was not compared: {reason}", "{engine}: 비교하지 않음 ({reason})"),
}
COLUMNS = ("tensor", "pair", "absolute", "relative", "index", "step", "verdict")
NARROW = ("tensor", "absolute", "index", "verdict")
BELOW = {"tensor": "pair", "absolute": "relative", "index": "step"}
"""The texts that go below those of other columns in a table that has no columns for them."""
NONE = "-"
MOST_ULPS = 10_000
"""Above this, units in the last place add nothing to the difference; documents always have them."""


@dataclass(frozen=True, eq=False)
class CompareAnswer(Answer):
    """How far the tensors of each pair differ.

    header: the case.  refused: engines that cannot compute it.  tolerances: as text.
    conclusion: one line below the table; None to leave it out.
    sides: texts for sides that are not engines or files, by their names in `differences`.
    """

    header: ResultHeader
    differences: tuple[TensorDifference, ...]
    tolerances: tuple[str, str]
    refused: tuple[RefusedEngine, ...] = ()
    conclusion: Bilingual | None = None
    sides: Mapping[str, Bilingual] = field(default_factory=dict)

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
            "comparisons": [_document(one) for one in self.differences],
            "refused": [one._asdict() for one in self.refused],
        }
        if self.conclusion is not None:
            document["conclusion"] = self.conclusion.in_language(view.lang)
        return document

    def page(self, view: View) -> Page:
        """Return one table, and lines with what was not compared and with the tolerances."""
        forms = Variants(((self._table(COLUMNS, view),), (self._table(NARROW, view),)))
        atol, rtol = self.tolerances
        refused = TEXTS["refused"].in_language(view.lang)
        below: list[Line] = [
            line(refused.format(engine=one.engine, reason=localize(one.reason, view.lang)), "alarm")
            for one in self.refused
        ]
        if self.conclusion is not None:
            below.append(line(self.conclusion.in_language(view.lang)))
        rule = TEXTS["rule"].in_language(view.lang).format(atol=atol, rtol=rtol)
        below.append(line(rule.replace("·", "*") if view.ascii else rule, "dim"))
        return Page(title(self.header.specs, view), (note_of(self.header, view),), (forms, *below))

    def records(self, view: View) -> Records:
        """Return one row per tensor and pair."""
        header = (
            "name", "first", "second", "absolute", "relative", "ulps", "index", "timestep", "mismatches",
            "size", "verdict",
        )  # fmt: skip
        return header, (_record(one) for one in self.differences)

    def tensors(self) -> dict[str, Array]:
        """Raise UsageError; this command has no tensors."""
        return refuse_tensors("compare")

    def _translate_sides(self, view: View) -> Iterator[TensorDifference]:
        """Yield the differences with their sides in the language of the view."""
        for one in self.differences:
            first, second = (
                self.sides[str(side)].in_language(view.lang) if str(side) in self.sides else side
                for side in one.sides
            )
            yield one._replace(sides=(first, second))

    def _table(self, keys: Sequence[str], view: View) -> Table:
        columns = tuple(Column(TEXTS[key].in_language(view.lang)) for key in keys)
        rows = (tuple(_cell(key, one, keys, view) for key in keys) for one in self._translate_sides(view))
        return Table(columns, tuple(rows))


def verdict_of(one: TensorDifference) -> str:
    """Return `same`, `differs` or `shape`."""
    if one.shapes[0] != one.shapes[1]:
        return "shape"
    return "same" if one.agrees else "differs"


def _cell(key: str, one: TensorDifference, keys: Sequence[str], view: View) -> TableCell:
    """Return a cell; in a narrow table, texts without a column of their own go below the others."""
    texts, below = _texts(one, view), BELOW.get(key, key)
    found = cell(texts[key], {"tensor": "strong", "verdict": "" if one.agrees else "alarm"}.get(key, ""))
    if below not in keys and texts[below] not in (NONE, "0"):
        heading = "" if below == "pair" else f"{TEXTS[below].in_language(view.lang)} "
        found += cell(f"{heading}{texts[below]}", "dim")
    if key == "verdict" and keys == COLUMNS and one.mismatch is not None:
        text = TEXTS["mismatches"].in_language(view.lang)
        found += cell(text.format(count=f"{one.mismatch.number:,}", size=f"{one.size:,}"), "dim")
    return found


def _texts(difference: TensorDifference, view: View) -> dict[str, str]:
    """Return the text of each column."""
    verdict = verdict_of(difference)
    ulps = f" ({difference.ulps} ulp)" if difference.ulps is not None and difference.ulps <= MOST_ULPS else ""
    shapes = ", ".join(map(format_shape, difference.shapes))
    return {
        "tensor": difference.name,
        "pair": ", ".join(map(str, difference.sides)),
        "absolute": shapes if verdict == "shape" else f"{format_difference(difference.absolute)}{ulps}",
        "relative": NONE if verdict == "shape" else format_difference(difference.relative),
        "index": NONE if difference.place is None else str(list(difference.place)),
        "step": NONE if difference.step is None else f"t={difference.step}",
        "verdict": TEXTS[verdict].in_language(view.lang),
    }


def _document(difference: TensorDifference) -> dict[str, Any]:
    mismatch, verdict = difference.mismatch, verdict_of(difference)
    return {
        "name": difference.name,
        "first": difference.sides[0],
        "second": difference.sides[1],
        "shapes": [list(shape) for shape in difference.shapes],
        "absolute": None if verdict == "shape" else _encode(difference.absolute),
        "relative": None if verdict == "shape" else _encode(difference.relative),
        "ulps": difference.ulps,
        "index": None if difference.place is None else list(difference.place),
        "timestep": difference.step,
        "atol": difference.atol,
        "rtol": difference.rtol,
        "mismatch": None
        if mismatch is None
        else {
            "index": list(mismatch.place),
            "first": _encode(mismatch.first),
            "second": _encode(mismatch.second),
            "count": mismatch.number,
            "size": difference.size,
        },
        "verdict": verdict,
    }


def _record(one: TensorDifference) -> tuple[Any, ...]:
    return (
        one.name, *one.sides,
        *(("", "") if verdict_of(one) == "shape" else (_encode(one.absolute), _encode(one.relative))),
        "" if one.ulps is None else one.ulps,
        "" if one.place is None else str(list(one.place)),
        "" if one.step is None else one.step,
        one.mismatch.number if one.mismatch else 0, one.size, verdict_of(one),
    )  # fmt: skip


def _encode(number: float) -> float | str:
    """Return the number; NaN and infinities as text, which JSON has no numbers for."""
    from rnncli.show.numerals import spell_nonfinite

    return number if math.isfinite(number) else spell_nonfinite(number)
