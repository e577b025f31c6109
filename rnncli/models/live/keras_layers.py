"""The layers of a Keras object: how rnncli describes a recurrent one, and which the object holds.

What a call may change in layers, variables and random states is saved and put back by `unchanged`.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import FunctionType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from rnncli.errors import LayerError, Message, Text, format_names
from rnncli.frameworks import default_name
from rnncli.layers.layer import RATES
from rnncli.layers.stack import Stack
from rnncli.models.keras.versions import Translator, origin_of
from rnncli.models.live.recording import PLAIN, Restore, refuse_at, save_attributes, without_use
from rnncli.process.packages import restore_random
from rnncli.specs.build import build
from rnncli.values import Array, Shape

LAYER_OF_CELL = {"LSTMCell": "LSTM", "GRUCell": "GRU", "SimpleRNNCell": "SimpleRNN", "StackedRNNCells": "RNN"}
"""The layer that makes a sequence of a cell's steps."""
LAYERS = ("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional")
CONVOLVED = ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
ACTIVATIONS = ("activation", "recurrent_activation")
OPTIONS = (
    "units", "use_bias", "reset_after", "return_sequences", "return_state", "go_backwards",
    "filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate",
)  # fmt: skip
"""Attributes that say which tensors a layer returns, and which weights it has."""
INNER = ("layer", "forward_layer", "backward_layer", "cell")
"""Attributes that hold the layer or the cell inside a recurrent layer."""


class LayerDescription(NamedTuple):
    """A recurrent layer as rnncli describes it.

    config: the Keras config of the layer; None if rnncli's engines cannot compute the call.
    stack: the layer as rnncli builds it, also if it cannot compute this call; None if it cannot build it.
    lacks: see `LiveCall`.
    """

    config: Mapping[str, Any] | None = None
    stack: Stack | None = None
    lacks: Text = ""


def is_cell(layer: Any) -> bool:
    """Return whether this is a cell: it computes one step from a state that it is given."""
    return hasattr(layer, "state_size") and not hasattr(layer, "return_sequences")


def is_recurrent(layer: Any) -> bool:
    """Return whether this is a recurrent layer, a cell, or a TimeDistributed that holds one."""
    import keras

    if isinstance(layer, keras.layers.TimeDistributed):
        return any(map(is_recurrent, parts_of(layer.layer)))
    return isinstance(layer, (keras.layers.RNN, keras.layers.Bidirectional)) or is_cell(layer)


def parts_of(layer: Any) -> Iterator[Any]:
    """Yield the layers and the cells that a layer is made of, itself first."""
    yield layer
    several = [*getattr(layer, "cells", ()), *getattr(layer, "layers", ())]
    for part in (*(getattr(layer, name, None) for name in INNER), *several):
        if part is not None:
            yield from parts_of(part)


def describe(
    layer: Any, inputs: Shape, *, training: bool, own: Collection[int] = frozenset()
) -> LayerDescription:
    """Return the description of a layer or a cell for inputs (batch, timesteps, features).

    own: the ids of layers and cells whose `call` was set on themselves.
    """
    base = _base(layer)
    class_name = LAYER_OF_CELL.get(base.__name__, base.__name__)
    if why := _find_lack(layer):
        return LayerDescription(lacks=why)
    why = _find_other_numbers(layer)
    config = options_of(layer) if why else _config_of(layer)
    if is_cell(layer):
        config = {**config, "return_sequences": True, "return_state": True}
    written = {"class_name": class_name, "config": config}
    try:
        stack = Stack((build(written),))
        shapes = [*stack.weight_shapes(inputs).values()]
    except LayerError as error:
        return LayerDescription(lacks=why or error.sentence)
    if shapes != [tuple(weight.shape) for weight in layer.weights]:
        return LayerDescription(
            lacks=Message("its weights are not those of {class_name}", class_name=class_name)
        )
    if why:
        return LayerDescription(None, stack, why)
    if training and any(getattr(part, rate, 0) for part in parts_of(layer) for rate in RATES):
        return LayerDescription(None, stack, Message("dropout draws other numbers in every call"))
    part = next((part for part in parts_of(layer) if id(part) in own), layer)
    if part is layer and type(layer) is base and id(layer) not in own:
        return LayerDescription(written, stack)
    return LayerDescription(
        written, stack, Message("{class_name} has its own call", class_name=type(part).__name__)
    )


