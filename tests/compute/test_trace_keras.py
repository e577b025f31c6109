"""Every gate and state of a trace against numbers that rnncli has no part in.

States: Keras's own cells, called one step after the other on Keras's weights.  Gates: Keras's activations
of `keras.ops.matmul` of Keras's weights at Keras's own states.
"""

from typing import Any

import keras
import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from part_labels import gate, state

from rnncli.compute import trace as tracing
from rnncli.result import LoopTrace
from rnncli.values import STATUSES

GATES = {
    "LSTM": ("input", "forget", "candidate", "output"),
    "GRU": ("update", "reset", "candidate"),
    "SimpleRNN": ("candidate",),
}
PARTS = {"LSTM": ("hidden", "cell"), "GRU": ("hidden",), "SimpleRNN": ("hidden",)}
DIRECTIONS = {False: "forward", True: "backward"}
FLAGS = st.booleans()
SEEDS = st.integers(0, 2**31)
HALF = settings(max_examples=settings().max_examples // 2)  # each example runs Keras's cells step by step
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


def expression_of(kind: str, options: dict[str, Any], **more: Any) -> str:
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


def check_loop(loop: LoopTrace, cell: Any, expected: list[Any], mask: Any, atol: float = 2e-6) -> None:
    kind = type(cell).__name__.removesuffix("Cell")
    assert loop.times.tolist() == [timestep for timestep, _, _ in expected]
    assert loop.gates == list(map(gate, GATES[kind]))
    assert loop.states == list(map(state, PARTS[kind]))
    for step, (timestep, gates, states) in enumerate(expected):
        for name, (z, activated) in gates.items():
            before, after = (
                loop.parts[gate(name, kind)][:, step] for kind in ("preactivation", "activation")
            )
            oracle.check_close(before, np.asarray(z), atol, f"{name} z at {timestep}")
            oracle.check_close(after, np.asarray(activated), atol, f"{name} at {timestep}")
        for name, theirs in zip(loop.states, states, strict=True):
            oracle.check_close(loop.parts[name][:, step], np.asarray(theirs), atol, f"{name} at {timestep}")
        computed = [True] * len(loop.status) if mask is None else mask[:, timestep].tolist()
        assert (loop.status[:, step] == 0).tolist() == computed


def zero_states(cell: Any, batch: int) -> list[Any]:
    return list(keras.tree.flatten(cell.get_initial_state(batch)))


def directions_of(layer: Any) -> dict[bool, Any]:
    """The layers of Keras that loop over time, by whether they go backwards."""
    if isinstance(layer, keras.layers.Bidirectional):
        return {False: layer.forward_layer, True: layer.backward_layer}
    return {layer.go_backwards: layer}


def check_loops(
    expressions: list[str], inputs: np.ndarray, mask: Any, rng: np.random.Generator, *, started: bool = False
) -> list[LoopTrace]:
    """Compare every loop of the layers' trace with Keras's cells, which get what Keras's layers return."""
    layers = oracle.build_layers(oracle.make_layers(*expressions), inputs)
    weights = oracle.fill_weights(layers, rng)
    states = oracle.random_states(layers, len(inputs), rng, "float32") if started else None
    case = oracle.case(expressions, inputs, mask=mask, weights=weights, initial_state=states)
    result = tracing.trace(tracing.with_all_outputs(case) if len(expressions) > 1 else case)
    returned = oracle.call_layers(layers, inputs, mask, states)
    if len(expressions) == 1:
        oracle.check_outputs(result, returned[-1], 2e-6)
    loops, left = list(tracing.list_loops(result)), [keras.ops.convert_to_tensor(one) for one in states or ()]
    remaining = iter(loops)
    for layer, fed in zip(layers, [inputs, *(tensors[0] for tensors in returned[:-1])], strict=True):
        for backwards, half in directions_of(layer).items():
            begin = zero_states(half.cell, len(inputs))
            if states:
                begin, left = left[: len(begin)], left[len(begin) :]
            loop = next(remaining)
            assert loop.direction == DIRECTIONS[backwards]
            check_loop(loop, half.cell, steps_of(half.cell, fed, mask, begin, backwards), mask)
    return loops


@HALF
@given(configs(), FLAGS, FLAGS, MASKS, FLAGS, FLAGS, SEEDS)
@pytest.mark.slow
def test_one_layer(
    config: tuple[str, dict[str, Any]], backwards: bool, sequences: bool, masked: str | None, zeroing: bool,
    given_state: bool, seed: int,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    batch, timesteps = int(rng.integers(1, 4)), int(rng.integers(1, 6))
    inputs = rng.standard_normal((batch, timesteps, 3)).astype("float32")
    mask = None if masked is None else rng.random((batch, timesteps)) < (0.6 if masked == "random" else 0)
    expression = expression_of(
        *config, go_backwards=backwards, return_sequences=sequences, zero_output_for_mask=zeroing
    )
    (loop,) = check_loops([expression], inputs, mask, rng, started=given_state)
    skipped = "zeroed" if zeroing else "held"
    assert {STATUSES[status] for status in loop.status.flat} <= {"computed", skipped}


@HALF
@given(configs(), MERGES, FLAGS, FLAGS, FLAGS, SEEDS)
@pytest.mark.slow
def test_bidirectional(
    config: tuple[str, dict[str, Any]], merge: str | None, sequences: bool, masked: bool, given_state: bool,
    seed: int,
) -> None:  # fmt: skip
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((2, 4, 3)).astype("float32")
    mask = rng.random((2, 4)) < 0.6 if masked else None
    expression = f"Bidirectional({expression_of(*config, return_sequences=sequences)}, merge_mode={merge!r})"
    loops = check_loops([expression], inputs, mask, rng, started=given_state)
    assert [loop.path for loop in loops] == ["forward/", "backward/"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_a_stack_with_masks_from_layer_to_layer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((2, 4, 3)).astype("float32")
    first = "Bidirectional(GRU(2, return_sequences=True))"
    expressions = [first, "LSTM(3, return_sequences=True)", "SimpleRNN(2)"]
    loops = check_loops(expressions, inputs, rng.random((2, 4)) < 0.7, rng)
    assert [loop.path for loop in loops] == ["0/forward/", "0/backward/", "1/", "2/"]


@pytest.mark.parametrize("seed", range(4))
def test_cells_of_rnn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((2, 4, 3)).astype("float32")
    expression = "RNN([LSTMCell(2), GRUCell(3), SimpleRNNCell(4)], go_backwards=True)"
    layers = oracle.build_layers(oracle.make_layers(expression), inputs)
    weights = oracle.fill_weights(layers, rng)
    (loop,) = tracing.list_loops(tracing.trace(oracle.case([expression], inputs, weights=weights)))
    cells = layers[0].cell.cells
    states = [zero_states(cell, 2) for cell in cells]
    assert loop.times.tolist() == [3, 2, 1, 0]
    for step, timestep in enumerate((3, 2, 1, 0)):
        x = keras.ops.convert_to_tensor(inputs[:, timestep])
        for place, cell in enumerate(cells):
            for name, (z, activated) in gates_of(cell, x, states[place]).items():
                oracle.check_close(
                    loop.parts[gate(name, "preactivation", place)][:, step], np.asarray(z), 2e-6
                )
                oracle.check_close(loop.parts[gate(name, cell=place)][:, step], np.asarray(activated), 2e-6)
            x, after = cell(x, states[place])
            states[place] = keras.tree.flatten(after)
            names = PARTS[type(cell).__name__.removesuffix("Cell")]
            for name, theirs in zip(names, states[place], strict=True):
                oracle.check_close(loop.parts[state(name, place)][:, step], np.asarray(theirs), 2e-6)
        oracle.check_close(loop.parts[state("output")][:, step], np.asarray(x), 2e-6)
