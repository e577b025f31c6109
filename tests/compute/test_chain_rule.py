"""Gradients in NumPy against TensorFlow's tape through Keras's own layers."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import cover_pairs

from rnncli.ask import Ask, subject_of
from rnncli.cells.reading import AXES_ALONE
from rnncli.cells.tree import FUNCTIONS
from rnncli.commands.gradients import curves
from rnncli.errors import UsageError
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.values import Spec, sizes

SHAPE = (2, 5, 3)
NEAR = {"float32": 1e-6, "float64": 1e-12}

EVERY_FUNCTION = """
name = "Every"
states = ["hidden", "scale", "count"]
[initial]
scale = 1.5
count = 0.25
[options]
activation = "tanh"
slope = 0.5
[weights]
peephole = { shape = ["units"], initializer = "random_normal" }
mix = { shape = ["units", "units"] }
narrow = { shape = ["features", 1] }
[step]
gate = "sigmoid(x @ kernel + hidden @ recurrent_kernel + bias + peephole * scale)"
once = "softplus(peephole)"
free = "x @ narrow - mean(x)"
root = "sqrt(abs(hidden @ recurrent_kernel) + 0.5) / (1 + exp(-count))"
power = "(0.1 + abs(hidden)) ** (1 + gate) + 2 ** hidden + hidden ** 3"
normal = "(scale - mean(scale)) / sqrt(variance(scale) + 0.001) + free"
limited = "clip(normal, -0.5, gate) + clip(power, hidden, 0.5 + count) + clip(scale, 0.1, -0.1)"
most = "maximum(hidden, count) - minimum(scale @ mix, 0.25) + maximum(gate, 0.5)"
shares = "softmax(most) * log(1 + sum(gate)) - log_softmax(limited) * once"
count = "0.5 * count + mean(shares) - (x @ kernel + recurrent_bias)"
scale = "activation(scale * slope + root - power + shares) - count"
hidden = "gate * hidden + (1 - gate) * activation((gate * limited) @ recurrent_kernel + scale)"
"""

GIVEN = [(False, False, "float64"), (True, True, "float64"), (True, False, "float32")]
"""Whether there is a mask, whether there are initial states, and the dtype."""
OTHERS = [
    "GRU(2, reset_after=False, use_bias=False)",
    "LSTM(2, activation='relu', recurrent_activation='softmax', return_sequences=True)",
    "GRU(3, activation='sparsemax', recurrent_activation='hard_sigmoid')",
    "LSTM(2, return_sequences=True, zero_output_for_mask=True)",
    "LSTM(2, zero_output_for_mask=True)",
    "RNN(LSTMCell(2), return_sequences=True)",
    "GRU(2, stateful=True, unroll=True)",
    "Bidirectional(SimpleRNN(2), backward_layer=GRU(3, go_backwards=True))",
    "Bidirectional(GRU(2, go_backwards=True), backward_layer=GRU(2))",
    "Bidirectional(RNN(@Every(2), return_state=True), merge_mode='mul')",
    "Bidirectional(RNN(@Every(2), return_sequences=True), merge_mode=None)",
]
FLAGS = (False, True)
LAYERS = [
    *(
        (f"{row['kind']}, return_sequences={row['sequences']}, go_backwards={row['backwards']})",
         *row["given"], row["chosen"])
        for row in cover_pairs({
            "kind": ("SimpleRNN(3", "LSTM(3", "GRU(3", "RNN(@Every(3)"),
            "sequences": FLAGS, "backwards": FLAGS, "given": GIVEN, "chosen": (0, -1),
        })
    ),
    *(
        (f"Bidirectional(LSTM(2, return_sequences={sequences}), merge_mode={mode!r})", *given, chosen)
        for (chosen, mode, sequences), given in zip(
            [*product((0,), ("concat", "sum", "mul", "ave", None), FLAGS), *product((1, -1), (None,), FLAGS)],
            cycle(GIVEN),
            strict=False,
        )
    ),
    *((text, *given, chosen) for text in OTHERS for given, chosen in zip(GIVEN, (0, -1, 0), strict=True)),
]  # fmt: skip
"""Expressions, what is given, and which of the layer's tensors is differentiated."""
STACKS = [
    ["GRU(2, return_sequences=True)", "LSTM(2, return_sequences=True)"],
    ["Bidirectional(LSTM(2, return_sequences=True), merge_mode='mul')", "SimpleRNN(3)"],
    ["LSTM(2, return_sequences=True, go_backwards=True)", "Dropout(0.5)", "GRU(2, go_backwards=True)"],
    ["Dense(4, activation='relu')", "LSTM(2, return_sequences=True)", "Dense(2, activation='softmax')"],
    ["LSTM(2)", "Dense(3, activation='gelu', use_bias=False)", "Dropout(0.5)"],
    ["RNN(@Every(3), return_sequences=True)", "RNN(@Every(2))"],
]
CELLS = [
    "RNN([LSTMCell(2), GRUCell(3)], return_sequences=True, return_state=True)",
    "Bidirectional(RNN([SimpleRNNCell(2), LSTMCell(2)]), merge_mode='sum')",
]


