"""Which layers of a graph can be chosen, computed and shown, and what to advise where one cannot."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rnncli.errors import Message, RnncliError, Text
from rnncli.layers import plain
from rnncli.layers.layer import RATES
from rnncli.layers.plain import UnknownLayerError
from rnncli.models.graph import Graph, Node, choose_layers, is_recurrent_class, mappings, model_option
from rnncli.models.layer_cases import spec_of
from rnncli.specs import describe
from rnncli.values import format_shape

INPUT = "InputLayer"
REBUILD = Message("Rebuild the model without it, copy the weights, and save it again.")

_RATES = (*RATES, "stddev")
"""Options of dropout and noise, which layers apply in training."""
_RANDOM = ("Random", "RandAugment", "AugMix", "MixUp", "CutMix")


def note_containers(graph: Graph) -> tuple[Text, ...]:
    """Return one note for each layer that contains recurrent layers without being one."""
    return tuple(
        Message(
            "{name} ({class_name}) contains recurrent layers that are not shown.",
            name=node.name,
            class_name=node.class_name,
        )
        for node in graph.nodes
        if _is_container(node)
    )


def explain_hidden(graph: Graph) -> dict[str, Text]:
    """Return the layers of Keras that have or may have recurrent weights but are not recurrent, and why."""
    hidden: dict[str, Text] = {}
    for node in graph.nodes if graph.kind == "keras" else ():
        if _is_container(node):
            hidden[node.layer] = Message("recurrent layers inside another layer are not read")
        elif node.weights and not plain.keras_may_know(node.class_name, node.module):
            hidden[node.layer] = Message(
                "{class_name} is not a class of Keras; it may have recurrent weights",
                class_name=node.class_name,
            )
    return hidden


def _is_container(node: Node) -> bool:
    return not node.is_recurrent and any(
        "config" in entry and isinstance(name := entry.get("class_name"), str) and is_recurrent_class(name)
        for entry in mappings(node.config)
    )


def masking_layers(graph: Graph, masks: Iterable[Any]) -> tuple[str, ...]:
    """Return the layers that make masks; none if no recurrent layer gets one.  masks: what the layers get."""
    if all(mask is None for mask in masks):
        return ()
    return tuple(node.name for node in graph.nodes if node.makes_mask)


def require_one_use(graph: Graph, node: Node) -> None:
    """Raise UnknownLayerError for a stateful layer that is used more than once."""
    if graph.shares_state(node):
        raise node.refuse("is stateful and used more than once")


def computes_here(node: Node) -> bool:
    """Return whether a recurrent layer computes in float32 or float64, so that its numbers are known here."""
    return all(plain.dtype_of(config.get("dtype") or "float32") for config in (node.config, node.core_config))


def runnable_layers(graph: Graph) -> list[str]:
    """Return the recurrent layers that depend on no layer which neither NumPy nor Keras can compute.

    A custom cell cannot be computed either.
    """
    unknown = {
        node.name for node in _unknown_nodes(graph) if not plain.keras_may_know(node.class_name, node.module)
    }
    unknown |= {node.name for node in graph.recurrent_nodes if not computes_here(node) or own_cell_name(node)}
    return _layers_without(graph, unknown)


def independent_layers(graph: Graph, unknown: str, wanted: Collection[str] = ()) -> list[str]:
    """Return the recurrent layers that depend neither on this node nor on other unknown layers.

    wanted: the requested layers; other layers are returned only if no requested layer can be computed: a run
        may have refused them already, for an option that only a run finds.
    """
    free = _layers_without(graph, {unknown, *(node.name for node in _unknown_nodes(graph))})
    return [name for name in free if name in wanted] or free


def _unknown_nodes(graph: Graph) -> Iterator[Node]:
    for node in graph.nodes:
        always = node.is_recurrent or node.class_name == INPUT
        known = always or plain.is_known(node.class_name, node.module)
        if not known or graph.shares_state(node):
            yield node


def _layers_without(graph: Graph, broken: set[str]) -> list[str]:
    return [node.name for node in graph.recurrent_nodes if not broken & graph.find_dependencies({node.name})]


def name_cause(
    graph: Graph, node: Node, error: UnknownLayerError, wanted: Collection[str] = ()
) -> UnknownLayerError:
    """Return the error that a node depends on an unknown layer, with the layers that can still be run.

    wanted: the requested layers.
    """
    what: Text = error.sentence
    if error.layer != node.name:
        what = Message(
            "{name} ({class_name}) depends on a layer that rnncli cannot compute: {reason}",
            name=node.name,
            class_name=node.class_name,
            reason=what,
        )
    free = independent_layers(graph, error.layer, wanted)
    advice = advise_alone(graph, node) if node.is_recurrent else ""
    advice = advice or error.advice or REBUILD
    if free and (not wanted or not {*free}.isdisjoint(wanted)):
        advice = Message(
            "To run the layers that do not depend on it: {option}", option=model_option(graph.file, free)
        )
    return UnknownLayerError(error.layer, what, advice)


def require_inference(graph: Graph, layers: Sequence[str]) -> None:
    """Raise UnknownLayerError if a requested layer depends on a layer that training changes.

    layers: names of the requested layers; empty for all.
    """
    chosen, changed = choose_layers(graph, layers), find_training(graph)
    for node in graph.nodes:
        if node.name in chosen and node.name in changed:
            raise name_cause(graph, node, changed[node.name], chosen)


def find_training(graph: Graph) -> dict[str, UnknownLayerError]:
    """Return the nodes whose output training changes, and all that depend on them, each with the error."""
    errors: dict[str, UnknownLayerError] = {}
    for node in graph.nodes:
        above = (errors[ref.node] for ref in node.refs if ref.node in errors)
        error = refuse_training(node) or next(above, None)
        if error is not None:
            errors[node.name] = error
    return errors


def refuse_training(node: Node) -> UnknownLayerError | None:
    """Return the error for a node that is always called with training=True, if that changes its output."""
    if node.kwargs.get("training") is not True:
        return None
    inner = node
    while inner.class_name == "TimeDistributed" and inner.inner is None:
        inner = inner.inside
    if inner.class_name == "BatchNormalization":
        return node.refuse("is called with training=True, which takes the statistics of the batch")
    rates = [part.get(rate) for part in mappings(inner.config) for rate in _RATES]
    if inner.class_name.startswith(_RANDOM) or any(rates):
        return node.refuse("is called with training=True, which draws random numbers")
    return None


def for_training(graph: Graph, generation: int) -> Graph:
    """Return a model that is called with training=True.

    generation: the generation of Keras, 2 or 3; in Keras 2, a node's own training argument takes precedence.
    """
    nodes = (
        replace(node, kwargs={**node.kwargs, "training": True})
        if generation >= 3 or node.kwargs.get("training") is None
        else node
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))


def note_omissions(causes: Mapping[str, RnncliError]) -> Iterator[Text]:
    """Yield one note for each layer that cannot be shown, with the layers that depend on it.

    causes: the causes, by the names of all of these layers.
    """
    for what in dict.fromkeys(error.sentence for error in causes.values()):
        names = [name for name, error in causes.items() if error.sentence == what]
        yield Message("skipped {names}: {what}", names=", ".join(names), what=what)


HALF = ("float16", "bfloat16")
"""Dtypes in which a described layer computes what Keras computes, and a model is not run."""
CELL_FILE = "@cell.toml"
CELLS = ("LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells", "ConvLSTMCell", "ConvLSTM2DCell")
"""Keras's cells."""
_RNN_OPTIONS = ("return_sequences", "return_state", "go_backwards", "stateful", "zero_output_for_mask")
"""The options of RNN that a layer of a cell file has."""


