"""The reference engine: real Keras layers on TensorFlow, created, seeded and called as in a script."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from math import prod
from typing import Any

from rnncli.cells import activations
from rnncli.cells.evaluate import columns_of, evaluate
from rnncli.cells.text import CellText
from rnncli.cells.tree import Index, Name, Node, Reshape, Shift
from rnncli.compute.engines import EngineOutput, repeat
from rnncli.errors import EngineError, Message, Text, join
from rnncli.layers import beyond_keras
from rnncli.layers.case import Case
from rnncli.layers.layer import INITIALIZED_BY
from rnncli.layers.recurrent import BEYOND_KERAS, Cell
from rnncli.process.packages import isolated
from rnncli.values import Array, Spec, sizes, walk
from rnncli.values import sizes as sizes_of

_TEXTS: dict[str, CellText] = {}
"""The cells made in this process, by their text: Bidirectional copies its layer through a config."""


def make_cell(keras: Any, spec: Spec, argument: Callable[[str, Any], Any]) -> Any:
    """Return the cell of a spec.  argument: converts an option, or an initializer, by its name."""
    assert spec.equations is not None
    _TEXTS[spec.equations.written] = spec.equations
    options = {name: argument(name, value) for name, value in spec.config.items()}
    arguments = {name: options.pop(name) for name in ("name", "trainable", "dtype") if name in options}
    return _cell_class(keras, argument)(spec.equations.written, options, **arguments)


@cache
def _cell_class(keras: Any, argument: Callable[[str, Any], Any]) -> Any:
    dropout = next(base for base in keras.layers.SimpleRNNCell.__mro__ if base.__name__ == "DropoutRNNCell")
    scope = {"keras": keras, "argument": staticmethod(argument)}
    cell_class = type("EquationCell", (_EquationCell, keras.layers.Layer, dropout), scope)
    return keras.saving.register_keras_serializable("rnncli")(cell_class)


_Layer: Any = object
"""In place of Keras's layer, which is loaded only when a cell is made."""


