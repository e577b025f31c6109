"""Tables as pictures: every piece of text in its own columns, on dark paper or on light."""

from __future__ import annotations

import re
from html import unescape
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from looks import contrast, drawn, luminance
from results_by_hand import ANSWERS
from rich.cells import cell_len

from rnncli.show.formats.svg import COLUMN, WIDTH

NAMESPACE = "{http://www.w3.org/2000/svg}"


def texts(drawing: str) -> list[tuple[float, float, str | None, str]]:
    """(y, x, length, text) of every piece, line by line."""
    pieces = [
        (float(one.get("y", "")), float(one.get("x", "")), one.get("textLength"), one.text or "")
        for one in ElementTree.fromstring(drawing).iter(f"{NAMESPACE}text")
        if one.get("class") != "rnncli-title"
    ]
    return sorted(pieces)


def visible_text(drawing: str) -> str:
    """Return all text, without blanks."""
    return "".join("".join(text for *_, text in texts(drawing)).replace("\xa0", " ").split())


@pytest.mark.parametrize(("width", "lang"), [(None, "en"), (30, "en"), (60, "ko")])
@pytest.mark.parametrize("name", ["run", "matrix", "shape"])
def test_the_picture_has_the_text_of_the_table(name: str, width: int | None, lang: str) -> None:
    """Of a table in several forms, the same form."""
    table = drawn(ANSWERS[name], width=width or WIDTH, lang=lang)
    assert visible_text(drawn(ANSWERS[name], "svg", width=width, lang=lang)) == "".join(table.split())


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("name", ["run", "matrix", "shape"])
def test_no_text_overlaps_the_next_or_begins_with_a_blank(name: str, lang: str) -> None:
    found = texts(drawn(ANSWERS[name], "svg", lang=lang))
    assert found
    for _, _, length, text in found:
        assert text == text.strip() != ""
        if cell_len(text) == len(text):
            assert length == f"{COLUMN * len(text):g}"
        else:  # Hangul is narrower than its two columns, and is not spread
            assert length is None
    for (y, x, _, text), (below, right, _, _) in pairwise(found):
        assert below > y or right >= x + COLUMN * cell_len(text) - 0.01


@pytest.mark.parametrize("format", ["svg", "html"])
def test_paper_is_light_or_dark_as_asked(format: str) -> None:
    light, dark, free = (drawn(ANSWERS["run"], format, theme=theme) for theme in ("light", "dark", ""))
    assert light != dark
    assert luminance(paper(light)) > 0.9 > 0.1 > luminance(paper(dark))
    assert "prefers-color-scheme" not in light + dark
    assert ("prefers-color-scheme" in free) if format == "html" else (free == dark)


def test_every_color_can_be_read_on_light_paper() -> None:
    drawing = drawn(ANSWERS["run"], "svg", theme="light")
    inks = re.findall(r"\.rnncli-r\d+ \{ fill: (#\w{6})", drawing)
    assert inks
    for ink in inks:
        assert contrast("#ffffff", ink) >= 4.5


def paper(text: str) -> str:
    found = re.search(r'<rect fill="(#\w{6})"|--paper: (#\w{6})', unescape(text))
    assert found
    return found[1] or found[2]
