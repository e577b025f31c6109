"""The labels of a picture: in Korean, though names of gates and tensors stay, and in fonts that have them."""

from __future__ import annotations

import logging
import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from rnncli.commands.plot.sheet import MapRow, Panel, Sheet
from rnncli.errors import EngineError, Message, Text

DEFAULT_FONT = "DejaVu Sans"
"""Comes with matplotlib; covers Latin and more."""
BEYOND_LATIN = ("Noto Sans CJK KR", "Noto Sans CJK JP", "Malgun Gothic", "Apple SD Gothic Neo", "NanumGothic")
"""Fonts to try first for characters that the default lacks."""
BOXES = "Last Resort"
"""Fonts that show every character as a box."""
NARROW = 24
"""Number of characters shown of a feature name."""

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


class Lettering(NamedTuple):
    """A sheet, the names of the fonts that draw it, first to last, and remarks on what they lack."""

    sheet: Sheet
    fonts: list[str]
    remarks: list[Text]


def fit_fonts(sheet: Sheet, lang: str) -> Lettering:
    """Return the sheet in `lang`; where no font has the letters, in English, with `feature 0` for a name.

    Raises EngineError if matplotlib is not installed.
    """
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise EngineError(
            "plot needs matplotlib, which is not installed.", "pip install matplotlib"
        ) from None
    remarks: list[Text] = []
    if lang == "ko":
        korean = translate_labels(sheet)
        if find_fonts(_labels(korean))[1]:
            remarks.append(Message("no installed font has Korean letters: the labels are in English"))
        else:
            sheet = korean
    names = (shown_name(name) for row in sheet.rows for panel in row.panels for name in panel.names)
    fonts, missing = find_fonts((*_labels(sheet), *names))
    if missing:
        letters = sorted(missing)
        remarks.append(
            Message(
                "no installed font has {shown}: names that contain them are shown as feature 0, 1, ...",
                shown="".join(letters[:10]) + ("…" if len(letters) > 10 else ""),
            )
        )
    return Lettering(_replace_names(sheet, missing), fonts, remarks)


def shown_name(name: str) -> str:
    """Return a feature name, cut if long."""
    return name if len(name) <= NARROW else f"{name[: NARROW - 1].rstrip()}…"


def find_fonts(texts: Iterable[str]) -> tuple[list[str], frozenset[str]]:
    """Return as few installed fonts as cover these texts, and the characters that none has."""
    fonts = [DEFAULT_FONT]
    missing = frozenset(char for text in texts for char in text if not char.isascii())
    if not missing:
        return fonts, missing
    from matplotlib import font_manager

    listed = reversed(font_manager.fontManager.ttflist)
    by_name = {entry.name: entry.fname for entry in listed if not entry.name.startswith(BOXES)}
    first = [name for name in (DEFAULT_FONT, *BEYOND_LATIN) if name in by_name]
    for name in dict.fromkeys((*first, *sorted(by_name))):
        drawn = {char for char in missing if ord(char) in _glyphs(by_name[name])}
        if drawn:
            missing -= drawn
            fonts += [] if name in fonts else [name]
        if not missing:
            break
    return fonts, missing


def _glyphs(path: str) -> Container[int]:
    from matplotlib.font_manager import get_font

    try:
        charmap: Container[int] = get_font(path).get_charmap()
    except (OSError, RuntimeError):  # the font was removed since matplotlib listed it, or is broken
        return ()
    return charmap


def _replace_names(sheet: Sheet, missing: frozenset[str]) -> Sheet:
    """Return the sheet with `feature 0` for names that cannot be drawn."""

    def panel(one: Panel) -> Panel:
        names = tuple(
            f"{one.axis} {place}" if missing & set(name) else name for place, name in enumerate(one.names)
        )
        return replace(one, names=names)

    rows = tuple(replace(row, panels=tuple(map(panel, row.panels))) for row in sheet.rows)
    return replace(sheet, rows=rows)


def _labels(sheet: Sheet) -> Iterator[str]:
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
