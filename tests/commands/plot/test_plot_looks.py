"""What can be seen in a picture: small values, numbers on any color, names in letters that there are."""

from __future__ import annotations

import numpy as np
import pytest
from rich.cells import cell_len
from sheets import case, sheet

from rnncli.commands.plot import PlotFlags, figure, half_blocks, labels
from rnncli.commands.plot.palette import STYLES, is_dark, mix
from rnncli.commands.plot.sheet import Scale
from rnncli.errors import UsageError
from rnncli.show.page import View


def luminance(color: tuple[float, ...]) -> float:
    parts = (part / 255 for part in color)
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("style", list(STYLES))
@pytest.mark.parametrize("diverging", [False, True])
@pytest.mark.parametrize("kind", ["gate", "input"])
def test_a_number_can_be_read_on_every_color(style: str, diverging: bool, kind: str) -> None:
    ramp = STYLES[style].choose_ramp(Scale("", (kind,), -1.0, 1.0, diverging))
    for place in np.linspace(0, 1, 101):
        paper = mix(ramp, place)
        light, shade = sorted((luminance(paper), 1.0 if is_dark(paper) else 0.0), reverse=True)
        assert (light + 0.05) / (shade + 0.05) >= 4.5


def test_an_automatic_scale_ends_where_the_values_do() -> None:
    asked = case("lstm", scale=0.001)
    fixed, auto = sheet(asked), sheet(asked, scale="auto")
    for panel in auto.rows[-1].panels:
        assert auto.scale(panel).high < fixed.scale(panel).high
        assert auto.scale(panel).low >= fixed.scale(panel).low
    state = auto.scale(auto.rows[-1].panels[-1])
    assert state.low == -state.high
    largest = max(
        float(np.abs(panel.values).max()) for panel in auto.rows[-1].panels if panel.kind in state.kinds
    )
    assert state.high == pytest.approx(largest)


def test_style_and_theme_that_differ_are_refused() -> None:
    usual = PlotFlags._make([None] * len(PlotFlags._fields))
    with pytest.raises(UsageError, match="--style grey and --theme dark"):
        usual._replace(style="grey", theme="dark").validate()
    usual._replace(style="dark", theme="dark").validate()
    assert (usual._replace(theme="dark").colors, usual.colors) == ("dark", "light")


def test_letters_that_no_font_has_are_named_and_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "_glyphs", lambda path: {ord("é")})
    named = labels.fit_fonts(sheet(case("lstm", names=("온", "é"))), "en")
    (remark,) = named.remarks
    assert str(remark) == ("no installed font has 온: names that contain them are shown as feature 0, 1, ...")
    drawn = figure.render(named.sheet, "svg", STYLES["light"], None).decode()
    assert "feature 0" in drawn


def test_letters_that_a_font_has_are_drawn() -> None:
    assert labels.fit_fonts(sheet(case("lstm", names=("á", "é"))), "en").remarks == []


def test_wide_names_keep_the_columns_of_a_terminal() -> None:
    text = half_blocks.render(
        sheet(case("lstm", names=("온도", "h"))), STYLES["light"], View(width=80), "none"
    )
    rows = [line for line in text.splitlines() if line.lstrip().startswith(("온도 ", "h "))]
    assert len(rows) == 2
    assert len({cell_len(row[: row.index(" ", len(row) - len(row.lstrip())) + 1]) for row in rows}) == 1
