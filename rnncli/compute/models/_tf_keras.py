"""A model of Keras 2 run by tf_keras, as it stands in the file: the reference for what is computed here.

It also runs what is before the recurrent layers where NumPy does not know it.
"""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.compute.models._framework_errors import convert_errors, first_sentence
from rnncli.compute.models._harmless import harm_in
from rnncli.compute.models._loadable import loadable
from rnncli.errors import EngineError
from rnncli.model import Graph

if TYPE_CHECKING:
    from rnncli.case import Array, Case
    from rnncli.compute.models import Cases


class LayerCall(NamedTuple):
    """One call of a layer, in tensors of TensorFlow, or in arrays."""

    layer: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: list[Any]


def outputs(
    graph: Graph, path: Path, inputs: Mapping[str, Array], cases: Mapping[str, Cases]
) -> dict[str, Array]:
    """Return every tensor from tf_keras: from its run of the model, or from a layer that returns more.

    Raises EngineError where tf_keras is not installed or cannot run the model.
    """
    with convert_errors(partial(_explain_error, graph)), _record_calls(graph, path, inputs) as calls:
        found: dict[str, Array] = {}
        for name, call in calls.items():
            count = len(call.outputs)
            names = [f"output{f'_{index}' if count > 1 else ''}" for index in range(count)]
            if name in cases:
                names = _names(cases[name].model)
            found |= {
                f"{name}/{part}": value.numpy()
                for part, value in zip(names, call.outputs, strict=True)
                if hasattr(value, "numpy")
            }
        for name, (_, shown) in cases.items():
            if any(f"{name}/{part}" not in found for part in _names(shown)):
                more = zip(_names(shown), _call_copy(calls[name], shown), strict=True)
                found = {f"{name}/{part}": value.numpy() for part, value in more} | found
    return found


def is_installed() -> bool:
    """Return whether tf_keras can be imported."""
    return importlib.util.find_spec("tf_keras") is not None


def calls(graph: Graph, path: Path, inputs: Mapping[str, Array]) -> dict[str, LayerCall]:
    """Return every call of every layer in arrays, by our name of the use.

    Raises EngineError where tf_keras is not installed, and whatever tf_keras raises.
    """
    with _record_calls(graph, path, inputs) as found:
        return {
            name: call._replace(
                args=_arrays(call.args), kwargs=_arrays(dict(call.kwargs)), outputs=_arrays(call.outputs)
            )
            for name, call in found.items()
        }


def _arrays(value: Any) -> Any:
    """Return arrays instead of tensors, in lists and mappings too."""
    if isinstance(value, dict):
        return {name: _arrays(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_arrays, value))
    return value.numpy() if hasattr(value, "numpy") else value


@contextmanager
def _record_calls(graph: Graph, path: Path, inputs: Mapping[str, Array]) -> Iterator[dict[str, LayerCall]]:
    """Run the model once; yield every call of every layer, by our name of the use.

    Raises ValueError for a model that would run code of its own.
    """
    keras, tensorflow = _packages(graph)
    if harm := harm_in(graph):
        raise ValueError(harm)
    scope = keras.utils.custom_object_scope(_classes(keras))
    safe = importlib.import_module("tf_keras.src.saving.serialization_lib").SafeModeScope(True)
    with tensorflow.hide_output(), scope, safe, loadable(path, graph.file) as file:
        model = keras.models.load_model(file, compile=False)
        yield _calls(keras, model, inputs)


def _packages(graph: Graph) -> tuple[Any, Any]:
    """Return the package tf_keras, and our module for TensorFlow."""
    tensorflow: Any = importlib.import_module("rnncli.compute.engines.tensorflow")
    try:
        with tensorflow.hide_output():
            return importlib.import_module("tf_keras"), tensorflow
    except ImportError:
        raise EngineError(
            f"{graph.file} was saved by {graph.origin}; tf_keras is not installed; it is needed to run "
            "models of Keras 2.",
            "pip install 'rnncli[keras2]'",
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


def _calls(keras: Any, model: Any, inputs: Mapping[str, Array]) -> dict[str, LayerCall]:
    """Return every call of every layer in one run of the model, by our name of the use."""
    calls: list[LayerCall] = []
    tensors = [keras.backend.constant(inputs[name], inputs[name].dtype) for name in model.input_names]
    _record(model, calls)
    model(tensors if len(tensors) > 1 else tensors[0], training=False)
    return dict(zip(_name_calls(model, "", 0), calls, strict=True))


def _is_model(layer: Any) -> bool:
    return hasattr(layer, "_nodes_by_depth")


def _name_calls(model: Any, prefix: str, use: int) -> Iterator[str]:
    """Yield our name of every call, in the order in which Keras makes them."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input:
                continue
            layer = node.layer
            every = enumerate(layer._inbound_nodes)
            own = [one for index, one in every if f"{layer.name}_ib-{index}" in model._network_nodes]
            number = use * len(own) + own.index(node)
            if _is_model(layer):
                yield from _name_calls(layer, f"{prefix}{layer.name}/", number)
            else:
                yield f"{prefix}{layer.name}" + (f"@{number}" if number else "")


def _record(model: Any, calls: list[LayerCall]) -> None:
    """Let every layer of the model, and of models inside it, record its calls, each layer once."""
    for layer in model.layers:
        if _is_model(layer):
            _record(layer, calls)
        elif not hasattr(layer, "_rnncli_seen"):
            layer._rnncli_seen = True
            layer.call = _recorder(layer, layer.call, calls)


def _recorder(layer: Any, call: Any, calls: list[LayerCall]) -> Any:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        place = len(calls)
        calls.append(LayerCall(layer, args, kwargs, []))
        outputs = call(*args, **kwargs)
        flat = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        calls[place] = LayerCall(layer, args, kwargs, flat)
        return outputs

    return wrapper


def _names(case: Case) -> list[str]:
    return [info.name for info in case.stack.outputs(case.inputs.shape)]


def _call_copy(call: LayerCall, shown: Case) -> list[Any]:
    """Return the outputs of a copy of the layer that returns more, for the same input, mask and states."""
    config = copy.deepcopy(call.layer.get_config())
    spec = shown.layers[-1]
    inner = spec.config["layer"].config if spec.class_name == "Bidirectional" else spec.config
    parts = [config]
    if spec.class_name == "Bidirectional":
        parts = [config[key]["config"] for key in ("layer", "backward_layer") if config.get(key)]
    for part in parts:
        part.update({key: bool(inner.get(key)) for key in ("return_sequences", "return_state")})
    layer = type(call.layer).from_config(config)
    first = call.args[0][0] if isinstance(call.args[0], (list, tuple)) else call.args[0]
    layer.build(first.shape)
    layer.set_weights(call.layer.get_weights())
    return list(layer(*call.args, **call.kwargs))
