"""Pictures, held by what is in them: heat maps, numbers, scales, hatches, labels; not by their bytes."""

import re
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from looks import contrast
from matplotlib.patches import Rectangle
from sheets import make_case, padding_mask, result_sheet, trace_sheet

from rnncli.commands.plot import figure, fonts
from rnncli.commands.plot.palette import STYLES, is_dark, mix
from rnncli.commands.plot.sheet import Scale, Sheet
from rnncli.compute import holds
from rnncli.errors import UsageError
from rnncli.values import InputNames

LIGHT = STYLES["light"]
HUGE = make_case("simple_rnn", shape=(1, 2, 2), scale=1e30, activation="relu")


def draw_figure(picture: Any, size: Any = None, style: Any = LIGHT, fonts: Any = ("DejaVu Sans",)) -> Any:
    import matplotlib

    settings: Any = figure.settings_of(style, fonts)
    with matplotlib.rc_context(settings):
        return figure.figure(picture, style, size)


def heat_maps(drawing: Any) -> list[Any]:
    return [
        axes
        for axes in drawing.axes
        if axes.collections and axes.get_title(loc="left") and axes.yaxis_inverted()
    ]


def legend_bars(drawing: Any) -> list[Any]:
    (legend,) = (axes for axes in drawing.axes if axes.child_axes)
    return list(legend.child_axes)


@pytest.mark.parametrize(
    ("layers", "style"), [(["lstm"], "light"), (["bigru", "gru"], "dark"), (["gru"], "grey")]
)
@pytest.mark.slow
def test_a_figure_has_every_heat_map_with_its_numbers_and_limits(layers: Any, style: Any) -> None:
    picture = trace_sheet(make_case(*layers))
    axes = heat_maps(draw_figure(picture, style=STYLES[style]))
    panels = picture.panels
    assert len(axes) == len(panels)
    for each, panel in zip(axes, panels, strict=True):
        (mesh,) = each.collections
        scale = picture.scale(panel)
        assert each.get_title(loc="left") == panel.title
        assert (mesh.norm.vmin, mesh.norm.vmax) == (scale.low, scale.high)
        np.testing.assert_allclose(mesh.get_array(), panel.values, rtol=1e-6)


@pytest.mark.slow
def test_a_figure_names_its_axes() -> None:
    axes = heat_maps(draw_figure(trace_sheet(make_case("bilstm", names=("open", "close")))))
    assert axes[0].get_ylabel() == "feature"
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["open", "close"]
    assert [each.get_ylabel() for each in axes if each.get_ylabel()] == [
        "feature", "forward\nunit", "backward\nunit"
    ]  # fmt: skip
    assert [label.get_text() for label in axes[1].get_xticklabels()] == list("01234")
    assert [each.get_xlabel() for each in axes] == ["", *6 * ["time step →"], *6 * ["← time step"]]


