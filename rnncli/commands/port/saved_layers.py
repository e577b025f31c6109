"""The layer of a whole model, with the options that its file says and its weights in Keras's layout."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import NamedTuple

from rnncli.case import Array, Spec
from rnncli.errors import InputError, LayerError, Message, Text, format_names, inside
from rnncli.frameworks import GATES
from rnncli.inputs.source import Source, split_source
from rnncli.models import reading
from rnncli.models.graph import Graph, Node, Program, model_option
from rnncli.models.keras.choice import INPUT
from rnncli.models.layer_cases import spec_of
from rnncli.specs import describe

ONE_LAYER = "port explains a single SimpleRNN, LSTM or GRU, alone or inside Bidirectional."
NAME_LAYER = "Name one of these with {--layer}, and choose its weights with FILE#layer."


class DescribedLayer(NamedTuple):
    """A layer that its file describes.  notes: on the parts of a whole model that are left out."""

    spec: Spec
    weights: Mapping[str, Array]
    notes: tuple[Text, ...]


def read_described(source: Source) -> DescribedLayer | None:
    """Return the layer of a whole model, by its config or its node; None for a file without a graph.

    Raises InputError if the model has no such layer or several, or if rnncli cannot compute it; EngineError.
    """
    source, names = split_source(source)
    if source.suffix != ".onnx" and not _is_keras(source):
        return None
    contents = reading.read(source, or_layers=True)
    if not isinstance(contents, Graph):
        return None
    with inside(source.name):
        node = _choose_node(contents, names)
        if isinstance(contents, Program) and node.name in contents.refusals:
            raise InputError(
                "{node}: rnncli does not compute it: {reason}.",
                "Choose a different node after a #.",
                node=node.name,
                reason=contents.refusals[node.name],
            )
        if not node.weights:
            raise InputError(
                "{node}: its weights are not in the file; the graph computes them.",
                "Run the graph with its own input: {option}",
                node=node.name,
                option=model_option(contents.file, [node.name]),
            )
        spec = require_explained(spec_of(node))
    return DescribedLayer(spec, node.weights, _note_left_out(contents, node))


def _is_keras(source: Source) -> bool:
    """Return whether it is a file of Keras that may hold a graph."""
    weights_alone = str(source.name).lower().endswith(".weights.h5")
    return not weights_alone and source.suffix in (".keras", ".h5", ".hdf5")


def _choose_node(graph: Graph, names: tuple[str, ...]) -> Node:
    """Return the recurrent layer with this name, without a name the only layer."""
    nodes = {node.name: node for node in graph.recurrent_nodes}
    if not nodes:
        raise graph.explain_none()
    chosen = [node for name, node in nodes.items() if not names or {*node.names} & {*names}]
    if not chosen:
        raise InputError(
            "there is no recurrent layer {name!r} in it; it has {known}.",
            "Choose a layer: {file}#{first}",
            name=",".join(names),
            known=format_names(list(nodes)),
            file=shlex.quote(graph.file),
            first=next(iter(nodes)),
        )
    if len({node.layer for node in chosen}) > 1:
        raise InputError(
            "there are {count} layers in it: {named}.",
            "port explains one: choose it with FILE#{first}, and give its own input and output.",
            count=len(chosen),
            named=format_names([node.name for node in chosen]),
            first=chosen[0].name,
        )
    return chosen[0]


def _note_left_out(graph: Graph, node: Node) -> tuple[Text, ...]:
    """Return a note if something stands before the layer in the model."""
    names = [other.name for other in graph.nodes]
    if isinstance(graph, Program):  # whose nodes do not say what they depend on
        before = set(names[: names.index(node.name)])
    else:
        before = graph.find_dependencies({node.name}) - {node.name}
    if all(other.class_name == INPUT for other in graph.nodes if other.name in before):
        return ()
    return (
        Message(
            "{file} is a whole model: its masks, and what stands before {layer}, are left out; "
            "with them: {option}",
            file=graph.file,
            layer=node.name,
            option=model_option(graph.file, [node.name]),
        ),
    )


def require_explained(spec: Spec) -> Spec:
    """Return the layer.  Raises LayerError if it is not one that port explains."""
    if spec.class_name not in (*GATES, "Bidirectional") or spec.inner.class_name not in GATES:
        raise LayerError(ONE_LAYER, NAME_LAYER)
    backward = spec.config.get("backward_layer")
    if spec.class_name == "Bidirectional" and (
        spec.inner.config["go_backwards"] or (backward and _options(backward) != _options(spec.inner))
    ):
        raise LayerError(
            "port explains two directions only if they have the same options, and {spec} has different ones.",
            "Explain each direction alone, with its own weights and what it returned.",
            spec=describe(spec),
        )
    return spec


def without_returns(spec: Spec) -> Spec:
    """Return the layer without the options that change what it returns, or only training."""
    for name in ("return_sequences", "return_state", "stateful"):
        spec = spec.with_option(name, False)
    for name in ("dropout", "recurrent_dropout"):
        spec = spec.with_option(name, 0.0)
    return spec


def _options(layer: Spec) -> dict[str, object]:
    """Return the options that decide what a layer computes from given weights."""
    names = ("units", "activation", "recurrent_activation", "use_bias", "reset_after", "zero_output_for_mask")
    return {"class": layer.class_name, **{name: layer.config.get(name) for name in names}}
