"""A trace: what is kept of it, what is said of it, how it is drawn, and that it is held to its run."""

import json
from typing import Any

import numpy as np
import pytest
from looks import PAGES, check_looks, drawn, misfits
from part_labels import gate, state
from traces_by_hand import ANSWERS, answer, both_ways, lstm, masked, odd, stack

from rnncli import compute, specs
from rnncli.commands import run as run_answer
from rnncli.commands.trace.answer import TraceAnswer, stats_of
from rnncli.compute import trace as tracing
from rnncli.compute.holds import hold_gates
from rnncli.compute.trace import TraceSelection
from rnncli.errors import UsageError
from rnncli.layers.case import Case
from rnncli.result import Label, Result
from rnncli.show import formats, statistics
from rnncli.show.page import View, bar, line, marks

INPUTS = np.linspace(-2, 2, 2 * 4 * 3, dtype=np.float32).reshape(2, 4, 3)


def case(*expressions: str, **flags: object) -> Case:
    return Case(specs.from_flags(list(expressions), flags), INPUTS, seed=7)


def first_nan(result: Result) -> str | None:
    return TraceAnswer(result, tracing.list_loops(result)).first_nan()


@pytest.mark.parametrize("name", ANSWERS)
@pytest.mark.slow
def test_traces_look_as_they_did(name: Any) -> None:
    check_looks("trace", name, ANSWERS[name], PAGES if name == "trace" else ())


def test_markdown_writes_the_numbers_of_a_gate_as_one_piece_of_code() -> None:
    """Two ticks between them would be shown: they do not end a piece of code that begins with one."""
    page = drawn(ANSWERS["trace"], "markdown")
    assert "`" in page
    assert "``" not in page


@pytest.mark.parametrize("name", [name for name in ANSWERS if name != "trace_large"])
@pytest.mark.parametrize("width", [60, 132])
def test_no_line_of_a_full_trace_is_wider_than_the_terminal(name: Any, width: Any) -> None:
    assert misfits(ANSWERS[name], width, full=True) == []


def test_bars_rise_with_values() -> None:
    drawn = "".join(bar(value, 0, 1, View()).text for value in np.linspace(0, 1, 8))
    assert drawn == marks(View()).bars
    assert bar(5.0, 0, 1, View()).text == "█"
    assert bar(-5.0, -1, 1, View()).text == "▁"
    assert bar(float("nan"), 0, 1, View()).text == "?"
    assert bar(0.5, 0, 1, View(ascii=True)).text in marks(View(ascii=True)).bars
    assert bar(0.0, -1, 1, View()).style.startswith("pole")


@pytest.mark.parametrize("format", ["table", "markdown", "html", "svg"])
@pytest.mark.parametrize("width", [60, 200])
def test_pages_leave_out_the_gates_of_masked_steps(format: Any, width: int) -> None:
    """Nothing used them. The document keeps them, as they were computed from what came in."""
    traced = answer(masked())
    (loop,) = masked().trace
    page = drawn(traced, format, width=width, full=True)

    def shown(part: Label, entry: int, step: int) -> bool:
        return all(f"{number:.4f}" in page for number in loop.parts[part][entry, step])

    for entry, step in np.ndindex(loop.status.shape):
        is_masked = bool(loop.status[entry, step])
        for part in loop.gates:
            assert shown(part, entry, step) != is_masked, (part, entry, step)
            kept = traced.document(View())["trace"][step]["gates"][part.part]["activation"][entry]
            np.testing.assert_array_equal(kept, loop.parts[part][entry, step])
        assert shown(state("hidden"), entry, step)


def test_a_table_of_gates_alone_says_which_steps_are_masked() -> None:
    gates, states = drawn(answer(masked()), width=44).split("hidden", 1)
    assert "masked" in gates.partition("update")[2]
    assert "masked:" in states


def test_the_document() -> None:
    document = answer(lstm()).document(View())
    assert list(document) == ["schema", "version", "engine", "seed", "expression", "layer", "input", "trace"]
    step = document["trace"][2]
    assert list(step) == ["layer", "direction", "timestep", "status", "gates", "state", "output"]
    assert list(step["gates"]) == ["input", "forget", "candidate", "output"]
    assert list(step["gates"]["input"]) == ["preactivation", "activation"]
    assert list(step["state"]) == ["hidden", "cell"]
    gates = answer(masked()).document(View())["trace"][0]["gates"]
    assert set(gates["candidate"]) == {"preactivation", "recurrent", "activation"}
    lines = [
        json.loads(one) for one in formats.render(answer(lstm(), stats=True), "ndjson", View()).splitlines()
    ]
    assert [list(one)[:2] for one in lines] == [["schema", "version"]] * 5
    assert [one.get("timestep") for one in lines] == [0, 1, 2, 3, None]
    assert "stats" in lines[-1]


