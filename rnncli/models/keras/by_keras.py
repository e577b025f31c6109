"""Keras itself, or tf_keras for a model of Keras 2: runs the model in the file, in a separate process.

`run` is for layers that NumPy does not know: the arguments of each recurrent layer become a Case, for which
`compute` must return the outputs of Keras.  `outputs` is the reference of --check.
The process records every call of a layer.  A file of a few kilobytes may describe layers that fill the
memory, so the sizes of all tensors are computed before any tensor is allocated.
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
import pickle
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from rnncli.compute.engines.tensorflow import import_keras, informative_line
from rnncli.errors import EngineError, InputError, LayerError, Message, RnncliError, Text, inside
from rnncli.layers import plain
from rnncli.layers.plain import TODAY, KerasCall, UnknownLayerError, operations, rules_of
from rnncli.models import Compute, LayerUse, ModelRequest, ModelRun, shorten_sentence
from rnncli.models.graph import Graph, Node, leaves, map_leaves, mappings, model_option
from rnncli.models.keras.choice import (
    REBUILD,
    computes_here,
    find_training,
    half_dtype,
    independent_layers,
    masking_layers,
    name_cause,
    note_containers,
    note_omissions,
    own_cell_name,
    require_one_use,
)
from rnncli.models.keras.custom import CustomObjects
from rnncli.models.layer_cases import build_layer_case, name_outputs, with_dtype
from rnncli.process import child_process
from rnncli.process.memory import PER_BYTE, ROOM, format_size, limit_growth
from rnncli.process.packages import isolated
from rnncli.values import Array

FLOAT32 = Message("Rebuild the model with the dtype float32, copy the weights, and save it again.")
TOLERANCE = 1e-4
"""Tolerance for outputs of order one."""


class CallArrays(NamedTuple):
    """One call of a layer in Keras, in arrays; args and kwargs are empty unless they were asked for."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    outputs: Sequence[Any]


def outputs(
    graph: Graph, path: Path, inputs: Mapping[str, Array], uses: Sequence[LayerUse]
) -> dict[str, Array]:
    """Return every tensor from Keras: from its run of the model, or from a layer that returns more.

    A model of Keras 2 is run by tf_keras, as saved, since today's Keras may read it otherwise.
    Raises EngineError if tf_keras is not installed or cannot run the model.
    """
    from rnncli import compute

    called = {use.layer: use.in_model for use in uses}
    more = {
        use.layer: use.case
        for use in uses
        if not set(name_outputs("", 0, use.case)) <= set(name_outputs("", 0, use.in_model))
    }
    old = graph.generation < 3
    configs = {layer: shown.stack[-1].inner.config for layer, shown in more.items() if old}
    returned = {
        layer: {name: bool(config.get(name)) for name in ("return_sequences", "return_state")}
        for layer, config in configs.items()
    }
    try:
        calls, again = _record(graph, path, inputs, more=returned)
    except UnrunnableError as error:  # its advice is for a run without a check
        raise EngineError("{--check}: {error}", "Leave {--check} out.", error=error) from None
    for layer, shown in more.items():
        if not old:
            again[layer] = [tensor.values for tensor in compute.run(shown, "tensorflow").outputs]
    tensors: dict[str, Any] = {}
    for layer, shown in more.items():
        tensors |= zip(name_outputs(layer, 0, shown), again[layer], strict=True)
    for layer, call in calls.items():
        names = name_outputs(layer, len(call.outputs), called.get(layer))
        tensors |= zip(names, call.outputs, strict=True)
    return {name: value for name, value in tensors.items() if hasattr(value, "dtype")}


