"""Tables as pictures: every piece of text in its own columns, on dark paper or on light."""

import re
from html import unescape
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from looks import contrast, drawn, luminance
from results_by_hand import ANSWERS
from rich.cells import cell_len

from rnncli.show import styles
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
    if format == "html":
        assert [re.findall("color-scheme: (.*?);", text) for text in (light, dark, free)] == [
            ["light"], ["dark"], ["light dark"],
        ]  # fmt: skip
    else:
        assert free == dark


@pytest.mark.parametrize("name", ["run", "matrix"])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_color_of_a_picture_can_be_read(theme: str, name: str) -> None:
    drawing = drawn(ANSWERS[name], "svg", theme=theme)
    inks = re.findall(r"\.rnncli-r\d+ \{ fill: (#\w{6})", drawing)
    assert len(inks) > 3
    assert {ink: contrast(ink, paper(drawing)) for ink in inks if contrast(ink, paper(drawing)) < 4.5} == {}


def test_every_color_of_html_can_be_read_and_every_bar_seen() -> None:
    """As WCAG asks: 4.5 for text, 3 for what is not text."""
    colors = {name: pair for name, *pair in re.findall(COLOR, styles.read("colors"))}
    papers = colors.pop("paper")
    del colors["rule"]
    assert colors.keys() >= {"ink", "dim", "hidden", "cell", "alarm", "same0", "same1", "same2", "same3"}
    for name, pair in colors.items():
        for color, beneath in zip(pair, papers, strict=True):
            assert contrast(color, beneath) >= 4.5, name
    bars = re.findall(r"\.((?:rise|pole)\d) \{ color: (#\w{6})", styles.read("page"))
    assert len(bars) == 16
    for name, color in bars:
        assert min(contrast(color, beneath) for beneath in papers) >= 3, name


COLOR = r"--(\w+): light-dark\((#\w{6}), (#\w{6})\)"


def paper(text: str) -> str:
    """Of a picture, or of a page in its own theme."""
    found = re.search('<rect fill="(#\\w{6})"', unescape(text))
    if found:
        return found[1]
    pairs = {name: pair for name, *pair in re.findall(COLOR, text)}
    return str(pairs["paper"]["color-scheme: dark" in text])