def test_steps_are_named_by_the_input_s_own_index_in_both_directions() -> None:
    loops = tracing.narrow(tracing.list_loops(both_ways()), TraceSelection(steps=(0, -1)))
    assert [loop.times.tolist() for loop in loops] == [[0, 3], [3, 0]]


def test_a_unit_has_to_be_in_every_layer() -> None:
    with pytest.raises(UsageError, match="the only index is 0 in the smallest layer"):
        tracing.narrow(tracing.list_loops(stack()), TraceSelection(units=(2,)))


def test_a_gate_that_only_one_layer_has_leaves_the_other_its_states() -> None:
    steps = answer(stack(), TraceSelection(gates=("forget",))).document(View())["trace"]
    assert [list(step["gates"]) for step in steps] == [["forget"], ["forget"], [], []]


def test_a_gate_means_that_gate_of_every_cell() -> None:
    result = tracing.trace(case("RNN([LSTMCell(2), LSTMCell(2)])"))
    for word, names in (("forget", ["cell_0/forget", "cell_1/forget"]), ("cell_1/forget", ["cell_1/forget"])):
        (loop,) = tracing.narrow(tracing.list_loops(result), TraceSelection(gates=(word,)))
        assert [str(one.short) for one in loop.gates] == names


def test_records_hold_every_number_once() -> None:
    header, rows = answer(masked(), TraceSelection(units=(1,))).records(View())
    rows = list(rows)
    assert header == ("layer", "direction", "timestep", "batch", "status", "unit", "quantity", "value")
    quantities = 3 * 2 + 1 + 1 + 1
    assert len(rows) == 3 * 2 * quantities
    assert len({row[:-1] for row in rows}) == len(rows)
    found = {row[:-1]: float(row[-1]) for row in rows}
    value = masked().trace[0].parts[gate("reset")][0, 2, 1]
    assert found[0, "forward", 2, 0, "held", 1, "reset.activation"] == pytest.approx(value, abs=1e-7)


def test_tensors_run_over_the_steps_in_the_order_of_the_rows() -> None:
    tensors = answer(both_ways()).tensors()
    assert tensors["backward/input/activation"].shape == (1, 4, 3)
    assert tensors["backward/timestep"].tolist() == [0, 1, 2, 3]
    assert tensors["backward/status"].tolist() == [[0, 0, 0, 2]]
    read_last = both_ways().trace[1].parts[state("hidden")][:, -1]
    assert np.array_equal(tensors["backward/hidden"][:, 0], read_last)
    assert "hidden" in answer(lstm()).tensors()
    assert "1/hidden" in answer(stack()).tensors()


# --- held to the run ---


LAYERS = (
    ["LSTM(3)"], ["GRU(2, return_sequences=True, return_state=True)"], ["SimpleRNN(2, go_backwards=True)"],
    ["Bidirectional(LSTM(2, return_sequences=True, return_state=True), merge_mode='mul')"],
    ["Bidirectional(GRU(2), merge_mode=None)"], ["RNN([LSTMCell(2), GRUCell(3)], return_state=True)"],
    ["Masking(-2.0)", "LSTM(2, return_sequences=True)", "Bidirectional(GRU(2))", "Dense(1)"],
)  # fmt: skip


@pytest.mark.parametrize("expressions", LAYERS)
def test_a_trace_ends_in_what_the_run_returns(expressions: Any) -> None:
    asked = case(*expressions)
    for traced, returned in zip(tracing.trace(asked).outputs, compute.run(asked).outputs, strict=True):
        assert traced.name == returned.name
        np.testing.assert_array_equal(traced.values, returned.values)