def _find_lack(layer: Any) -> Text:
    import keras

    base = _base(layer)
    if isinstance(layer, keras.layers.TimeDistributed):
        return Message(
            "it holds {class_name}, whose steps are not one batch", class_name=type(layer.layer).__name__
        )
    if base.__name__ not in (*LAYERS, *LAYER_OF_CELL, *CONVOLVED, "Layer"):
        return Message("rnncli has no equations of {class_name}", class_name=type(layer).__name__)
    for part in parts_of(layer):
        if type(part) is not _base(part) and (part is not layer or base.__name__ == "Layer"):
            return Message("{class_name} is written in Python", class_name=type(part).__name__)
    return ""


def find_own_activation(layer: Any) -> Text:
    """Return that an activation is not one of Keras; "" if there is none."""
    for part in parts_of(layer):
        for name in ACTIVATIONS:
            function = getattr(part, name, None)
            if function is not None and not str(function.__module__).startswith("keras."):
                what = getattr(function, "__name__", type(function).__name__)
                return Message("its activation {what} is not one of Keras", what=what)
    return ""


def _find_other_numbers(layer: Any) -> Text:
    if _base(layer).__name__ in CONVOLVED:
        return Message("rnncli has no equations of {class_name}", class_name=type(layer).__name__)
    dtypes = {dtype for part in parts_of(layer) for dtype in (part.compute_dtype, part.variable_dtype)}
    if dtypes not in ({"float32"}, {"float64"}):
        return Message("it computes in {dtypes}", dtypes=" and ".join(sorted(dtypes)))
    return find_own_activation(layer)


def _config_of(layer: Any) -> dict[str, Any]:
    """Return the config of a layer, for a cell of the layer around it, without initializers."""
    import keras

    translator, base = Translator(origin_of(f"Keras {keras.__version__}")), _base(layer)
    if base.__name__ == "StackedRNNCells":
        return {"cell": translator.entry(keras.saving.serialize_keras_object(layer), layer.name)}
    written = {"class_name": base.__name__, "config": base.get_config(layer)}
    return translator.layer(written, layer.name)


def options_of(layer: Any) -> dict[str, Any]:
    """Return what says the names and the shapes of a layer's tensors and weights, as a config."""
    base = _base(layer).__name__

    def part(inner: Any) -> dict[str, Any]:
        return {"class_name": _base(inner).__name__, "config": options_of(inner)}

    if base == "StackedRNNCells":
        return {"cell": [*map(part, layer.cells)]}
    if base == "Bidirectional":
        parts = {"layer": part(layer.forward_layer), "backward_layer": part(layer.backward_layer)}
        return {"merge_mode": layer.merge_mode, **parts}
    options = {name: getattr(layer, name) for name in OPTIONS if hasattr(layer, name)}
    if base == "RNN":
        options["cell"] = options_of(layer.cell).get("cell") or part(layer.cell)
    return options


def _base(layer: Any) -> Any:
    return next(base for base in type(layer).__mro__ if base.__module__.split(".")[0] == "keras")


_TRACKED = ("_layers", "_functional", "_modules")
"""Attributes in which Keras keeps layers that have another attribute, too."""


class Held(NamedTuple):
    """A layer that an object holds.

    name: as in a saved model, `inside/deep`; the name of its attribute, if Keras numbered the layer.
    path: of its attribute, `block.encoder`; "" for the object itself.  owners: the layers around it.
    """

    layer: Any
    name: str
    path: str
    owners: tuple[Any, ...] = ()

    @property
    def is_outermost(self) -> bool:
        """Whether it is a recurrent layer, or a cell, outside of any other recurrent layer."""
        return is_recurrent(self.layer) and not any(map(is_recurrent, self.owners))

    @property
    def is_built(self) -> bool:
        """Whether the layer has its weights."""
        return bool(self.layer.built or self.layer.weights)