class _EquationCell(_Layer):  # type: ignore[misc]
    """One step of the equations, with the weights of rnncli's own cell, in the same order.

    options: a dict beside Keras's arguments, because an option of the cell may be called `self`.
    """

    keras: Any
    argument: Callable[[str, Any], Any]

    def __init__(self, equations: str, options: dict[str, Any], **arguments: Any) -> None:
        super().__init__(**arguments)
        text = _TEXTS[equations]
        self.text, self.options, self.units = text, {**options}, options["units"]
        self.output_size = self.units
        ours = self.ours = Cell(Spec(text.class_name, self.options, equations=text))
        self.measure(None)
        self.functions = activations.array_functions(self.keras.ops) | {
            name: self.keras.activations.get(options[name])
            for name, value in text.options.items()
            if isinstance(value, str)
        }
        if ours.dropout_seed_is_first:
            self.seed_generator = self.keras.random.SeedGenerator(options["seed"])
        self.initializers: dict[str, Any] = {}
        for name, value in ours.all_initializers().items():  # in the order of the weights, as of their seeds
            if option := INITIALIZED_BY.get(name):
                self.initializers[name] = self.options[option] = self.keras.initializers.get(value)
            else:
                value = self.argument(f"{name}_initializer", value)
                self.initializers[name] = self.keras.initializers.get(value)
        self.dropout, self.recurrent_dropout = options["dropout"], options["recurrent_dropout"]
        if not ours.dropout_seed_is_first:
            self.seed_generator = self.keras.random.SeedGenerator(options["seed"])

    def measure(self, features: int | None) -> None:
        """Set the sizes, the equations without names of axes, and the sizes of the states."""
        self.sizes, self.lines = self.ours.sizes(features), self.ours.lowered(features)
        self.state_size = [
            prod(size or 0 for size in shape) for _, shape in self.ours.state_shapes(features).values()
        ]

    def build(self, input_shape: Any) -> None:
        ours = self.ours
        self.measure(input_shape[-1])
        self.values = {}
        for name, shape in ours.weight_shapes(tuple(input_shape)).items():
            runs = [(self.initializers[part], columns) for part, columns in ours.runs(name)]

            def fill(shape: Any, dtype: Any = None, runs: Any = runs) -> Any:
                filled = [part((*shape[:-1], columns), dtype=dtype) for part, columns in runs]
                return self.keras.ops.concatenate(filled, axis=-1)

            initializer: Any = fill if runs else self.initializers[name]
            if name in ours.factors:
                self.initializers[name].scale = float(prod(sizes_of(shape[:-2])))
            self.values[name] = self.add_weight(shape=shape, name=name, initializer=initializer)
        self.built = True

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        start = self.text.initial
        return [
            self.keras.ops.full((batch_size, size), start.get(state, 0.0), dtype=self.compute_dtype)
            for state, size in zip(self.text.states, self.state_size, strict=True)
        ]

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        inputs_mask = self.get_dropout_mask(inputs) if training else None
        row_mask = self.get_recurrent_dropout_mask(states[0]) if training else None
        x = inputs if inputs_mask is None else inputs * inputs_mask
        flat = dict(zip(self.text.states, states, strict=True))
        before = {name: self._shape(name, state) for name, state in flat.items()}
        after: dict[str, Any] = {}

        for line, node in self.lines.items():

            def read(name: Name, line: str = line) -> Any:
                if name.kind == "input":
                    start, width = self.sizes.inputs[name.name]
                    return x[:, start : start + width]
                if name.kind:
                    return before[name.name] if name.kind == "before" else after[name.name]
                return x if name.name == "x" else self._columns(name.name, line)

            def product(_: Node, value: Any, weight: Name, line: str = line) -> Any:
                masked = weight.name == "recurrent_kernel" and row_mask is not None
                value = value * row_mask if masked else value
                return self.keras.ops.matmul(value, self._columns(weight.name, line))

            computed = evaluate(node, read, self._call, product, self._move)
            if isinstance(computed, float):  # a function of Keras would take it for a scalar of float32
                computed = self.keras.ops.full((1,), computed, self.compute_dtype)
            if line in before:
                computed = self.keras.ops.broadcast_to(computed, self.keras.ops.shape(before[line]))
            after[line] = computed
        returned = [self.keras.ops.reshape(after[name], (-1, size)) if self.text.has_axes else after[name]
                    for name, size in zip(self.text.states, self.state_size, strict=True)]  # fmt: skip
        return returned[0], returned

    def _shape(self, state: str, flat: Any) -> Any:
        shape = self.sizes.shape(self.sizes.axes[state])
        return self.keras.ops.reshape(flat, (-1, *shape)) if len(shape) > 1 else flat

    def _move(self, node: Any, *given: Any) -> Any:
        """Return the value of a Reshape, Einsum, Shift or Index."""
        ops = self.keras.ops
        match node:
            case Index(size):
                return ops.cast(ops.arange(size), self.compute_dtype)
            case Shift():
                start = ops.shape(given[0])[:1]
                entry = ops.broadcast_to(given[1], (*start, *ops.shape(given[1])[-node.rank :]))
                return ops.concatenate([given[0][:, 1:], entry], axis=1)
            case Reshape(_, before, order, shape):
                lead = len(given[0].shape) - len(before)
                moved = [*range(lead), *(lead + axis for axis in order)]
                return ops.reshape(ops.transpose(given[0], moved), (*([-1] * lead), *shape))
        left, right, after = node.subscripts
        marks = ["Z" * (len(part.shape) - len(axes)) for part, axes in zip(given, (left, right), strict=True)]
        return ops.einsum(f"{marks[0]}{left},{marks[1]}{right}->{max(marks)}{after}", *given)

    def _call(self, function: str, given: list[Any]) -> Any:
        if function not in self.functions:
            self.functions[function] = self.keras.activations.get(function)
        return self.functions[function](*given)

    def _columns(self, weight: str, line: str) -> Any:
        return columns_of(self.text, weight, line, self.values, self.sizes)

    def get_config(self) -> dict[str, Any]:
        options = {
            name: self.keras.initializers.serialize(value) if name.endswith("_initializer") else value
            for name, value in self.options.items()
        }
        return {**super().get_config(), "equations": self.text.written, "options": options}


PACKAGES = ("tensorflow", "keras")
NOTE = Message("real Keras layers, the reference that the others are checked against")