@pytest.mark.parametrize(("expression", "times", "read"), [
    ("Bidirectional(GRU(2, return_sequences=True))", [0, 1, 2, 3], ([0, 1, 2, 3], [3, 2, 1, 0])),
    ("Bidirectional(GRU(2, return_sequences=True, go_backwards=True), "
     "backward_layer=GRU(2, return_sequences=True))",
     [3, 2, 1, 0], ([3, 2, 1, 0], [0, 1, 2, 3])),
    ("GRU(2, return_sequences=True, go_backwards=True)", [3, 2, 1, 0], ([3, 2, 1, 0],)),
])  # fmt: skip
@pytest.mark.parametrize("masked", [False, True])
def test_every_form_of_a_trace_has_the_rows_of_the_run(
    expression: str, times: list[int], read: tuple[list[int], ...], masked: bool
) -> None:
    """All formats, by the step of the trace: its output is what the layer returns in the same row."""
    mask = np.array([[True, True, False, False], [True] * 4]) if masked else None
    gates = ["forward/update", "backward/update"] if len(read) == 2 else ["update"]
    asked = hold_gates(case(expression)._replace(mask=mask), [f"{gate}[:, 0]=0.5@0:2" for gate in gates])
    (returned,) = compute.run(asked).outputs
    found = answer(tracing.trace(asked))
    prefixes = [gate.removesuffix("update") for gate in gates]
    outputs = [found.tensors()[f"{prefix}output"] for prefix in prefixes]
    np.testing.assert_array_equal(np.concatenate(outputs, axis=-1), returned.values)
    steps = [
        step for step in found.document(View())["trace"] if step["direction"] == found.loops[-1].direction
    ]
    assert [step["timestep"] for step in steps] == list(returned.time or range(4)) == times
    last = np.stack([step["output"] for step in steps], axis=1)
    np.testing.assert_array_equal(last, returned.values[..., -2:])
    held = [step["gates"]["update"]["held"][0] for step in steps]
    assert held == [time < 2 for time in times]
    assert found.tensors()[f"{prefixes[-1]}update/held"][:, 0].tolist() == held
    assert list(found.timesteps.values()) == list(read)


def test_layers_without_a_step_cannot_be_traced() -> None:
    with pytest.raises(UsageError, match="cannot trace this: only Keras computes ConvLSTM1D") as caught:
        tracing.trace(case("ConvLSTM1D(2, 2)")._replace(inputs=np.zeros((1, 2, 4, 1), np.float32)))
    assert "--engine" not in str(caught.value)
    assert "rnncli run" in str(caught.value.advice)


def test_bars_of_a_signed_state_without_a_finite_number_run_both_ways() -> None:
    nowhere = case("LSTM(2)")._replace(inputs=np.full((1, 2, 2), np.nan, np.float32))
    shown = formats.render(answer(tracing.trace(nowhere)), "table", View())
    assert "candidate cell hidden -1..1" in shown


# --- figures ---


def test_stats_are_numpy_s() -> None:
    values = np.random.default_rng(0).uniform(-1, 1, (3, 4, 5)).astype(np.float32)
    figures: Any = statistics.summarize(values, (-1, 1))
    wide = values.astype(np.float64)
    assert statistics.summarize(np.array([0.01, 0.05, 0.5, 0.95, 0.96]), (0, 1)).saturated == 0.4
    assert statistics.summarize(values).saturated is None
    assert figures.min.value == wide.min()
    assert wide[figures.min.index] == wide.min()
    assert wide[figures.max.index] == wide.max()
    assert figures.mean == pytest.approx(wide.mean())
    assert figures.std == pytest.approx(wide.std())
    assert figures.saturated == pytest.approx((abs(wide) > 0.95).mean())
    assert figures.beyond == (-0.95, 0.95)
    assert list(figures.histogram) == np.histogram(wide, 8)[0].tolist()
    assert (figures.count, figures.nan, figures.infinite) == (60, 0, 0)


def test_what_is_not_finite_is_counted_and_left_out() -> None:
    figures: Any = statistics.summarize(np.array([[np.nan, 1.0], [np.inf, -np.inf]]))
    assert (figures.count, figures.nan, figures.infinite) == (4, 1, 2)
    assert figures.min.value == figures.max.value == 1.0
    assert figures.min.index == (0, 1)
    nothing = statistics.summarize(np.array([np.nan]), (0, 1))
    assert (nothing.min, nothing.mean, nothing.saturated, nothing.histogram) == (None, None, None, ())


def test_the_name_has_the_color_of_its_state_in_a_saved_model_too() -> None:
    tensor = Label("hidden", layer="gru")
    shown: Any = statistics.draw_statistics({tensor: statistics.summarize(np.array([0.5]))}, View())[0]
    ((table,), _) = shown.forms
    assert table.rows[0][0] == (line("gru/hidden_state", "strong hidden"),)


