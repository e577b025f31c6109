"""The layers of a live Keras model: of its graph, if its config has one; else all that it holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from rnncli.errors import Message, Text, format_names
from rnncli.models.graph import Graph, ModelInput
from rnncli.models.inputs import fit_shape
from rnncli.models.keras.model import summarize_graph as summarize_graph
from rnncli.models.keras.reader import graph_of
from rnncli.models.live.keras_held import Held, find_layers
from rnncli.models.live.keras_layers import describe, is_recurrent
from rnncli.models.summary import LayerRow, Summary, TensorRow, WeightCounter, class_text
from rnncli.values import Array, Shape


def summarize(model: Any, given: Any, _call: Callable[[], object]) -> Summary:
    """Return every layer; the model is not called.  given: the input, which says the free sizes."""
    title, origin = type(model).__name__, f"Keras {keras.__version__}"
    if graph := _graph(model):
        shapes = _shapes(given, [wanted.name for wanted in graph.inputs])
        for wanted in graph.inputs:
            if wanted.name in shapes:
                _require_shape(wanted, shapes[wanted.name])
        summary = summarize_graph(graph, shapes)
        kept = _count_optimizer(model)
        return replace(summary, origin=origin, notes=(), name=title, optimizer_parameters=kept)
    if is_recurrent(model) and given is not None and (built := _input_shape(model)):
        sizes = ("batch", *(None for _ in built[1:-1]), built[-1])
        _require_shape(ModelInput("input", sizes, model.compute_dtype), tuple(np.shape(given)))
    notes: tuple[Text, ...] = ()
    if unbuilt := [entry.name for entry in find_layers(model) if not entry.layer.built]:
        notes = (Message("not built yet, so without weights: {names}", names=format_names(unbuilt)),)
    return Summary("", origin, (), tuple(_rows(model)), None, notes, title, _count_optimizer(model))


def _count_optimizer(model: Any) -> int:
    """Return how many numbers the optimizer of a compiled model keeps; 0 before its first step."""
    optimizer = getattr(model, "optimizer", None) if getattr(model, "compiled", False) else None
    if not getattr(optimizer, "built", False):
        return 0
    return sum(int(np.prod(variable.shape)) for variable in getattr(optimizer, "variables", ()))


def _graph(model: Any) -> Graph | None:
    if not isinstance(model, (keras.Sequential, keras.Function)):
        return None
    arrays: dict[int, Array] = {}

    def array(weight: Any) -> Array:
        """Return an array of its shape, without its numbers; the same array for a shared weight."""
        return arrays.setdefault(id(weight), np.broadcast_to(np.float32(0), weight.shape))

    layers = {
        layer.name: [
            (weight.path, array(weight))
            for weight in (*layer.trainable_weights, *layer.non_trainable_weights)
        ]
        for layer in model.layers
    }
    with suppress(Exception):  # of a layer of the user's own, whose config cannot be written
        kind = "Sequential" if isinstance(model, keras.Sequential) else "Functional"
        config = json.loads(json.dumps(model.get_config(), default=str))
        return graph_of({"class_name": kind, "config": config}, layers)
    return None


def _shapes(given: Any, names: list[str]) -> dict[str, Shape]:
    if given is None:
        return {}
    named = given if isinstance(given, Mapping) else dict(zip(names, [given], strict=False))
    if isinstance(given, (list, tuple)) and len(given) == len(names) > 1:
        named = dict(zip(names, given, strict=True))
    return {name: tuple(np.shape(value)) for name, value in named.items() if name in names}


def _require_shape(model_input: ModelInput, shape: Any) -> None:
    """Unlike a file, whose batch axis may be left out, the object is called with the input as it is."""
    if model_input.shape is not None:
        fit_shape(model_input, (None, *model_input.shape[1:]), np.broadcast_to(np.float32(0), shape))


def _rows(model: Any) -> Iterator[LayerRow]:
    """The layers inside others come first: they count the weights that both have."""
    counter, layers = WeightCounter(), find_layers(model)
    wholes = keras.layers.Wrapper, keras.layers.MultiHeadAttention
    owners = {id(owner) for entry in layers for owner in entry.owners}
    around: list[Held] = []
    for entry in layers:
        if any(is_recurrent(owner) or isinstance(owner, wholes) for owner in entry.owners):
            continue
        if entry.is_outermost or id(entry.layer) not in owners:
            yield _row(entry, counter)
        else:
            around.append(entry)
    rows = (_row(entry, counter) for entry in reversed(around))
    yield from (row for row in rows if row.parameters)


def _row(entry: Held, counter: WeightCounter) -> LayerRow:
    layer, weights = entry.layer, list(entry.layer.weights)
    shape, recurrent, spec = _input_shape(layer), is_recurrent(layer), None
    names = [weight.name for weight in weights]
    if recurrent and shape is not None and len(shape) == 3:
        stack = describe(layer, shape, training=False).stack
        if stack is not None:
            spec, names = stack[0], list(stack.weight_shapes(shape))
    frozen = {id(weight) for weight in layer.non_trainable_weights}
    config: Mapping[str, Any] = {}
    with suppress(Exception):  # a layer of the user's own may have no config
        config = layer.get_config()
    return LayerRow(
        name=entry.name,
        class_name=class_text(type(layer).__name__, config),
        inputs=None,
        outputs=tuple(_outputs(entry.name, layer, shape)),
        weights=counter.rows(
            zip(names, weights, strict=True),
            frozen=[title for title, weight in zip(names, weights, strict=True) if id(weight) in frozen],
        ),
        recurrent=recurrent,
        spec=spec,
        input_shape=shape,
    )


def _input_shape(layer: Any) -> Any:
    with suppress(Exception):
        built = layer.get_build_config()  # of a layer that was called with initial states, several shapes
        sizes = tuple(built.get("input_shape") or built["shapes_dict"]["sequences_shape"])
        if all(size is None or isinstance(size, int) for size in sizes):
            return ("batch", *sizes[1:])
    return None


def _outputs(name: str, layer: Any, shape: Any) -> Iterator[TensorRow]:
    shapes: Any = None
    if shape is not None and type(layer).__module__.startswith("keras."):
        with suppress(Exception):
            shapes = layer.compute_output_shape((None, *shape[1:]))
    several = shapes if shapes and isinstance(shapes[0], (list, tuple)) else [shapes]
    for index, sizes in enumerate(several):
        title = f"{name}/output" if len(several) == 1 else f"{name}/output_{index}"
        yield TensorRow(title, None if sizes is None else ("batch", *sizes[1:]))
