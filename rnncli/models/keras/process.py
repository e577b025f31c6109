"""Run Keras or tf_keras on the file of a model in a separate process; arrays and errors come back.

The process records every call of a layer.  A file of a few kilobytes may describe layers that fill the
memory, so the sizes of all tensors are computed before any tensor is allocated.
"""

from __future__ import annotations

import copy
import importlib
import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from rnncli.compute.engines.tensorflow import import_keras, informative_line
from rnncli.errors import InputError, LayerError, Message, RnncliError, Text
from rnncli.models import shorten_sentence
from rnncli.models.graph import leaves, map_leaves
from rnncli.models.keras.custom import CustomObjects
from rnncli.process import child_process, transfer
from rnncli.process.isolation import isolated
from rnncli.process.memory import PER_BYTE, ROOM, format_size, limit_growth
from rnncli.values import Array


class UnrunnableError(LayerError):
    """Keras cannot load or run the model."""


SECONDS, SPEED = 120.0, 2**12
"""Time limit of loading TensorFlow and the model, plus one second per SPEED bytes of file and inputs."""
NAMES = {"keras": "Keras", "tf_keras": "tf_keras"}
"""What messages call a family."""
UNKNOWN_LAYERS = Message(
    "Give the classes of its own with {--custom-objects FILE.py}, or rebuild the model without the layers "
    "that Keras does not know, copy the weights, and save it again."
)
NO_MEMORY = ("ResourceExhaustedError", "MemoryError", "_ArrayMemoryError")


class KerasRun(NamedTuple):
    """A model to run.

    path: its file.  family: what runs it, `keras` or `tf_keras`.
    wanted: the uses whose arguments are returned, too.
    more: options of layers that are called once more in tf_keras, `{"lstm": {"return_state": True}}`.
    custom: the classes that the user gives.  classes: the names of those that only Keras may know.
    """

    path: Path
    inputs: dict[str, Array]
    family: str
    wanted: tuple[str, ...]
    more: dict[str, Mapping[str, bool]]
    custom: CustomObjects
    classes: set[str]

    @property
    def size(self) -> int:
        """The bytes of the file and the inputs, of which the limits are multiples."""
        return self.path.stat().st_size + sum(array.nbytes for array in self.inputs.values())


def record(run: KerasRun) -> Any:
    """Run the model in a new process, and return every call of every layer.

    Classes that Python gives exist only in this process, so that their model runs here.

    Returns `{"calls": {use: [args, kwargs, outputs]}, "more": {layer: outputs}}`; tuples come back as lists.
    Raises UnrunnableError if Keras cannot load or run the model, crashes or takes too long.
    """
    if run.custom.objects:
        return _find(run)
    request, name = pickle.dumps(run._replace(path=run.path.absolute())), NAMES[run.family]
    variables = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    start, seconds = child_process.run_in_new_process, SECONDS + run.size / SPEED
    try:
        with start(f"{__name__}:answer", request, seconds, name, **variables) as answer_of:
            return transfer.receive(answer_of, ROOM + PER_BYTE * run.size, UnrunnableError)
    except child_process.IncompleteOutputError as error:
        what = "{framework} cannot run this model: {error}."
        raise UnrunnableError(what, "Give smaller inputs.", framework=name, error=error.args[0]) from None


def answer(request: bytes, file: BinaryIO) -> None:
    """Write, in the new process, what the run returns or raises."""
    transfer.send(file, lambda: _find(pickle.loads(request)))  # written by `record`


def _find(run: KerasRun) -> Any:
    try:
        return map_leaves(_plain, _run(run))
    except RnncliError:
        raise
    except Exception as error:  # frameworks raise many types
        raise explain_error(error, run.family) from None


def _plain(leaf: Any) -> Any:
    """Return a tensor of the framework as an array, and an object that is no number or text as its type."""
    leaf = leaf.numpy() if hasattr(leaf, "numpy") else leaf
    if not isinstance(leaf, np.ndarray):
        return leaf if leaf is None or isinstance(leaf, (bool, int, float, str)) else str(type(leaf))
    array = leaf.astype("float32") if leaf.dtype.name == "bfloat16" else leaf
    return array if array.dtype.kind in transfer.KINDS else array.dtype.name


