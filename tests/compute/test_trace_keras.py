"""Every gate and state of a trace against numbers that rnncli has no part in.

States: Keras's own cells, called one step after the other on Keras's weights.  Gates: Keras's activations
of `keras.ops.matmul` of Keras's weights at Keras's own states, and cells whose other gates are forced open
or shut by their bias, so that what Keras returns is one gate alone.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from part_labels import gate, state

from rnncli.compute import trace as tracing
from rnncli.result import STATUSES, LoopTrace

GATES = {
    "LSTM": ("input", "forget", "candidate", "output"),
    "GRU": ("update", "reset", "candidate"),
    "SimpleRNN": ("candidate",),
}
PARTS = {"LSTM": ("hidden", "cell"), "GRU": ("hidden",), "SimpleRNN": ("hidden",)}
FLAGS = st.booleans()
SEEDS = st.integers(0, 2**31)
MASKS = st.sampled_from((None, "random", "whole"))
MERGES = st.sampled_from(("concat", "sum", "mul", "ave", None))
ACTIVATIONS = st.sampled_from(("tanh", "sigmoid", "relu", "softsign", "linear", "hard_sigmoid"))


@st.composite
def configs(draw: Any) -> tuple[str, dict[str, Any]]:
    """A cell's name and options."""
    kind = draw(st.sampled_from(tuple(GATES)))
    options: dict[str, Any] = {
        "units": draw(st.integers(1, 4)),
        "activation": draw(ACTIVATIONS),
        "use_bias": draw(FLAGS),
    }
    if kind != "SimpleRNN":
        options["recurrent_activation"] = draw(st.sampled_from(("sigmoid", "hard_sigmoid", "tanh")))
    if kind == "GRU":
        options["reset_after"] = draw(FLAGS)
    return kind, options


def written(kind: str, options: dict[str, Any], **more: Any) -> str:
    rest = {name: value for name, value in {**options, **more}.items() if name != "units"}
    return f"{kind}({options['units']}, {', '.join(f'{name}={value!r}' for name, value in rest.items())})"


def gates_of(cell: Any, inputs: Any, states: list[Any]) -> dict[str, tuple[Any, Any]]:
    """Every gate's pre-activation and activation, by Keras's operations on Keras's weights."""
    ops, units, kind = keras.ops, cell.units, type(cell).__name__.removesuffix("Cell")
    bias: Any = cell.bias if cell.use_bias else None
    split_bias = kind == "GRU" and cell.reset_after and bias is not None
    x = ops.matmul(inputs, cell.kernel)
    if bias is not None:
        x = x + (bias[0] if split_bias else bias)
    h = states[0]
    found: dict[str, tuple[Any, Any]] = {}
    for place, name in enumerate(GATES[kind]):
        part = slice(place * units, (place + 1) * units)
        recurrent = cell.recurrent_kernel[:, part]
        if kind == "GRU" and name == "candidate" and not cell.reset_after:
            inner = ops.matmul(found["reset"][1] * h, recurrent)
        else:
            inner = ops.matmul(h, recurrent) + (bias[1][part] if split_bias else 0)
        if kind == "GRU" and name == "candidate" and cell.reset_after:
            inner = found["reset"][1] * inner
        z = x[:, part] + inner
        own = cell.activation if name == "candidate" else cell.recurrent_activation
        found[name] = (z, own(z))
    return found


def steps_of(cell: Any, inputs: np.ndarray, mask: Any, states: list[Any], backwards: bool) -> list[Any]:
    """(timestep, gates, states), step by step, by the Keras cell; a masked entry keeps its states."""
    found = []
    order = range(inputs.shape[1])
    for timestep in reversed(order) if backwards else order:
        x = keras.ops.convert_to_tensor(inputs[:, timestep])
        gates = gates_of(cell, x, states)
        _, after = cell(x, states)
        after = keras.tree.flatten(after)
        if mask is not None:
            counts = mask[:, timestep, None]
            after = [keras.ops.where(counts, new, old) for new, old in zip(after, states, strict=True)]
        states = after
        found.append((timestep, gates, states))
    return found


