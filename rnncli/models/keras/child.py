"""What runs in the process of its own that loads Keras: the model of a file, every call of a layer recorded.

A file of a few kilobytes may describe layers that fill the memory, so its sizes are found before anything
of them is allocated.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from rnncli.case import Array
from rnncli.errors import Message
from rnncli.models.framework_runs import convert_errors
from rnncli.models.keras.process import count_bytes, explain_error, too_large
from rnncli.models.trees import leaves
from rnncli.process import child_process
from rnncli.process.isolation import isolated
from rnncli.process.memory import PER_BYTE, ROOM, format_size, limit_growth


class LayerCall(NamedTuple):
    """One call of a layer, in tensors of the framework.  outputs: without nesting."""

    layer: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: tuple[Any, ...]


def record(
    file: Path,
    inputs: Mapping[str, Array],
    family: str,
    wanted: Collection[str],
    more: Mapping[str, Mapping[str, bool]],
) -> Any:
    """Run the model in `keras` or `tf_keras`, the family; return its calls by the name of the use.

    wanted: the uses whose arguments are needed, too.  more: what layers should return besides, in tf_keras.
    """
    with convert_errors(explain_error), isolated():
        if family == "tf_keras":
            calls, again = _run_in_tf_keras(file, inputs, more)
        else:
            calls, again = _run_in_keras(file, inputs), {}
        named = {
            name: (*((call.args, call.kwargs) if name in wanted else ((), {})), call.outputs)
            for name, call in calls.items()
        }
        return {"calls": named, "more": again}


def _run_in_keras(file: Path, inputs: Mapping[str, Array]) -> dict[str, LayerCall]:
    tensorflow: Any = importlib.import_module("rnncli.compute.engines.tensorflow")
    keras = tensorflow._keras()
    with _limit_memory(file, inputs):
        _require_room(keras, file, inputs)
        model = keras.saving.load_model(file, compile=False)
        tensors = [keras.ops.convert_to_tensor(inputs[tensor.name]) for tensor in model.inputs]
        packed = keras.tree.pack_sequence_as(_graph_of(model).input, tensors)
        return _record_calls(model, lambda: model(packed, training=False))


def _run_in_tf_keras(
    file: Path, inputs: Mapping[str, Array], more: Mapping[str, Mapping[str, bool]]
) -> tuple[dict[str, LayerCall], dict[str, list[Any]]]:
    keras: Any = importlib.import_module("tf_keras")
    scope = keras.utils.custom_object_scope(_classes(keras))
    safe = importlib.import_module("tf_keras.src.saving.serialization_lib").SafeModeScope(True)
    with scope, safe, _limit_memory(file, inputs):
        model = keras.models.load_model(file, compile=False)
        tensors = [keras.backend.constant(inputs[name], inputs[name].dtype) for name in model.input_names]
        given = tensors if len(tensors) > 1 else tensors[0]
        calls = _record_calls(model, lambda: model(given, training=False))
        return calls, {layer: _call_copy(calls[layer], options) for layer, options in more.items()}


def _classes(keras: Any) -> dict[str, Any]:
    """Return the classes that these names meant in earlier versions of Keras 2, such as cuDNN's layers.

    tf_keras converts weights by the name of the class, so that is GRU here too.
    """
    plain = keras.layers.GRU

    def from_config(config: Mapping[str, Any]) -> Any:
        return plain.from_config({"reset_after": False, **config})

    earlier = type("GRU", (plain,), {"from_config": staticmethod(from_config)})
    return {"GRU": earlier, "CuDNNGRU": plain, "CuDNNLSTM": keras.layers.LSTM}


def _call_copy(call: LayerCall, returns: Mapping[str, bool]) -> list[Any]:
    """Return the outputs of a copy of the layer that returns more, for the same input, mask and states."""
    config = copy.deepcopy(call.layer.get_config())
    inner = [config[key]["config"] for key in ("layer", "backward_layer") if config.get(key)]
    for part in inner or [config]:
        part.update(returns)
    layer = type(call.layer).from_config(config)
    first = call.args[0][0] if isinstance(call.args[0], (list, tuple)) else call.args[0]
    layer.build(first.shape)
    layer.set_weights(call.layer.get_weights())
    return list(layer(*call.args, **call.kwargs))


def _record_calls(model: Any, run: Callable[[], object]) -> dict[str, LayerCall]:
    """Return every call of every layer, by the name of the use, in Keras's order.  run: runs the model."""
    names = list(_name_calls(model, "", 0))
    calls: list[LayerCall] = []
    _wrap_layers(model, calls)
    run()
    return dict(zip(names, calls, strict=True))


def _graph_of(layer: Any) -> Any:
    """Return the functional model inside a Sequential of Keras 3; any other model or layer itself."""
    return getattr(layer, "_functional", None) or layer