def find_layers(model: Any) -> list[Held]:
    """Return every layer that the object holds, itself first: by attributes, lists, dicts and closures.

    Layers with the same name are called by the paths of their attributes.
    """
    root = Held(model, _name_of_layer(model, default_name(type(model).__name__)), "")
    layers, waiting, seen = [root], deque([root]), {id(model)}
    while waiting:
        above = waiting.popleft()
        for attribute, layer in _children(above.layer):
            if id(layer) not in seen:
                seen.add(id(layer))
                name, path = _name_of_layer(layer, attribute), attribute
                if above is not root:
                    name, path = f"{above.name}/{name}", f"{above.path}.{path}"
                layers.append(Held(layer, name, path, (*above.owners, above.layer)))
                waiting.append(layers[-1])
    uses = Counter(layer.name for layer in layers)
    return [
        layer._replace(name=layer.path) if uses[layer.name] > 1 and layer.path else layer for layer in layers
    ]


def _name_of_layer(layer: Any, attribute: str) -> str:
    """Return the name of a layer; the attribute's, if Keras numbered the layer."""
    automatic = rf"{re.escape(default_name(type(layer).__name__))}(_\d+)?"
    return attribute if re.fullmatch(automatic, layer.name) else str(layer.name)


def _children(layer: Any) -> Iterator[tuple[str, Any]]:
    import keras

    if isinstance(layer, (keras.Function, keras.Sequential)):
        yield from ((inner.name, inner) for inner in layer.layers)
    attributes = {**vars(layer), **vars(layer).get("_modules", {})}  # on PyTorch, layers stand in `_modules`
    for name, value in attributes.items():
        if name not in _TRACKED and not name.startswith("_self_"):
            yield from _layers_in(name, value)
    yield from ((inner.name, inner) for inner in vars(layer).get("_layers", ()))