def holds(loop: LoopTrace, cell: Any, expected: list[Any], mask: Any, atol: float = 2e-6) -> None:
    kind = type(cell).__name__.removesuffix("Cell")
    assert loop.times.tolist() == [timestep for timestep, _, _ in expected]
    assert loop.gates == list(map(gate, GATES[kind]))
    assert loop.states == list(map(state, PARTS[kind]))
    for step, (timestep, gates, states) in enumerate(expected):
        for name, (z, activated) in gates.items():
            before, after = (
                loop.parts[gate(name, kind)][:, step] for kind in ("preactivation", "activation")
            )
            oracle.near(before, np.asarray(z), atol, f"{name} z at {timestep}")
            oracle.near(after, np.asarray(activated), atol, f"{name} at {timestep}")
        for name, theirs in zip(loop.states, states, strict=True):
            oracle.near(loop.parts[name][:, step], np.asarray(theirs), atol, f"{name} at {timestep}")
        computed = [True] * len(loop.status) if mask is None else mask[:, timestep].tolist()
        assert (loop.status[:, step] == 0).tolist() == computed


def zeros_for(cell: Any, batch: int) -> list[Any]:
    return list(keras.tree.flatten(cell.get_initial_state(batch)))


@given(
    configs(), FLAGS, FLAGS, st.sampled_from((None, "random", "whole")), FLAGS, FLAGS, st.integers(0, 2**31)
)
def test_one_layer(
    config: tuple[str, dict[str, Any]], backwards: bool, sequences: bool, masked: str | None, zeroing: bool,
    given_state: bool, seed: int,
) -> None:  # fmt: skip
    kind, options = config
    rng = np.random.default_rng(seed)
    batch, timesteps = int(rng.integers(1, 4)), int(rng.integers(1, 6))
    inputs = rng.standard_normal((batch, timesteps, 3)).astype("float32")
    mask = None if masked is None else rng.random((batch, timesteps)) < (0.6 if masked == "random" else 0)
    expression = written(
        kind, options, go_backwards=backwards, return_sequences=sequences, zero_output_for_mask=zeroing
    )
    layers = oracle.built(oracle.made(expression), inputs)
    weights = oracle.filled(layers, rng)
    states = oracle.some_states(layers, batch, rng, "float32") if given_state else None
    case = oracle.case([expression], inputs, mask=mask, weights=weights, initial_state=states)
    result = tracing.trace(case)
    cell = layers[0].cell
    begin = [keras.ops.convert_to_tensor(state) for state in states] if states else zeros_for(cell, batch)
    (loop,) = tracing.list_loops(result)
    assert loop.direction == ("backward" if backwards else "forward")
    holds(loop, cell, steps_of(cell, inputs, mask, begin, backwards), mask)
    skipped = "zeroed" if zeroing else "held"
    assert {STATUSES[status] for status in loop.status.flat} <= {"computed", skipped}
    oracle.alike(result, oracle.called(layers, inputs, mask, states)[-1], 2e-6)


@given(
    configs(),
    st.sampled_from(("concat", "sum", "mul", "ave", None)),
    FLAGS,
    FLAGS,
    FLAGS,
    st.integers(0, 2**31),
)
def test_bidirectional(
    config: tuple[str, dict[str, Any]], merge: str | None, sequences: bool, masked: bool, given_state: bool,
    seed: int,
) -> None:  # fmt: skip
    kind, options = config
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((2, 4, 3)).astype("float32")
    mask = rng.random((2, 4)) < 0.6 if masked else None
    expression = f"Bidirectional({written(kind, options, return_sequences=sequences)}, merge_mode={merge!r})"
    layers = oracle.built(oracle.made(expression), inputs)
    weights = oracle.filled(layers, rng)
    states = oracle.some_states(layers, 2, rng, "float32") if given_state else None
    case = oracle.case([expression], inputs, mask=mask, weights=weights, initial_state=states)
    loops = tracing.list_loops(tracing.trace(tracing.with_all_outputs(case)))
    assert [loop.path for loop in loops] == ["forward/", "backward/"]
    for place, loop in enumerate(loops):
        own = (layers[0].forward_layer, layers[0].backward_layer)[place]
        begin = zeros_for(own.cell, 2)
        if states:
            count = len(begin)
            begin = [
                keras.ops.convert_to_tensor(state) for state in states[place * count : (place + 1) * count]
            ]
        holds(loop, own.cell, steps_of(own.cell, inputs, mask, begin, place == 1), mask)


