"""A graph evaluated by layers of Keras 3, made of its nodes' configs and weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from rnncli.inputs.formats import Source
from rnncli.models.graph import Graph, Node, Ref
from rnncli.models.keras import reader as reader


def read(path: Path) -> Graph:
    graph = reader.read(Source(path.name, path=path))
    assert graph is not None
    return graph


def evaluated(graph: Graph, inputs: dict[str, Any]) -> list[np.ndarray]:
    import keras

    from rnncli.compute.engines.tensorflow import _hard_sigmoid_of_keras_2

    _hard_sigmoid_of_keras_2(keras)
    values: dict[str, Any] = {
        port.name: keras.ops.convert_to_tensor(inputs[port.name], port.dtype) for port in graph.inputs
    }
    layers: dict[str, Any] = {}
    for node in graph.nodes:
        if node.name in values:
            continue
        args = [filled(item, values) for item in node.args]
        kwargs = {key: filled(item, values) for key, item in node.kwargs.items()}
        if (
            graph.generation == 2
            and "initial_state" in kwargs
            and "mask" not in kwargs
            and hasattr(args[0], "_keras_mask")
        ):
            kwargs["mask"] = args[0]._keras_mask  # Keras 2 gives it, Keras 3 would not
        kwargs.pop("name", None)
        if node.class_name == "Identity" and "mask" in kwargs:
            values[node.name] = [keras.ops.copy(args[0])]
            values[node.name][0]._keras_mask = kwargs["mask"]
            continue
        layer = layers.get(node.layer)
        if layer is None:
            layer = layers[node.layer] = made(keras, node)
            result = layer(*args, **kwargs)
            if node.weights:
                fill(layer, node)
        result = layer(*args, **kwargs)
        if graph.generation == 2 and node.class_name in ("Add", "Concatenate"):
            set_mask(keras, result, args[0], node)
        values[node.name] = list(result) if isinstance(result, (list, tuple)) else [result]
    return [np.asarray(filled(ref, values)) for ref in graph.outputs]


def set_mask(keras: Any, result: Any, inputs: list[Any], node: Node) -> None:
    """As Keras 2 merged masks: with and, where Keras 3 has or."""
    from keras.src.backend import get_keras_mask, set_keras_mask

    masks = [None if get_keras_mask(x) is None else np.asarray(get_keras_mask(x)) for x in inputs]
    if all(mask is None for mask in masks):
        return
    together = np.logical_and.reduce([mask for mask in masks if mask is not None])
    if node.class_name == "Concatenate":
        assert node.config["axis"] in (-1, 2)
    set_keras_mask(result, keras.ops.convert_to_tensor(together))


def made(keras: Any, node: Node) -> Any:
    if ".ops." in node.module:
        import importlib

        made = getattr(importlib.import_module(node.module), node.class_name)
        return made(**{key: value for key, value in node.config.items() if key != "name"})
    if node.class_name == "TFOpLambda":
        import tensorflow as tf

        found: Any = tf
        if node.config["function"] == "__operators__.add":
            return lambda x, y: x + y
        for part in node.config["function"].split("."):
            found = getattr(found, part)
        return found
    if node.class_name == "SlicingOpLambda":
        return lambda x, slice_spec: x[slice_spec]
    entry = {"module": "keras.layers", "class_name": node.class_name, "config": named(node.config)}
    return keras.layers.deserialize(entry)


def named(config: Any) -> Any:
    """The old hard_sigmoid as the object that is registered."""
    if isinstance(config, dict):
        return {key: named(value) for key, value in config.items() if key != "written"}
    if isinstance(config, list):
        return [named(item) for item in config]
    if config == "hard_sigmoid_keras2":
        return {
            "module": "rnncli",
            "class_name": "function",
            "config": "rnncli>hard_sigmoid_keras2",
            "registered_name": "rnncli>hard_sigmoid_keras2",
        }
    return config


def fill(layer: Any, node: Node) -> None:
    """The names are held to those of Keras's own variables, where one level of names tells them apart."""
    if hasattr(getattr(layer, "layer", None), "layers"):  # a model in TimeDistributed
        for inner in layer.layer.layers:
            start = f"layer/{inner.name}/"
            inner.set_weights([array for name, array in node.weights.items() if name.startswith(start)])
        return
    names = [variable.name for variable in layer.weights]
    if len(set(names)) == len(names):
        assert names == [name.rpartition("/")[2] for name in node.weights]
    layer.set_weights(list(node.weights.values()))


def filled(value: Any, values: dict[str, Any]) -> Any:
    if isinstance(value, Ref):
        held = values[value.node]
        return held[value.tensor] if isinstance(held, list) else held
    if isinstance(value, (list, tuple)):
        return type(value)(filled(item, values) for item in value)
    return value
