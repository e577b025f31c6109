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
    "candidate and states": "후보와 상태",
    "unit": "유닛",
    "feature": "특성",
    "time step": "시점",
    "masked": "마스크",
    "masked, carried": "마스크: 상태 유지",
    "masked, zeroed": "마스크: 출력 0",
    "masked, carried or zeroed": "마스크: 상태 유지 또는 출력 0",
}
PARTS = (
    (re.compile(r"\blayer (\S+)"), r"층 \1"),
    (re.compile(r"\bforward\b"), "정방향"),
    (re.compile(r"\bbackward\b"), "역방향"),
    (re.compile(r"\bbatch (\d+) of (\S+?)(,|$)"), r"배치 \1 (\2)\3"),
    (re.compile(r"\bseed (\d+)"), r"시드 \1"),
    (re.compile(r"\bengine (\w+)$"), r"엔진 \1"),
    (re.compile(r" gate$"), " 게이트"),
    (re.compile(r"\bhidden state$"), "은닉 상태"),
    (re.compile(r"\bcell state$"), "셀 상태"),
    (re.compile(r" state$"), " 상태"),
)
"""Patterns inside titles, labels of rows and the note below the title, with their Korean."""


def translate_labels(sheet: Sheet) -> Sheet:
    """Return the sheet with Korean labels."""
    return replace(
        sheet,
        note=_translate(sheet.note),
        rows=tuple(
            MapRow(_translate(row.label), tuple(map(_translate_panel, row.panels))) for row in sheet.rows
        ),
        scales=tuple(replace(scale, label=_translate(scale.label)) for scale in sheet.scales),
        masked=_translate(sheet.masked),
        time_axis=_translate(sheet.time_axis),
    )


def labels_of(sheet: Sheet) -> Iterator[str]:
    """Yield every text of a sheet but its title and the names of features."""
    yield from (sheet.note, sheet.masked, sheet.time_axis)
    yield from (scale.label for scale in sheet.scales)
    for row in sheet.rows:
        yield row.label
        yield from (text for panel in row.panels for text in (panel.title, panel.axis))


def _translate_panel(panel: Panel) -> Panel:
    return replace(panel, title=_translate(panel.title), axis=_translate(panel.axis))


def _translate(label: str) -> str:
    """Return a label in Korean; names of tensors stay."""
    if label in KOREAN:
        return KOREAN[label]
    for pattern, korean in PARTS:
        label = pattern.sub(korean, label)
    return label