@pytest.mark.slow
def test_masked_steps_are_hatched_where_they_are() -> None:
    picture = trace_sheet(make_case("gru", mask=padding_mask()), batch=1)
    maps = heat_maps(draw_figure(picture))
    hatches = [patch for axes in maps for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [hatch.get_hatch() for hatch in hatches] == [*4 * ["xx"], "/////"]
    assert {(hatch.get_x(), hatch.get_width()) for hatch in hatches} == {(2.5, 2)}
    assert [panel.is_gate for panel in picture.panels] == [False, True, True, True, False]
    for axes, hatch in zip(maps[1:4], hatches[1:4], strict=True):  # what a gate computes here is not used
        assert hatch.get_facecolor()[-1] == 1
        assert len(axes.texts) == 3 * 3
    for axes in (maps[0], maps[4]):
        assert len(axes.texts) == axes.collections[0].get_array().size
        assert [bool(text.get_path_effects()) for text in axes.texts[:5]] == [False] * 3 + [True] * 2
    assert not any(
        each.patches for each in heat_maps(draw_figure(trace_sheet(make_case("gru", mask=padding_mask()))))
    )


@pytest.mark.slow
def test_letters_grow_and_shrink_with_the_picture() -> None:
    picture = trace_sheet(make_case("lstm"))
    usual = draw_figure(picture)
    wide, high = usual.get_size_inches()
    for scale in (0.8, 2.5):
        drawing = draw_figure(picture, (wide * scale, high * scale))
        assert tuple(drawing.get_size_inches()) == (wide * scale, high * scale)
        for axes, scaled in zip(heat_maps(usual), heat_maps(drawing), strict=True):
            np.testing.assert_allclose(scaled.get_position().bounds, axes.get_position().bounds, atol=0.01)
            assert scaled.title.get_fontsize() == pytest.approx(axes.title.get_fontsize() * scale)
            for text, larger in zip(axes.texts, scaled.texts, strict=True):
                assert larger.get_fontsize() == pytest.approx(text.get_fontsize() * scale, rel=0.05)


@pytest.mark.slow
def test_last_states_have_their_units_and_say_what_they_equal() -> None:
    picture = result_sheet(make_case("bilstm", return_sequences=True, return_state=True))
    _, sequence, *states = heat_maps(draw_figure(picture))
    assert sequence.get_xlabel() == "time step"
    assert [axes.get_xlabel() for axes in states] == [
        "= hidden_states[:, -1, :3]", "", "= hidden_states[:, 0, 3:]", ""
    ]  # fmt: skip
    for axes in states:
        assert [label.get_text() for label in axes.get_yticklabels()] == ["0", "1", "2"]
        assert axes.yaxis.get_tick_params()["labelleft"]


@pytest.mark.slow
def test_a_held_gate_has_a_star() -> None:
    picture = trace_sheet(holds.hold_gates(make_case("lstm"), ["forget[:, 1]=0.5@2:4"]))
    assert picture.note == "batch 0 of 0..1, seed 1, engine numpy, held: forget[:, 1]=0.5@2:4"
    (forget,) = (
        axes for axes in heat_maps(draw_figure(picture)) if axes.get_title(loc="left") == "forget gate"
    )
    assert [text.get_text() for text in forget.texts if "*" in text.get_text()] == ["0.50*", "0.50*"]


@pytest.mark.slow
def test_numbers_stand_in_cells_that_are_large_enough() -> None:
    few = heat_maps(draw_figure(trace_sheet(make_case("lstm", shape=(1, 4, 2)))))
    assert len(few[1].texts) == 12
    value = few[1].collections[0].get_array()[0, 0]
    assert few[1].texts[0].get_text() == f"{value:.2f}"
    assert not heat_maps(draw_figure(trace_sheet(make_case("lstm", shape=(1, 20, 2)))))[1].texts


@pytest.mark.parametrize(
    ("case", "size"),
    [(make_case("lstm"), None),
     (make_case("lstm", shape=(1, 4, 1), units=1), None),
     (make_case("bilstm", mask=padding_mask(), names=("a very long name of a feature", "b")), (12, 14)),
     (make_case("gru", "lstm", "simple_rnn"), (12, 14)),
     (make_case("lstm", units=64, shape=(1, 200, 5)), None),
     (make_case("bigru", units=16, shape=(1, 100, 40)), None),
     (make_case("simple_rnn", units=1, shape=(1, 1, 2)), (12, 14)),
     (HUGE, None)],
    ids=["lstm", "smallest", "both ways", "stack", "long", "long both ways", "narrow", "huge"],
)  # fmt: skip
@pytest.mark.slow
def test_nothing_leaves_the_figure_and_no_heat_map_covers_another(case: Any, size: Any) -> None:
    drawing = draw_figure(trace_sheet(case), size)
    assert size is None or tuple(drawing.get_size_inches()) == size
    drawing.draw_without_rendering()
    every = [(axes.bbox, axes.get_tightbbox()) for axes in (*heat_maps(drawing), *legend_bars(drawing))]
    whole = drawing.bbox
    for _, box in every:
        assert min(box.x0, box.y0) >= -1
        assert (box.x1 <= whole.x1 + 1, box.y1 <= whole.y1 + 1) == (True, True)
    assert drawing._suptitle.get_window_extent().x1 <= whole.x1
    for (map_one, box_one), (map_other, box_other) in combinations(every, 2):
        for first, second in ((map_one, box_other), (box_one, map_other)):
            apart = first.x1 <= second.x0 or second.x1 <= first.x0
            assert apart or first.y1 <= second.y0 or second.y1 <= first.y0


@pytest.mark.slow
def test_numbers_of_any_size_stay_in_their_cells_and_apart_in_the_legend() -> None:
    drawing = draw_figure(trace_sheet(HUGE))
    drawing.draw_without_rendering()
    for axes in heat_maps(drawing):
        assert axes.texts
        for text in axes.texts:
            middle = text.get_position()[0]
            (left, _), (right, _) = axes.transData.transform([(middle - 0.5, 0), (middle + 0.5, 0)])
            assert left <= text.get_window_extent().x0 < text.get_window_extent().x1 <= right
    bars = legend_bars(drawing)
    extents = [label.get_window_extent() for bar in bars for label in bar.get_xticklabels()]
    for left_label, right_label in pairwise(extents):
        assert left_label.x1 < right_label.x0


def test_numbers_that_do_not_fit_are_left_out() -> None:
    picture = trace_sheet(make_case("gru", shape=(1, 1, 1)))
    values = np.array([[-1.25e30, 0.5, 0.5, 0.5, 0.5, 0.5]])
    panel = replace(picture.rows[0].panels[0], values=values, times=(0, 1, 2, 3, 4, 5), masked_steps=())
    scale = replace(picture.scales[0], low=-2e30, high=2e30, diverging=True)
    narrow = replace(picture, rows=(replace(picture.rows[0], panels=(panel,)),), scales=(scale,))
    (axes,) = heat_maps(draw_figure(narrow, (2, 3)))
    assert [text.get_text() for text in axes.texts] == ["0.50"] * 5


@pytest.mark.parametrize(("size", "short"), [((4, 1.3), [1]), ((1, 9), [0]), ((0.5, 0.5), [0, 1])])
@pytest.mark.slow
def test_the_least_size_that_is_named_is_enough_and_no_less_is(size: Any, short: list[int]) -> None:
    """short: the sides that are too short, 0 for the width and 1 for the height."""
    picture = trace_sheet(make_case("lstm"), gates=("cell",))
    with pytest.raises(UsageError) as caught:
        draw_figure(picture, size)
    least = np.array(re.findall(r"[0-9.]+(?=x)|(?<=x)[0-9.]+", str(caught.value.advice)), float)
    assert draw_figure(picture, tuple(least))
    assert [side for side in (0, 1) if least[side] > size[side]] == short
    assert (least >= size).all()
    for side in short:
        with pytest.raises(UsageError):
            draw_figure(picture, tuple(least - 0.11 * np.eye(2)[side]))


@pytest.mark.parametrize(("format", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
@pytest.mark.slow
def test_the_same_sheet_is_the_same_file(format: Any, start: Any) -> None:
    picture = trace_sheet(make_case("simple_rnn", mask=padding_mask()), batch=1)
    once, again = (figure.render(picture, format, LIGHT, None) for _ in range(2))
    assert once == again
    assert once.startswith(start)


@pytest.mark.slow
def test_svg_is_xml_without_a_date_whatever_the_matplotlibrc() -> None:
    """And the same file again."""
    import matplotlib

    picture = trace_sheet(make_case("simple_rnn", mask=padding_mask()), batch=1)
    plain = figure.render(picture, "svg", LIGHT, None)
    assert plain.startswith(b"<?xml")
    ElementTree.fromstring(plain)
    assert b"date>" not in plain
    with matplotlib.rc_context({"axes.grid": True, "font.size": 20, "image.cmap": "jet"}):
        assert figure.render(picture, "svg", LIGHT, None) == plain


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("diverging", [False, True])
@pytest.mark.parametrize("kind", ["gate", "input"])
def test_a_number_can_be_read_on_every_color(style: str, diverging: bool, kind: str) -> None:
    ramp = STYLES[style].choose_ramp(Scale("", (kind,), -1.0, 1.0, diverging))
    for share in np.linspace(0, 1, 101):
        paper = mix(ramp, share)
        letters = "#ffffff" if is_dark(paper) else "#000000"
        assert contrast("#{:02x}{:02x}{:02x}".format(*paper), letters) >= 4.5


@pytest.mark.slow
def test_letters_that_no_font_has_are_named_and_not_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    case = make_case("lstm", names=("온", "é"))

    def draw(lang: str, undrawable: frozenset[str]) -> Sheet:
        picture: Sheet = trace_sheet(case, lang=lang, undrawable=undrawable)
        return picture

    monkeypatch.setattr(fonts, "_glyphs", lambda path: {ord("é")})
    shown, _, remarks = fonts.fit_fonts(draw, "en")
    said = "no installed font has 온: names that contain them are shown as numbers"
    assert list(map(str, remarks)) == [said]
    assert "feature 0" in figure.render(shown, "svg", LIGHT, None).decode()
    monkeypatch.setattr(fonts, "_glyphs", lambda path: set(map(ord, "온é")))
    assert fonts.fit_fonts(draw, "en")[2] == []


def test_a_sequence_whose_name_no_font_has_is_shown_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    case = make_case("lstm")._replace(names=InputNames(sequences=("☃", "plain")))

    def draw(lang: str, undrawable: frozenset[str]) -> Sheet:
        picture: Sheet = trace_sheet(case, lang=lang, undrawable=undrawable)
        return picture

    assert "(☃)" in draw("en", frozenset()).note
    monkeypatch.setattr(fonts, "_glyphs", lambda path: {*range(0xAC00, 0xD7A4), *map(ord, "·→")})
    shown, _, remarks = fonts.fit_fonts(draw, "ko")
    assert len(remarks) == 1  # not that there are no Korean letters
    assert "no installed font has ☃" in str(remarks[0])
    assert "☃" not in shown.note
    assert "배치" in shown.note


def test_a_font_installed_after_matplotlib_listed_the_fonts_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from matplotlib import font_manager

    manager = font_manager.fontManager
    mono = [entry for entry in manager.ttflist if entry.name == "DejaVu Sans Mono"]
    monkeypatch.setattr(manager, "ttflist", [entry for entry in manager.ttflist if entry not in mono])
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [entry.fname for entry in mono])
    paths = {entry.fname for entry in mono}
    monkeypatch.setattr(fonts, "_glyphs", lambda path: {ord("온")} if path in paths else ())
    assert fonts.find_fonts(["온"]) == (["DejaVu Sans", "DejaVu Sans Mono"], frozenset())


@pytest.mark.slow
def test_names_of_features_are_no_formulas() -> None:
    picture = trace_sheet(make_case("gru", names=("$x^$", "á")))
    axes = heat_maps(draw_figure(picture))[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["$x^$", "á"]
    assert figure.render(picture, "svg", LIGHT, None)
