"""Cells of one's own against Keras: the published ones with every flag, and random ones.

The oracle reads a cell's file by itself, and computes its equations with Python's `eval`.
"""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import oracle
import own_cells
import pytest
from command import ROOT, Run
from hypothesis import given, settings
from hypothesis import strategies as st
from random_cells import LARGEST, some_cells

from rnncli import compute, specs
from rnncli.ask.layer_files import read_layer
from rnncli.commands.gradients import curves
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.specs.build import read_equations
from rnncli.specs.expressions import parse
from rnncli.values import sizes

CELLS = own_cells.samples()
UNITS, FEATURES, BATCH, TIMESTEPS = 3, 4, 4, 5
FLAGS, MERGES = (False, True), ("concat", "sum", "mul", "ave", None)
MASKS = {
    "none": None,
    "right": [[1, 1, 1, 1, 0], [1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]],
    "middle": [[1, 0, 1, 1, 1], [1, 1, 0, 0, 1], [1, 0, 0, 0, 1], [1, 0, 1, 0, 1]],
    "each": [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 1, 0, 1, 0], [1, 1, 0, 1, 0]],
}
PACKED = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
ops = keras.ops

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "exp": ops.exp, "log": ops.log, "sqrt": ops.sqrt, "abs": ops.absolute,
    "maximum": ops.maximum, "minimum": ops.minimum,
    "clip": lambda v, low, high: ops.maximum(ops.minimum(v, high), low),
    "mean": lambda v: ops.mean(v, -1, keepdims=True),
    "sum": lambda v: ops.sum(v, -1, keepdims=True),
    "variance": lambda v: ops.mean(ops.square(v - ops.mean(v, -1, keepdims=True)), -1, keepdims=True),
}  # fmt: skip