@pytest.fixture(scope="module", autouse=True)
def cell_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Make `@Every` the cell above."""
    file = tmp_path_factory.mktemp("cells") / "every.toml"
    file.write_text(EVERY_FUNCTION)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FILES, "@Every", f"@'{file}'")
        yield


FILES: dict[str, str] = {}


def case_of(expressions: list[str], dtype: str, masked: bool, given: bool) -> Case:
    """Random inputs, weights and states."""
    random = np.random.default_rng(11)
    ask = Ask(layer=[with_dtype(text, dtype) for text in expressions], input_shape="2,5,3")
    built = subject_of(ask).outline().stack
    mask = np.array([[1, 1, 1, 1, 1], [0, 1, 1, 0, 1]], bool)
    return Case(
        built,
        inputs=random.standard_normal(SHAPE).astype(dtype),
        mask=mask if masked else None,
        initial_state=tuple(
            random.standard_normal(sizes(info.shape)).astype(dtype)
            for info in built.states(SHAPE)
        ) if given else None,
        weights={
            path: random.normal(0, 0.7, sizes(shape)).astype(dtype)
            for path, shape in built.weight_shapes(SHAPE).items()
        },
    )  # fmt: skip


def with_dtype(text: str, dtype: str) -> str:
    text = text if dtype == "float32" else text.replace(")", f", dtype='{dtype}')")
    return text.replace("@Every", FILES["@Every"])


def check_gradients(case: Case, of: str | None = None, *, wide: bool = False) -> None:
    """Compare every curve of NumPy with TensorFlow's.

    wide: compare with its float64 instead: NumPy's error may be up to twice TensorFlow's, which rounds too.
    """
    ours, theirs = (curves.gradients(case, of, engine) for engine in ("numpy", "tensorflow"))
    assert (ours.header.engine, theirs.header.engine) == ("numpy", "tensorflow")
    assert ours.target.text == theirs.target.text
    exact = curves.gradients(in_float64(case), of, "tensorflow") if wide else theirs
    for mine, other, truth in zip(ours.curves, theirs.curves, exact.curves, strict=True):
        assert (mine.part, mine.direction) == (other.part, other.direction)
        np.testing.assert_array_equal(mine.masked_steps, other.masked_steps)
        largest, far = np.abs(other.norms).max(), np.abs(other.norms - truth.norms).max()
        near = max(NEAR[str(case.inputs.dtype)] * largest, 2 * far)
        np.testing.assert_allclose(mine.norms, truth.norms, rtol=0, atol=near)


def in_float64(case: Case) -> Case:
    """The same numbers in float64."""

    def wide(value: Any) -> Any:
        if isinstance(value, Spec):
            config = {name: wide(own) for name, own in value.config.items()}
            return replace(value, config=config | ({"dtype": "float64"} if "dtype" in config else {}))
        if isinstance(value, (tuple, list)):
            return tuple(map(wide, value))
        return (
            value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value
        )

    weights = {path: wide(values) for path, values in (case.weights or {}).items()}
    return case._replace(
        stack=Stack(wide(case.stack)), inputs=wide(case.inputs), weights=weights,
        initial_state=wide(case.initial_state),
    )  # fmt: skip


def test_the_cell_uses_every_function() -> None:
    assert all(f"{function}(" in EVERY_FUNCTION for function in FUNCTIONS if function not in AXES_ALONE)


@pytest.mark.parametrize(("expression", "masked", "given", "dtype", "chosen"), LAYERS)
@pytest.mark.slow
def test_one_layer(expression: str, masked: bool, given: bool, dtype: str, chosen: int) -> None:
    case = case_of([expression], dtype, masked, given)
    tensor = Stack(case.stack.with_returns(return_state=True)).outputs(SHAPE)[chosen]
    # Step 1 of 5: the backward output is flipped, which the step in the middle would not show.
    numbers = f"{tensor.name}[{int(masked)}, {-1 if len(tensor.shape) == 2 else 1}]"
    check_gradients(case, numbers if masked else f"{tensor.name}[1]", wide=dtype == "float32")


@pytest.mark.slow
def test_an_output_that_the_mask_makes_zeros() -> None:
    layer = "LSTM(2, return_sequences=True, zero_output_for_mask=True)"
    check_gradients(case_of([layer], "float64", True, True), "hidden_states[1, 2:4]")


@pytest.mark.slow
@pytest.mark.parametrize("expression", CELLS)
def test_several_cells_in_float32(expression: str) -> None:
    """Keras rounds to float32 between the cells, in float64, too."""
    case = case_of([expression], "float32", True, False)
    assert case.weights is not None
    check_gradients(case._replace(weights={path: values / 2 for path, values in case.weights.items()}))


@pytest.mark.parametrize(("masked", "given", "dtype"), GIVEN)
@pytest.mark.parametrize("expressions", STACKS)
@pytest.mark.slow
def test_stacks(expressions: list[str], masked: bool, given: bool, dtype: str) -> None:
    case = case_of(expressions, dtype, masked, given)
    of = f"{case.stack.outputs(SHAPE)[0].name}[1]"
    check_gradients(case, of if given else None, wide=dtype == "float32")


@pytest.mark.slow
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("expression", "weight", "gates"), [
    ("LSTM(2)", "kernel", ["input", "forget", "candidate", "output"]),
    ("LSTM(2)", "bias", ["input", "forget", "candidate", "output"]),
    ("GRU(2)", "recurrent_kernel", ["update", "reset", "candidate"]),
    ("GRU(2)", "bias", ["update", "reset", "candidate"]),
    ("GRU(2, reset_after=False)", "recurrent_kernel", ["update", "reset", "candidate"]),
    ("Bidirectional(LSTM(2))", "backward/kernel", ["input", "forget", "candidate", "output"]),
    ("LSTM(2, dropout=0.4, recurrent_dropout=0.3)", "kernel", ["input", "forget", "candidate", "output"]),
    ("GRU(2, dropout=0.4, recurrent_dropout=0.3)", "recurrent_kernel", ["update", "reset", "candidate"]),
    ("RNN(@Every(2, dropout=0.4, recurrent_dropout=0.3))", "narrow", ["free"]),
    ("RNN(@Every(2))", "kernel", ["gate", "count"]),
    ("RNN(@Every(2))", "mix", ["most"]),
    ("RNN(@Every(2))", "narrow", ["free"]),
])  # fmt: skip
def test_weights_by_gate(expression: str, weight: str, gates: list[str], masked: bool) -> None:
    import tensorflow as tf

    from rnncli.compute.engines import tensorflow as engine

    training = "dropout" in expression
    case = case_of([expression], "float64", masked, False)._replace(training=training, seed=3)
    ours = curves.gradients(case, weight).by_line
    with engine.make_layers(case, case.weights or {}) as (_, (layer,)):
        place = list(case.weights or {}).index(weight)
        with tf.GradientTape(persistent=True) as tape:
            mask = None if case.mask is None else tf.constant(case.mask)
            output = layer(tf.constant(case.inputs), mask=mask, training=training)[0]
        slopes = tape.jacobian(output, layer.trainable_weights[place], experimental_use_pfor=False).numpy()
    theirs = [np.linalg.norm(part) for part in np.split(slopes, len(gates), axis=-1)]
    assert list(ours) == gates
    np.testing.assert_allclose(list(ours.values()), theirs, rtol=1e-11)


@pytest.mark.slow
@pytest.mark.parametrize(("expression", "weight", "gates"), [
    ("LSTM(2)", "bias", ["input", "forget", "candidate", "output"]),
    ("GRU(2)", "kernel", ["update", "reset", "candidate"]),
    ("SimpleRNN(2)", "kernel", ["candidate"]),
    ("Bidirectional(LSTM(2))", "backward/kernel", ["input", "forget", "candidate", "output"]),
    ("RNN(@Every(2))", "kernel", ["gate", "count"]),
])  # fmt: skip
def test_a_weight_where_every_step_is_masked(expression: str, weight: str, gates: list[str]) -> None:
    import tensorflow as tf

    from rnncli.compute.engines import tensorflow as engine

    case = case_of([expression], "float64", False, True)._replace(mask=np.zeros(SHAPE[:2], bool))
    assert list(curves.gradients(case, weight).by_line.items()) == [(gate, 0.0) for gate in gates]
    with (
        engine.make_layers(case, case.weights or {}) as (_, (layer,)),
        tf.GradientTape(persistent=True) as tape,
    ):
        output = layer(tf.constant(case.inputs), mask=tf.constant(case.mask))[0]
    place = list(case.weights or {}).index(weight)
    assert (
        not tape.jacobian(output, layer.trainable_weights[place], experimental_use_pfor=False).numpy().any()
    )


@pytest.mark.parametrize("expression", ["@Decay(3)", "Bidirectional(@Decay(3))"])
@pytest.mark.parametrize("masked", [False, True])
def test_a_cell_without_weights(expression: str, masked: bool, tmp_path: Path) -> None:
    file = tmp_path / "decay.toml"
    file.write_text('name = "Decay"\nstates = ["hidden"]\n[step]\nhidden = "0.5 * hidden + x"\n')
    case = case_of([expression.replace("@Decay", f"@'{file}'")], "float64", masked, True)
    check_gradients(case, "hidden_state[1]")


@pytest.mark.parametrize(("masked", "expressions"), [
    (True, ["LSTM(3, dropout=0.4, recurrent_dropout=0.3, return_sequences=True)"]),
    (False, ["LSTM(3, dropout=0.4)"]),
    (False, ["GRU(3, dropout=0.4, recurrent_dropout=0.3, reset_after=False)"]),
    (True, ["GRU(3, recurrent_dropout=0.3, go_backwards=True)"]),
    (False, ["SimpleRNN(3, dropout=0.4, recurrent_dropout=0.3)"]),
    (True, ["RNN(@Every(3, dropout=0.4, recurrent_dropout=0.3))"]),
    (True, ["Bidirectional(GRU(3, dropout=0.4, recurrent_dropout=0.3), merge_mode='mul')"]),
    (False, ["GRU(3, dropout=0.4, return_sequences=True)", "LSTM(2, recurrent_dropout=0.5)"]),
])  # fmt: skip
@pytest.mark.slow
def test_dropout_as_it_is_drawn(masked: bool, expressions: list[str]) -> None:
    case = case_of(expressions, "float64", masked, False)._replace(training=True, seed=5)
    of = case.stack.outputs(SHAPE)[0].name
    check_gradients(case, f"{of}[1]")
    plain = curves.gradients(case._replace(training=False), f"{of}[1]").curves
    drawn = curves.gradients(case, f"{of}[1]").curves
    assert any((one.norms != other.norms).any() for one, other in zip(plain, drawn, strict=True))


@pytest.mark.slow
def test_dropout_between_cells() -> None:
    case = case_of(["RNN([LSTMCell(2, dropout=0.5), GRUCell(3, dropout=0.5)])"], "float32", True, False)
    check_gradients(case._replace(training=True, seed=5), "hidden_state[1]")


@pytest.mark.slow
def test_a_layer_of_dropout_needs_keras() -> None:
    case = case_of(["LSTM(2, return_sequences=True)", "Dropout(0.5)", "GRU(2)"], "float64", False, False)
    found = curves.gradients(case._replace(training=True, seed=5))
    assert found.header.engine == "tensorflow"
    plain = curves.gradients(case).curves
    assert all((one.norms != other.norms).any() for one, other in zip(plain, found.curves, strict=True))


def test_a_weight_of_a_stack_is_found_by_its_path() -> None:
    case = case_of(["GRU(2, return_sequences=True)", "LSTM(2)"], "float64", False, False)
    assert curves.gradients(case, "kernel").weight == "1/kernel"
    assert list(curves.gradients(case, "0/kernel").by_line) == ["update", "reset", "candidate"]
    both = case_of(["Bidirectional(GRU(2))"], "float64", False, False)
    with pytest.raises(UsageError, match="several weights of this name"):
        curves.gradients(both, "kernel")