def run(graph: Graph, path: Path, request: ModelRequest, cause: str = "") -> ModelRun:
    """Run the model as `run_graph` does, with every layer up to the recurrent ones computed by Keras.

    path: the file of the graph.  cause: the node that NumPy cannot compute.
    Raises LayerError if Keras cannot load or run the model, or not as it was meant when it was saved;
    EngineError if rnncli's steps give different numbers than Keras.
    """
    names = request.choose(graph)
    cells = {node.name: own_cell_name(node) for node in graph.recurrent_nodes if node.name in names}
    chosen = {node.name: node for node in graph.nodes if node.name in names and not cells[node.name]}
    for node in chosen.values():
        _require_one_dtype(node)
        try:
            require_one_use(graph, node)
        except UnknownLayerError as error:
            raise name_cause(graph, node, error) from None
    try:
        seen = _record_wanted(graph, path, request.inputs, tuple(chosen))
    except UnrunnableError as error:
        free = independent_layers(graph, cause, chosen)
        option = Message(
            "To run the layers that NumPy can compute: {option}", option=model_option(graph.file, free)
        )
        raise UnrunnableError(error.sentence, option if free else error.advice) from None
    missing = [name for name in chosen if name not in seen]
    if missing:
        called = [name for name in chosen if name in seen]
        advice = Message("To run the others: {option}", option=model_option(graph.file, called))
        raise LayerError(
            "Keras did not call {missing} when it ran the model.",
            advice if called else "Save the model again with model.save('model.keras').",
            missing=", ".join(missing),
        )
    parts = tuple(_part(graph, node, seen[name], request.compute) for name, node in chosen.items())
    changed = find_training(graph) if request.everything or request.others else {}
    shown = [
        node
        for node in graph.nodes
        if request.everything or cells.get(node.name) or node.name in request.others
    ]
    others = dict(_other_outputs(shown, seen, changed))
    omitted = note_omissions(changed) if request.everything else ()
    text = "{name} is shown as Keras returned it: its cell {cell} is code, which has no gates to show"
    by_code = (Message(text, name=name, cell=cell) for name, cell in cells.items() if cell)
    notes = (*omitted, *note_containers(graph), *by_code)
    masks = masking_layers(graph, (part.case.mask for part in parts))
    return ModelRun(parts, others, notes, masks, tuple(node.name for node in graph.nodes), "tensorflow")


def _record_wanted(
    graph: Graph, path: Path, inputs: Mapping[str, Array], names: Sequence[str]
) -> dict[str, CallArrays]:
    """Without tf_keras, today's Keras runs a model of Keras 2, if it computes the same outputs."""
    today = graph.generation >= 3 or not has_tf_keras()
    try:
        masked = any(node.makes_mask for node in graph.nodes)
        joined = any(
            node.class_name in plain.MERGING or node.kwargs.get("initial_state") is not None
            for node in graph.nodes
        )
        if today and rules_of(graph.origin) != TODAY and masked and joined:
            raise UnrunnableError(
                "Keras cannot run this model: today's Keras combines masks differently from "
                "{origin}, which saved it.",
                REBUILD,
                origin=graph.origin,
            )
        return _record(graph, path, inputs, names, today=today)[0]
    except UnrunnableError as error:
        if graph.generation >= 3 or not today:
            raise
        what = Message(
            "{sentence} tf_keras runs models of Keras 2, and is not installed.", sentence=error.sentence
        )
        raise EngineError(what, "pip install tf_keras") from None


def has_tf_keras() -> bool:
    """Return whether tf_keras can be imported."""
    return importlib.util.find_spec("tf_keras") is not None


def _record(
    graph: Graph,
    path: Path,
    inputs: Mapping[str, Array],
    names: Sequence[str] = (),
    more: Mapping[str, Mapping[str, bool]] = {},
    *,
    today: bool = False,
) -> tuple[dict[str, CallArrays], dict[str, list[Any]]]:
    """Return every call of every layer by the name of the use in the graph, in Keras's order, and `more`.

    See `run_in_process`.  today: run also a model of Keras 2 in today's Keras, not in tf_keras.
    Raises UnrunnableError if Keras cannot load or run the model, or would run code of the file; EngineError
    if tf_keras is needed and not installed.
    """
    in_tf_keras = graph.generation < 3 and not today
    if in_tf_keras and not has_tf_keras():
        raise EngineError(
            "{file} was saved by {origin}; tf_keras is not installed; it is needed to run models of Keras 2.",
            "pip install tf_keras",
            file=graph.file,
            origin=graph.origin,
        )
    family = "tf_keras" if in_tf_keras else "keras"
    with inside(graph.file), _loadable(path) as file:
        if in_tf_keras and (reason := _find_unsafe_code(graph)):
            raise cannot_run(family, reason)
        classes = {  # that only Keras may know; a file says no module of a user's class
            node.class_name
            for node in graph.nodes
            if node.inner is None and not node.is_recurrent and node.module == "keras.layers"
            if not plain.is_known(node.class_name, node.module)
        }
        custom = graph.custom or CustomObjects()
        run = KerasRun(file, dict(inputs), family, tuple(names), dict(more), custom, classes)
        record = run_in_process(run)
    return {name: CallArrays(*call) for name, call in record["calls"].items()}, record["more"]