def explain_error(error: Exception, family: str) -> RnncliError:
    """Convert an error of Keras, which refuses custom layers and the Lambdas of a file."""
    if type(error).__name__ in NO_MEMORY or "OOM when allocating" in str(error):
        return too_large(Message("too much memory"))
    knows_it = str(error).startswith("Exception encountered")
    advice = Message("Correct the model so that Keras runs it, or give different inputs.")
    return cannot_run(family, first_sentence(error), advice if knows_it else UNKNOWN_LAYERS)


def cannot_run(family: str, sentence: Text, advice: Text = UNKNOWN_LAYERS) -> UnrunnableError:
    """Return the error for a model that the family cannot run.  sentence: why."""
    what = "{framework} cannot run this model: {sentence}"
    return UnrunnableError(what, advice, framework=NAMES[family], sentence=sentence)


def too_large(what: Text) -> InputError:
    """Return the error for a model that needs `what`."""
    return InputError(
        "the model needs {what}, far more than its file and the inputs take.",
        "Give smaller inputs, or build the model without such large tensors.",
        what=what,
    )


def first_sentence(error: Exception) -> str:
    """Return the first sentence of a framework's message, without its advice for code."""
    return shorten_sentence(re.split(r"(?<=\w['\")}])\. |\. (?=[A-Z])", informative_line(error))[0])


class FrameworkCall(NamedTuple):
    """One call of a layer, in tensors of the framework.  outputs: without nesting."""

    layer: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: tuple[Any, ...]


def _run(run: KerasRun) -> Any:
    with isolated():
        _require_classes(run)
        if run.family == "tf_keras":
            calls, again = _run_in_tf_keras(run)
        else:
            calls, again = _run_in_keras(run), {}
    named = {
        name: (*((call.args, call.kwargs) if name in run.wanted else ((), {})), call.outputs)
        for name, call in calls.items()
    }
    return {"calls": named, "more": again}


def _require_classes(run: KerasRun) -> None:
    keras: Any = import_keras() if run.family == "keras" else importlib.import_module(run.family)
    for name in run.classes:
        if not hasattr(keras.layers, name) and not run.custom.has(name):
            what = Message(
                "{name} is not a layer of Keras; {--custom-objects FILE.py} gives its class.", name=name
            )
            raise cannot_run(run.family, what)


def _run_in_keras(run: KerasRun) -> dict[str, FrameworkCall]:
    keras, classes = import_keras(), run.custom.load()
    with _limit_memory(run):
        _require_room(keras, run, classes)
        model = keras.saving.load_model(run.path, classes, compile=False)
        tensors = [keras.ops.convert_to_tensor(run.inputs[tensor.name]) for tensor in model.inputs]
        packed = keras.tree.pack_sequence_as(_graph_of(model).input, tensors)
        return _record_calls(model, lambda: model(packed, training=False))


def _run_in_tf_keras(run: KerasRun) -> tuple[dict[str, FrameworkCall], dict[str, list[Any]]]:
    keras: Any = importlib.import_module("tf_keras")
    scope = keras.utils.custom_object_scope(_classes(keras) | run.custom.load())
    safe = importlib.import_module("tf_keras.src.saving.serialization_lib").SafeModeScope(True)
    with scope, safe, _limit_memory(run):
        model = keras.models.load_model(run.path, compile=False)
        arrays = [run.inputs[name] for name in model.input_names]
        tensors = [keras.backend.constant(array, array.dtype) for array in arrays]
        given = tensors if len(tensors) > 1 else tensors[0]
        calls = _record_calls(model, lambda: model(given, training=False))
        return calls, {layer: _call_copy(calls[layer], options) for layer, options in run.more.items()}


def _classes(keras: Any) -> dict[str, Any]:
    """tf_keras converts weights by the name of the class, so cuDNN's GRU is GRU here too."""
    plain = keras.layers.GRU

    def from_config(config: Mapping[str, Any]) -> Any:
        return plain.from_config({"reset_after": False, **config})

    earlier = type("GRU", (plain,), {"from_config": staticmethod(from_config)})
    return {"GRU": earlier, "CuDNNGRU": plain, "CuDNNLSTM": keras.layers.LSTM}


