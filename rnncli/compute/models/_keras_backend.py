"""A Keras model run by Keras itself, for layers that NumPy does not know; loads TensorFlow.

Keras, or tf_keras for a model of Keras 2, runs the model as it stands in the file.  What each recurrent
layer gets there becomes its Case, and what it returned there is what `compute` has to return for that Case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.compute.models import ModelRun, Part, _tf_keras
from rnncli.compute.models._advice import REBUILD, independent_layers, model_option
from rnncli.compute.models._framework_errors import convert_errors, first_sentence
from rnncli.compute.models._graph import (
    choose_nodes,
    inside_others,
    is_recurrent,
    masking_layers,
    names_of,
    rules_of,
    with_modules,
)
from rnncli.compute.models._loadable import loadable
from rnncli.compute.models._recurrent_cases import case_of
from rnncli.compute.operations import TODAY, OperationCall, dtype_of, is_operation, merging
from rnncli.errors import EngineError, LayerError
from rnncli.model import Graph, Node

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.compute.models import Compute
    from rnncli.result import Result

NEAR = 1e-4
"""How far our steps may be from what Keras computed, for numbers of order one."""


class UnrunnableError(LayerError):
    """Keras cannot load or run the model."""


class RecordedCall(NamedTuple):
    """One call of a layer while Keras ran the model."""

    name: str
    inputs: Any
    kwargs: Mapping[str, Any]
    outputs: tuple[Any, ...]


def run(
    graph: Graph,
    path: Path,
    inputs: Mapping[str, Array],
    compute: Compute,
    *,
    layers: Sequence[str] = (),
    everything: bool = False,
) -> ModelRun:
    """Run the model as `keras.run` does, with every layer up to the recurrent ones computed by Keras.

    path: the file that `graph` was read from.
    Raises LayerError where Keras cannot load or run the model, or not as it was meant when it was saved;
    EngineError where our steps give other numbers than Keras did.
    """
    graph = with_modules(graph)
    wanted = {node.name: node for node in choose_nodes(graph, layers)}
    for node in wanted.values():
        _demand_one_dtype(graph, node)
    calls = _record_in_keras_2 if graph.generation < 3 else _record_today
    seen = {call.name: call for call in calls(graph, path, inputs)}
    missing = [name for name in wanted if name not in seen]
    if missing:
        raise LayerError(f"{graph.file}: Keras did not call {', '.join(missing)} when it ran the model.")
    parts = tuple(_part(graph, node, seen[name], compute) for name, node in wanted.items())
    others = dict(_other_outputs(graph, seen)) if everything else {}
    return ModelRun(parts, others, inside_others(graph), masking_layers(graph, parts), names_of(graph))


def outputs(graph: Graph, path: Path, inputs: Mapping[str, Array]) -> dict[str, tuple[Array, ...]]:
    """Return what Keras returns for every use of a layer, by our name of the use.  Raises as `run`."""
    return {call.name: call.outputs for call in _record_run(with_modules(graph), path, inputs)}


def _record_in_keras_2(graph: Graph, path: Path, inputs: Mapping[str, Array]) -> list[RecordedCall]:
    """Return the same from tf_keras; without it, from today's Keras if that computes the same model."""
    if not _tf_keras.is_installed():
        try:
            return _record_today(graph, path, inputs)
        except UnrunnableError as error:
            what = f"{error.what} tf_keras runs models of Keras 2, and is not installed."
            raise EngineError(what, "pip install 'rnncli[keras2]'") from None
    with convert_errors(partial(_explain_error, graph)):
        calls = _tf_keras.calls(graph, path, inputs)
    return [_recorded_call(name, call) for name, call in calls.items()]


def _record_today(graph: Graph, path: Path, inputs: Mapping[str, Array]) -> list[RecordedCall]:
    """Return the same from today's Keras.  Raises UnrunnableError if that would pass on other masks."""
    _demand_same_rules(graph)
    return _record_run(graph, path, inputs)


def _recorded_call(name: str, call: _tf_keras.LayerCall) -> RecordedCall:
    named = dict(zip(("mask",), call.args[1:], strict=False))
    return RecordedCall(
        name, call.args[0] if call.args else None, {**named, **call.kwargs}, tuple(call.outputs)
    )


def _record_run(graph: Graph, path: Path, inputs: Mapping[str, Array]) -> list[RecordedCall]:
    """Return every call of every layer, in the order in which Keras makes them."""
    import importlib

    tensorflow: Any = importlib.import_module("rnncli.compute.engines.tensorflow")
    with (
        convert_errors(partial(_explain_error, graph)),
        tensorflow.hide_output(),
        loadable(path, graph.file) as file,
    ):
        keras = tensorflow._keras()
        model = keras.saving.load_model(file, compile=False)
        names = list(_name_calls(model, "", 0))
        calls: list[RecordedCall] = []
        _record(keras, model, calls)
        tensors = [keras.ops.convert_to_tensor(inputs[tensor.name]) for tensor in model.inputs]
        model(keras.tree.pack_sequence_as(_functional(model)._inputs_struct, tensors))
    return [call._replace(name=name) for name, call in zip(names, calls, strict=True)]


def _explain_error(graph: Graph, error: Exception) -> UnrunnableError:
    """Return the error of Keras, which knows no custom layers and runs no Lambda from a file, as ours."""
    free = independent_layers(graph, ())
    advice = f"To run the layers that NumPy can compute: {model_option(graph.file, free)}"
    return UnrunnableError(
        f"{graph.file}: Keras cannot run this model: {first_sentence(error)}",
        advice if free else REBUILD.replace("it,", "the layers that it does not know,"),
    )


def _functional(model: Any) -> Any:
    """Return the graph inside a Sequential; any other model itself."""
    return getattr(model, "_functional", None) or model