def _layers_in(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    import keras

    items: Iterable[tuple[str, Any]] = ()
    if isinstance(value, keras.Layer):
        yield path, value
    elif isinstance(value, Mapping):
        items = ((f"{path}.{key}", item) for key, item in value.items())
    elif isinstance(value, (list, tuple, set, deque)):
        items = ((f"{path}.{index}", item) for index, item in enumerate(value))
    elif isinstance(value, FunctionType) and not value.__module__.startswith("keras."):
        variables = inspect.getclosurevars(value)
        items = {**variables.globals, **variables.nonlocals}.items()
        items = ((name, item) for name, item in items if isinstance(item, (keras.Layer, list, tuple, dict)))
    for name, item in items:
        if not isinstance(item, PLAIN):
            yield from _layers_in(name, item)


def choose_targets(layers: Sequence[Held], at: str | None) -> list[Held]:
    """Return the layers to record: all recurrent ones, or what `at` names.  Raises UsageError without one."""
    targets = [target for target in layers if is_recurrent(target.layer)]
    if at is None:
        return targets
    name = without_use(at)
    inside = [
        target
        for target in targets
        if f"{target.name}/".startswith(f"{name}/") or f"{target.path}.".startswith(f"{name}.")
    ]
    chosen = inside or [layer for layer in layers if name in (layer.name, layer.path)]
    if not chosen:
        names = [target.name for target in targets if target.is_outermost]
        raise refuse_at(layers[0].layer, at, [*names, *(layer.name for layer in layers[1:])])
    return chosen


def other_layers(model: Any) -> tuple[str, ...]:
    """Return the layers that are not recurrent, `head (Dense)`, and the `call` of the object itself."""
    import keras

    names = tuple(
        f"{held.name} ({type(held.layer).__name__})" for held in other_layers_in(find_layers(model))
    )
    has_graph = isinstance(model, (keras.Function, keras.Sequential)) or is_recurrent(model)
    return names if has_graph else (*names, f"{type(model).__name__}.call")


def other_layers_in(layers: Sequence[Held]) -> list[Held]:
    """Return the layers that are neither recurrent nor inside such a layer or a wrapper, nor the object."""
    import keras

    return [
        layer
        for layer in layers[1:]
        if not is_recurrent(layer.layer) and not isinstance(layer.layer, keras.layers.InputLayer)
        if not any(is_recurrent(owner) or isinstance(owner, keras.layers.Wrapper) for owner in layer.owners)
    ]


_GLOBALS = "keras.src.backend.common.global_state"
"""Where Keras keeps, for each thread, its seed and the number in the name of the next layer."""


@contextmanager
def unchanged(layers: Sequence[Any], given: Mapping[str, Any]) -> Iterator[list[Text]]:
    """Put layers, arguments and random states back after the block; yield a list for remarks on what stays.

    Left as they are: trainable weights, which another thread may train, and layers that the block has built.
    """
    import keras

    variables: tuple[Any, ...] = (keras.Variable,)
    save_tensor: Callable[[Any], Restore | None] | None = None
    kept_random: AbstractContextManager[Any] = nullcontext()
    if keras.backend.backend() == "torch":
        import torch

        from rnncli.models.live.torch_calls import save_tensor

        kept_random = torch.random.fork_rng(range(torch.cuda.device_count()))
    else:
        import tensorflow

        variables = keras.Variable, tensorflow.Variable
    notes: list[Text] = []
    changed: dict[str, None] = {}

    def save_value(value: Any) -> Restore | None:
        if isinstance(value, (keras.random.SeedGenerator, keras.Metric)):
            return save_attributes([value], save_value)
        if isinstance(value, variables):
            return save_variable(value)
        return save_tensor(value) if save_tensor else None

    def save_variable(variable: Any) -> Restore:
        before = tensor_of(variable)

        def restore() -> None:
            if not differ(before, tensor_of(variable)):
                return
            if isinstance(variable, keras.Variable) and variable.trainable:
                changed[variable.path] = None
            else:
                variable.assign(before)

        return restore

    unbuilt = [not (layer.built or layer.weights) for layer in layers]
    kept = [save_attributes([layer], save_value) for layer in layers]
    beside = [sys.modules[_GLOBALS].GLOBAL_STATE_TRACKER, SimpleNamespace(**given)]
    restore_beside = save_attributes(beside, save_value)
    with restore_random(), kept_random:
        try:
            yield notes
        finally:
            for layer, was_unbuilt, restore in zip(layers, unbuilt, kept, strict=True):
                if was_unbuilt and layer.weights:
                    notes.append(Message("the call itself built {name}, which stays built", name=layer.name))
                else:
                    restore()
            restore_beside()
            if changed:
                names = format_names(list(changed))
                notes.append(Message("the call itself changed {names}; they stay changed", names=names))


def tensor_of(variable: Any) -> Any:
    """Return the value of a variable, which stays as it is when the variable changes.

    Memory is shared, but on PyTorch, which changes variables in place.
    """
    import keras

    value = variable.value if isinstance(variable, keras.Variable) else variable
    if keras.backend.backend() == "torch":
        return value.detach().clone()
    return value.read_value() if hasattr(value, "read_value") else value


def differ(tensor: Any, other: Any) -> bool:
    """Return whether the numbers of two tensors differ; the same memory holds the same numbers."""
    try:
        first, second = (np.asarray(memoryview(item)).ctypes.data for item in (tensor, other))
    except (TypeError, ValueError):  # a type that NumPy lacks, or a tensor of PyTorch
        first, second = 0, 1
    return first != second and to_numpy(tensor).tobytes() != to_numpy(other).tobytes()


def is_tracing() -> bool:
    """Return whether a graph is made of what is called, so that tensors have no numbers."""
    import keras

    if keras.backend.backend() == "torch":
        import torch

        return torch.compiler.is_compiling()
    import tensorflow

    return not tensorflow.executing_eagerly()


def to_numpy(tensor: Any) -> Array:
    """Return a copy of a tensor; bfloat16, which NumPy lacks, as float32."""
    import keras

    array = np.array(keras.ops.convert_to_numpy(tensor))
    return array.astype("float32") if array.dtype.name == "bfloat16" else array


def arrays_in(value: Any) -> Iterator[Array]:
    """Yield copies of the tensors in a nested value."""
    import keras

    return (to_numpy(leaf) for leaf in keras.tree.flatten(value) if hasattr(leaf, "shape"))
