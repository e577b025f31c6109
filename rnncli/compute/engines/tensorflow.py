"""The reference engine: real Keras layers on TensorFlow, created, seeded and called as in a script."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from typing import Any

from rnncli.compute.engines import EngineOutput, repeat
from rnncli.errors import EngineError, Message, Text, join
from rnncli.layers import beyond_keras
from rnncli.layers.case import Case
from rnncli.layers.recurrent import BEYOND_KERAS
from rnncli.process.isolation import isolated
from rnncli.values import Array, Spec, sizes, walk

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
        from rnncli.compute.engines._keras_cell import make_cell

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
