"""Which installed fonts draw the texts of a picture."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from contextlib import suppress
from typing import Any

from rnncli.errors import EngineError, Message, Text

DEFAULT_FONT = "DejaVu Sans"
"""Comes with matplotlib; covers Latin and more."""
BEYOND_LATIN = ("Noto Sans CJK KR", "Noto Sans CJK JP", "Malgun Gothic", "Apple SD Gothic Neo", "NanumGothic")
"""Fonts to try first for characters that the default lacks."""
BOXES = "Last Resort"
"""Fonts that show every character as a box."""


def fit_fonts(draw: Callable[[str, frozenset[str]], Any], lang: str) -> tuple[Any, list[str], list[Text]]:
    """Return a sheet in `lang`, the names of the fonts that draw it, first to last, and remarks.

    draw: the `sheet` of a Plot.  If no font has Korean letters, the sheet is in English; if no font has
    a letter of a feature's name, the feature is called `feature 0`; a sequence then has only its number.
    Raises EngineError if matplotlib is not installed.
    """
    sheet = draw(lang, frozenset())
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        what = "plot needs matplotlib, which is not installed."
        raise EngineError(what, "pip install matplotlib") from None
    remarks: list[Text] = []
    if lang == "ko" and any("\uac00" <= letter <= "\ud7a3" for letter in find_fonts(sheet.labels)[1]):
        template = (
            "no installed font has Korean letters: the labels are in English; "
            "install one, such as Nanum: apt install fonts-nanum"
        )
        remarks.append(Message(template))
        sheet = draw(lang := "en", frozenset())
    names = (name for panel in sheet.panels for name in panel.names)
    fonts, missing = find_fonts((*sheet.labels, *names))
    if missing:
        letters = sorted(missing)
        shown = "".join(letters[:10]) + ("…" if len(letters) > 10 else "")
        template = "no installed font has {shown}: names that contain them are shown as numbers"
        remarks.append(Message(template, shown=shown))
        sheet = draw(lang, missing)
    return sheet, fonts, remarks


def find_fonts(texts: Iterable[str]) -> tuple[list[str], frozenset[str]]:
    """Return as few installed fonts as cover these texts, and the characters that no font has."""
    fonts = [DEFAULT_FONT]
    missing = frozenset(char for text in texts for char in text if not char.isascii())
    if not missing:
        return fonts, missing
    for list_fonts in (_listed_fonts, _new_fonts):
        by_name = list_fonts()
        first = [name for name in (DEFAULT_FONT, *BEYOND_LATIN) if name in by_name]
        for name in dict.fromkeys((*first, *sorted(by_name))):
            drawn = {char for char in missing if ord(char) in _glyphs(by_name[name])}
            if drawn:
                missing -= drawn
                fonts += [] if name in fonts else [name]
            if not missing:
                return fonts, missing
    return fonts, missing


def _listed_fonts() -> dict[str, str]:
    from matplotlib.font_manager import fontManager

    listed = reversed(fontManager.ttflist)
    return {entry.name: entry.fname for entry in listed if not entry.name.startswith(BOXES)}


def _new_fonts() -> dict[str, str]:
    from matplotlib import font_manager

    known = {entry.fname for entry in font_manager.fontManager.ttflist}
    for path in sorted(set(font_manager.findSystemFonts()) - known):
        with suppress(OSError, RuntimeError):  # a broken font
            font_manager.fontManager.addfont(path)
    return {name: path for name, path in _listed_fonts().items() if path not in known}


def _glyphs(path: str) -> Container[int]:
    from matplotlib.font_manager import get_font

    try:
        charmap: Container[int] = get_font(path).get_charmap()
    except (OSError, RuntimeError):  # the font was removed since matplotlib listed it, or is broken
        return ()
    return charmap