@pytest.mark.parametrize("seed", range(6))
def test_a_stack_with_masks_from_layer_to_layer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((2, 4, 3)).astype("float32")
    mask = rng.random((2, 4)) < 0.7
    expressions = [
        "Bidirectional(GRU(2, return_sequences=True))",
        "LSTM(3, return_sequences=True)",
        "SimpleRNN(2)",
    ]
    layers = oracle.built(oracle.made(*expressions), inputs)
    weights = oracle.filled(layers, rng)
    result = tracing.trace(
        tracing.with_all_outputs(oracle.case(expressions, inputs, mask=mask, weights=weights))
    )
    loops = tracing.list_loops(result)
    assert [loop.path for loop in loops] == ["0/forward/", "0/backward/", "1/", "2/"]
    fed = [inputs, inputs, *(tensors[0] for tensors in oracle.called(layers, inputs, mask)[:2])]
    cells = [layers[0].forward_layer.cell, layers[0].backward_layer.cell, layers[1].cell, layers[2].cell]
    for loop, cell, own, backwards in zip(loops, cells, fed, (False, True, False, False), strict=True):
        holds(loop, cell, steps_of(cell, own, mask, zeros_for(cell, 2), backwards), mask)


@pytest.mark.parametrize("seed", range(4))
def test_cells_of_rnn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((2, 4, 3)).astype("float32")
    expression = "RNN([LSTMCell(2), GRUCell(3), SimpleRNNCell(4)], go_backwards=True)"
    layers = oracle.built(oracle.made(expression), inputs)
    weights = oracle.filled(layers, rng)
    (loop,) = tracing.list_loops(tracing.trace(oracle.case([expression], inputs, weights=weights)))
    cells = layers[0].cell.cells
    states = [zeros_for(cell, 2) for cell in cells]
    assert loop.times.tolist() == [3, 2, 1, 0]
    for step, timestep in enumerate((3, 2, 1, 0)):
        x = keras.ops.convert_to_tensor(inputs[:, timestep])
        for place, cell in enumerate(cells):
            for name, (z, activated) in gates_of(cell, x, states[place]).items():
                oracle.near(loop.parts[gate(name, "preactivation", place)][:, step], np.asarray(z), 2e-6)
                oracle.near(loop.parts[gate(name, cell=place)][:, step], np.asarray(activated), 2e-6)
            x, after = cell(x, states[place])
            states[place] = keras.tree.flatten(after)
            names = PARTS[type(cell).__name__.removesuffix("Cell")]
            for name, theirs in zip(names, states[place], strict=True):
                oracle.near(loop.parts[state(name, place)][:, step], np.asarray(theirs), 2e-6)
        oracle.near(loop.parts[state("output")][:, step], np.asarray(x), 2e-6)


UNITS, FORCED = 3, 100.0


def forced(kind: str, biases: dict[str, float], rng: np.random.Generator, **options: Any) -> Any:
    """A Keras layer whose gates in `biases` get nothing but that bias, and its weights by path."""
    expression = written(kind, {"units": UNITS, **options}, return_sequences=True)
    inputs = rng.standard_normal((2, 4, 3)).astype("float32")
    layers = oracle.built(oracle.made(expression), inputs)
    weights = oracle.filled(layers, rng)
    for name, bias in biases.items():
        part = slice(GATES[kind].index(name) * UNITS, (GATES[kind].index(name) + 1) * UNITS)
        weights["kernel"][:, part] = weights["recurrent_kernel"][:, part] = 0
        weights["bias"][..., part] = bias
    for path, variable in oracle.variables(layers).items():
        variable.assign(weights[path])
    return expression, inputs, layers, weights


