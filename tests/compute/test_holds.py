"""Gates held at a value: the same numbers as Keras with weights that keep the gate at that value."""

from typing import Any

import numpy as np
import pytest
from command import Run
from oracle import keras
from part_labels import gate

from rnncli import compute, specs
from rnncli.compute import holds
from rnncli.compute import trace as tracing
from rnncli.layers.case import Case
from rnncli.values import Array

FEATURES, UNITS, STEPS = 4, 3, 6
PACKED = {
    "LSTM": ("input", "forget", "candidate", "output"),
    "GRU": ("update", "reset", "candidate"),
    "SimpleRNN": ("candidate",),
}
INPUTS = np.random.default_rng(7).normal(size=(2, STEPS, FEATURES))
EVERY = [(name, gate, "") for name, gates in PACKED.items() for gate in gates]
EVERY += [("GRU", gate, ", reset_after=False") for gate in PACKED["GRU"]]


def keras_run(expression: str, held: list[Array], plain: list[Array], first: int, stop: int) -> list[Array]:
    """Run the real layer in three parts: only steps `first` to `stop` take the weights `held`."""
    layer = eval(expression, dict(vars(keras.layers)))
    layer.build(INPUTS.shape)
    state: Any = None
    rows: list[Array] = []
    for start, end, weights in ((0, first, plain), (first, stop, held), (stop, STEPS, plain)):
        if start < end:
            layer.set_weights(weights)
            output, *state = layer(INPUTS[:, start:end], initial_state=state)
            rows.append(np.asarray(output))
    return [np.concatenate(rows, axis=1), *map(np.asarray, state)]


@pytest.mark.parametrize(("layer", "hold", "note"), [
    ("lstm", "forget=2", "--hold forget=2: without it, forget is always between 0 and 1"),
    ("lstm", "forget=1", ""),
    ("lstm", "candidate=-1", ""),
    ("gru", "candidate=-2", "--hold candidate=-2: without it, candidate is always between -1 and 1"),
    ("LSTM(3, activation='relu')", "candidate=9", ""),
    ("bilstm", "backward/input=-1@1", "--hold backward/input=-1@1: without it, input is always between"),
])  # fmt: skip
def test_a_value_that_the_gate_never_has_is_remarked(layer: str, hold: str, note: str, rnncli: Run) -> None:
    for command in ("run", "trace"):
        done = rnncli(command, "-l", layer, "--hold", hold, "--input-shape", "1,2,2", "--seed", "1").success()
        assert note in done.stderr if note else "always" not in done.stderr


@pytest.mark.sampled
@pytest.mark.parametrize(("name", "gate", "extra"), EVERY)
@pytest.mark.parametrize(
    ("index", "units", "at", "first", "stop"),
    [("", [0, 1, 2], "", 0, STEPS), ("[:, 1]", [1], "@2:", 2, STEPS), ("[:, -2:]", [1, 2], "@1:4", 1, 4)],
)
def test_a_held_gate_gives_the_numbers_of_keras(
    name: str, gate: str, extra: str, index: str, units: list[int], at: str, first: int, stop: int
) -> None:
    text = f"{name}({UNITS}, return_sequences=True, return_state=True, dtype='float64'{extra})"
    case = Case(specs.from_flags([text], {}), INPUTS, seed=3)
    weights = list(compute.run(case, "numpy").weights.values())
    kernel, recurrent, bias = (array.copy() for array in weights)
    columns = [PACKED[name].index(gate) * UNITS + unit for unit in units]
    kernel[:, columns], recurrent[:, columns], bias[..., columns] = 0, 0, 0
    # The bias at which a gate without kernels is 0.7.
    (bias[0] if bias.ndim == 2 else bias)[columns] = np.arctanh(0.7) if gate == "candidate" else np.log(7 / 3)
    theirs = keras_run(text, [kernel, recurrent, bias], weights, first, stop)
    ours = compute.run(holds.hold_gates(case, [f"{gate}{index}=0.7{at}"]))
    assert ours.engines == ("numpy",)
    for tensor, values in zip(ours.outputs, theirs, strict=True):
        np.testing.assert_allclose(tensor.values, values, rtol=0, atol=1e-12)


def case_with_holds(*layers: str, hold: Any = (), inputs: Array = INPUTS) -> Case:
    case = Case(specs.from_flags(list(layers), {}), inputs.astype(np.float32), seed=1)
    return holds.hold_gates(case, hold)


@pytest.mark.parametrize(("layers", "text", "path", "name"), [
    (("bilstm",), "backward/forget=0.5@1", "backward/", "forget"),
    (("gru", "lstm"), "0/reset=0@:2", "0/", "reset"),
    (("gru", "lstm"), "forget[:, 0]=1", "1/", "forget"),
    (("RNN([LSTMCell(2), GRUCell(3)])",), "cell_1/update=0.25@-1", "", "cell_1/update"),
    (("LSTM(3, go_backwards=True)",), "input=0@4:", "", "input"),
])  # fmt: skip
def test_only_the_named_entries_are_held(layers: tuple[str, ...], text: str, path: str, name: str) -> None:
    case = case_with_holds(*layers, hold=[text])
    (hold,) = case.hold
    for loop in tracing.trace(tracing.with_all_outputs(case)).trace:
        for label in loop.gates:
            if (loop.path, str(label.short)) != (path, name):
                assert label not in loop.hold_masks
                continue
            entries, values = loop.hold_masks[label], loop.parts[label]
            assert (values[:, entries] == np.float32(hold.value)).all()
            assert (values[:, ~entries] != np.float32(hold.value)).all()
            assert [bool(row.any()) for row in entries] == [int(t) in hold.steps for t in loop.times]


def test_chunks_and_calls_hold_alike_and_the_difference_is_from_the_run_without_it() -> None:
    case = case_with_holds("LSTM(3, stateful=True)", hold=["forget=1"])
    assert compute.run(case._replace(calls=2)).hold == ("forget=1",)
    case = case_with_holds("lstm", hold=["forget=1"])
    whole, apart = compute.run(case), compute.run(case, budget=1)
    assert np.array_equal(whole.outputs[0].values, apart.outputs[0].values)
    plain = compute.run(case._replace(hold=()), "numpy")
    largest = np.abs(plain.outputs[0].values.astype(float) - whole.outputs[0].values).max()
    assert holds.compare_without(case, whole).differences == {"hidden_state": largest}
    assert largest > 0


def test_holds_that_do_not_meet_are_taken_together() -> None:
    case = case_with_holds("lstm", hold=["forget[:, 0]=1@2:", "forget[:, 1]=0@2:", "forget=0.5@:2"])
    loop = tracing.trace(tracing.with_all_outputs(case)).trace[0]
    assert loop.parts[gate("forget")][0, 3, :2].tolist() == [1, 0]
    assert (loop.parts[gate("forget")][0, :2] == 0.5).all()