def test_masked_steps_do_not_count() -> None:
    (loop,) = masked().trace
    figures: Any = stats_of([loop])[gate("reset")]
    computed = [loop.parts[gate("reset")][b, t] for t, b in ((0, 0), (1, 0), (1, 1), (2, 1))]
    assert figures.count == 12
    assert figures.max.value == pytest.approx(np.max(computed))
    batch, timestep, unit = figures.max.index
    assert loop.parts[gate("reset")][batch, timestep, unit] == np.float32(figures.max.value)


def test_indices_of_figures_are_the_input_s_and_the_layer_s_own() -> None:
    kept = TraceSelection(units=(2,), batch=(1,), steps=(2,))
    figures: Any = stats_of(tracing.narrow(tracing.list_loops(masked()), kept))[state("hidden")]
    assert figures.min.index == (1, 2, 2)


def test_the_rule_of_saturation_is_that_of_the_activation() -> None:
    figures = stats_of(tracing.list_loops(tracing.trace(case("LSTM(2, activation='relu')"))))
    assert figures[gate("forget")].beyond == (0.05, 0.95)
    assert figures[gate("candidate")].beyond is None
    for part in (state("hidden"), state("cell"), gate("forget", "preactivation")):
        assert figures[part].beyond is None
    figures = stats_of(tracing.list_loops(tracing.trace(case("GRU(2)"))))
    assert figures[state("hidden")].beyond == figures[gate("candidate")].beyond == (-0.95, 0.95)
    assert figures[gate("candidate", "recurrent")].beyond is None


@pytest.mark.parametrize(("expression", "name", "bounds"), [
    ("LSTM(2, return_state=True)", "hidden_state", (-1, 1)),
    ("LSTM(2, return_state=True)", "last_cell_state", None),
    ("GRU(2, activation='relu')", "hidden_state", None),
    ("Bidirectional(GRU(2), merge_mode='sum')", "hidden_state", None),
    ("Bidirectional(GRU(2, return_state=True), merge_mode='sum')", "forward_last_hidden_state", (-1, 1)),
    ("Bidirectional(SimpleRNN(2, activation='sigmoid'), merge_mode=None)", "backward_hidden_state", (0, 1)),
    ("RNN([LSTMCell(2, activation='relu'), GRUCell(3)], return_state=True)",
     "cell_0/last_hidden_state", None),
    ("RNN([LSTMCell(2, activation='relu'), GRUCell(3)], return_state=True)", "hidden_state", (-1, 1)),
    ("Dense(2, activation='sigmoid')", "output", (0, 1)),
])  # fmt: skip
def test_bounds_of_returned_tensors(expression: Any, name: Any, bounds: Any) -> None:
    asked = case(expression)
    limits = tracing.tensor_bounds(asked.stack, asked.inputs.shape, all_layers=asked.all_layers)
    assert {str(label): pair for label, pair in limits.items()}[name] == bounds


def test_the_first_nan_is_named() -> None:
    assert first_nan(lstm()) is None
    assert first_nan(odd()) == "forget.activation at timestep 1, batch 0, unit 2"
    result = compute.run(case("LSTM(2, return_sequences=True)")._replace(seed=1))
    assert run_answer.RunAnswer(result).first_nan() is None
    result.outputs[0].values[1, 2, 0] = np.nan
    assert run_answer.RunAnswer(result).first_nan() == "hidden_states[1, 2, 0]"


def test_a_nan_that_a_mask_shuts_out_is_none() -> None:
    inputs = INPUTS.copy()
    inputs[1, 2] = np.nan
    mask = np.ones((2, 4), bool)
    mask[1, 2] = False
    shut_out = case("GRU(2)")._replace(inputs=inputs, mask=mask)
    assert first_nan(tracing.trace(shut_out)) is None
    found = first_nan(tracing.trace(shut_out._replace(mask=None)))
    assert found is not None
    assert found.startswith("update.preactivation")


@pytest.mark.parametrize(("layer", "units"), [("LSTM", 3), ("LSTM", 64), ("GRU", 8), ("SimpleRNN", 5)])
def test_at_80_columns_every_gate_of_unit_0_stands_in_numbers(layer: str, units: int) -> None:
    asked = Case(specs.from_flags([layer], {"units": units}), inputs=np.ones((1, 3, 2), "f4"), seed=1)
    result = tracing.trace(asked)
    text = formats.render(TraceAnswer(result, tracing.list_loops(result)), "table", View(width=80))
    (loop,) = result.trace
    for part in loop.gates:
        for value in loop.parts[part][0, :, 0]:
            assert f" {value:.4f}" in text
    assert max(map(len, text.splitlines())) <= 80