def refusal(case: Case) -> Text | None:
    """Return why Keras cannot compute the case; None if it can."""
    for spec in walk(case.stack):
        if beyond := beyond_keras(spec):
            return beyond
        drawn = [value.class_name if isinstance(value, Spec) else value for value in spec.config.values()]
        orthogonal = any(isinstance(name, str) and name.casefold().startswith("orthogonal") for name in drawn)
        if spec.config.get("dtype") == "bfloat16" and orthogonal and case.weights is None:
            return Message(
                "TensorFlow cannot draw an orthogonal matrix in bfloat16; use another initializer, "
                "such as {--recurrent-initializer glorot_uniform}"
            )
    return None


class Layers:
    """The layers of `case`, which Keras creates and builds once; it draws the weights that are not given.

    seeds: unused, because Keras draws its seeds itself.
    Raises EngineError if Keras fails.
    """

    def __init__(self, case: Case, weights: Mapping[str, Array], seeds: Mapping[str, int]) -> None:
        with make_layers(case, weights) as (self.keras, self.layers):
            variables = _variables(case, self.layers)
            self.weights = {path: variable.numpy() for path, variable in variables.items()}

    def __call__(self, case: Case) -> EngineOutput:
        with _guard(case):
            *earlier, last = repeat(case, lambda _: tuple(call_layers(self.keras, case, self.layers)))
        return EngineOutput(last, self.weights, earlier=tuple(earlier))


@contextmanager
def make_layers(case: Case, weights: Mapping[str, Array]) -> Iterator[tuple[Any, list[Any]]]:
    """Yield Keras and the layers with their weights; an exception in the block becomes an EngineError."""
    with _guard(case):
        keras = import_keras()
        keras.utils.set_random_seed(case.seed or 0)
        specs = list(case.stack)
        for index, spec in enumerate(specs if case.weights is not None else ()):
            if spec.inner.config.get("dtype") == "bfloat16":  # TensorFlow cannot draw an orthogonal matrix
                spec = spec.with_option("kernel_initializer", "zeros")
                specs[index] = spec.with_option("recurrent_initializer", "zeros")
        layers = [_make(keras, keras.layers, spec) for spec in specs]  # all before one is built
        shapes = case.stack.input_shapes(case.inputs.shape)
        for layer, (_, shape) in zip(layers, shapes, strict=True):
            layer.build(shape)
        variables = _variables(case, layers)
        for path, values in weights.items():
            variables[path].assign(values)
        yield keras, layers


@contextmanager
def _guard(case: Case) -> Iterator[None]:
    try:
        with isolated():
            yield
    except EngineError:
        raise
    except Exception as error:
        from rnncli.compute.keras_differences import note_keras_errors

        advice: Text = Message("See rnncli engines for the versions.")
        if missing := re.search(r"requires the (\w+) module", str(error)):
            advice = f"pip install {missing[1]}"
        elif known := join(note_keras_errors(case, case.stack), "; "):
            advice = Message("{known}.", known=known)
        raise EngineError("Keras failed: {line}", advice, line=informative_line(error)) from error