def _call_copy(call: FrameworkCall, returns: Mapping[str, bool]) -> list[Any]:
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


def _record_calls(model: Any, run: Callable[[], object]) -> dict[str, FrameworkCall]:
    names = list(_name_calls(model, "", 0))
    calls: list[FrameworkCall] = []
    _wrap_layers(model, calls)
    run()
    return dict(zip(names, calls, strict=True))


def _graph_of(layer: Any) -> Any:
    """Return the functional model inside a Sequential of Keras 3; any other model or layer itself."""
    return getattr(layer, "_functional", None) or layer


def _is_model(layer: Any) -> bool:
    return hasattr(_graph_of(layer), "_nodes_by_depth")


def _list_nodes(model: Any) -> list[tuple[Any, Any]]:
    by_depth = sorted(_graph_of(model)._nodes_by_depth.items(), reverse=True)
    nodes = [node for _, level in by_depth for node in level if not node.is_input]
    return [(node, node.operation if hasattr(node, "operation") else node.layer) for node in nodes]


def _name_calls(model: Any, prefix: str, use: int) -> Iterator[str]:
    """Yield `lstm`, `lstm@1`, `inside/deep`.  use: how many uses of the model come before this one."""
    nodes = _list_nodes(model)
    known = {node for node, _ in nodes}
    for node, layer in nodes:
        uses = [other for other in layer._inbound_nodes if other in known]
        number = use * len(uses) + uses.index(node)
        if _is_model(layer):
            yield from _name_calls(layer, f"{prefix}{layer.name}/", number)
        else:
            yield f"{prefix}{layer.name}" + (f"@{number}" if number else "")


def _wrap_layers(model: Any, calls: list[FrameworkCall]) -> None:
    for _, layer in _list_nodes(model):
        if _is_model(layer):
            _wrap_layers(layer, calls)
        elif not hasattr(layer, "_rnncli_seen"):
            layer._rnncli_seen = True
            layer.call = _wrap_call(layer, layer.call, calls)
            if getattr(layer, "quantization_mode", None):  # Keras calls this one instead
                layer.quantized_call = _wrap_call(layer, layer.quantized_call, calls)


def _wrap_call(layer: Any, call: Any, calls: list[FrameworkCall]) -> Any:
    def recorded(*args: Any, **kwargs: Any) -> Any:
        index = len(calls)  # before the calls of layers inside this one
        calls.append(FrameworkCall(layer, args, kwargs, ()))
        outputs = call(*args, **kwargs)
        calls[index] = FrameworkCall(layer, args, kwargs, tuple(leaves(outputs)))
        return outputs

    return recorded


@contextmanager
def _limit_memory(run: KerasRun) -> Iterator[None]:
    """Let allocations fail beyond a multiple of the file and the inputs; see `limit_growth`."""
    tensorflow = importlib.import_module("tensorflow")
    tensorflow.constant(1) + 1  # now its threads exist, whose stacks would count
    child_process.limit_data(ROOM + PER_BYTE * run.size)
    with limit_growth(run.size):
        yield


def _require_room(keras: Any, run: KerasRun, classes: Mapping[str, Any]) -> None:
    """Raise InputError if the tensors of the model are far larger than its file and the inputs.

    Keras builds the model without numbers, isolated, since it would create the variables later; TensorFlow
    traces the model for inputs of these shapes.  Keras keeps all tensors until the model has run, and
    TensorFlow may crash where memory runs out.
    Raises what Keras raises for a model that it cannot load.
    """
    try:
        with isolated(), keras.StatelessScope(initialize_variables=False):
            model = keras.saving.load_model(run.path, dict(classes), compile=False)
            sizes = tuple(_tensor_sizes(keras, model, run.inputs))
    except ValueError as error:
        if "stateless scope" in str(error):  # Keras creates the states of a stateful layer nowhere else
            return
        raise
    room = ROOM + PER_BYTE * run.size
    if max(sizes, default=0) > room:
        raise too_large(Message("a tensor of {size}", size=format_size(max(sizes))))
    if sum(sizes) > room:
        raise too_large(Message("tensors of {size}", size=format_size(sum(sizes))))


def _tensor_sizes(keras: Any, model: Any, inputs: Mapping[str, Array]) -> Iterator[int]:
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
