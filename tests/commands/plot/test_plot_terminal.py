"""Pictures in the terminal."""

import re
from typing import Any

import pytest
from rich.cells import cell_len
from rich.text import Text
from sheets import make_case, padding_mask, trace_sheet

from rnncli.commands.plot.palette import STYLES, mix
from rnncli.commands.plot.terminal import render
from rnncli.show.page import View

LIGHT = STYLES["light"]


def test_colors_are_those_of_the_values() -> None:
    picture = trace_sheet(make_case("gru", shape=(1, 4, 2), units=2))
    lines = Text.from_ansi(render(picture, LIGHT, View(width=100), "truecolor")).split("\n")
    title = next(i for i, line in enumerate(lines) if "update gate" in line.plain)
    values = picture.rows[1].panels[0].values
    style: Any = next(span.style for span in lines[title + 1].spans if span.start >= 2)
    assert style.color.triplet == mix(LIGHT.gate, values[0, 0])
    assert style.bgcolor.triplet == mix(LIGHT.gate, values[1, 0])


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("depth", ["none", "256", "truecolor"])
def test_the_width_is_never_overrun(width: int, depth: Any) -> None:
    picture = trace_sheet(make_case("bilstm", shape=(2, 300, 2), mask=padding_mask((2, 300))), batch=1)
    plain = Text.from_ansi(render(picture, LIGHT, View(width=width), depth)).plain
    assert max(map(len, plain.splitlines())) <= width
    assert re.search(r"a column: the mean of \d time steps", plain)


def test_without_color_shades_say_it_and_slashes_the_mask() -> None:
    text = render(
        trace_sheet(make_case("gru", mask=padding_mask()), batch=1), LIGHT, View(ascii=True), "none"
    )
    assert text.isascii()
    assert "////////" in text
    assert "xxxxxxxx" in text  # not used
    assert re.search(r"gates +0 .* 1\n", text)


@pytest.mark.slow
def test_many_units_share_rows() -> None:
    text = render(trace_sheet(make_case("gru", units=256)), LIGHT, View(width=80), "none")
    assert len(text.splitlines()) < 160
    assert "a row: the mean of several units" in text


def test_wide_names_keep_their_columns() -> None:
    text = render(trace_sheet(make_case("lstm", names=("온도", "h"))), LIGHT, View(width=80), "none")
    rows = [line for line in text.splitlines() if line.lstrip().startswith(("온도 ", "h "))]
    assert len(rows) == 2
    assert len({cell_len(row[: row.index(" ", len(row) - len(row.lstrip())) + 1]) for row in rows}) == 1
