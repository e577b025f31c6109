"""Pictures, held by what is in them: heat maps, numbers, scales, hatches, labels; not by their bytes."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from itertools import combinations, pairwise
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from part_labels import state
from rich.text import Text
from sheets import case, sheet

from rnncli import compute
from rnncli.case import Case
from rnncli.commands.plot import figure, half_blocks
from rnncli.commands.plot.labels import fit_fonts
from rnncli.commands.plot.palette import STYLES, mix
from rnncli.commands.plot.sheet import SheetSelection, draw_result
from rnncli.compute import trace as tracing
from rnncli.errors import UsageError
from rnncli.show.page import View

LIGHT = STYLES["light"]


def masked(shape: Any = (2, 5)) -> np.ndarray:
    mask = np.ones(shape, bool)
    mask[1, -2:] = False
    return mask


def result(asked: Case, **wanted: Any) -> Any:
    return draw_result(asked, compute.run(asked), SheetSelection(**wanted))


def titles(found: Any) -> list[list[str]]:
    return [[panel.title for panel in row.panels] for row in found.rows]


LSTM = ["input gate", "forget gate", "candidate", "output gate", "cell state", "hidden state"]
GRU = ["update gate", "reset gate", "candidate", "hidden state"]


@pytest.mark.parametrize(
    ("layers", "rows", "labels"),
    [
        (["lstm"], [LSTM], [""]),
        (["gru"], [GRU], [""]),
        (["simple_rnn"], [["candidate", "hidden state"]], [""]),
        (["bilstm"], [LSTM, LSTM], ["forward", "backward"]),
        (["gru", "lstm"], [GRU, LSTM], ["layer 0", "layer 1"]),
        (["bigru", "Dense(2)"], [GRU, GRU], ["layer 0, forward", "layer 0, backward"]),
    ],
)
def test_a_row_a_layer_and_direction_under_the_input(layers: Any, rows: Any, labels: Any) -> None:
    found = sheet(case(*layers))
    assert titles(found) == [["input"], *rows]
    assert [row.label for row in found.rows] == ["", *labels]


def test_long_sequences_give_every_heat_map_a_row() -> None:
    assert titles(sheet(case("gru", shape=(1, 60, 2)))) == [[name] for name in ["input", *GRU]]


@pytest.mark.parametrize("layer", ["lstm", "bilstm"])
def test_every_column_is_the_step_at_that_time_of_the_input(layer: Any) -> None:
    asked = case(layer)
    found = sheet(asked, batch=1)
    loops = {loop.direction: loop for loop in tracing.trace(asked).trace}
    for row in found.rows[1:]:
        for column, time in enumerate(row.panels[0].times):
            assert time == column
            loop = loops[row.label or "forward"]
            place = loop.times.tolist().index(time)
            gates, states = row.panels[:4], row.panels[4:]
            for panel, part in zip(gates, loop.gates, strict=True):
                shown = loop.parts[part][1, place]
                np.testing.assert_array_equal(panel.values[:, column], shown)
            np.testing.assert_array_equal(states[0].values[:, column], loop.parts[state("cell")][1, place])
            np.testing.assert_array_equal(states[1].values[:, column], loop.parts[state("hidden")][1, place])
    np.testing.assert_array_equal(found.rows[0].panels[0].values, asked.inputs[1].T)


def test_steps_and_gates_narrow() -> None:
    found = sheet(case("lstm"), steps=slice(1, 4), gates=("forget", "cell"))
    assert titles(found) == [["input"], ["forget gate", "cell state"]]
    assert all(panel.times == (1, 2, 3) for row in found.rows for panel in row.panels)
    assert found.rows[1].panels[0].values.shape == (3, 3)


def test_scales_fit_the_quantity() -> None:
    scales = {kind: scale for scale in sheet(case("lstm")).scales for kind in scale.kinds}
    assert (scales["gate"].low, scales["gate"].high) == (0, 1)
    assert (scales["state"].low, scales["state"].high) == (-1, 1)
    assert scales["cell"] == scales["state"]
    assert scales["input"].low == -scales["input"].high
    assert not scales["gate"].diverging


def test_a_scale_grows_with_what_goes_beyond() -> None:
    asked = case("lstm", shape=(1, 20, 2), scale=30.0, activation="relu")
    found = sheet(asked)
    cells = next(panel for panel in found.rows[1].panels if panel.kind == "cell")
    scale = found.scale(cells)
    assert cells.values.max() > 1
    assert scale.high == -scale.low == pytest.approx(abs(cells.values).max())


def test_a_gate_below_zero_has_a_diverging_scale() -> None:
    found = sheet(case("gru", recurrent_activation="tanh"))
    scale = found.scale(found.rows[1].panels[0])
    assert scale.diverging
    assert (scale.low, scale.high) == (-1, 1)


def test_an_input_that_is_nowhere_negative_begins_at_zero() -> None:
    asked = case("gru")
    found = sheet(asked._replace(inputs=abs(asked.inputs)))
    scale = found.scale(found.rows[0].panels[0])
    assert (scale.low, scale.diverging) == (0, False)


def test_what_is_no_number_leaves_the_scale_alone() -> None:
    asked = case("gru")
    asked.inputs[0, 1, 0], asked.inputs[0, 2, 0] = np.nan, np.inf
    found = sheet(asked)
    assert all(np.isfinite((scale.low, scale.high)).all() for scale in found.scales)
    assert figure.render(found, "png", LIGHT, None)
    assert "?" in half_blocks.render(found, LIGHT, View(), "none")


def test_masked_steps_are_known_to_every_heat_map() -> None:
    found = sheet(case("bigru", mask=masked(), return_sequences=True), batch=1)
    skipped = {panel.masked_steps for row in found.rows for panel in row.panels}
    assert skipped == {(False, False, False, True, True)}
    assert found.masked == "masked, zeroed"
    assert titles(found)[1][-1] == "output"
    assert sheet(case("gru", mask=masked()), batch=1).masked == "masked, carried"
    assert sheet(case("gru", mask=masked()), batch=0).masked == ""


def test_a_result_has_its_tensors_with_their_masks() -> None:
    found = result(case("lstm", mask=masked(), return_sequences=True, return_state=True), batch=1)
    assert titles(found)[1] == ["hidden_states", "last_hidden_state", "last_cell_state"]
    assert found.rows[1].panels[0].masked_steps == (False, False, False, True, True)
    assert found.rows[1].panels[1].values.shape == (3, 1)


def test_a_backward_sequence_says_which_time_a_row_is_of() -> None:
    asked = case("gru", return_sequences=True, go_backwards=True)
    panel = result(asked, steps=slice(0, 2)).rows[1].panels[0]
    states = compute.run(asked).outputs[0].values
    assert panel.times == (1, 0)
    np.testing.assert_array_equal(panel.values, states[0, 3:].T)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"batch": 2}, "--batch 2"),
        ({"batch": -3}, "--batch -3"),
        ({"steps": slice(7, 9)}, "--steps"),
        ({"gates": ("forgot",)}, "--gate"),
    ],
)
def test_what_is_not_there_is_said(wanted: Any, said: Any) -> None:
    with pytest.raises(UsageError, match=said):
        sheet(case("lstm"), **wanted)


@pytest.mark.parametrize("draw", [sheet, result])
def test_a_sequence_is_named_by_its_index_and_may_be_counted_from_the_end(draw: Any) -> None:
    asked = case("gru", shape=(3, 5, 2))
    first, last = draw(asked, batch=0), draw(asked, batch=-1)
    notes = ("batch 0 of 0..2, seed 1, engine numpy", "batch 2 of 0..2, seed 1, engine numpy")
    assert (first.note, last.note) == notes
    np.testing.assert_array_equal(last.rows[0].panels[0].values, asked.inputs[2].T)


def test_a_result_has_no_gates() -> None:
    with pytest.raises(UsageError, match="--gate"):
        result(case("lstm"), gates=("forget",))


def drawn(found: Any, size: Any = None, style: Any = LIGHT, fonts: Any = ("DejaVu Sans",)) -> Any:
    import matplotlib

    settings: Any = {**figure.SETTINGS, **figure._colors(style), "font.family": list(fonts)}
    with matplotlib.rc_context(settings):
        return figure.figure(found, style, size)


def heat_maps(drawing: Any) -> list[Any]:
    return [
        axes
        for axes in drawing.axes
        if axes.collections and axes.get_title(loc="left") and axes.yaxis_inverted()
    ]


def legend_bars(drawing: Any) -> list[Any]:
    (legend,) = (axes for axes in drawing.axes if axes.child_axes)
    return list(legend.child_axes)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("layers", [["lstm"], ["bigru"], ["gru", "lstm"]])
def test_a_figure_has_every_heat_map_with_its_numbers_and_limits(layers: Any, style: Any) -> None:
    found = sheet(case(*layers))
    axes = heat_maps(drawn(found, style=STYLES[style]))
    panels = [panel for row in found.rows for panel in row.panels]
    assert len(axes) == len(panels)
    for each, panel in zip(axes, panels, strict=True):
        (mesh,) = each.collections
        scale = found.scale(panel)
        assert each.get_title(loc="left") == panel.title
        assert (mesh.norm.vmin, mesh.norm.vmax) == (scale.low, scale.high)
        np.testing.assert_allclose(mesh.get_array(), panel.values, rtol=1e-6)


def test_a_figure_has_a_bar_a_scale() -> None:
    found = sheet(case("lstm", mask=masked()), batch=1)
    bars = [axes.get_title(loc="left") for axes in legend_bars(drawn(found))]
    assert bars == ["input", "gates", "candidate and states", "masked, carried"]


def test_a_figure_names_its_axes() -> None:
    axes = heat_maps(drawn(sheet(case("bilstm", names=("open", "close")))))
    assert axes[0].get_ylabel() == "feature"
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["open", "close"]
    assert [each.get_ylabel() for each in axes if each.get_ylabel()] == [
        "feature", "forward\nunit", "backward\nunit"
    ]  # fmt: skip
    assert [label.get_text() for label in axes[1].get_xticklabels()] == list("01234")
    assert [each.get_xlabel() for each in axes] == [""] * 7 + ["time step"] * 6


def test_masked_steps_are_hatched_where_they_are() -> None:
    axes = heat_maps(drawn(sheet(case("gru", mask=masked()), batch=1)))
    for each in axes:
        (patch,) = [patch for patch in each.patches if isinstance(patch, Rectangle)]
        assert patch.get_hatch()
        assert (patch.get_x(), patch.get_width()) == (2.5, 2)
    assert not any(each.patches for each in heat_maps(drawn(sheet(case("gru", mask=masked())))))


def test_numbers_stand_in_cells_that_are_large_enough() -> None:
    few = heat_maps(drawn(sheet(case("lstm", shape=(1, 4, 2)))))
    assert len(few[1].texts) == 12
    value = few[1].collections[0].get_array()[0, 0]
    assert few[1].texts[0].get_text() == f"{value:.2f}"
    assert not heat_maps(drawn(sheet(case("lstm", shape=(1, 20, 2)))))[1].texts


@pytest.mark.parametrize(
    "asked",
    [
        case("lstm"),
        case("lstm", shape=(1, 4, 1), units=1),
        case("bilstm", mask=masked(), names=("a very long name of a feature", "b")),
        case("gru", "lstm", "simple_rnn"),
        case("lstm", units=64, shape=(1, 200, 5)),
        case("bigru", units=16, shape=(1, 100, 40)),
        case("simple_rnn", units=1, shape=(1, 1, 2)),
        case("simple_rnn", shape=(1, 2, 2), scale=1e30, activation="relu"),
    ],
    ids=["lstm", "smallest", "both ways", "stack", "long", "long both ways", "narrow", "huge"],
)
@pytest.mark.parametrize("size", [None, (12, 14)])
def test_nothing_leaves_the_figure_and_no_heat_map_covers_another(asked: Any, size: Any) -> None:
    found = sheet(asked)
    drawing = drawn(found, size)
    drawing.draw_without_rendering()
    every = [*heat_maps(drawing), *legend_bars(drawing)]
    for axes in every:
        box, whole = axes.get_tightbbox(), drawing.bbox
        assert box.x0 >= -1
        assert box.y0 >= -1
        assert box.x1 <= whole.x1 + 1
        assert box.y1 <= whole.y1 + 1
    assert drawing._suptitle.get_window_extent().x1 <= drawing.bbox.x1
    for one, other in combinations(every, 2):
        for first, second in ((one.bbox, other.get_tightbbox()), (one.get_tightbbox(), other.bbox)):
            apart = first.x1 <= second.x0 or second.x1 <= first.x0
            assert apart or first.y1 <= second.y0 or second.y1 <= first.y0


@pytest.mark.parametrize(
    ("layers", "shape"),
    [(["bilstm"], (1, 30, 4)), (["lstm", "gru"], (1, 30, 4)), (["bilstm", "bigru"], (1, 4, 4))],
)
@pytest.mark.parametrize("size", [None, (9, 6)])
def test_the_names_of_rows_stay_apart(layers: Any, shape: Any, size: Any) -> None:
    drawing = drawn(sheet(case(*layers, shape=shape, units=8)), size)
    drawing.draw_without_rendering()
    names = [each.yaxis.label.get_window_extent() for each in heat_maps(drawing) if each.get_ylabel()]
    for above, below in pairwise(names):
        assert (above.y0 - below.y1) / drawing.dpi > 0.05  # nearly a letter


def test_numbers_of_any_size_stay_in_their_cells_and_apart_in_the_legend() -> None:
    found = sheet(case("simple_rnn", shape=(1, 2, 2), scale=1e30, activation="relu"))
    drawing = drawn(found)
    drawing.draw_without_rendering()
    for axes in heat_maps(drawing):
        assert axes.texts
        for text in axes.texts:
            middle = text.get_position()[0]
            (left, _), (right, _) = axes.transData.transform([(middle - 0.5, 0), (middle + 0.5, 0)])
            assert left <= text.get_window_extent().x0 < text.get_window_extent().x1 <= right
    bars = legend_bars(drawing)
    extents = [label.get_window_extent() for bar in bars for label in bar.get_xticklabels()]
    for one, other in pairwise(extents):
        assert one.x1 < other.x0


def test_numbers_that_do_not_fit_are_left_out() -> None:
    found = sheet(case("gru", shape=(1, 1, 1)))
    values = np.array([[-1.25e30, 0.5, 0.5, 0.5]])
    panel = replace(found.rows[0].panels[0], values=values, times=(0, 1, 2, 3), masked_steps=())
    scale = replace(found.scales[0], low=-2e30, high=2e30, diverging=True)
    narrow = replace(found, rows=(replace(found.rows[0], panels=(panel,)),), scales=(scale,))
    (axes,) = heat_maps(drawn(narrow, (2, 3)))
    assert [text.get_text() for text in axes.texts] == ["0.50"] * 3


@pytest.mark.parametrize("size", [(4, 1.5), (1, 9), (0.5, 0.5)])
def test_the_least_size_that_is_named_is_enough_and_no_less_is(size: Any) -> None:
    found = sheet(case("lstm"), gates=("cell",))
    with pytest.raises(UsageError) as caught:
        drawn(found, size)
    wide, high = map(float, re.findall(r"[0-9.]+(?=x)|(?<=x)[0-9.]+", str(caught.value.advice)))
    assert drawn(found, (wide, high))
    assert (wide >= size[0], high >= size[1]) == (True, True)
    if high > size[1]:
        with pytest.raises(UsageError):
            drawn(found, (wide, high - 0.11))
    if wide > size[0]:
        with pytest.raises(UsageError):
            drawn(found, (wide - 0.11, high))


def test_cells_too_small_for_an_edge_have_none() -> None:
    found = sheet(case("bilstm", units=40, shape=(2, 4, 60)), steps=slice(-2, None))
    for axes in heat_maps(drawn(found, (12, 3))):
        assert axes.collections[0].get_linewidth() == [0]
        assert len(axes.get_yticks()) <= 2
    assert heat_maps(drawn(sheet(case("lstm"))))[1].collections[0].get_linewidth() == [0.5]


def test_cells_of_an_rnn_come_one_after_the_other() -> None:
    (_, row) = titles(sheet(case("RNN([LSTMCell(2), GRUCell(3)])")))
    assert [title.partition("/")[0] for title in row] == ["cell_0"] * 6 + ["cell_1"] * 4


def test_names_of_features_are_no_formulas_and_may_be_korean() -> None:
    found = sheet(case("gru", names=("$x^$", "종가")))
    shown = fit_fonts(found, "en")
    names = ["$x^$", "feature 1" if shown.remarks else "종가"]
    axes = heat_maps(drawn(shown.sheet, fonts=shown.fonts))[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    assert figure.render(shown.sheet, "svg", LIGHT, None, shown.fonts)


def test_a_long_name_of_one_word_keeps_its_beginning() -> None:
    axes = heat_maps(drawn(sheet(case("gru", names=("a" * 40, "b")))))[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a" * 23 + "…", "b"]


def test_size_is_inches() -> None:
    drawing = drawn(sheet(case("lstm")), (9.5, 4))
    assert tuple(drawing.get_size_inches()) == (9.5, 4)
    with pytest.raises(UsageError, match="too small"):
        drawn(sheet(case("lstm")), (1, 1))


@pytest.mark.parametrize(("format", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_the_same_sheet_is_the_same_file(format: Any, start: Any) -> None:
    asked = sheet(case("bilstm", mask=masked()), batch=1)
    once, again = (figure.render(asked, format, LIGHT, None) for _ in range(2))
    assert once == again
    assert once.startswith(start)


def test_svg_is_xml_and_says_no_date() -> None:
    text = figure.render(sheet(case("gru")), "svg", LIGHT, None).decode()
    ElementTree.fromstring(text)
    assert "date>" not in text


def test_a_matplotlibrc_changes_nothing() -> None:
    import matplotlib

    found = sheet(case("gru"))
    plain = figure.render(found, "svg", LIGHT, None)
    with matplotlib.rc_context({"axes.grid": True, "font.size": 20, "image.cmap": "jet"}):
        assert figure.render(found, "svg", LIGHT, None) == plain


def test_terminal_colors_are_those_of_the_values() -> None:
    found = sheet(case("gru", shape=(1, 4, 2), units=2))
    text = Text.from_ansi(half_blocks.render(found, LIGHT, View(width=100), "truecolor"))
    lines = text.split("\n")
    place = next(i for i, line in enumerate(lines) if "update gate" in line.plain)
    values = found.rows[1].panels[0].values
    style: Any = next(span.style for span in lines[place + 1].spans if span.start >= 2)
    assert style.color.triplet == mix(LIGHT.gate, values[0, 0])
    assert style.bgcolor.triplet == mix(LIGHT.gate, values[1, 0])


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("depth", ["none", "256", "truecolor"])
def test_the_terminal_is_never_overrun(width: Any, depth: Any) -> None:
    found = sheet(case("bilstm", shape=(2, 300, 2), mask=masked((2, 300))), batch=1)
    plain = Text.from_ansi(half_blocks.render(found, LIGHT, View(width=width), depth)).plain
    assert max(map(len, plain.splitlines())) <= width
    assert re.search(r"a column: the mean of \d time steps", plain)


def test_without_color_shades_say_it_and_slashes_the_mask() -> None:
    text = half_blocks.render(sheet(case("gru", mask=masked()), batch=1), LIGHT, View(ascii=True), "none")
    assert text.isascii()
    assert "////////" in text
    assert re.search(r"gates +0 .* 1\n", text)


def test_many_units_share_rows_in_the_terminal() -> None:
    text = half_blocks.render(sheet(case("gru", units=256)), LIGHT, View(width=80), "none")
    assert len(text.splitlines()) < 160
    assert "a row: the mean of several units" in text


def test_no_matplotlib_for_the_terminal_and_no_tensorflow_for_a_file(tmp_path: Any) -> None:
    program = "import sys; from rnncli.cli.app import main; code = main(sys.argv[1:]); assert not code; "
    for args, unwanted in (
        (["--terminal"], "matplotlib"),
        (["-o", str(tmp_path / "a.png")], "tensorflow"),
        (["-o", str(tmp_path / "a.svg")], "matplotlib.pyplot"),
    ):
        check = program + f"assert {unwanted!r} not in sys.modules"
        subprocess.run([sys.executable, "-c", check, "plot", "--seed", "1", *args], check=True, stdin=-3)
