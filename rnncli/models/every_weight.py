"""Every weight of a model in Keras's layout, also of layers that are not recurrent."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np

from rnncli.models.graph import Graph, Modules, Program
from rnncli.models.weight_files.model import find_embeddings
from rnncli.values import Array

if TYPE_CHECKING:
    from rnncli.inputs.source import Source

LayerWeights = dict[str, dict[str, Array]]
"""The weights of each layer: `{"dense": {"kernel": ..., "bias": ...}}`."""
TORCH_ROLES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
}
"""Keras's names of the weights of PyTorch's normalization layers."""


def weights_of(contents: Graph | Modules, source: Source) -> LayerWeights:
    """Return every weight.

    source: the file, which is read again if it has no graph: `contents` has only its recurrent layers.
    """
    if isinstance(contents, Program):
        from rnncli.models.onnx.summary import other_weights

        nodes = {node.name: dict(node.weights) for node in contents.recurrent_nodes if node.weights}
        return {**nodes, **other_weights(contents)}
    if isinstance(contents, Graph):
        return _of_graph(contents)
    from rnncli.models.weight_files.readers import read_numbers

    return of_modules(contents, read_numbers(source, contents.other_shapes))


def _of_graph(graph: Graph) -> LayerWeights:
    """Return the weights of each layer once, also of layers that are used several times."""
    layers: LayerWeights = {}
    for node in graph.nodes:
        name = node.names[1]
        if node.inner is not None:
            layers |= {f"{name}/{inner}": weights for inner, weights in _of_graph(node.inner).items()}
        elif node.weights:
            layers[name] = dict(node.weights)
    return layers


def of_modules(contents: Modules, others: Mapping[str, Array]) -> LayerWeights:
    """Return the recurrent layers, and the other arrays by layer.  others: by name, `head.weight`."""
    layers = {node.name: dict(node.weights) for node in contents.recurrent_nodes}
    by_layer: LayerWeights = {}
    for name, array in others.items():
        layer = name[: max(name.rfind("/"), name.rfind("."), 0)]
        by_layer.setdefault(layer, {})[name[len(layer) :].lstrip("./") if layer else name] = array
    tables = find_embeddings(contents)
    for layer, weights in by_layer.items():
        is_table = any(f"{layer}{sign}weight" in tables for sign in "./")
        layers.setdefault(layer, {}).update(to_keras(weights, is_table=is_table))
    return layers


def to_keras(weights: Mapping[str, Array], *, is_table: bool = False) -> dict[str, Array]:
    """Return the weights of a layer of PyTorch in Keras's layout; of any other layer, as they are.

    is_table: whether a weight of two axes is that of an Embedding.
    """
    weight = weights.get("weight")
    if weight is None:
        return dict(weights)
    if weight.ndim == 1:
        return {TORCH_ROLES.get(name, name): array for name, array in weights.items()}
    # Linear and convolutions have the outputs first, then the features, then the axes of the window.
    kernel = weight if is_table else np.moveaxis(weight, (0, 1), (-1, -2))
    role = "embeddings" if is_table else "kernel"
    return {role if name == "weight" else name: kernel if name == "weight" else array
            for name, array in weights.items()}  # fmt: skip


def choose_layers(layers: LayerWeights, names: Collection[str]) -> LayerWeights:
    """Return the layers with these names or paths; without names, all layers."""
    if not names:
        return layers
    paths = tuple(f"{name}{sign}" for name in names for sign in ("/", ".", "_l"))
    return {name: weights for name, weights in layers.items() if name in names or name.startswith(paths)}