@contextmanager
def _loadable(path: Path) -> Iterator[Path]:
    if not path.is_file():
        raise LayerError(
            "Keras can load this model only from a file of its own.", "Save it as a file, and name that."
        )
    with path.open("rb") as file:
        suffix = ".keras" if file.read(2) == b"PK" else ".h5"
    if path.suffix == suffix or (suffix == ".h5" and path.suffix == ".hdf5"):
        yield path
        return
    with TemporaryDirectory() as folder:
        link = Path(folder) / f"model{suffix}"
        link.symlink_to(path.resolve())
        yield link


def _find_unsafe_code(graph: Graph) -> Text:
    """Return why loading this model in tf_keras could run code that is not Keras's; "" if it cannot."""
    for node in graph.nodes:
        if node.inner is not None and (reason := _find_unsafe_code(node.inner)):
            return reason
        if graph.custom is not None and graph.custom.has(node.class_name):
            continue
        whole = {"class_name": node.class_name, "module": node.module, "config": node.config}
        if any(map(_is_unsafe, mappings(whole))):
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
    if name in plain.LAMBDAS:
        return not (isinstance(config, Mapping) and str(config.get("function")) in operations.TENSORFLOW)
    module = entry.get("module")
    return name in ("Lambda", "TensorFlowOpLayer") or not plain.from_keras(module and str(module))


def _part(graph: Graph, node: Node, call: CallArrays, compute: Compute) -> LayerUse:
    positional = ("mask",) if graph.generation < 3 else ("initial_state", "mask")
    kwargs = {**dict(zip(positional, call.args[1:], strict=False)), **call.kwargs}
    mask = kwargs.pop("mask", None)
    keras_call = KerasCall(
        config=node.config,
        weights=node.weights,
        inputs=call.args[0] if call.args else None,
        mask=mask,
        previous=mask,
        kwargs=kwargs,
        class_name=node.class_name,
        layer=node.name,
    )
    half = half_dtype(node)
    try:
        known = replace(node, config=with_dtype(node.config, half)) if half else node
        case = build_layer_case(known, keras_call, half)
    except UnknownLayerError as error:
        raise name_cause(graph, node, error) from None
    result = compute(case)
    for tensor, expected in zip(result.outputs, call.outputs, strict=True):
        values = tensor.values.astype(np.result_type(expected, np.float32))  # also of bfloat16
        size = max(1.0, float(np.abs(expected[np.isfinite(expected)]).max(initial=0)))
        if not np.allclose(values, expected, rtol=0, atol=TOLERANCE * size, equal_nan=True):
            same = rules_of(graph.origin) == TODAY or has_tf_keras()
            raise EngineError(
                "{name}/{tensor} differs from Keras by up to {largest:.2g}{because}.",
                "This is a bug in rnncli; please report it." if same else "pip install tf_keras",
                name=node.name,
                tensor=tensor.name,
                largest=float(np.nanmax(np.abs(values - expected))),
                because=""
                if same
                else Message(", which does not know what {origin} meant", origin=graph.origin),
            )
    return LayerUse(node.name, case, result)


def _other_outputs(
    nodes: Sequence[Node], seen: Mapping[str, CallArrays], hidden: Collection[str]
) -> Iterator[tuple[str, Array]]:
    """Yield the outputs of the layers that rnncli does not compute nor hide; operations are not shown."""
    for node in nodes:
        is_other = not node.is_recurrent or own_cell_name(node)
        if node.name in hidden or node.name not in seen:
            continue
        if is_other and not plain.is_operation(node.module):
            outputs = seen[node.name].outputs
            yield from zip(name_outputs(node.name, len(outputs)), outputs, strict=True)


