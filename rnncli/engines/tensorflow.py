"""The truth: real Keras layers on TensorFlow, made, seeded and called as a script would."""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rnncli.case import Case, Spec, walk
from rnncli.engines import About, Computed
from rnncli.engines._quiet import quiet
from rnncli.errors import EngineError
from rnncli.layers.stack import Stack

if TYPE_CHECKING:
    from rnncli.case import Array

ABOUT = About(("tensorflow", "keras"), "real Keras layers, the reference for the others")


def refusal(case: Case) -> str | None:
    """Why Keras cannot compute this; None where it can."""
    for spec in (inner for outer in case.layers for inner in walk(outer)):
        drawn = [value.class_name if isinstance(value, Spec) else value for value in spec.config.values()]
        orthogonal = any(isinstance(name, str) and name.casefold().startswith("orthogonal") for name in drawn)
        if spec.config.get("dtype") == "bfloat16" and orthogonal:
            return (
                "TensorFlow draws no orthogonal matrix in bfloat16; "
                "take another one, such as --recurrent-initializer glorot_uniform"
            )
    return None


def opened(case: Case, weights: Mapping[str, Array], seeds: Mapping[str, int]) -> Callable[[Case], Computed]:  # noqa: ARG001
    """The layers of `case`, made and built once; what comes back calls them.

    weights: those that Keras shall not draw from the seed itself.  seeds: Keras takes its own.
    Raises EngineError where Keras refuses or fails.
    """
    with ready(case, weights) as (keras, layers):
        variables = _variables(case, layers)
        used = {path: variable.numpy() for path, variable in variables.items()}

    def call(one: Case) -> Computed:
        calls: list[tuple[tuple[Array, ...], ...]] = []
        with _guarded():
            for _ in range(one.calls):
                if not one.all_calls:
                    calls.clear()
                calls.append(tuple(called(keras, one, layers)))
        return Computed(calls[-1], used, earlier=tuple(calls[:-1]))

    return call


@contextmanager
def ready(case: Case, weights: Mapping[str, Array]) -> Iterator[tuple[Any, list[Any]]]:
    """Keras, and the layers with their weights; what goes wrong in the block is an EngineError."""
    with _guarded():
        keras = _keras()
        keras.utils.set_random_seed(case.seed)
        layers = _built(keras, case)
        variables = _variables(case, layers)
        for path, values in weights.items():
            variables[path].assign(values)
        yield keras, layers


@contextmanager
def _guarded() -> Iterator[None]:
    """No noise, and no error of Keras's own."""
    try:
        with quiet():
            yield
    except EngineError:
        raise
    except Exception as error:
        raise EngineError(
            f"Keras failed: {_first_line(error)}", "See rnncli engines for the versions."
        ) from error


def _keras() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
    try:
        import keras
    except ImportError as error:
        raise EngineError(
            f"the engine tensorflow is not here: {_first_line(error)}", "pip install tensorflow keras"
        ) from error
    if keras.backend.backend() != "tensorflow":
        raise EngineError(
            f"Keras runs on {keras.backend.backend()} in this process.",
            "Start one with KERAS_BACKEND=tensorflow.",
        )
    return keras


def _built(keras: Any, case: Case) -> list[Any]:
    """The Keras layers, all made before the first is built, as in a script."""
    layers = [_made(keras, spec) for spec in case.layers]
    for layer, (_, shape) in zip(layers, Stack(case.layers).input_shapes(case.inputs.shape), strict=True):
        layer.build(shape)
    return layers


def _made(keras: Any, spec: Spec) -> Any:
    """The Keras object of a spec; what stands inside it is made first, in the order it is written in."""
    arguments = {name: _argument(keras, name, value) for name, value in spec.config.items()}
    module = keras.layers if hasattr(keras.layers, spec.class_name) else keras.initializers
    return getattr(module, spec.class_name)(**arguments)


def _argument(keras: Any, name: str, value: Any) -> Any:
    if value == "probe" and name.endswith("_initializer"):
        return "zeros"
    if isinstance(value, Spec) and name.endswith("_initializer") and value.deferred:
        return {"class_name": value.class_name, "config": dict(value.config)}
    if isinstance(value, Spec):
        return _made(keras, value)
    return [_argument(keras, "", item) for item in value] if isinstance(value, tuple) else value


def called(keras: Any, case: Case, layers: Sequence[Any]) -> list[tuple[Array, ...]]:
    """Every layer's tensors of one call, first to last."""
    returned: list[tuple[Array, ...]] = []
    x = keras.ops.convert_to_tensor(case.inputs)
    for layer, given in zip(layers, arguments(keras, case, layers), strict=True):
        tensors = keras.tree.flatten(layer(x, **given))
        returned.append(tuple(keras.ops.convert_to_numpy(tensor) for tensor in tensors))
        x = tensors[0]
    return returned


def arguments(keras: Any, case: Case, layers: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """What each layer is called with beside its inputs: training, the mask, its initial states."""
    states: Sequence[Array] = case.initial_state or ()
    mask = None if case.mask is None else keras.ops.convert_to_tensor(case.mask)
    for ours, layer in zip(Stack(case.layers).layers, layers, strict=True):
        takes = inspect.signature(layer.call).parameters
        given: dict[str, Any] = {"training": case.training} if "training" in takes else {}
        if mask is not None and "mask" in takes:
            given["mask"], mask = mask, None
        count = len(ours.states(case.inputs.shape))
        if states and count:
            parts, states = states[:count], states[count:]
            given["initial_state"] = _packed(keras, layer, parts)
        yield given


def _packed(keras: Any, layer: Any, parts: Sequence[Array]) -> Any:
    """States in the form in which this layer takes them; RNN of several cells nests them."""
    arrays = [keras.ops.convert_to_tensor(part) for part in parts]
    both = [layer.forward_layer, layer.backward_layer] if hasattr(layer, "forward_layer") else [layer]
    packed: list[Any] = []
    for one in both:
        like = one.get_initial_state(1)
        count = len(keras.tree.flatten(like))
        packed += keras.tree.pack_sequence_as(like, arrays[:count])
        arrays = arrays[count:]
    return packed


def _variables(case: Case, layers: Sequence[Any]) -> dict[str, Any]:
    """Keras's variables by our paths; both stand in Keras's order."""
    paths = Stack(case.layers).weight_shapes(case.inputs.shape)
    variables = [variable for layer in layers for variable in layer.trainable_weights]
    return dict(zip(paths, variables, strict=True))


def _first_line(error: Exception) -> str:
    """What went wrong, without the call that Keras names first and the bold letters around it."""
    text = re.sub(r"\x1b\[\d*m|\{\{.*?\}\} ?| \[Op:\w+\] name: *", "", str(error))
    lines = [line for line in text.splitlines() if line.strip()] or [type(error).__name__]
    return lines[1 if lines[0].startswith("Exception encountered") and len(lines) > 1 else 0].strip()
