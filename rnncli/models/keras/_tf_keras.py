"""A model of Keras 2 run by tf_keras, as saved: the reference for what is computed here.

It also runs the layers before the recurrent ones if NumPy does not know them.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnncli.case import Array, Case
from rnncli.errors import EngineError, Message, Text, inside
from rnncli.models import operations, trees
from rnncli.models._framework_errors import UnrunnableError, convert_errors
from rnncli.models._layer_calls import (
    LayerCall,
    list_calls,
    name_tensors,
    read_calls,
    record_calls,
    shown_with_more,
)
from rnncli.models.graph import Graph
from rnncli.models.keras import _keras_process
from rnncli.models.keras._keras_sizes import explain_error, limit_memory
from rnncli.models.keras._loadable import loadable
from rnncli.models.operations import tensorflow_ops
from rnncli.process.isolation import isolated

if TYPE_CHECKING:
    from rnncli.models import CasePair


def outputs(
    graph: Graph, path: Path, inputs: Mapping[str, Array], cases: Mapping[str, CasePair]
) -> dict[str, Array]:
    """Return every tensor from tf_keras: from its run of the model, or from a layer that returns more.

    Raises EngineError if tf_keras is not installed or cannot run the model.
    """
    more = {layer: _returns(shown) for layer, shown in shown_with_more(cases).items()}
    try:
        found = _call(graph, path, inputs, (), more)
    except UnrunnableError as error:
        reason = error.detail.fields.get("sentence", error.sentence)
        what = Message(
            "{--check}: {file}: tf_keras cannot run this model: {reason}", file=graph.file, reason=reason
        )
        raise EngineError(what, "Leave {--check} out.") from None
    tensors = name_tensors(read_calls(found["calls"]), cases, lambda layer, _: found["more"][layer])
    return {name: value for name, value in tensors.items() if hasattr(value, "dtype")}


def is_installed() -> bool:
    """Return whether tf_keras can be imported."""
    return importlib.util.find_spec("tf_keras") is not None


def record(
    graph: Graph, path: Path, inputs: Mapping[str, Array], wanted: Sequence[str]
) -> dict[str, LayerCall]:
    """Run the model once; return every call of every layer as arrays, by the name of the use.

    wanted: the uses whose arguments are needed, too.
    Raises EngineError if tf_keras is not installed, UnrunnableError if it cannot run the model, or if that
    would run code of its own.
    """
    return read_calls(_call(graph, path, inputs, wanted, {})["calls"])


def _call(
    graph: Graph, path: Path, inputs: Mapping[str, Array], wanted: Sequence[str], more: Mapping[str, Any]
) -> Any:
    """Return what `record_here` returns in a process of its own."""
    _require_installed(graph)
    if reason := _find_unsafe_code(graph):
        raise explain_error(ValueError(reason))
    with inside(graph.file), loadable(path) as file:
        return _keras_process.call(f"{__name__}:record_here", file, inputs, wanted, more)


def record_here(
    file: Path, inputs: Mapping[str, Array], wanted: Sequence[str], more: Mapping[str, Any]
) -> dict[str, Any]:
    """Run the model in a process of its own, and the layers in `more` again with more outputs.

    more: the options of each, see `_returns`.
    """
    with convert_errors(explain_error), isolated():
        keras: Any = importlib.import_module("tf_keras")
        scope = keras.utils.custom_object_scope(_classes(keras))
        safe = importlib.import_module("tf_keras.src.saving.serialization_lib").SafeModeScope(True)
        with scope, safe, limit_memory(file, inputs):
            calls = _record_calls(keras, file, inputs)
            again = {layer: _call_copy(calls[layer], options) for layer, options in more.items()}
    arrays = {layer: [output.numpy() for output in own] for layer, own in again.items()}
    return {"calls": list_calls(calls, wanted), "more": arrays}


def _record_calls(keras: Any, file: Path, inputs: Mapping[str, Array]) -> dict[str, LayerCall]:
    model = keras.models.load_model(file, compile=False)
    tensors = [keras.backend.constant(inputs[name], inputs[name].dtype) for name in model.input_names]
    return record_calls(model, lambda: model(tensors if len(tensors) > 1 else tensors[0], training=False))


def _require_installed(graph: Graph) -> None:
    if not is_installed():
        raise EngineError(
            "{file} was saved by {origin}; tf_keras is not installed; it is needed to run models of Keras 2.",
            "pip install tf_keras",
            file=graph.file,
            origin=graph.origin,
        )


def _classes(keras: Any) -> dict[str, Any]:
    """Return the classes that these names meant in earlier versions of Keras 2, such as cuDNN's layers.

    tf_keras converts weights by the name of the class, so that is GRU here too.
    """
    plain = keras.layers.GRU

    def from_config(config: Mapping[str, Any]) -> Any:
        return plain.from_config({"reset_after": False, **config})

    earlier = type("GRU", (plain,), {"from_config": staticmethod(from_config)})
    return {"GRU": earlier, "CuDNNGRU": plain, "CuDNNLSTM": keras.layers.LSTM}


def _returns(shown: Case) -> dict[str, bool]:
    """Return what the last layer is shown to return."""
    config = shown.specs[-1].inner.config
    return {key: bool(config.get(key)) for key in ("return_sequences", "return_state")}


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


def _find_unsafe_code(graph: Graph) -> Text:
    """Return why loading this model in tf_keras could run code that is not Keras's; "" if it could not."""
    for node in graph.nodes:
        if node.inner is not None and (found := _find_unsafe_code(node.inner)):
            return found
        whole = {"class_name": node.class_name, "module": node.module, "config": node.config}
        if any(map(_is_unsafe, trees.mappings(whole))):
            return Message(
                "the layer {name} ({class_name}) contains or names its own code, which rnncli does not run.",
                name=node.name,
                class_name=node.class_name,
            )
    return ""


def _is_unsafe(entry: Mapping[str, Any]) -> bool:
    if "class_name" not in entry:
        return False
    name, config = str(entry["class_name"]), entry.get("config")
    if name in tensorflow_ops.NAMES:
        return not (isinstance(config, Mapping) and tensorflow_ops.is_known(str(config.get("function"))))
    module = entry.get("module")
    return name in ("Lambda", "TensorFlowOpLayer") or not operations.from_keras(module and str(module))
