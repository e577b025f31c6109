"""The labels of a picture in Korean; names of gates, tensors and features stay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from rnncli.commands.plot.sheet import MapRow, Panel, Sheet

KOREAN = {
    "input": "입력",
    "gates": "게이트",
    "states": "상태",
    "cell state": "셀 상태",
    "candidate and states": "후보와 상태",
    "unit": "유닛",
    "feature": "특성",
    "time step": "시점",
    "masked": "마스크",
    "masked, held": "마스크: 상태 유지",
    "masked, zeroed": "마스크: 출력 0",
    "masked, held or zeroed": "마스크: 상태 유지 또는 출력 0",
}
PARTS = (
    (re.compile(r"\blayer (\S+)"), r"층 \1"),
    (re.compile(r"\bforward\b"), "정방향"),
    (re.compile(r"\bbackward\b"), "역방향"),
    (re.compile(r"\bbatch (\d+) of (\S+?)(,|$)"), r"배치 \1 (\2)\3"),
    (re.compile(r"\bseed (\d+)"), r"시드 \1"),
    (re.compile(r"\bengine (\w+)$"), r"엔진 \1"),
)
"""Patterns of row labels and of the note below the title, with their Korean."""
TITLES = ((re.compile(" gate$"), " 게이트"), (re.compile(" state$"), " 상태"))


def translate_labels(sheet: Sheet) -> Sheet:
    """Return the sheet with Korean labels."""
    return replace(
        sheet,
        note=_parts(sheet.note),
        rows=tuple(MapRow(_parts(row.label), tuple(map(_translate_panel, row.panels))) for row in sheet.rows),
        scales=tuple(replace(scale, label=KOREAN[scale.label]) for scale in sheet.scales),
        masked=sheet.masked and KOREAN[sheet.masked],
        time_axis=KOREAN[sheet.time_axis],
    )


def labels_of(sheet: Sheet) -> Iterator[str]:
    """Yield every text of a sheet but its title and the names of features."""
    yield from (sheet.note, sheet.masked, sheet.time_axis)
    yield from (scale.label for scale in sheet.scales)
    for row in sheet.rows:
        yield row.label
        yield from (text for panel in row.panels for text in (panel.title, panel.axis))


def _translate_panel(panel: Panel) -> Panel:
    title = KOREAN[panel.title] if panel.kind == "input" else panel.title
    for pattern, said in TITLES:
        title = pattern.sub(said, title)
    return replace(panel, title=title, axis=KOREAN[panel.axis])


def _parts(label: str) -> str:
    for pattern, said in PARTS:
        label = pattern.sub(said, label)
    return label