def import_keras() -> Any:
    """Return Keras on TensorFlow.  Raises EngineError if it is not installed, or runs on another backend."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    try:
        import keras
    except ImportError as error:
        line, what = informative_line(error).rstrip("."), "the engine tensorflow is not installed: {line}."
        raise EngineError(what, "pip install tensorflow keras", line=line) from error
    if (backend := keras.backend.backend()) != "tensorflow":
        advice = "Start a process with KERAS_BACKEND=tensorflow."
        raise EngineError("Keras runs on {backend} in this process.", advice, backend=backend)
    return keras


def _make(keras: Any, module: Any, spec: Spec) -> Any:
    """Create the object of a spec.  module: keras.layers or keras.initializers; both have an Identity."""
    if spec.equations is not None:
        return make_cell(keras, spec, _argument_of(keras))
    config = {name: value for name, value in spec.config.items() if name not in BEYOND_KERAS}
    arguments = {name: _argument(keras, name, value) for name, value in config.items()}
    if not hasattr(module, spec.class_name):
        what, advice = "Keras {version} has no {class_name}.", "Update Keras, or use the engine numpy."
        raise EngineError(what, advice, version=keras.__version__, class_name=spec.class_name)
    return getattr(module, spec.class_name)(**arguments)


@cache
def _argument_of(keras: Any) -> Any:
    return partial(_argument, keras)


def _argument(keras: Any, name: str, value: Any) -> Any:
    if value == "probe" and name.endswith("_initializer"):
        return "zeros"
    if value == "hard_sigmoid_keras2":
        return _hard_sigmoid_of_keras_2(keras)
    if isinstance(value, Spec) and name.endswith("_initializer") and value.deferred:
        return {"class_name": value.class_name, "config": dict(value.config)}
    if isinstance(value, Spec):
        module = keras.initializers if name.endswith("_initializer") else keras.layers
        return _make(keras, module, value)
    return [_argument(keras, "", item) for item in value] if isinstance(value, tuple) else value


def _hard_sigmoid_of_keras_2(keras: Any) -> Any:
    """Return the function, registered by name, because Bidirectional copies its layer through a config."""
    known = keras.saving.get_registered_object("rnncli>hard_sigmoid_keras2")
    if known is not None:
        return known

    def hard_sigmoid_keras2(x: Any) -> Any:
        return keras.ops.clip(0.2 * x + 0.5, 0, 1)

    return keras.saving.register_keras_serializable("rnncli")(hard_sigmoid_keras2)


def call_layers(keras: Any, case: Case, layers: Sequence[Any]) -> list[tuple[Array, ...]]:
    """Call the layers once; return every layer's tensors, from first to last."""
    returned: list[tuple[Array, ...]] = []
    x = keras.ops.convert_to_tensor(case.inputs)
    given = make_call_arguments(keras, case, layers)
    for layer, ours, keywords in zip(layers, case.stack.layers, given, strict=True):
        output, *states = keras.tree.flatten(layer(x, **keywords))
        tensors = [ours.arrange(output), *states]
        arrays = [keras.ops.convert_to_numpy(tensor) for tensor in tensors]
        if case.stack.has_axes:  # the states of a cell are flat in Keras
            infos = ours.outputs(tuple(x.shape))
            arrays = [array.reshape(sizes(info.shape)) for array, info in zip(arrays, infos, strict=True)]
        returned.append(tuple(arrays))
        x = tensors[0]
    return returned


def make_call_arguments(keras: Any, case: Case, layers: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """Yield each layer's keyword arguments: training, the mask and its initial states."""
    states: Sequence[Array] = case.initial_state or ()
    mask = None if case.mask is None else keras.ops.convert_to_tensor(case.mask)
    for ours, layer in zip(case.stack.layers, layers, strict=True):
        takes = inspect.signature(layer.call).parameters
        given: dict[str, Any] = {"training": case.training} if "training" in takes else {}
        if mask is not None and "mask" in takes:
            given["mask"], mask = mask, None
        count = len(ours.states(case.inputs.shape))
        if states and count:
            flat = (part.reshape(len(part), -1) if case.stack.has_axes else part for part in states[:count])
            arrays, states = [keras.ops.convert_to_tensor(part) for part in flat], states[count:]
            both = hasattr(layer, "forward_layer")
            given["initial_state"] = []
            for loop in [layer.forward_layer, layer.backward_layer] if both else [layer]:
                like = loop.get_initial_state(1)  # RNN with several cells nests its states
                count = len(keras.tree.flatten(like))
                given["initial_state"] += keras.tree.pack_sequence_as(like, arrays[:count])
                arrays = arrays[count:]
        yield given


def _variables(case: Case, layers: Sequence[Any]) -> dict[str, Any]:
    """Return Keras's variables by rnncli's paths; both are in Keras's order."""
    paths = case.stack.weight_shapes(case.inputs.shape)
    variables = [variable for layer in layers for variable in layer.trainable_weights]
    return dict(zip(paths, variables, strict=True))


def informative_line(error: Exception) -> str:
    """Return the first informative line of the error.

    Omits the line in which Keras names the call, and the codes for bold text.
    """
    text = re.sub(r"\x1b\[\d*m|\{\{.*?\}\} ?| \[Op:\w+\] name: *", "", str(error))
    lines = [line for line in text.splitlines() if line.strip()] or [type(error).__name__]
    return lines[1 if lines[0].startswith("Exception encountered") and len(lines) > 1 else 0].strip()