def _require_one_dtype(node: Node) -> None:
    if not computes_here(node) and not half_dtype(node):
        dtypes = [config.get("dtype") or "float32" for config in (node.config, node.core_config)]
        raise LayerError(
            "{name} ({class_name}) computes in {dtype}, which is not supported.",
            FLOAT32,
            name=node.name,
            class_name=node.class_name,
            dtype=next(dtype for dtype in dtypes if plain.dtype_of(dtype) is None),
        )


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


def run_in_process(run: KerasRun) -> Any:
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
            return child_process.receive(answer_of, ROOM + PER_BYTE * run.size, UnrunnableError)
    except child_process.IncompleteOutputError as error:
        what = "{framework} cannot run this model: {error}."
        raise UnrunnableError(what, "Give smaller inputs.", framework=name, error=error.args[0]) from None


def answer(request: bytes, file: BinaryIO) -> None:
    """Write, in the new process, what the run returns or raises."""
    child_process.send(file, lambda: _find(pickle.loads(request)))  # written by `run_in_process`


def _find(run: KerasRun) -> Any:
    try:
        return map_leaves(_plain, _run_model(run))
    except RnncliError:
        raise
    except Exception as error:  # frameworks raise many types
        if type(error).__name__ in NO_MEMORY or "OOM when allocating" in str(error):
            raise too_large(Message("too much memory")) from None
        if str(error).startswith("Exception encountered"):  # Keras knows the layers
            advice = Message("Correct the model so that Keras runs it, or give different inputs.")
            raise cannot_run(run.family, first_sentence(error), advice) from None
        raise cannot_run(run.family, first_sentence(error)) from None


def _plain(leaf: Any) -> Any:
    """Return a tensor of the framework as an array, and an object that is no number or text as its type."""
    leaf = leaf.numpy() if hasattr(leaf, "numpy") else leaf
    if not isinstance(leaf, np.ndarray):
        return leaf if leaf is None or isinstance(leaf, (bool, int, float, str)) else str(type(leaf))
    array = leaf.astype("float32") if leaf.dtype.name == "bfloat16" else leaf
    return array if array.dtype.kind in child_process.KINDS else array.dtype.name


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


def _run_model(run: KerasRun) -> Any:
    with isolated():
        keras: Any = import_keras() if run.family == "keras" else importlib.import_module(run.family)
        for name in run.classes:
            if not hasattr(keras.layers, name) and not run.custom.has(name):
                what = Message(
                    "{name} is not a layer of Keras; {--custom-objects FILE.py} gives its class.", name=name
                )
                raise cannot_run(run.family, what)
        if run.family == "tf_keras":
            calls, again = _run_in_tf_keras(run)
        else:
            calls, again = _run_in_keras(run), {}
    named = {
        name: (*((call.args, call.kwargs) if name in run.wanted else ((), {})), call.outputs)
        for name, call in calls.items()
    }
    return {"calls": named, "more": again}


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
    tensorflow = importlib.import_module("tensorflow")
    try:
        with isolated(), keras.StatelessScope(initialize_variables=False):
            model = keras.saving.load_model(run.path, dict(classes), compile=False)
            specs = [
                tensorflow.TensorSpec(run.inputs[tensor.name].shape, run.inputs[tensor.name].dtype)
                for tensor in model.inputs
            ]

            def trace(*tensors: Any) -> Any:
                packed = keras.tree.pack_sequence_as(_graph_of(model).input, list(tensors))
                return model(packed, training=False)

            traced = tensorflow.function(trace, autograph=False).get_concrete_function(*specs)
            sizes = [
                (output.shape.num_elements() or 0) * output.dtype.size
                for operation in traced.graph.get_operations()
                for output in operation.outputs
            ]
    except ValueError as error:
        if "stateless scope" in str(error):  # Keras creates the states of a stateful layer nowhere else
            return
        raise
    room = ROOM + PER_BYTE * run.size
    if max(sizes, default=0) > room:
        raise too_large(Message("a tensor of {size}", size=format_size(max(sizes))))
    if sum(sizes) > room:
        raise too_large(Message("tensors of {size}", size=format_size(sum(sizes))))
