"""Runs a Keras model in Keras itself, for layers that NumPy does not know; loads TensorFlow.

Keras, or tf_keras for a model of Keras 2, runs the model in the file.  The arguments of each recurrent layer
become its Case, and `compute` has to return the same outputs for that Case.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rnncli.case import Array
from rnncli.errors import EngineError, LayerError, Message, Text, inside
from rnncli.models import Compute, LayerUse, ModelRequest, ModelRun
from rnncli.models._advice import REBUILD, independent_layers, model_option, name_cause
from rnncli.models._framework_errors import UnrunnableError as UnrunnableError
from rnncli.models._framework_errors import convert_errors
from rnncli.models._layer_calls import (
    LayerCall,
    graph_of,
    list_calls,
    name_outputs,
    read_calls,
    record_calls,
)
from rnncli.models._recurrent_cases import build_layer_case, spec_of
from rnncli.models.graph import Graph, Node
from rnncli.models.keras import _keras_process, _tf_keras
from rnncli.models.keras._graph import (
    choose_nodes,
    is_recurrent,
    masking_layers,
    names_of,
    note_containers,
    require_one_use,
    rules_of,
    with_modules,
)
from rnncli.models.keras._keras_sizes import explain_error, limit_memory, require_room
from rnncli.models.keras._loadable import loadable
from rnncli.models.keras._training import changed_nodes, note_omissions
from rnncli.models.operations import TODAY, OperationCall, UnknownLayerError, dtype_of, is_operation, merging
from rnncli.process.isolation import isolated
from rnncli.result import Result
from rnncli.specs.text import describe

SAVE_AGAIN = Message("Save the model again with model.save('model.keras').")
TOLERANCE = 1e-4
"""Tolerance for outputs of order one."""


def run(graph: Graph, path: Path, request: ModelRequest, cause: str = "") -> ModelRun:
    """Run the model as `keras.run` does, with every layer up to the recurrent ones computed by Keras.

    path: the file that `graph` was read from.  cause: the node that NumPy cannot compute.
    Raises LayerError if Keras cannot load or run the model, or not as it was meant when it was saved;
    EngineError if rnncli's steps give different numbers than Keras.
    """
    graph = with_modules(graph)
    wanted = {node.name: node for node in choose_nodes(graph, request.layers)}
    for node in wanted.values():
        _require_one_dtype(graph, node)
        _require_one_use(graph, node)
    recorder = _record_in_keras_2 if graph.generation < 3 else _record_today
    try:
        seen = recorder(graph, path, request.inputs, tuple(wanted))
    except UnrunnableError as error:
        free = independent_layers(graph, {cause}, wanted)
        option = Message(
            "To run the layers that NumPy can compute: {option}", option=model_option(graph.file, free)
        )
        raise UnrunnableError(error.sentence, option if free else error.advice) from None
    missing = [name for name in wanted if name not in seen]
    if missing:
        called = [name for name in wanted if name in seen]
        advice = (
            Message("To run the others: {option}", option=model_option(graph.file, called))
            if called
            else SAVE_AGAIN
        )
        raise LayerError(
            "Keras did not call {missing} when it ran the model.", advice, missing=", ".join(missing)
        )
    parts = tuple(_part(graph, node, seen[name], request.compute) for name, node in wanted.items())
    changed = changed_nodes(graph) if request.everything else {}
    others = dict(_other_outputs(graph, seen, changed)) if request.everything else {}
    notes = (*note_omissions(changed), *note_containers(graph))
    return ModelRun(parts, others, notes, masking_layers(graph, parts), names_of(graph))


def record(
    graph: Graph, path: Path, inputs: Mapping[str, Array], wanted: Sequence[str] = ()
) -> dict[str, LayerCall]:
    """Return every call of every layer as arrays, by the name of the use in the graph, in Keras's order.

    wanted: the uses whose arguments are needed, too.
    Raises UnrunnableError if Keras cannot load or run the model.
    """
    with inside(graph.file), loadable(path) as file:
        return read_calls(_keras_process.call(f"{__name__}:record_here", file, inputs, wanted))


def record_here(file: Path, inputs: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Any]:
    """Return, in a process of its own, what `read_calls` reads."""
    import importlib

    tensorflow: Any = importlib.import_module("rnncli.compute.engines.tensorflow")
    with convert_errors(explain_error), isolated():
        keras = tensorflow._keras()
        with limit_memory(file, inputs):
            require_room(keras, file, inputs)
            return list_calls(_record_calls(keras, file, inputs), wanted)


def _record_calls(keras: Any, file: Path, inputs: Mapping[str, Array]) -> dict[str, LayerCall]:
    model = keras.saving.load_model(file, compile=False)
    tensors = [keras.ops.convert_to_tensor(inputs[tensor.name]) for tensor in model.inputs]
    packed = keras.tree.pack_sequence_as(graph_of(model).input, tensors)
    return record_calls(model, lambda: model(packed, training=False))


def _record_in_keras_2(
    graph: Graph, path: Path, inputs: Mapping[str, Array], wanted: Sequence[str]
) -> dict[str, LayerCall]:
    """Return the calls in tf_keras; without it, in today's Keras if that computes the same model."""
    if not _tf_keras.is_installed():
        try:
            return _record_today(graph, path, inputs, wanted)
        except UnrunnableError as error:
            what = Message(
                "{sentence} tf_keras runs models of Keras 2, and is not installed.", sentence=error.sentence
            )
            raise EngineError(what, "pip install tf_keras") from None
    return _tf_keras.record(graph, path, inputs, wanted)