@pytest.mark.parametrize(
    ("name", "biases"),
    [
        ("input", {"forget": -FORCED, "candidate": 1.0, "output": FORCED}),
        ("candidate", {"forget": -FORCED, "input": FORCED, "output": FORCED}),
        ("output", {"forget": -FORCED, "input": FORCED, "candidate": 1.0}),
    ],
)
def test_an_lstm_that_shows_one_gate(name: str, biases: dict[str, float]) -> None:
    expression, inputs, layers, weights = forced(
        "LSTM", biases, np.random.default_rng(5), activation="linear", recurrent_activation="sigmoid"
    )
    shown = oracle.called(layers, inputs)[-1][0]
    (loop,) = tracing.list_loops(tracing.trace(oracle.case([expression], inputs, weights=weights)))
    oracle.near(loop.parts[gate(name)], shown, 1e-6)


def test_an_lstm_that_shows_its_forget_gate() -> None:
    """Nothing comes in, so that cell after / cell before is what was not forgotten."""
    rng = np.random.default_rng(6)
    biases = {"input": -FORCED, "candidate": 0.0, "output": FORCED}
    expression, inputs, layers, weights = forced("LSTM", biases, rng, activation="linear")
    begin = [np.ones((2, UNITS), "float32")] * 2
    cells = oracle.called(layers, inputs, states=begin)[-1][0]
    before = np.concatenate([begin[1][:, None], cells[:, :-1]], axis=1)
    case = oracle.case([expression], inputs, weights=weights, initial_state=begin)
    (loop,) = tracing.list_loops(tracing.trace(case))
    oracle.near(loop.parts[gate("forget")], cells / before, 1e-5)


@pytest.mark.parametrize("reset_after", [True, False])
def test_a_gru_that_shows_its_update_gate(reset_after: bool) -> None:
    """A candidate of 0 leaves hidden after / hidden before."""
    rng = np.random.default_rng(7)
    expression, inputs, layers, weights = forced("GRU", {"candidate": 0.0}, rng, reset_after=reset_after)
    begin = [np.ones((2, UNITS), "float32")]
    hidden = oracle.called(layers, inputs, states=begin)[-1][0]
    before = np.concatenate([begin[0][:, None], hidden[:, :-1]], axis=1)
    case = oracle.case([expression], inputs, weights=weights, initial_state=begin)
    (loop,) = tracing.list_loops(tracing.trace(case))
    oracle.near(loop.parts[gate("update")], hidden / before, 1e-5)


@pytest.mark.parametrize("reset_after", [True, False])
def test_a_gru_that_shows_its_candidate(reset_after: bool) -> None:
    rng = np.random.default_rng(8)
    expression, inputs, layers, weights = forced("GRU", {"update": -FORCED}, rng, reset_after=reset_after)
    hidden = oracle.called(layers, inputs)[-1][0]
    (loop,) = tracing.list_loops(tracing.trace(oracle.case([expression], inputs, weights=weights)))
    stacked = loop.parts
    oracle.near(stacked[gate("candidate")], hidden, 1e-6)
    assert (gate("candidate", "recurrent") in stacked) == reset_after


def test_a_gru_that_shows_its_reset_gate_and_the_recurrent_part_behind_it() -> None:
    """A linear candidate of the recurrent part alone is reset * recurrent; the identity shows the gate."""
    rng = np.random.default_rng(9)
    expression, inputs, layers, weights = forced("GRU", {"update": -FORCED}, rng, activation="linear")
    candidate = slice(2 * UNITS, None)
    weights["kernel"][:, candidate] = 0
    weights["recurrent_kernel"][:, candidate] = 0
    weights["bias"][:, candidate] = [[0.0] * UNITS, [2.0] * UNITS]
    for path, variable in oracle.variables(layers).items():
        variable.assign(weights[path])
    hidden = oracle.called(layers, inputs)[-1][0]
    (loop,) = tracing.list_loops(tracing.trace(oracle.case([expression], inputs, weights=weights)))
    oracle.near(loop.parts[gate("reset")], hidden / 2, 1e-6)
    assert (loop.parts[gate("candidate", "recurrent")] == 2).all()
