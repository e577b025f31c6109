"""Experiments: every change gives what Keras returns, and the command that is shown returns the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import oracle
import pytest

from rnncli import compute
from rnncli.cli.command_line import CommandLine
from rnncli.cli.flags import InputFlags, RunFlags
from rnncli.commands.explore import option_rows
from rnncli.commands.explore.command_text import command, document
from rnncli.commands.explore.computation import compute_experiment
from rnncli.commands.explore.editable_case import EditableCase, recurrent_places
from rnncli.commands.explore.history import History
from rnncli.commands.explore.typed_flags import TypedFlags
from rnncli.errors import RnncliError

Change = Callable[[EditableCase], EditableCase]

CHANGES: dict[str, Change] = {
    "nothing": lambda now: now,
    "return_sequences": lambda now: now.with_option("return_sequences", True),
    "return_state": lambda now: now.with_option("return_state", True),
    "go_backwards": lambda now: now.with_option("go_backwards", True).with_option("return_sequences", True),
    "bidirectional": lambda now: now.with_option("bidirectional", True).with_option("return_state", True),
    "units": lambda now: now.with_option("units", 5),
    "activation": lambda now: now.with_option("activation", "relu"),
    "class": lambda now: now.with_option("return_state", True).with_class("GRU"),
    "simple": lambda now: now.with_class("SimpleRNN"),
    "seed": lambda now: now.with_seed(7),
    "initializer": lambda now: now.with_option("kernel_initializer", "constant:0.1"),
    "input": lambda now: now.with_input((0, 1, 2), -0.3),
    "not a number": lambda now: now.with_input((0, 3, 4), float("nan")),
    "mask": lambda now: now.toggle_mask(0, 1).toggle_mask(0, 3),
    "masked steps": lambda now: now.with_masked_steps(0, "0, 2:"),
    "stateful": lambda now: now.with_option("stateful", True).with_calls(3),
    "dtype": lambda now: now.with_dtype("float64"),
    "edited in another dtype": lambda now: now.with_input((0, 1, 2), -0.3).with_dtype("float64"),
    "weight": lambda now: now.with_weight(
        compute_experiment(now).trace.weights, "recurrent_kernel", (0, 3), 0.7
    ),
}


HOLDS: dict[str, Change] = {
    "hold": lambda now: now.with_holds([f"{gate(now)}[:, 1]=1@2:"]),
    "hold and input": lambda now: now.with_holds([f"{gate(now)}=0"]).with_input((0, 0, 0), 2.0),
    "hold and units": lambda now: now.with_holds([f"{gate(now)}=0"]).with_option("units", 4),
    "hold in another dtype": lambda now: now.with_holds([f"{gate(now)}[:, 0]=0.1"]).with_dtype("float64"),
}
"""Held gates; Keras cannot hold one."""


def gate(now: EditableCase) -> str:
    return compute_experiment(now).parts[1].gate


def experiment(text: str) -> EditableCase:
    line = CommandLine.parse(text)
    case = line.case()
    origin = TypedFlags(line.group(InputFlags), line.group(RunFlags), case)
    first = EditableCase(case, origin, recurrent_places(case)[-1])
    return first.with_holds(line.values.get("hold") or ())


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_gives_what_keras_returns(name: str) -> None:
    changed = CHANGES[name](experiment("rnncli run -l lstm --seed 42"))
    found = compute_experiment(changed)
    keras = compute.run(changed.case, "tensorflow")
    assert [tensor.name for tensor in found.result.outputs] == [tensor.name for tensor in keras.outputs]
    for mine, theirs in zip(found.result.outputs, keras.outputs, strict=True):
        oracle.near(mine.values, theirs.values)


@pytest.mark.parametrize(
    "start", ["-l lstm", "-l bigru --merge-mode sum --return-sequences", "-l 'LSTM(3, seed=4)'"]
)
@pytest.mark.parametrize("name", [*CHANGES, *HOLDS])
def test_the_command_returns_the_same_numbers(name: str, start: str) -> None:
    now = experiment(f"rnncli run {start} --seed 42")
    if name == "weight" and "bi" in start:
        pytest.skip("the weights of both directions have other names")
    if name == "go_backwards" and "bi" in start:
        pytest.skip("both directions would be the same")
    changed = (CHANGES | HOLDS)[name](now)
    text = command(changed)
    assert text is not None
    again = compute_experiment(experiment(text)).result
    for mine, theirs in zip(compute_experiment(changed).result.outputs, again.outputs, strict=True):
        assert mine.name == theirs.name
        np.testing.assert_array_equal(mine.values, theirs.values)


@pytest.mark.parametrize("name", [*CHANGES, *HOLDS])
def test_a_saved_experiment_is_a_case_document(name: str, tmp_path: Path) -> None:
    changed = (CHANGES | HOLDS)[name](experiment("rnncli run -l lstm --seed 42"))
    file = tmp_path / "experiment.json"
    file.write_bytes(document(changed))
    text = command(changed, str(file))
    assert text is not None
    assert text.startswith(f"rnncli run {file}")
    again = compute_experiment(experiment(text)).result
    for mine, theirs in zip(compute_experiment(changed).result.outputs, again.outputs, strict=True):
        np.testing.assert_array_equal(mine.values, theirs.values)


def test_flags_are_written_as_a_person_would() -> None:
    now = experiment("rnncli run -l lstm --seed 42")
    assert command(now) == "rnncli run -l lstm --seed 42"
    more = now.with_option("return_sequences", True).with_option("bidirectional", True).with_training(True)
    assert command(more) == "rnncli run -l lstm --return-sequences --bidirectional --seed 42 --training"
    assert more.expression == "Bidirectional(LSTM(3, return_sequences=True))"


def test_numbers_of_a_document_are_short() -> None:
    parts = json.loads(document(experiment("rnncli run -l lstm --seed 42").with_input((0, 0, 0), 0.25)))
    assert parts["inputs"][0][0] == [0.25, 4.2, 1.5, 1.1, 2.8]


def test_a_stack_changes_one_layer() -> None:
    now = experiment("rnncli run -l 'LSTM(4, return_sequences=True)' -l 'GRU(2)' --seed 1")
    first = option_rows.apply(now, option_rows.POSITION, 0)
    assert now.with_option("units", 5).expression == "[LSTM(4, return_sequences=True), GRU(5)]"
    assert first.with_option("units", 5).expression == "[LSTM(5, return_sequences=True), GRU(2)]"


def test_supplied_weights_that_do_not_fit_are_refused() -> None:
    now = CHANGES["weight"](experiment("rnncli run -l lstm --seed 42"))
    with pytest.raises(RnncliError):
        compute_experiment(now.with_option("units", 5))


def test_a_value_that_keras_refuses_is_refused() -> None:
    now = experiment("rnncli run -l lstm --seed 42")
    with pytest.raises(RnncliError):
        now.with_option("units", 0)
    with pytest.raises(RnncliError):
        now.with_seed(-1)


def test_every_row_goes_to_its_next_value_and_back() -> None:
    """Going forward and back gives the layer of the start, for every row that has choices."""
    now = experiment("rnncli run -l lstm --bidirectional --seed 42")
    for row in option_rows.rows(now):
        if row.name in ("layer", "go_backwards") or row.next(1) is None:
            continue
        forward = option_rows.apply(now, row.name, row.next(1))
        assert (forward.case.specs, forward.case.seed, forward.case.training, forward.case.calls) != (
            now.case.specs, now.case.seed, now.case.training, now.case.calls,
        ), row.name  # fmt: skip
        back = option_rows.apply(forward, row.name, row.value)
        assert (back.case.specs, back.case.seed) == (now.case.specs, now.case.seed), row.name


def test_a_held_gate_is_compared_with_the_run_without_it() -> None:
    now = experiment("rnncli run -l lstm --return-sequences --seed 42")
    found = compute_experiment(now.with_holds(["forget[:, 1]=1@2:"]))
    assert found.without_hold is not None
    changed = found.result.outputs[0].values != found.without_hold.result.outputs[0].values
    assert not changed[0, :2].any()
    assert changed[0, 2].tolist() == [False, True, False]
    assert changed[0, 3].all()
    held = [part.hold_mask for part in found.parts if part.name == "forget"]
    assert held[0] is not None
    assert held[0].tolist() == [[False] * 3] * 2 + [[False, True, False]] * 2
    explained = found.explain_tensor(0, 0, 2, 1)
    assert explained.without_hold == found.without_hold.result.outputs[0].values[0, 2, 1]
    assert any(equation.is_held for equation in explained.equations)


@pytest.mark.parametrize(
    "layer", ["lstm", "gru", "simple_rnn", "bigru", "'GRU(3, reset_after=False)' -l lstm",
              "'RNN([LSTMCell(2), GRUCell(4)])'"]
)  # fmt: skip
def test_a_column_of_a_weight_belongs_to_the_gate_that_multiplies_it(layer: str) -> None:
    found = compute_experiment(experiment(f"rnncli run -l {layer} --return-sequences --seed 42"))
    checked = set()
    for part in found.parts:
        loop, key = part
        if not key.kind:
            continue
        for unit in range(loop.parts[key].shape[-1]):
            terms = found.explain_part(part, 0, 1, unit).equations[0].terms
            places = [factor.name for term in terms for factor in term.factors if "kernel[" in factor.name]
            for weight, _, index in (place.partition("[") for place in places):
                column = int(index.rstrip("]").rpartition(", ")[2])
                cell = "" if key.cell is None else f"{key.cell}/"
                path = loop.path + cell + weight.rpartition("/")[2]
                assert found.column_place(path, column) == (str(key.short), unit)
                checked.add(path)
    assert checked == {path for path in found.trace.weights if path.endswith("kernel")}


def test_a_layer_without_the_held_gate_is_refused() -> None:
    now = experiment("rnncli run -l lstm --seed 42").with_holds(["forget[:, 2]=1"])
    changes: list[Change] = [lambda now: now.with_class("GRU"), lambda now: now.with_option("units", 2)]
    for change in changes:
        with pytest.raises(RnncliError, match="--hold forget") as refused:
            change(now)
        assert refused.value.advice == "Press H to release every gate first."


@pytest.mark.parametrize("text", ["x", "4", "-5", "4:", "1 2", "1:x"])
def test_a_mask_of_other_text_is_refused(text: str) -> None:
    with pytest.raises(RnncliError, match="mask: "):
        experiment("rnncli run -l lstm --seed 42").with_masked_steps(0, text)


def test_masked_steps_are_written_as_they_are_typed() -> None:
    now = experiment("rnncli run --input-shape 2,6,1 -l lstm --seed 42")
    masked = now.with_masked_steps(1, "0, -1, 2:4")
    assert masked.masked_steps(1) == "0, 2:4, 5"
    assert masked.masked_steps(0) == ""
    assert masked.with_masked_steps(1, masked.masked_steps(1)).masked_steps(1) == "0, 2:4, 5"
    assert masked.with_masked_steps(1, "").case.mask is None


def test_a_generated_input_follows_the_seed() -> None:
    """As on the command line, so that the command returns the same numbers."""
    changed = experiment("rnncli run --input-shape 1,3,2 -l lstm --seed 42").with_seed(7)
    text = command(changed)
    assert text == "rnncli run --input-shape 1,3,2 -l lstm --seed 7"
    again = experiment(text)
    np.testing.assert_array_equal(changed.case.inputs, again.case.inputs)
    kept = changed.with_input((0, 0, 0), 9.0).with_seed(8)
    assert kept.case.inputs[0, 0, 0] == 9
    np.testing.assert_array_equal(kept.case.inputs[0, 1:], again.case.inputs[0, 1:])


def test_history_drops_what_was_undone() -> None:
    first = experiment("rnncli run -l lstm --seed 42")
    history = History(first)
    second, third = first.with_seed(1), first.with_seed(2)
    history.add(second)
    assert not history.move(1)
    assert history.current is second
    assert history.move(-1)
    assert history.current is first
    assert not history.move(-1)
    history.add(third)
    assert history.current is third
    assert not history.move(1)


def test_history_forgets_what_cannot_be_computed() -> None:
    first = experiment("rnncli run -l lstm --seed 42")
    history = History(first)
    second, third = first.with_seed(1), first.with_seed(2)
    history.add(second)
    history.add(third)
    history.move(-1)
    history.drop()
    assert history.current is first
    assert history.move(1)
    assert history.current is third
    history.move(-1)
    history.drop()
    assert history.current is first


def test_a_saved_model_changes_what_it_returns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "m.npz", weight_ih_l0=rng.normal(size=(12, 2)), weight_hh_l0=rng.normal(size=(12, 3)))
    now = experiment(f"rnncli run '[[1, 2], [3, 4]]' --model {tmp_path / 'm.npz'}")
    other = not now.case.specs[-1].config["return_state"]
    changed = now.with_option("return_state", other)
    text = command(changed)
    assert text is not None
    assert ("--return-state" if other else "--no-return-state") in text
    again = compute_experiment(experiment(text)).result
    assert [one.name for one in compute_experiment(changed).result.outputs] == [
        one.name for one in again.outputs
    ]
    with pytest.raises(RnncliError):
        now.with_option("units", 4)
    assert "seed" not in [row.name for row in option_rows.rows(now)]
    edited = command(now.with_input((0, 0, 0), 5.0))
    assert edited is not None
    changed_input = compute_experiment(now.with_input((0, 0, 0), 5.0)).result
    for mine, theirs in zip(
        changed_input.outputs, compute_experiment(experiment(edited)).result.outputs, strict=True
    ):
        np.testing.assert_array_equal(mine.values, theirs.values)
