"""What is drawn: heat maps, their steps, their scales and their labels."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_cells import NASTY
from part_labels import state
from sheets import make_case, padding_mask, result_sheet, trace_sheet

from rnncli import compute
from rnncli.ask import Ask, subject_of
from rnncli.commands.plot.sheet import SheetSelection, draw
from rnncli.compute import trace as tracing
from rnncli.errors import UsageError

LSTM = ["input gate", "forget gate", "candidate", "output gate", "cell state", "hidden state"]
GRU = ["update gate", "reset gate", "candidate", "hidden state"]


def titles(picture: Any) -> list[list[str]]:
    return [[panel.title for panel in row.panels] for row in picture.rows]


@pytest.mark.parametrize(("layers", "rows", "labels"), [
    (["lstm"], [LSTM], [""]),
    (["gru"], [GRU], [""]),
    (["simple_rnn"], [["candidate (new hidden state)", "hidden state"]], [""]),
    (["bilstm"], [LSTM, LSTM], ["forward", "backward"]),
    (["gru", "lstm"], [GRU, LSTM], ["layer 0", "layer 1"]),
    (["bigru", "Dense(2)"], [GRU, GRU], ["layer 0, forward", "layer 0, backward"]),
    (["RNN([LSTMCell(2), GRUCell(3)])"],
     [[*(f"cell_0/{title}" for title in LSTM), *(f"cell_1/{title}" for title in GRU)]],
     [""]),
])  # fmt: skip
def test_a_row_a_layer_and_direction_under_the_input(layers: Any, rows: Any, labels: Any) -> None:
    picture = trace_sheet(make_case(*layers))
    assert titles(picture) == [["input"], *rows]
    assert [row.label for row in picture.rows] == ["", *labels]


def test_long_sequences_give_every_heat_map_a_row() -> None:
    assert titles(trace_sheet(make_case("gru", shape=(1, 60, 2)))) == [[name] for name in ["input", *GRU]]


@pytest.mark.parametrize("layer", ["lstm", "bilstm"])
def test_every_column_is_the_step_at_that_time_of_the_input(layer: str) -> None:
    case = make_case(layer)
    picture = trace_sheet(case, batch=1)
    loops = {loop.direction: loop for loop in tracing.trace(case).trace}
    np.testing.assert_array_equal(picture.rows[0].panels[0].values, case.inputs[1].T)
    for row in picture.rows[1:]:
        loop = loops[row.label or "forward"]
        order = np.argsort(loop.times)
        assert row.panels[0].times == tuple(range(case.inputs.shape[1]))
        for panel, part in zip(row.panels, [*loop.gates, state("cell"), state("hidden")], strict=True):
            np.testing.assert_array_equal(panel.values, loop.parts[part][1, order].T)


def test_steps_and_gates_narrow() -> None:
    picture = trace_sheet(make_case("lstm"), steps=slice(1, 4), gates=("forget", "cell"))
    assert titles(picture) == [["input"], ["forget gate", "cell state"]]
    assert {(panel.times, panel.values.shape[1]) for panel in picture.panels} == {((1, 2, 3), 3)}


def test_scales_fit_the_quantity() -> None:
    picture = trace_sheet(make_case("lstm"))
    scales = {kind: scale for scale in picture.scales for kind in scale.kinds}
    assert (scales["gate"].low, scales["gate"].high, scales["gate"].diverging) == (0, 1, False)
    assert (scales["state"].low, scales["state"].high, scales["state"].diverging) == (-1, 1, True)
    assert scales["cell"] == scales["candidate"] == scales["state"]
    assert scales["input"].low == -scales["input"].high
    assert [scale.label for scale in picture.scales] == ["input", "gates", "candidate and states"]
    beyond = trace_sheet(make_case("lstm", shape=(1, 20, 2), scale=30.0, activation="relu"))
    cells = next(panel for panel in beyond.panels if panel.kind == "cell")
    assert beyond.scale(cells).high == -beyond.scale(cells).low == pytest.approx(abs(cells.values).max())
    assert beyond.scale(cells).high > 1
    gates = trace_sheet(make_case("gru", recurrent_activation="tanh"))
    scale = gates.scale(gates.rows[1].panels[0])
    assert (scale.low, scale.high, scale.diverging) == (-1, 1, True)
    case = make_case("gru")
    scale = trace_sheet(case._replace(inputs=abs(case.inputs))).scales[0]
    assert (scale.low, scale.diverging) == (0, False)  # an input that is nowhere negative


def test_an_automatic_scale_ends_where_the_values_do() -> None:
    case = make_case("lstm", scale=0.001)
    fixed, auto = trace_sheet(case), trace_sheet(case, scale="auto")
    for panel in auto.rows[-1].panels:
        assert auto.scale(panel).high < fixed.scale(panel).high
        assert auto.scale(panel).low >= fixed.scale(panel).low
    scale = auto.scale(auto.panels[-1])
    states = [panel for panel in auto.panels if panel.kind in scale.kinds]
    assert scale.high == -scale.low == pytest.approx(max(abs(panel.values).max() for panel in states))


def test_masked_steps_are_known_to_every_heat_map() -> None:
    picture = trace_sheet(make_case("bigru", mask=padding_mask(), return_sequences=True), batch=1)
    assert {panel.masked_steps for panel in picture.panels} == {(False, False, False, True, True)}
    assert picture.hatchings == (("masked: not used", True), ("masked, zeroed", False))
    assert titles(picture)[1][-1] == "output"
    carried = trace_sheet(make_case("gru", mask=padding_mask()), batch=1)
    assert carried.hatchings == (("masked: not used", True), ("masked, carried", False))
    unused = [panel.title for panel in carried.panels if panel.is_unused_where_masked]
    assert unused == ["input", "update gate", "reset gate", "candidate"]
    assert trace_sheet(make_case("gru", mask=padding_mask()), batch=0).hatchings == ()


def test_a_scale_does_not_reach_to_what_a_masked_step_would_have_computed() -> None:
    case = make_case("LSTM(3, activation='relu')", mask=padding_mask(), scale=20.0)
    case.inputs[1, -2:] *= 1000
    picture = trace_sheet(case, batch=1)
    (candidate,) = (panel for panel in picture.panels if panel.title == "candidate")
    assert candidate.values.max() > 1000
    assert picture.scale(candidate).high == candidate.values[:, :3].max()


def test_the_legend_names_what_has_its_colors() -> None:
    """A cell state beyond 1 has a scale of its own, so no other scale is that of states."""
    inside, beyond = (
        trace_sheet(make_case("lstm")),
        trace_sheet(make_case("lstm", scale=30.0, shape=(2, 9, 2))),
    )
    assert [scale.label for scale in inside.scales][2:] == ["candidate and states"]
    assert [scale.label for scale in beyond.scales][2:] == ["candidate and hidden", "cell state"]
    assert [(scale.low, scale.high) for scale in beyond.scales][2] == (-1, 1)
    some = trace_sheet(make_case("lstm", scale=30.0, shape=(2, 9, 2)), gates=("candidate", "cell"))
    assert [scale.label for scale in some.scales][1:] == ["candidate", "cell state"]


def test_a_result_has_its_tensors_with_their_masks() -> None:
    picture = result_sheet(
        make_case("lstm", mask=padding_mask(), return_sequences=True, return_state=True), batch=1
    )
    assert titles(picture)[1] == ["hidden_states", "last_hidden_state", "last_cell_state"]
    assert picture.rows[1].panels[0].masked_steps == (False, False, False, True, True)
    assert picture.rows[1].panels[1].values.shape == (3, 1)
    assert [scale.label for scale in picture.scales] == ["input", "states"]
    assert picture.hatchings == (("masked: not used", True), ("masked", False))


def test_a_backward_sequence_says_which_time_a_row_is_of() -> None:
    case = make_case("gru", return_sequences=True, go_backwards=True)
    panel = result_sheet(case, steps=slice(0, 2)).rows[1].panels[0]
    assert panel.times == (1, 0)
    np.testing.assert_array_equal(panel.values, compute.run(case).outputs[0].values[0, 3:].T)


@pytest.mark.parametrize("draw", [trace_sheet, result_sheet])
def test_a_sequence_is_named_by_its_index_and_may_be_counted_from_the_end(draw: Any) -> None:
    case = make_case("gru", shape=(3, 5, 2))
    for batch, index in ((0, 0), (-1, 2)):
        picture = draw(case, batch=batch)
        assert picture.note == f"batch {index} of 0..2, seed 1, engine numpy"
        np.testing.assert_array_equal(picture.rows[0].panels[0].values, case.inputs[index].T)


def test_a_long_name_of_a_feature_keeps_its_beginning() -> None:
    case = make_case("gru", names=("a" * 40, "b"))
    assert trace_sheet(case).panels[0].names == ("a" * 23 + "…", "b")
    assert trace_sheet(case, undrawable=frozenset("b")).panels[0].names == ("a" * 23 + "…", "feature 1")


def test_lines_of_a_cell_of_ones_own_are_scaled_by_what_limits_them(tmp_path: Path) -> None:
    (tmp_path / "cell.toml").write_text(NASTY)
    ask = Ask(layer=[f"@'{tmp_path}/cell.toml'(4)"], input_shape="1,3,5", seed=1)
    picture = trace_sheet(subject_of(ask).parts(alone=True).case)
    kinds = {panel.title: panel.kind for panel in picture.rows[1].panels}
    assert kinds == {
        **dict.fromkeys(("seen", "half", "level", "total", "limited", "big"), "line"),
        **dict.fromkeys(("norm state", "memory state"), "line"),
        "attention": "gate", "forget gate": "gate", "raw": "candidate", "hidden state": "state",
    }  # fmt: skip
    assert [scale.label for scale in picture.scales] == [
        "input", "other lines", "gates", "candidate and states",
    ]  # fmt: skip


def test_the_layers_of_a_model_are_drawn_below_each_other() -> None:
    cases = {"encoder": make_case("lstm", shape=(2, 5, 3)), "decoder": make_case("bigru", shape=(2, 3, 2))}
    parts = [(name, case, tracing.trace(case)) for name, case in cases.items()]
    picture = draw(parts, SheetSelection(batch=-1), traced=True, model="m.keras")
    assert picture.title == "m.keras: encoder, decoder"
    assert [row.label for row in picture.rows] == [
        *("encoder", "encoder"),
        *("decoder", "decoder, forward", "decoder, backward"),
    ]
    assert titles(picture) == [["input"], LSTM, ["input"], GRU, GRU]
    np.testing.assert_array_equal(picture.rows[2].panels[0].values, cases["decoder"].inputs[1].T)
    assert len(picture.rows[4].panels[0].times) == 3
    forget = draw(parts, SheetSelection(gates=("forget",)), traced=True, model="m.keras")
    assert titles(forget) == [["input"], ["forget gate"], ["input"]]
    with pytest.raises(UsageError, match="there is no gate or state 'forgt' here"):
        draw(parts, SheetSelection(gates=("forgt",)), traced=True, model="m.keras")