def _record_today(
    graph: Graph, path: Path, inputs: Mapping[str, Array], wanted: Sequence[str]
) -> dict[str, LayerCall]:
    """Return the calls in today's Keras.  Raises UnrunnableError if that would pass on different masks."""
    _require_same_rules(graph)
    return record(graph, path, inputs, wanted)


def _part(graph: Graph, node: Node, call: LayerCall, compute: Compute) -> LayerUse:
    """Return the Case of the layer, computed and compared with Keras."""
    positional = ("mask",) if graph.generation < 3 else ("initial_state", "mask")
    kwargs = {**dict(zip(positional, call.args[1:], strict=False)), **call.kwargs}
    mask = kwargs.pop("mask", None)
    operation_call = OperationCall(
        config=node.config,
        weights=node.weights,
        inputs=call.args[0] if call.args else None,
        mask=mask,
        previous=mask,
        kwargs=kwargs,
        class_name=node.class_name,
        layer=node.name,
    )
    try:
        case = build_layer_case(node, operation_call)
    except UnknownLayerError as error:
        raise name_cause(graph, node, error) from None
    result = compute(case)
    _require_equal(graph, node, result, call.outputs)
    return LayerUse(node.name, case, result)


def _require_equal(graph: Graph, node: Node, result: Result, theirs: Sequence[Array]) -> None:
    """Raise EngineError if rnncli's numbers differ from Keras's."""
    import numpy as np

    for tensor, own in zip(result.outputs, theirs, strict=True):
        size = max(1.0, float(np.abs(own[np.isfinite(own)]).max(initial=0)))
        if not np.allclose(tensor.values, own, rtol=0, atol=TOLERANCE * size, equal_nan=True):
            largest = float(np.nanmax(np.abs(tensor.values - own)))
            same = rules_of(graph.origin) == TODAY or _tf_keras.is_installed()
            because = (
                "" if same else Message(", which does not know what {origin} meant", origin=graph.origin)
            )
            advice = Message("This is a bug in rnncli; please report it.") if same else "pip install tf_keras"
            what = Message(
                "{name}/{tensor} differs from Keras by up to {largest:.2g}{because}.",
                name=node.name,
                tensor=tensor.name,
                largest=largest,
                because=because,
            )
            raise EngineError(what, advice)


def _other_outputs(
    graph: Graph, seen: Mapping[str, LayerCall], hidden: Collection[str]
) -> Iterator[tuple[str, Array]]:
    """Yield the outputs of the layers that are not recurrent nor hidden; operations are not shown."""
    for node in graph.nodes:
        if node.name not in seen or node.name in hidden:
            continue
        if not is_recurrent(node) and not is_operation(node.module):
            outputs = seen[node.name].outputs
            yield from zip(name_outputs(node.name, len(outputs)), outputs, strict=True)


def _require_same_rules(graph: Graph) -> None:
    """Raise UnrunnableError if today's Keras would pass on different masks than the Keras of the model."""
    rules = rules_of(graph.origin)
    masked = any(node.class_name == "Masking" or node.config.get("mask_zero") for node in graph.nodes)
    joined = any(
        node.class_name in merging.NAMES or node.kwargs.get("initial_state") is not None
        for node in graph.nodes
    )
    if rules != TODAY and masked and joined:
        raise UnrunnableError(
            "Keras cannot run this model: today's Keras combines masks differently from "
            "{origin}, which saved it.",
            REBUILD,
            origin=graph.origin,
        )


def _require_one_use(graph: Graph, node: Node) -> None:
    """Raise UnknownLayerError for a layer whose states of one use are the start of the next."""
    try:
        require_one_use(graph, node)
    except UnknownLayerError as error:
        raise name_cause(graph, node, error) from None


def _require_one_dtype(graph: Graph, node: Node) -> None:
    """Raise LayerError for a recurrent layer that does not compute in float32 or float64."""
    for config in (node.config, node.core_config):
        dtype = config.get("dtype") or "float32"
        if dtype_of(dtype) is None:
            raise LayerError(
                "{name} ({class_name}) computes in {dtype}, which is not supported.",
                _advise_float32(graph, node),
                name=node.name,
                class_name=node.class_name,
                dtype=dtype,
            )


def _advise_float32(graph: Graph, node: Node) -> Text:
    """Return the flags that run the weights of the layer in float32."""
    try:
        spec = spec_of(replace(node, config=_without_dtype(node.config)))
    except UnknownLayerError:
        return Message("Rebuild the model with the dtype float32, copy the weights, and save it again.")
    name = node.layer.rpartition("/")[2]  # in a model inside the model
    flags = f"--weights {shlex.quote(f'{graph.file}#{name}')} --layer {shlex.quote(describe(spec))}"
    return Message(
        "To run its weights in float32, give the input of this layer: rnncli run INPUT {flags}", flags=flags
    )


def _without_dtype(tree: Any) -> Any:
    if isinstance(tree, Mapping):
        return {key: _without_dtype(value) for key, value in tree.items() if key != "dtype"}
    return [_without_dtype(value) for value in tree] if isinstance(tree, (list, tuple)) else tree