def _nodes(model: Any) -> Iterator[tuple[Any, int, int]]:
    """Yield the nodes of a model in the order in which Keras runs them, with index and count per layer."""
    from keras.src.ops.function import make_node_key

    graph = _functional(model)
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if not node.is_input:
                every = enumerate(node.operation._inbound_nodes)
                own = [one for i, one in every if make_node_key(node.operation, i) in graph._nodes]
                yield node, own.index(node), len(own)


def _name_calls(model: Any, prefix: str, use: int) -> Iterator[str]:
    """Yield our name of every call, in the order in which Keras makes them."""
    for node, index, count in _nodes(model):
        number = use * count + index
        if hasattr(_functional(node.operation), "_nodes_by_depth"):
            yield from _name_calls(node.operation, f"{prefix}{node.operation.name}/", number)
        else:
            yield f"{prefix}{node.operation.name}" + (f"@{number}" if number else "")


def _record(keras: Any, model: Any, calls: list[RecordedCall]) -> None:
    """Let every layer of the model, and of models inside it, record its calls."""
    graph = _functional(model)
    for operation in graph._operations:
        if hasattr(_functional(operation), "_nodes_by_depth"):
            _record(keras, operation, calls)
        elif type(operation).__name__ != "InputLayer" and not hasattr(operation, "_rnncli_seen"):
            operation._rnncli_seen = True
            operation.call = _record_call(keras, operation.call, calls)
            if getattr(operation, "quantization_mode", None):  # Keras calls this one instead
                operation.quantized_call = _record_call(keras, operation.quantized_call, calls)


def _record_call(keras: Any, call: Any, calls: list[RecordedCall]) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        place = len(calls)
        calls.append(RecordedCall("", None, {}, ()))
        outputs = call(*args, **kwargs)
        named = dict(zip(("initial_state", "mask"), args[1:], strict=False))
        numbers = {name: _numbers(keras, value) for name, value in {**named, **kwargs}.items()}
        flat = tuple(_numbers(keras, tensor) for tensor in keras.tree.flatten(outputs))
        calls[place] = RecordedCall("", _numbers(keras, args[0]) if args else None, numbers, flat)
        return outputs

    return wrapper


def _numbers(keras: Any, value: Any) -> Any:
    """Convert tensors to arrays, also in nested lists."""
    if isinstance(value, (list, tuple)):
        return [_numbers(keras, item) for item in value]
    return keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else value


def _part(graph: Graph, node: Node, call: RecordedCall, compute: Compute) -> Part:
    """Return the Case of the layer, computed and compared with Keras."""
    kwargs = {name: value for name, value in call.kwargs.items() if name != "mask"}
    mask = call.kwargs.get("mask")
    given = OperationCall(
        node.config, node.weights, call.inputs, mask, mask, (), kwargs, TODAY, node.class_name, node.name
    )
    case = case_of(node, given)
    result = compute(case)
    _demand_equal(graph, node, result, call.outputs)
    return Part(node.name, case, result)


def _demand_equal(graph: Graph, node: Node, result: Result, theirs: Sequence[Array]) -> None:
    """Raise EngineError if our numbers differ from Keras's."""
    import numpy as np

    for tensor, own in zip(result.outputs, theirs, strict=True):
        size = max(1.0, float(np.abs(own[np.isfinite(own)]).max(initial=0)))
        if not np.allclose(tensor.values, own, rtol=0, atol=NEAR * size, equal_nan=True):
            largest = float(np.nanmax(np.abs(tensor.values - own)))
            same = rules_of(graph.origin) == TODAY or _tf_keras.is_installed()
            because = "" if same else f", which does not know what {graph.origin} meant"
            advice = (
                "This is a mistake in rnncli; please report it." if same else "pip install 'rnncli[keras2]'"
            )
            what = f"{node.name}/{tensor.name} differs from Keras by up to {largest:.2g}{because}."
            raise EngineError(f"{graph.file}: {what}", advice)


def _other_outputs(graph: Graph, seen: Mapping[str, RecordedCall]) -> Iterator[tuple[str, Array]]:
    """Yield the outputs of the layers that are not recurrent; operations are not shown."""
    for node in graph.nodes:
        if node.name in seen and not is_recurrent(node) and not is_operation(node.module):
            outputs = seen[node.name].outputs
            for index, output in enumerate(outputs):
                yield f"{node.name}/output{f'_{index}' if len(outputs) > 1 else ''}", output


def _demand_same_rules(graph: Graph) -> None:
    """Raise UnrunnableError if today's Keras would pass on other masks than the Keras of the model."""
    rules = rules_of(graph.origin)
    masked = any(node.class_name == "Masking" or node.config.get("mask_zero") for node in graph.nodes)
    joined = any(
        node.class_name in merging.NAMES or node.kwargs.get("initial_state") is not None
        for node in graph.nodes
    )
    if rules != TODAY and masked and joined:
        free = independent_layers(graph, ())
        raise UnrunnableError(
            f"{graph.file}: only Keras can compute it, and today's Keras joins masks differently from "
            f"{graph.origin}, which saved the model.",
            f"To run the layers that NumPy can compute: {model_option(graph.file, free)}"
            if free
            else REBUILD,
        )


def _demand_one_dtype(graph: Graph, node: Node) -> None:
    """Raise LayerError for a recurrent layer that does not compute in float32 or float64."""
    inner = node.config.get("layer")
    for config in (node.config, inner["config"] if isinstance(inner, Mapping) else {}):
        dtype = config.get("dtype") or "float32"
        if dtype_of(dtype) is None:
            raise LayerError(
                f"{graph.file}: {node.name} ({node.class_name}) computes in {dtype}, which is not supported.",
                "Rebuild the model with the dtype float32, copy the weights, and save it again.",
            )