@keras.saving.register_keras_serializable("rnncli_tests")
class EvaluatedCell(keras.layers.Layer):  # type: ignore[misc]
    """A cell whose step is the text of its file, evaluated by Python line by line."""

    def __init__(self, text: str, units: int, use_bias: bool = True, **rest: Any) -> None:
        super().__init__(**rest)
        self.text, self.units, self.use_bias = text, units, use_bias
        self.document = tomllib.loads(text)
        self.lines = {
            line: (compile(" ".join(code.split()), line, "eval"), code)
            for line, code in self.document["step"].items()
        }
        self.order = self.document.get("gates", list(self.lines))
        self.states = self.document["states"]
        self.state_size, self.output_size = [units] * len(self.states), units

    def using(self, *weights: str) -> list[str]:
        """Return the lines whose code names one of these weights."""
        return [line for line in self.order if {*weights} & {*self.lines[line][0].co_names}]

    def build(self, shape: Sequence[int]) -> None:
        sizes = {"units": self.units, "features": shape[-1]}
        both = bool(self.using("recurrent_bias"))
        columns = {
            "kernel": self.using("kernel"),
            "recurrent_kernel": self.using("recurrent_kernel"),
            "bias": self.using("bias", "recurrent_bias") if self.use_bias else [],
        }
        rows = {"kernel": (sizes["features"],), "recurrent_kernel": (self.units,), "bias": (2,) * both}
        shapes = {name: (*rows[name], self.units * len(lines)) for name, lines in columns.items() if lines}
        for name, entry in self.document.get("weights", {}).items():
            if "shape" in entry:
                shapes[name] = tuple(sizes.get(size, size) for size in entry["shape"])
        self.values = {name: self.add_weight(shape=shape, name=name) for name, shape in shapes.items()}
        self.columns, self.two = columns, both
        self.built = True

    def packed(self, name: str, line: str) -> Any:
        array = "bias" if name == "recurrent_bias" else name
        if array not in self.values:
            return 0.0
        start = self.columns[array].index(line) * self.units
        values = ops.convert_to_tensor(self.values[array])
        row = values[1 if name == "recurrent_bias" else 0] if array == "bias" and self.two else values
        return row[..., start : start + self.units]

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        start = self.document.get("initial", {})
        return [ops.full((batch_size, self.units), start.get(name, 0.0), self.dtype) for name in self.states]

    def call(self, x: Any, states: Any, training: bool = False) -> Any:
        known = {"x": x, **dict(zip(self.states, states, strict=True))}
        known |= {name: ops.convert_to_tensor(self.values[name]) for name in self.document.get("weights", {})
                  if name not in PACKED}  # fmt: skip
        for name, value in self.document.get("options", {}).items():
            known[name] = self.function(keras.activations.get(value)) if isinstance(value, str) else value
        for line, (code, _) in self.lines.items():
            here = {name: self.packed(name, line) for name in PACKED if name in code.co_names}
            here |= {
                name: self.function(FUNCTIONS.get(name) or keras.activations.get(name))
                for name in code.co_names if name not in known and name not in here
            }  # fmt: skip
            known[line] = eval(code, {"__builtins__": {}}, {**known, **here})
        after = [ops.broadcast_to(known[name], ops.shape(states[0])) for name in self.states]
        return after[0], after

    def function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that takes constants, too."""

        def call(*arguments: Any) -> Any:
            tensors = (ops.convert_to_tensor(argument, self.dtype) for argument in arguments)
            return function(*(tensor if len(tensor.shape) else tensor[None] for tensor in tensors))

        return call

    def get_config(self) -> dict[str, Any]:
        config = {"text": self.text, "units": self.units, "use_bias": self.use_bias}
        return {**super().get_config(), **config}


def mask_of(name: str) -> Any:
    return None if MASKS[name] is None else np.array(MASKS[name], bool)


def rows() -> list[Any]:
    """Each cell with each value of every flag, every mask and every merge mode."""
    options = {
        "cell": CELLS, "return_sequences": FLAGS, "return_state": FLAGS, "go_backwards": FLAGS,
        "zero_output_for_mask": FLAGS, "use_bias": FLAGS, "dtype": ("float32", "float64"),
        "outer": ("", *MERGES), "mask": tuple(MASKS), "given": FLAGS,
    }  # fmt: skip
    return [
        pytest.param(row, id=f"{row['cell'].stem}-{k}") for k, row in enumerate(oracle.cover_pairs(options))
    ]


@pytest.mark.sampled(13)
@pytest.mark.parametrize("row", rows())
def test_the_product_of_cells_and_flags(row: dict[str, Any]) -> None:
    loop = {name: row[name] for name in ("return_sequences", "return_state", "go_backwards")}
    dtype, both = row["dtype"], row["outer"] != ""
    if both:
        del loop["go_backwards"]  # of the forward layer; the other one goes the other way
    else:
        loop["zero_output_for_mask"] = row["zero_output_for_mask"]
    given = ", ".join(f"{name}={value!r}" for name, value in {**loop, "dtype": dtype}.items())
    text = f"@'{row['cell']}'({UNITS}, {given}, use_bias={row['use_bias']})"
    cell = EvaluatedCell(row["cell"].read_text(), UNITS, row["use_bias"], dtype=dtype)
    layer = keras.layers.RNN(cell, dtype=dtype, **loop)
    if both:
        layer = keras.layers.Bidirectional(layer, merge_mode=row["outer"], dtype=dtype)
        text = f"Bidirectional({text}, merge_mode={row['outer']!r}, dtype={dtype!r})"
    rng = np.random.default_rng(7)
    inputs = rng.standard_normal((BATCH, TIMESTEPS, FEATURES)).astype(dtype)
    layers = oracle.build_layers([layer], inputs)
    weights = oracle.fill_weights(layers, rng)
    states = [np.abs(state) + 0.1 for state in oracle.random_states(layers, BATCH, rng, dtype)]
    start = states if row["given"] else None
    theirs = oracle.call_layers(layers, inputs, mask_of(row["mask"]), start)[-1]
    ours = oracle.run_case(
        [read_layer(text)], inputs, mask=mask_of(row["mask"]), weights=weights, initial_state=start
    )
    oracle.check_outputs(ours, theirs, 3e-6 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize("name", ["mgu", "slstm", "fastgrnn"])
@pytest.mark.slow
def test_training_and_calls_against_keras(name: str, rnncli: Run) -> None:
    """Keras draws the same masks, in the order of the calls, and keeps the states between them."""
    cell = f"@'{ROOT}/samples/cells/{name}.toml'"
    for layer in (
        f"{cell}(3, dropout=0.3, recurrent_dropout=0.2)",
        f"Bidirectional({cell}(3, recurrent_dropout=0.4, stateful=True))",
        f"RNN([{cell}(4, dropout=0.5), LSTMCell(3, dropout=0.1), {cell}(2)], stateful=True)",
    ):
        for words in (["--training", "--calls", "2", "--all-calls"], ["--calls", "2"]):
            done = rnncli("run", "-l", layer, *words, "--seed", "4", "--check", "--quiet")
            assert (done.returncode, done.stderr) == (0, ""), layer


@settings(max_examples=1_000 if settings().max_examples > 100 else 20)
@given(some_cells(), st.sampled_from(["float64", "float32"]), st.sampled_from(list(MASKS)))
@pytest.mark.slow
def test_random_cells(text: str, dtype: str, mask: str) -> None:
    """In NumPy and in Keras, one Keras cell made by rnncli and one by this file: equal to rounding."""
    cell = read_equations(text)
    rng = np.random.default_rng(3)
    inputs = rng.standard_normal((BATCH, TIMESTEPS, UNITS)).astype(dtype)
    loop = {"return_sequences": True, "return_state": True}
    layers = [keras.layers.RNN(EvaluatedCell(text, UNITS, dtype=dtype), dtype=dtype, **loop)]
    oracle.build_layers(layers, inputs)
    weights = oracle.fill_weights(layers, rng)
    theirs = oracle.call_layers(layers, inputs, mask_of(mask))[-1]
    if not all(np.isfinite(values).all() and np.abs(values).max() < LARGEST for values in theirs):
        return
    call = parse(
        f"@r.toml({UNITS}, return_sequences=True, return_state=True, dtype={dtype!r})", {"r.toml": cell}
    )
    for engine in ("numpy", "tensorflow"):
        ours = oracle.run_case([call], inputs, engine, mask=mask_of(mask), weights=weights)
        oracle.check_outputs(ours, theirs, 1e-3 if dtype == "float32" else 1e-9)


@settings(max_examples=1_000 if settings().max_examples > 100 else 8)
@given(some_cells(), st.sampled_from(list(MASKS)))
@pytest.mark.slow
def test_gradients_of_random_cells(text: str, mask: str) -> None:
    """By reverse mode over the equations and by TensorFlow's tape: equal to rounding."""
    call = parse(f"@r.toml({UNITS}, dtype='float64')", {"r.toml": read_equations(text)})
    built = specs.from_flags([call], {})
    rng, shape = np.random.default_rng(3), (BATCH, TIMESTEPS, UNITS)
    weight_shapes = Stack(built).weight_shapes(shape).items()
    weights = {path: rng.normal(0, 0.5, sizes(weight_shape)) for path, weight_shape in weight_shapes}
    case = Case(Stack(built), rng.standard_normal(shape), mask_of(mask), weights=weights)
    if not np.abs(compute.run(case, "numpy").outputs[0].values).max() < LARGEST:
        return
    both = [curves.gradients(case, "hidden_state[1]", engine).curves for engine in ("numpy", "tensorflow")]
    for ours, theirs in zip(*both, strict=True):
        if np.isfinite(theirs.norms).all():
            np.testing.assert_allclose(ours.norms, theirs.norms, rtol=0, atol=1e-9 * theirs.norms.max())


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_functions_of_lines_that_are_numbers(dtype: str) -> None:
    """Keras's functions take a number of Python for float32, and softmax wants an axis."""
    text = """
name = "Numbers"
states = ["hidden"]
[step]
two = "2"
part = "softmax(two) + mean(two)"
hidden = "x @ kernel - sigmoid(two) ** 0.5 * part + 0 * hidden"
"""
    call = parse(f"@numbers.toml(2, dtype={dtype!r})", {"numbers.toml": read_equations(text)})
    inputs, weights = np.ones((1, 2, 3), dtype), {"kernel": np.ones((3, 2), dtype)}
    by_hand = 3 - 3 * (1 / (1 + np.exp(-2))) ** 0.5
    for engine in ("numpy", "tensorflow"):
        values = oracle.run_case([call], inputs, engine, weights=weights).outputs[0].values
        rounding = 1e-6 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(values, np.full((1, 2), by_hand), rtol=rounding)


def test_a_power_of_a_negative_option() -> None:
    """(-2) ** 2 is 4."""
    text = """
name = "Power"
states = ["hidden", "memory"]
[options]
base = -2.0
[step]
memory = "memory + x @ kernel"
hidden = "base ** (0 * memory + 2) + 0 * hidden"
"""
    call = parse("@power.toml(2)", {"power.toml": read_equations(text)})
    case = Case(specs.from_flags([call], {}), np.ones((1, 2, 3), np.float32), seed=1)
    for engine in ("numpy", "tensorflow"):
        np.testing.assert_array_equal(compute.run(case, engine).outputs[0].values, [[4, 4]])
