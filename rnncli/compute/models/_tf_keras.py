"""A model of Keras 2 run by tf_keras, as saved: the reference for what is computed here.

It also runs the layers before the recurrent ones if NumPy does not know them.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnncli.case import Array, Case
from rnncli.compute.models._embedded_code import find_unsafe_code
from rnncli.compute.models._framework_errors import convert_errors, first_sentence
from rnncli.compute.models._keras_sizes import limit_memory
from rnncli.compute.models._layer_calls import LayerCall, name_tensors, record_calls
from rnncli.compute.models._loadable import loadable
from rnncli.errors import EngineError, inside
from rnncli.model import Graph
from rnncli.specs.isolation import isolated

if TYPE_CHECKING:
    from rnncli.compute.models import CasePair


def outputs(
    graph: Graph, path: Path, inputs: Mapping[str, Array], cases: Mapping[str, CasePair]
) -> dict[str, Array]:
    """Return every tensor from tf_keras: from its run of the model, or from a layer that returns more.

    Raises EngineError if tf_keras is not installed or cannot run the model.
    """
    with convert_errors(partial(_explain_error, graph)), record(graph, path, inputs) as calls:
        tensors = name_tensors(calls, cases, lambda layer, shown: _call_copy(calls[layer], shown))
        return {name: value.numpy() for name, value in tensors.items() if hasattr(value, "numpy")}


def is_installed() -> bool:
    """Return whether tf_keras can be imported."""
    return importlib.util.find_spec("tf_keras") is not None


@contextmanager
def record(graph: Graph, path: Path, inputs: Mapping[str, Array]) -> Iterator[dict[str, LayerCall]]:
    """Run the model once; yield every call of every layer, by the name of the use.

    Raises EngineError if tf_keras is not installed, ValueError for a model that would run code of its own,
    and whatever tf_keras raises.
    """
    keras = _package(graph)
    if reason := find_unsafe_code(graph):
        raise ValueError(reason)
    scope = keras.utils.custom_object_scope(_classes(keras))
    safe = importlib.import_module("tf_keras.src.saving.serialization_lib").SafeModeScope(True)
    with inside(graph.file), isolated(), scope, safe, loadable(path) as file:
        with limit_memory(file, inputs):
            calls = _record_calls(keras, file, inputs)
        yield calls


def _record_calls(keras: Any, file: Path, inputs: Mapping[str, Array]) -> dict[str, LayerCall]:
    model = keras.models.load_model(file, compile=False)
    tensors = [keras.backend.constant(inputs[name], inputs[name].dtype) for name in model.input_names]
    return record_calls(model, lambda: model(tensors if len(tensors) > 1 else tensors[0], training=False))


def _package(graph: Graph) -> Any:
    try:
        with isolated():
            return importlib.import_module("tf_keras")
    except ImportError:
        raise EngineError(
            f"{graph.file} was saved by {graph.origin}; tf_keras is not installed; it is needed to run "
            "models of Keras 2.",
            "pip install tf_keras",
        ) from None


def _explain_error(graph: Graph, error: Exception) -> EngineError:
    return EngineError(
        f"--check: {graph.file}: tf_keras cannot run this model: {first_sentence(error)}",
        "Leave --check out.",
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


def _call_copy(call: LayerCall, shown: Case) -> list[Any]:
    """Return the outputs of a copy of the layer that returns more, for the same input, mask and states."""
    config = copy.deepcopy(call.layer.get_config())
    spec = shown.specs[-1]
    parts = [config]
    if spec.class_name == "Bidirectional":
        parts = [config[key]["config"] for key in ("layer", "backward_layer") if config.get(key)]
    for part in parts:
        part.update({key: bool(spec.inner.config.get(key)) for key in ("return_sequences", "return_state")})
    layer = type(call.layer).from_config(config)
    first = call.args[0][0] if isinstance(call.args[0], (list, tuple)) else call.args[0]
    layer.build(first.shape)
    layer.set_weights(call.layer.get_weights())
    return list(layer(*call.args, **call.kwargs))
