"""Experiments: what a change makes of the case, and that the command that is shown returns the same."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import ROOT, Run
from own_cells import ACCUMULATOR, MGU, NASTY

from rnncli.cli import pager, terminal
from rnncli.commands.explore import options
from rnncli.commands.explore.experiment import (
    LEFT_OUT,
    Change,
    Computation,
    Experiment,
    command_of,
    compute_experiment,
    document,
    explain,
    masked_steps,
    set_number,
    start,
    toggle_mask,
)
from rnncli.commands.explore.state import State, explained, move, settle, show_view, tables
from rnncli.commands.tour.command_line import CommandLine
from rnncli.compute.derivation.explanation import Target
from rnncli.errors import RnncliError
from rnncli.result import Label


def set_value(now: Experiment, name: str, value: Any, batch: int = 0) -> Experiment:
    row = next(row for row in options.rows(now, batch) if row.name == name)
    return row.change(now, value)


def set_rows(**values: Any) -> Change:
    """Return the change that sets these rows, one after the other."""

    def change(now: Experiment) -> Experiment:
        for name, value in values.items():
            now = set_value(now, name, value)
        return now

    return change


def set_input(index: tuple[int, ...], value: float) -> Change:
    """Return the change that sets one number of the input."""
    return lambda now: now.with_case(inputs=set_number(now.case.inputs, index, value))


def set_weight(now: Experiment) -> Experiment:
    weights = compute_experiment(now).trace.weights
    changed = set_number(weights["recurrent_kernel"], (0, 3), 0.7)
    return now.with_case(weights={**weights, "recurrent_kernel": changed})


def hold_second_gate(text: str, **values: Any) -> Change:
    """Return the change that holds the second gate."""
    return lambda now: set_rows(hold=text.format(gate=gate_names(compute_experiment(now))[1]), **values)(now)


CHANGES: dict[str, Change] = {
    "nothing": set_rows(),
    "return_sequences": set_rows(return_sequences=True),
    "return_state": set_rows(return_state=True),
    "go_backwards": set_rows(go_backwards=True, return_sequences=True),
    "bidirectional": set_rows(bidirectional=True, return_state=True),
    "units": set_rows(units=5),
    "activation": set_rows(activation="relu"),
    "class": set_rows(return_state=True, layer="GRU"),
    "simple": set_rows(layer="SimpleRNN"),
    "seed": set_rows(seed=7),
    "initializer": set_rows(kernel_initializer="constant:0.1"),
    "input": set_input((0, 1, 2), -0.3),
    "not a number": set_input((0, 3, 4), float("nan")),
    "mask": lambda now: toggle_mask(toggle_mask(now, 0, 1), 0, 3),
    "masked steps": set_rows(mask="0, 2:"),
    "stateful": set_rows(stateful=True, calls=3),
    "dtype": set_rows(dtype="float64"),
    "edited in another dtype": lambda now: set_rows(dtype="float64")(set_input((0, 1, 2), -0.3)(now)),
    "weight": set_weight,
}
HOLDS: dict[str, Change] = {
    "hold": hold_second_gate("{gate}[:, 1]=1@2:"),
    "hold and input": lambda now: set_input((0, 0, 0), 2.0)(hold_second_gate("{gate}=0")(now)),
    "hold and units": hold_second_gate("{gate}=0", units=4),
    "hold in another dtype": hold_second_gate("{gate}[:, 0]=0.1", dtype="float64"),
}
"""Held gates; Keras cannot hold a gate."""


def experiment(text: str) -> Experiment:
    return start(CommandLine.parse(text).values["ask"])[0]


def gate_names(computed: Computation) -> list[str]:
    return [str(loop.label(gate.short)) for loop in computed.trace.trace for gate in loop.gates]


def check_same_results(mine: Experiment, theirs: Experiment) -> None:
    results = [compute_experiment(experiment).result.outputs for experiment in (mine, theirs)]
    for tensor, other in zip(*results, strict=True):
        assert tensor.name == other.name
        np.testing.assert_array_equal(tensor.values, other.values)


LSTM = "rnncli run -l lstm --seed 42"


@pytest.mark.sampled
@pytest.mark.parametrize("layer", ["-l bigru --merge-mode sum --return-sequences", "-l 'LSTM(3, seed=4)'"])
@pytest.mark.parametrize("name", [*CHANGES, *HOLDS])
def test_the_command_and_the_saved_document_return_the_same(name: str, layer: str, tmp_path: Path) -> None:
    if name in ("weight", "go_backwards") and "bi" in layer:
        pytest.skip("the weights of both directions have other names, and both would run backward")
    changed = (CHANGES | HOLDS)[name](experiment(f"rnncli run {layer} --seed 42"))
    text = command_of(changed)
    assert text is not None
    check_same_results(changed, experiment(text))
    file = tmp_path / "experiment.json"
    file.write_text(document(changed))
    text = command_of(changed, str(file))
    assert text is not None
    assert text.startswith(f"rnncli run {shlex.quote(str(file))}")
    check_same_results(changed, experiment(text))


def test_flags_are_written_as_a_person_would() -> None:
    now = experiment(LSTM)
    assert command_of(now) == LSTM
    more = set_rows(return_sequences=True, bidirectional=True, training=True)(now)
    assert command_of(more) == "rnncli run -l lstm --return-sequences --bidirectional --seed 42 --training"
    assert more.expression == "Bidirectional(LSTM(3, return_sequences=True))"
    parts = json.loads(document(set_input((0, 0, 0), 0.25)(now)))
    assert parts["inputs"][0][0] == [0.25, 4.2, 1.5, 1.1, 2.8]


def test_a_stack_changes_one_layer() -> None:
    now = experiment("rnncli run -l 'LSTM(4, return_sequences=True)' -l 'GRU(2)' --seed 1")
    first = set_value(now, "in stack", 0)
    assert set_rows(units=5)(now).expression == "[LSTM(4, return_sequences=True), GRU(5)]"
    assert set_rows(units=5)(first).expression == "[LSTM(5, return_sequences=True), GRU(2)]"


REFUSED: dict[str, tuple[Change, str]] = {
    **{f"mask {text}": (set_rows(mask=text), "mask: ") for text in ("x", "4", "-5", "4:", "1 2", "1:x")},
    "weights that no longer fit": (
        lambda now: compute_experiment(set_rows(units=5)(set_weight(now))).experiment,
        "weights",
    ),
    "a gate that is not there": (set_rows(hold="forget[:, 2]=1", layer="GRU"), "--hold forget"),
    "a unit that is not there": (set_rows(hold="forget[:, 2]=1", units=2), "--hold forget"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str) -> None:
    change, said = REFUSED[name]
    with pytest.raises(RnncliError, match=said) as refused:
        change(experiment(LSTM))
    assert (refused.value.advice == "Press H to release every gate first.") is ("hold" in said)


def test_a_held_gate_is_compared_with_the_run_without_it() -> None:
    now = experiment("rnncli run -l lstm --return-sequences --seed 42")
    computed = compute_experiment(set_rows(hold="forget[:, 1]=1@2:")(now))
    assert computed.without_hold is not None
    free = computed.without_hold.result.outputs[0].values
    changed = computed.result.outputs[0].values != free
    assert not changed[0, :2].any()
    assert changed[0, 2].tolist() == [False, True, False]
    assert changed[0, 3].all()
    explained = explain(computed, Target(computed.result.outputs[0].label, (0, 2, 1)))
    assert explained.without_hold == free[0, 2, 1]
    assert any(equation.is_held for equation in explained.equations)


@pytest.mark.parametrize(
    "layer", ["lstm", "gru", "simple_rnn", "bigru", "'GRU(3, reset_after=False)' -l lstm",
              "'RNN([LSTMCell(2), GRUCell(4)])'"]
)  # fmt: skip
def test_a_column_of_a_weight_belongs_to_the_gate_that_multiplies_it(layer: str) -> None:
    computed = compute_experiment(experiment(f"rnncli run -l {layer} --return-sequences --seed 42"))
    checked = set()

    def check(path: str, gate: Label, prefix: str, unit: int) -> None:
        explained = explain(computed, Target(gate, (0, 1, unit)))
        factors = (factor.name for term in explained.equations[0].terms for factor in term.factors)
        for weight, _, index in (name.partition("[") for name in factors if "kernel[" in name):
            column = int(index.rstrip("]").rpartition(", ")[2])
            whole = path + weight.rpartition("/")[2]
            assert computed.column_place(whole, column) == (prefix, unit)
            checked.add(whole)

    for loop in computed.trace.trace:
        for gate in loop.gates:
            cell = "" if gate.cell is None else f"{gate.cell}/"
            for unit in range(loop.parts[gate].shape[-1]):
                check(loop.path + cell, loop.label(gate.short), str(gate.short), unit)
    assert checked == {path for path in computed.trace.weights if path.endswith("kernel")}


def test_masked_steps_are_written_as_they_are_typed() -> None:
    now = experiment("rnncli run --input-shape 2,6,1 -l lstm --seed 42")
    masked = set_value(now, "mask", "0, -1, 2:4", 1)
    assert masked_steps(masked.case, 1) == "0, 2:4, 5"
    assert masked_steps(masked.case, 0) == ""
    assert masked_steps(set_value(masked, "mask", masked_steps(masked.case, 1), 1).case, 1) == "0, 2:4, 5"
    assert set_value(masked, "mask", "", 1).case.mask is None


def test_a_generated_input_follows_the_seed() -> None:
    """As on the command line, so that the command returns the same numbers."""
    changed = set_rows(seed=7)(experiment("rnncli run --input-shape 1,3,2 -l lstm --seed 42"))
    text = command_of(changed)
    assert text == "rnncli run --input-shape 1,3,2 -l lstm --seed 7"
    again = experiment(text)
    np.testing.assert_array_equal(changed.case.inputs, again.case.inputs)
    kept = set_rows(seed=8)(set_input((0, 0, 0), 9.0)(changed))
    assert kept.case.inputs[0, 0, 0] == 9
    np.testing.assert_array_equal(kept.case.inputs[0, 1:], again.case.inputs[0, 1:])


def test_a_saved_model_changes_what_it_returns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "m.npz", weight_ih_l0=rng.normal(size=(12, 2)), weight_hh_l0=rng.normal(size=(12, 3)))
    model = shlex.quote(str(tmp_path / "m.npz"))
    now = experiment(f"rnncli run '[[1, 2], [3, 4]]' --model {model}")
    for changed in (set_rows(return_state=True)(now), set_input((0, 0, 0), 5.0)(now)):
        text = command_of(changed)
        assert text is not None
        check_same_results(changed, experiment(text))
    assert "--return-state" not in (command_of(now) or "")
    assert "--return-state" in (command_of(set_rows(return_state=True)(now)) or "")
    with pytest.raises(RnncliError, match="fixed in a saved model"):
        set_value(now, "units", 4)
    assert "seed" not in [row.name for row in options.rows(now)]


@pytest.mark.slow
@pytest.mark.parametrize(("text", "changed_options"), [
    (MGU, {"activation": "relu"}), (NASTY, {"eps": 0.5, "squash": "tanh"}), (ACCUMULATOR, {}),
], ids=["mgu", "nasty", "accumulator"])  # fmt: skip
@pytest.mark.parametrize("form", ["{}(4)", "{}(4, return_sequences=True)", "Bidirectional({}(4))"])
def test_a_cell_of_ones_own_is_changed_and_its_command_names_its_file(
    text: str, changed_options: dict[str, Any], form: str, tmp_path: Path
) -> None:
    (tmp_path / "cell.toml").write_text(text)
    layer = form.format(f"@'{tmp_path}/cell.toml'")
    now = experiment(shlex.join(["rnncli", "run", "-l", layer, "--seed", "42"]))

    for change in (
        set_rows(), set_rows(return_sequences=True), set_rows(seed=7), set_input((0, 0, 0), 2.0),
        set_rows(units=2), set_rows(**changed_options), set_rows(use_bias=False),
    ):  # fmt: skip
        changed = change(now)
        shown = command_of(changed)
        assert shown is not None
        check_same_results(changed, experiment(shown))
    other = command_of(set_rows(layer="LSTM")(now))
    assert other is not None
    assert "cell.toml" not in other
    assert "--units 4" in other


def test_a_command_names_each_cell_s_file_in_whatever_order_they_were_given(tmp_path: Path) -> None:
    (tmp_path / "forward.toml").write_text(MGU)
    (tmp_path / "backward.toml").write_text(ACCUMULATOR)
    forward = f"@'{tmp_path}/forward.toml'(4)"
    backward = f"@'{tmp_path}/backward.toml'(4, go_backwards=True)"
    written = f"Bidirectional({forward}, backward_layer={backward})"
    for layer in (written, f"Bidirectional(backward_layer={backward}, layer={forward})"):
        now = experiment(shlex.join(["rnncli", "run", "-l", layer, "--seed", "42"]))
        assert shlex.split(command_of(now) or "")[3] == written


def test_the_rows_of_a_cell_of_ones_own_are_its_options(tmp_path: Path) -> None:
    (tmp_path / "cell.toml").write_text(NASTY)
    layer = f"@'{tmp_path}/cell.toml'(4, power=1.5)"
    rows = {row.name: row for row in options.rows(experiment(shlex.join(["rnncli", "run", "-l", layer])))}
    assert (rows["layer"].text, rows["units"].value, rows["power"].value) == ("@Nasty", 4, 1.5)
    assert (rows["squash"].value, rows["eps"].value, rows["use_bias"].value) == ("softmax", 0.001, True)
    assert "relu" in rows["squash"].choices
    assert [name for name in rows if name in ("activation", "squash", "eps", "power")] == [
        "activation", "squash", "eps", "power",
    ]  # fmt: skip
    assert (options.about("eps"), bool(options.about("activation"))) == ("", True)


def test_a_column_of_a_packed_weight_belongs_to_its_line(tmp_path: Path) -> None:
    (tmp_path / "cell.toml").write_text(NASTY)
    layer = f"@'{tmp_path}/cell.toml'(4)"
    computed = compute_experiment(experiment(shlex.join(["rnncli", "run", "-l", layer, "--seed", "42"])))
    assert computed.column_place("kernel", 6) == ("raw", 2)
    assert computed.column_place("bias", 5) == ("forget", 1)
    assert computed.column_place("mixer", 1) is None


def begin(name: str, *more: str) -> tuple[State, Any]:
    line = f"rnncli run -l '@{ROOT}/samples/cells/{name}.toml(8)' --seed 1 {' '.join(more)}"
    first, remarks = start(CommandLine.parse(line).values["ask"])
    computed = compute_experiment(first)
    return settle(State(computed.experiment, computed)), remarks


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gated_deltanet", "mamba", "qwen3_next", "rwkv7"])
@pytest.mark.parametrize("more", ["", "--bidirectional --mask '[[true, true, false, true]]'"])
def test_vectors_are_shown_and_matrices_left_out(name: str, more: str) -> None:
    state, remarks = begin(name, "--return-sequences", "--return-state", more)
    assert LEFT_OUT in remarks
    titles = [table.title for table in tables(state)]
    assert not [title for title in titles if "memory" in title or "window" in title]
    assert [title for title in titles if title.startswith("hidden_states")]
    loops = {
        str(loop.label(part.short)): loop.parts[part]
        for loop in state.shown.trace.trace
        for part in loop.parts
        if part.is_shown
    }
    shown = tables(show_view(state, "gates"))
    assert len(shown) > 3
    for table in shown:
        np.testing.assert_array_equal(table.values, loops[table.title][0])
        assert not table.names or len(table.names) == table.values.shape[1]
    for view in ("results", "gates", "weights", "input"):
        at = show_view(state, view)
        for _ in range(40):
            at = move(at, 1, 1)
            assert np.isfinite(explained(at).value)


def test_a_number_has_its_value_and_the_equation_of_its_line() -> None:
    state, _ = begin("gated_deltanet")
    query = explain(state.shown, Target(Label("query", kind=""), (0, 2, 5)))
    assert query.value == state.shown.trace.trace[0].parts[Label("query", kind="activation")][0, 2, 5]
    assert query.equations[0].formula == "silu(x W)"
    assert query.equations[0].terms == ()
    shown = {table.title: table.names for table in tables(show_view(state, "gates"))}
    assert shown["query"] == ["0,0", "0,1", "0,2", "0,3", "1,0", "1,1", "1,2", "1,3"]
    assert shown["beta"] == ["0", "1"]


def test_a_column_belongs_to_the_line_whose_width_it_has() -> None:
    """The lines of a kernel have different widths: query, key and value 8 columns, beta and alpha 2."""
    state, _ = begin("gated_deltanet")
    places = [state.shown.column_place("kernel", column) for column in (0, 7, 8, 23, 24, 25, 26, 27)]
    assert places == [
        ("query", 0), ("query", 7), ("key", 0), ("value", 7),
        ("beta", 0), ("beta", 1), ("alpha", 0), ("alpha", 1),
    ]  # fmt: skip


def test_a_change_has_its_command() -> None:
    state, _ = begin("gated_deltanet")
    row = next(row for row in options.rows(state.experiment) if row.name == "hold")
    held = compute_experiment(row.change(state.experiment, "beta=0.5"))
    assert (held.trace.trace[0].parts[Label("beta", kind="activation")] == 0.5).all()
    assert "--hold beta=0.5" in str(command_of(held.experiment, None))


def test_a_textual_that_is_too_old_or_missing_is_named(rnncli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("textual")
    monkeypatch.setattr(pager, "is_possible", lambda: True)
    monkeypatch.setattr(terminal, "stderr_is_terminal", lambda: True)
    monkeypatch.setattr("textual.__version__", "6.12.0", raising=False)
    old = rnncli("explore")
    monkeypatch.delitem(sys.modules, "rnncli.commands.explore.app", raising=False)
    monkeypatch.setitem(sys.modules, "textual", None)
    missing = rnncli("explore")
    assert (old.returncode, missing.returncode) == (3, 3)
    assert "textual 6.12.0 is installed; explore needs 7 or later" in old.stderr
    assert "pip install textual" in missing.stderr