def _is_model(layer: Any) -> bool:
    return hasattr(_graph_of(layer), "_nodes_by_depth")


def _list_nodes(model: Any) -> list[tuple[Any, Any]]:
    """Return each node of a model with its layer, in the order in which Keras calls them."""
    by_depth = sorted(_graph_of(model)._nodes_by_depth.items(), reverse=True)
    nodes = [node for _, level in by_depth for node in level if not node.is_input]
    return [(node, node.operation if hasattr(node, "operation") else node.layer) for node in nodes]


def _name_calls(model: Any, prefix: str, use: int) -> Iterator[str]:
    """Yield the name of every call: `lstm`, `lstm@1`, `inside/deep`.

    use: how many uses of the model come before this one.
    """
    nodes = _list_nodes(model)
    known = {id(node) for node, _ in nodes}
    for node, layer in nodes:
        uses = [other for other in layer._inbound_nodes if id(other) in known]
        number = use * len(uses) + uses.index(node)
        if _is_model(layer):
            yield from _name_calls(layer, f"{prefix}{layer.name}/", number)
        else:
            yield f"{prefix}{layer.name}" + (f"@{number}" if number else "")


def _wrap_layers(model: Any, calls: list[LayerCall]) -> None:
    """Let every layer of the model, and of models inside it, record its calls, each layer once."""
    for _, layer in _list_nodes(model):
        if _is_model(layer):
            _wrap_layers(layer, calls)
        elif not hasattr(layer, "_rnncli_seen"):
            layer._rnncli_seen = True
            layer.call = _wrap_call(layer, layer.call, calls)
            if getattr(layer, "quantization_mode", None):  # Keras calls this one instead
                layer.quantized_call = _wrap_call(layer, layer.quantized_call, calls)


def _wrap_call(layer: Any, call: Any, calls: list[LayerCall]) -> Any:
    def record(*args: Any, **kwargs: Any) -> Any:
        place = len(calls)  # before the calls of layers inside this one
        calls.append(LayerCall(layer, args, kwargs, ()))
        outputs = call(*args, **kwargs)
        calls[place] = LayerCall(layer, args, kwargs, tuple(leaves(outputs)))
        return outputs

    return record


@contextmanager
def _limit_memory(path: Path, inputs: Mapping[str, Array]) -> Iterator[None]:
    """Let allocations fail beyond a multiple of the file and the inputs; see `limit_growth`."""
    tensorflow = importlib.import_module("tensorflow")
    tensorflow.constant(1) + 1  # now its threads exist, whose stacks would count
    size = count_bytes(path, inputs)
    child_process.limit_data(ROOM + PER_BYTE * size)
    with limit_growth(size):
        yield


def _require_room(keras: Any, path: Path, inputs: Mapping[str, Array]) -> None:
    """Raise InputError if the tensors of the model are far larger than its file and the inputs.

    Keras builds the model without numbers, and TensorFlow traces it for inputs of these shapes.  Keras
    keeps all tensors until the model has run, and TensorFlow may crash where memory runs out.
    Raises what Keras raises for a model that it cannot load.
    """
    try:
        with _no_variables(keras):
            model = keras.saving.load_model(path, compile=False)
            sizes = tuple(_tensor_sizes(keras, model, inputs))
    except ValueError as error:
        if "stateless scope" in str(error):  # Keras creates the states of a stateful layer nowhere else
            return
        raise
    room = ROOM + PER_BYTE * count_bytes(path, inputs)
    if max(sizes, default=0) > room:
        raise too_large(Message("a tensor of {size}", size=format_size(max(sizes))))
    if sum(sizes) > room:
        raise too_large(Message("tensors of {size}", size=format_size(sum(sizes))))


@contextmanager
def _no_variables(keras: Any) -> Iterator[None]:
    """In the block, let Keras know the shapes of variables without creating them, also not later."""
    state: Any = importlib.import_module("keras.src.backend.common.global_state")
    key = "uninitialized_variables"
    before = list(state.get_global_attribute(key, []))
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        state.set_global_attribute(key, before)


def _tensor_sizes(keras: Any, model: Any, inputs: Mapping[str, Array]) -> Iterator[int]:
    """Yield the bytes of every tensor whose shape is known, in a run of the model with these inputs."""
    tensorflow = importlib.import_module("tensorflow")

    def run(*tensors: Any) -> Any:
        packed = keras.tree.pack_sequence_as(_graph_of(model).input, list(tensors))
        return model(packed, training=False)

    arrays = [inputs[tensor.name] for tensor in model.inputs]
    specs = [tensorflow.TensorSpec(array.shape, array.dtype) for array in arrays]
    traced = tensorflow.function(run, autograph=False).get_concrete_function(*specs)
    for operation in traced.graph.get_operations():
        for output in operation.outputs:
            yield (output.shape.num_elements() or 0) * output.dtype.size
