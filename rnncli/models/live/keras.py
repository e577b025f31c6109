"""The recorder of Keras: calls a model or a layer, and notes what each recurrent layer got.

A wrapper in `vars(layer)["call"]` sees every call of a recurrent layer, and of a cell outside of one.
The summary is of the model's graph, if its config has one; else of all that it holds.  The tape is
TensorFlow's, or PyTorch's where Keras runs on it.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial, update_wrapper
from threading import get_ident
from typing import Any

import keras
import numpy as np

from rnncli.errors import EngineError, LayerError, Message, Text, UsageError, format_names, inside
from rnncli.layers.plain.time_distributed import entries
from rnncli.layers.shape_checks import order_states
from rnncli.layers.stack import Stack
from rnncli.models.graph import Graph, ModelInput
from rnncli.models.inputs import fit_shape
from rnncli.models.keras.model import summarize_graph
from rnncli.models.keras.reader import graph_of
from rnncli.models.live.keras_layers import (
    Held,
    LayerDescription,
    arrays_in,
    choose_targets,
    describe,
    differ,
    find_layers,
    is_cell,
    is_recurrent,
    is_tracing,
    other_layers_in,
    tensor_of,
    to_numpy,
    unchanged,
)
from rnncli.models.live.keras_layers import other_layers as other_layers
from rnncli.models.live.recording import (
    RECORDING,
    LiveCall,
    OtherLayers,
    Recording,
    arrange_calls,
    bind,
    flatten,
    refuse_beside,
    require_numbers,
    require_states,
    stack_sequences,
    to_mask,
)
from rnncli.models.live.tape import BATCH_FIRST, Tape
from rnncli.models.summary import LayerRow, Summary, TensorRow, WeightCounter, class_text
from rnncli.values import Array, Shape

FRAMEWORK = "Keras"
BACKENDS = ("tensorflow", "torch")
"""Where a call has numbers; JAX traces functions of its own."""


def record(
    model: Any,
    given: Any,
    *,
    training: bool,
    at: str | None,
    beside: Mapping[str, Any],
    tape: Tape | None = None,
    everything: bool = False,
) -> Recording:
    """Call the object once, and return what its recurrent layers got and returned.

    tape: what differentiates the call.
    Raises UsageError, LayerError or EngineError for what cannot be recorded, and what the object raises.
    """
    layers = find_layers(model)
    targets = choose_targets(layers, at)
    arguments = _arguments(model, given, beside, training=training)
    _require_recordable(model, targets, arguments.arguments)
    inputs = flatten("", _name_inputs(model, arguments.arguments), _to_array)
    require_numbers(inputs)
    recorder = _KerasRecorder(targets, other_layers_in(layers) if everything else ())
    with RECORDING, unchanged([layer.layer for layer in layers], arguments.arguments) as notes:
        try:
            recorder.wrap()
            run = partial(_call, model, arguments, training=training)
            returned = run() if tape is None else tape.call(run, arguments)
        except Exception:
            if recorder.refusal is not None:
                raise recorder.refusal from None
            raise
    calls = arrange_calls(recorder.calls)
    _require_calls(layers, calls, at)
    outputs, notes = flatten("output", returned, _to_array), [*notes, *recorder.notes()]
    others = recorder.noted if everything else None
    return Recording(calls, inputs, outputs, tuple(notes), others=others)


def _call(model: Any, arguments: inspect.BoundArguments, *, training: bool) -> Any:
    """Call the object; Keras takes only tensors by position, so all but the first are passed by name."""
    args, kwargs = arguments.args, arguments.kwargs
    parameters = list(arguments.signature.parameters.values())
    if all(parameter.kind is not parameter.VAR_POSITIONAL for parameter in parameters):
        names = [parameter.name for parameter in parameters]
        args, kwargs = args[:1], {**dict(zip(names[1:], args[1:], strict=False)), **kwargs}
    return model(*args, **{"training": training, **kwargs})


def _name_inputs(model: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    if isinstance(model, keras.Function):
        (_, given), *others = arguments.items()
        if isinstance(given, Mapping):
            return {**given, **dict(others)}
        names, leaves = [tensor.name for tensor in model.inputs], keras.tree.flatten(given)
        if len(names) > 1 or not names[0].startswith("keras_tensor"):  # a number of Keras says nothing
            return {**dict(zip(names, leaves, strict=False)), **dict(others)}
    return arguments


def _to_array(value: Any) -> Array | None:
    return to_numpy(value) if hasattr(value, "shape") else None


def _arguments(
    model: Any, given: Any, beside: Mapping[str, Any], *, training: bool
) -> inspect.BoundArguments:
    is_graph = isinstance(model, (keras.Function, keras.Sequential))  # it takes one argument, also a dict
    is_loop = isinstance(model, (keras.layers.RNN, keras.layers.Bidirectional))
    takes_one = is_loop or isinstance(model, keras.Sequential) or (is_graph and len(model.inputs) == 1)
    if isinstance(given, list) and (
        (takes_one and len(given) > 1)
        or all(isinstance(leaf, (int, float, str)) for leaf in keras.tree.flatten(given))
    ):
        given = stack_sequences(given)
    takes = inspect.signature(model.call).parameters
    mode = {"training": training} if "training" in takes else {}
    arguments = bind(model.call, (given,) if is_graph else given, mode)
    for name, value in beside.items():
        parameter = "mask" if name == "lengths" else name
        if parameter not in takes:
            raise refuse_beside(model, name, "call")
        first = next(iter(arguments.arguments.values()))
        if name == "lengths" or (name == "mask" and takes_one):
            value = to_mask(name, value, np.shape(first), (2,) if is_loop else (2, 3))
        if name == "initial_state":
            value = _fit_states(model, value, np.shape(first)) if is_loop else value
        arguments.arguments[parameter] = keras.tree.map_structure(keras.ops.convert_to_tensor, value)
    return arguments


def _fit_states(model: Any, states: Any, shape: tuple[int, ...]) -> Any:
    if isinstance(states, Mapping):
        stack = describe(model, shape, training=False, own=()).stack
        names = [*states] if stack is None else [info.name for info in stack.states(shape)]
        with inside("initial_state"):
            states = order_states(states, names)
    given = list(states)
    loops = [model] if isinstance(model, keras.layers.RNN) else [model.forward_layer, model.backward_layer]
    zeros = [loop.get_initial_state(shape[0]) for loop in loops]
    require_states(
        type(model).__name__,
        (np.shape(state) for state in given),
        (tuple(zero.shape) for zero in keras.tree.flatten(zeros)),
    )
    return keras.tree.pack_sequence_as(zeros[0], given) if len(loops) == 1 else given


def _require_recordable(model: Any, targets: Sequence[Held], args: Any) -> None:
    backend = keras.backend.backend()
    if backend not in BACKENDS:
        raise EngineError(
            "Keras runs on {backend} in this process; live objects are recorded on TensorFlow and PyTorch.",
            "Save the model, model.save('m.keras'), and give the file, or start Python with "
            "KERAS_BACKEND=tensorflow.",
            backend=backend,
        )
    leaves = keras.tree.flatten(args)
    symbolic = [leaf for leaf in leaves if isinstance(leaf, keras.KerasTensor)]
    if backend == "tensorflow":
        import tensorflow

        symbolic += filter(tensorflow.is_symbolic_tensor, leaves)
        _require_eager(targets)
    if symbolic:
        raise UsageError("the input is a symbolic tensor, which has no numbers.", "Give an array of numbers.")
    unbuilt = next((target for target in targets if not target.is_built), None)
    if unbuilt is not None and not model.built:
        raise _refuse_unbuilt(unbuilt)


def _require_eager(targets: Sequence[Held]) -> None:
    import tensorflow

    if tensorflow.config.functions_run_eagerly():
        return
    for layer in (layer for target in targets for layer in (*target.owners, target.layer)):
        if hasattr(layer.call, "get_concrete_function"):
            what = "{class_name}.call is a tf.function: the calls inside it cannot be seen."
            advice = "Leave @tf.function out, or call tensorflow.config.run_functions_eagerly(True) first."
            raise LayerError(what, advice, class_name=type(layer).__name__)


def _refuse_unbuilt(target: Held) -> LayerError:
    what = "{name} ({class_name}) is not built: it has no weights yet."
    advice = "Call the object once on your input, model(x), and try again."
    return LayerError(what, advice, name=target.name, class_name=type(target.layer).__name__)


def _require_calls(layers: Sequence[Held], calls: Sequence[LiveCall], at: str | None) -> None:
    if calls:
        return
    name = type(layers[0].layer).__name__
    if at is not None:
        raise LayerError(
            "{name} did not call {at}.", "It may have been called from another thread.", name=name, at=at
        )
    others = [layer for layer in layers[1:] if type(layer.layer).__name__ != "InputLayer"]
    classes = sorted({type(layer.layer).__name__ for layer in others})
    raise LayerError(
        "{name} called no recurrent layer, and no cell. It holds {classes}.",
        Message("To see what another layer returns, name it: at='{example}'", example=others[-1].path)
        if others
        else "Layers are found in attributes, lists, dicts and the variables of functions.",
        name=name,
        classes=format_names(classes) or Message("no other layers"),
    )


class _KerasRecorder:
    """Notes the calls of layers in the thread that made it.

    seen: the ids of the layers that were called.
    traced: the names of layers that were called while TensorFlow traced a function.
    own: the ids of layers whose `call` was set on themselves, not on their class.
    refusal: the error for a layer that the call would have built.
    weights: copies by the id of the layer, with the tensors that they are copies of.
    """

    def __init__(self, targets: Sequence[Held], others: Sequence[Held] = ()) -> None:
        self.targets, self.others, self.noted = targets, others, OtherLayers()
        self.calls: list[LiveCall] = []
        self.seen: set[int] = set()
        self.traced: dict[str, None] = {}
        self.own: set[int] = set()
        self.refusal: LayerError | None = None
        self.is_inside = False
        self.thread = get_ident()
        self.weights: dict[int, tuple[list[Any], dict[str, Array]]] = {}
        self.descriptions: dict[Any, LayerDescription] = {}

    def wrap(self) -> None:
        """Let the layers note their calls; a layer without weights refuses to be built.

        Putting the attributes of the layers back takes the wrappers away.
        """
        for target in self.targets:
            if target.is_built:
                vars(target.layer)["call"] = self._wrap_call(target)
            else:
                vars(target.layer)["build"] = self._refuse_build(target)
        targets = {id(target.layer) for target in self.targets}
        for held in self.others:
            if id(held.layer) not in targets:
                vars(held.layer)["call"] = self._wrap_other(held)

    def notes(self) -> Iterator[Text]:
        """Yield what was not seen."""
        traced = self.traced
        names = [
            target.name
            for target in self.targets
            if target.is_outermost and target.layer.weights
            if id(target.layer) not in self.seen and target.name not in traced
        ]
        if names:
            yield Message("not called, or from another thread: {names}", names=", ".join(names))
        if traced:
            names = list(traced)
            yield Message("not seen while TensorFlow traced a function: {names}", names=", ".join(names))

    def _wrap_other(self, held: Held) -> Callable[..., Any]:
        original = held.layer.call

        def call(*args: Any, **kwargs: Any) -> Any:
            returned = original(*args, **kwargs)
            if get_ident() == self.thread and not is_tracing() and not self.is_inside:
                given = flatten("", [args, kwargs], _to_array).values()
                self.noted.add(held.name, given, flatten("output", returned, _to_array), recurrent=False)
            return returned

        return update_wrapper(call, original)

    def _refuse_build(self, held: Held) -> Callable[..., Any]:
        def build(*_: Any, **__: Any) -> Any:
            self.refusal = _refuse_unbuilt(held)
            raise self.refusal

        return build

    def _wrap_call(self, held: Held) -> Callable[..., Any]:
        original = held.layer.call
        is_own = getattr(vars(held.layer).get("call"), "is_own", "call" in vars(held.layer))
        if is_own:
            self.own.add(id(held.layer))
        signature = inspect.signature(original)

        def call(*args: Any, **kwargs: Any) -> Any:
            if get_ident() != self.thread:
                return original(*args, **kwargs)
            if is_tracing():
                self.traced[held.name] = None
                return original(*args, **kwargs)
            self.seen.add(id(held.layer))
            if self.is_inside:
                return original(*args, **kwargs)
            before, stack = self._read(held, signature.bind(*args, **kwargs).arguments)
            self.is_inside = True
            try:
                returned = original(*args, **kwargs)
            finally:
                self.is_inside = False
            done = _complete(before, held.layer, stack, returned)
            self.calls.append(done)
            given = () if done.inputs is None else (done.inputs, *(done.initial_state or ()))
            self.noted.add(held.name, given, done.outputs, recurrent=True)
            return returned

        update_wrapper(call, original)
        vars(call)["is_own"] = is_own  # for a recording inside this one
        return call

    def _read(self, held: Held, arguments: Mapping[str, Any]) -> tuple[LiveCall, Stack | None]:
        layer = held.layer
        first, second = (*arguments.values(), None, None)[:2]
        inputs, mask = (next(arrays_in(value), None) for value in (first, arguments.get("mask")))
        states = tuple(arrays_in(second if is_cell(layer) else arguments.get("initial_state")))
        core = _batched(layer, mask)
        if core is not layer:
            inputs, mask = entries(inputs), entries(mask)
        elif is_cell(layer) and inputs is not None:
            inputs = inputs[:, None]
        description = LayerDescription(
            lacks=Message("{class_name} is not a recurrent layer", class_name=type(layer).__name__)
        )
        if inputs is not None and is_recurrent(layer):
            key = id(core), inputs.shape[1:], bool(arguments.get("training"))
            if key not in self.descriptions:
                self.descriptions[key] = describe(core, inputs.shape, training=key[-1], own=self.own)
            description = self.descriptions[key]
        call = LiveCall(
            name=held.name,
            path=held.path or held.name,
            class_name=type(layer).__name__,
            config=description.config,
            weights=self._read_weights(core, description.stack, inputs) if is_recurrent(layer) else {},
            inputs=inputs,
            outputs={},
            mask=None if mask is None else mask.astype(bool),
            initial_state=states or _kept_states(layer) or None,
            lacks=description.lacks,
        )
        return call, description.stack

    def _read_weights(self, layer: Any, stack: Stack | None, inputs: Array | None) -> dict[str, Array]:
        """Return copies of the weights; the same copies as long as the weights stay as they are."""
        tensors = [tensor_of(weight) for weight in layer.weights]
        known, arrays = self.weights.get(id(layer), ([], {}))
        if len(known) != len(tensors) or any(map(differ, known, tensors)):
            paths = [weight.path for weight in layer.weights]
            if stack is not None and inputs is not None:
                paths = list(stack.weight_shapes(inputs.shape))
            arrays = dict(zip(paths, map(to_numpy, tensors), strict=True))
            self.weights[id(layer)] = tensors, arrays
        return arrays


def _complete(call: LiveCall, layer: Any, stack: Stack | None, returned: Any) -> LiveCall:
    arrays = list(arrays_in(returned))
    if is_cell(layer):
        arrays[0] = arrays[0][:, None]
    names = []
    if stack is not None and call.inputs is not None:
        names = [info.name for info in stack.outputs(call.inputs.shape)]
        if _batched(layer, None) is not layer:
            arrays = [entries(array) for array in arrays]
    if len(names) != len(arrays):  # rnncli lacks the layer, or a call of its own returns something else
        names = ["output"] if len(arrays) == 1 else [f"output_{index}" for index in range(len(arrays))]
        if is_cell(layer):
            names = ["output", *(f"last_state_{index}" for index in range(len(arrays) - 1))]
    has_states = is_cell(layer) or getattr(layer, "return_state", False)
    final = _kept_states(layer) or tuple(arrays[1:] if has_states else ())
    goes_on = is_cell(layer) or (stack is not None and stack[0].config.get("go_backwards") is False)
    is_step = bool(goes_on and final and call.inputs is not None and call.inputs.shape[1] == 1)
    outputs = dict(zip(names, arrays, strict=True))
    return call._replace(outputs=outputs, final_state=final, is_step=is_step)


def _batched(layer: Any, mask: Array | None) -> Any:
    """Return the layer in a TimeDistributed, each of whose steps is an entry of one batch; else the layer."""
    inner = layer.layer if isinstance(layer, keras.layers.TimeDistributed) else layer
    independent = isinstance(inner, (keras.layers.RNN, keras.layers.Bidirectional)) and not inner.stateful
    return inner if independent and (mask is None or mask.ndim == 3) else layer


def _kept_states(layer: Any) -> tuple[Array, ...]:
    loops = [getattr(layer, name, layer) for name in ("forward_layer", "backward_layer")]
    several = loops if loops[0] is not layer else loops[:1]
    return tuple(arrays_in([loop.states for loop in several if getattr(loop, "stateful", False)]))


def summarize(model: Any, given: Any, _call: Callable[[], object]) -> Summary:
    """Return every layer; the model is not called.  given: the input, which says the free sizes."""
    title, origin = type(model).__name__, f"Keras {keras.__version__}"
    if graph := _graph(model):
        shapes = _shapes(given, [wanted.name for wanted in graph.inputs])
        for wanted in graph.inputs:
            if wanted.name in shapes:
                _require_shape(wanted, shapes[wanted.name])
        summary = summarize_graph(graph, shapes)
        kept = _count_optimizer(model)
        return replace(summary, origin=origin, notes=(), name=title, optimizer_parameters=kept)
    if is_recurrent(model) and given is not None and (built := _input_shape(model)):
        sizes = ("batch", *(None for _ in built[1:-1]), built[-1])
        _require_shape(ModelInput("input", sizes, model.compute_dtype), tuple(np.shape(given)))
    notes: tuple[Text, ...] = ()
    if unbuilt := [entry.name for entry in find_layers(model) if not entry.layer.built]:
        notes = (Message("not built yet, so without weights: {names}", names=format_names(unbuilt)),)
    return Summary("", origin, (), tuple(_summary_rows(model)), None, notes, title, _count_optimizer(model))


def _count_optimizer(model: Any) -> int:
    """Return how many numbers the optimizer of a compiled model keeps; 0 before its first step."""
    optimizer = getattr(model, "optimizer", None) if getattr(model, "compiled", False) else None
    if not getattr(optimizer, "built", False):
        return 0
    return sum(int(np.prod(variable.shape)) for variable in getattr(optimizer, "variables", ()))


def _graph(model: Any) -> Graph | None:
    if not isinstance(model, (keras.Sequential, keras.Function)):
        return None
    arrays: dict[int, Array] = {}

    def array(weight: Any) -> Array:
        """Return an array of its shape, without its numbers; the same array for a shared weight."""
        return arrays.setdefault(id(weight), np.broadcast_to(np.float32(0), weight.shape))

    layers = {
        layer.name: [
            (weight.path, array(weight))
            for weight in (*layer.trainable_weights, *layer.non_trainable_weights)
        ]
        for layer in model.layers
    }
    with suppress(Exception):  # of a layer of the user's own, whose config cannot be written
        kind = "Sequential" if isinstance(model, keras.Sequential) else "Functional"
        config = json.loads(json.dumps(model.get_config(), default=str))
        return graph_of({"class_name": kind, "config": config}, layers)
    return None


def _shapes(given: Any, names: list[str]) -> dict[str, Shape]:
    if given is None:
        return {}
    named = given if isinstance(given, Mapping) else dict(zip(names, [given], strict=False))
    if isinstance(given, (list, tuple)) and len(given) == len(names) > 1:
        named = dict(zip(names, given, strict=True))
    return {name: tuple(np.shape(value)) for name, value in named.items() if name in names}


def _require_shape(model_input: ModelInput, shape: Any) -> None:
    """Unlike a file, whose batch axis may be left out, the object is called with the input as it is."""
    if model_input.shape is not None:
        fit_shape(model_input, (None, *model_input.shape[1:]), np.broadcast_to(np.float32(0), shape))


def _summary_rows(model: Any) -> Iterator[LayerRow]:
    """The layers inside others come first: they count the weights that both have."""
    counter, layers = WeightCounter(), find_layers(model)
    wholes = keras.layers.Wrapper, keras.layers.MultiHeadAttention
    owners = {id(owner) for entry in layers for owner in entry.owners}
    around: list[Held] = []
    for entry in layers:
        if any(is_recurrent(owner) or isinstance(owner, wholes) for owner in entry.owners):
            continue
        if entry.is_outermost or id(entry.layer) not in owners:
            yield _summary_row(entry, counter)
        else:
            around.append(entry)
    rows = (_summary_row(entry, counter) for entry in reversed(around))
    yield from (row for row in rows if row.parameters)


def _summary_row(entry: Held, counter: WeightCounter) -> LayerRow:
    layer, weights = entry.layer, list(entry.layer.weights)
    shape, recurrent, spec = _input_shape(layer), is_recurrent(layer), None
    names = [weight.name for weight in weights]
    if recurrent and shape is not None and len(shape) == 3:
        stack = describe(layer, shape, training=False).stack
        if stack is not None:
            spec, names = stack[0], list(stack.weight_shapes(shape))
    frozen = {id(weight) for weight in layer.non_trainable_weights}
    config: Mapping[str, Any] = {}
    with suppress(Exception):  # a layer of the user's own may have no config
        config = layer.get_config()
    return LayerRow(
        name=entry.name,
        class_name=class_text(type(layer).__name__, config),
        inputs=None,
        outputs=tuple(_summary_outputs(entry.name, layer, shape)),
        weights=counter.rows(
            zip(names, weights, strict=True),
            frozen=[title for title, weight in zip(names, weights, strict=True) if id(weight) in frozen],
        ),
        recurrent=recurrent,
        spec=spec,
        input_shape=shape,
    )


def _input_shape(layer: Any) -> Any:
    with suppress(Exception):
        built = layer.get_build_config()  # of a layer that was called with initial states, several shapes
        sizes = tuple(built.get("input_shape") or built["shapes_dict"]["sequences_shape"])
        if all(size is None or isinstance(size, int) for size in sizes):
            return ("batch", *sizes[1:])
    return None


def _summary_outputs(name: str, layer: Any, shape: Any) -> Iterator[TensorRow]:
    shapes: Any = None
    if shape is not None and type(layer).__module__.startswith("keras."):
        with suppress(Exception):
            shapes = layer.compute_output_shape((None, *shape[1:]))
    several = shapes if shapes and isinstance(shapes[0], (list, tuple)) else [shapes]
    for index, sizes in enumerate(several):
        title = f"{name}/output" if len(several) == 1 else f"{name}/output_{index}"
        yield TensorRow(title, None if sizes is None else ("batch", *sizes[1:]))


def make_tape(batch: int) -> Tape:
    """Return the tape of the framework on which Keras runs."""
    if keras.backend.backend() != "torch":
        return _TensorflowTape(batch)
    import torch

    from rnncli.models.live.torch import TorchTape

    class KerasTape(TorchTape):
        orders = BATCH_FIRST

        def make_leaf(self, value: Any) -> tuple[Any, Any]:
            is_array = isinstance(value, np.ndarray) and value.dtype.kind == "f"
            return super().make_leaf(torch.from_numpy(value.copy()) if is_array else value)

    return KerasTape(batch)


class _TensorflowTape(Tape):
    def call(self, run: Callable[[], Any], arguments: inspect.BoundArguments) -> Any:
        """Call the object under a tape that watches its input."""
        import tensorflow

        with tensorflow.GradientTape(persistent=True, watch_accessed_variables=False) as self.tape:
            self.watch(arguments)
            self.tape.watch(self.leaf)
            returned = run()
        tensors = flatten("output", returned, lambda value: value if hasattr(value, "shape") else None)
        name, self.output = next(iter(tensors.items()), ("output", None))
        if self.output is None or not self.output.dtype.is_floating:
            what = "{--whole}: the first output has no floating-point numbers."
            raise LayerError(what, "Let the model return its scores.")
        shapes = tuple(self.leaf.shape), tuple(self.output.shape)
        self.found = self.measure(name, shapes, self.leaf.dtype.name)
        del self.tape
        return returned

    output: Any
    tape: Any

    def make_leaf(self, value: Any) -> tuple[Any, Any]:
        import tensorflow

        is_float = hasattr(value, "dtype") and keras.backend.is_float_dtype(
            keras.backend.standardize_dtype(value.dtype)
        )
        if not is_float:
            return None, None
        if self.leaf is not None:
            return None, value
        tensor = tensorflow.identity(np.asarray(value) if hasattr(value, "__array__") else value)
        return tensor, tensor

    def pull_back(self, vector: Array) -> Array | None:
        import tensorflow

        given = tensorflow.cast(vector, self.output.dtype)
        gradient = self.tape.gradient(self.output, self.leaf, output_gradients=given)
        return None if gradient is None else to_numpy(gradient)