def advise_alone(graph: Graph, node: Node) -> Text:
    """Return the command that runs a recurrent layer alone; "" for a layer that no expression describes."""
    name = own_cell_name(node)
    try:
        spec = spec_of(_plain_node(node))
    except UnknownLayerError:
        return ""
    layer = describe(spec)
    if name:
        layer = layer.replace("SimpleRNN(", f"{CELL_FILE}(")
    dtype = half_dtype(node)
    file = f"{graph.file}#{node.layer.rpartition('/')[2]}"  # in a model inside the model
    words = [
        "rnncli",
        "run",
        "INPUT",
        "--weights",
        file,
        "--layer",
        layer,
        *(["--dtype", dtype] if dtype else []),
    ]
    kernels = (array for path, array in node.weights.items() if path.rpartition("/")[2] == "kernel")
    features = next((array.shape[0] for array in kernels if array.ndim == 2), "features")
    shape = format_shape(("batch", "timesteps", features))
    fields = {"command": shlex.join(words), "shape": shape, "name": name}
    if name:
        return Message(
            "Give its class with {--custom-objects FILE.py} to see what it returns. To see its gates, write "
            "the equations of {name} in cell.toml (rnncli samples mgu > cell.toml is an example), its "
            "weights in the order of get_weights(), and give the layer its own input, {shape}: {command}",
            **fields,
        )
    if any(other.makes_mask for other in graph.nodes):
        return Message(
            "To run this layer alone, give its own input, {shape}, and its mask with {--mask}: {command}",
            **fields,
        )
    return Message("To run this layer alone, give its own input, {shape}: {command}", **fields)


def own_cell_name(node: Node) -> str:
    """Return the class of a cell that is not Keras's, which the layer runs; else ""."""
    cell = node.core_config.get("cell")
    if not isinstance(cell, Mapping):
        return ""
    name = str(cell.get("class_name"))  # a class of a script or a notebook has no module in the file
    is_known = name in CELLS and plain.keras_may_know(name, cell.get("module"))
    return "" if is_known else name.rpartition(">")[2]


def half_dtype(node: Node) -> str:
    """Return the half precision in which the layer computes, also of a mixed policy; else ""."""
    for config in (node.core_config, node.config):
        policy = config.get("dtype")
        if isinstance(policy, Mapping):
            policy = (policy.get("config") or {}).get("name")
        dtype = str(policy).removeprefix("mixed_")
        if dtype in HALF:
            return dtype
    return ""


def _plain_node(node: Node) -> Node:
    from dataclasses import replace

    units = (node.core_config.get("cell") or {}).get("config", {}).get("units")

    def rewrite(tree: Any) -> Any:
        if isinstance(tree, Mapping):
            if tree.get("class_name") == "RNN" and own_cell_name(node):
                kept = {name: tree["config"][name] for name in _RNN_OPTIONS if name in tree["config"]}
                return {"class_name": "SimpleRNN", "config": {"units": units, **kept}}
            return {key: rewrite(value) for key, value in tree.items() if key != "dtype"}
        return [rewrite(value) for value in tree] if isinstance(tree, (list, tuple)) else tree

    whole = rewrite({"class_name": node.class_name, "config": node.config})
    return replace(node, class_name=whole["class_name"], config=whole["config"])
