"""A recurrent layer of Keras as rnncli describes it: its config, its weights, the names of its tensors."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from rnncli.errors import LayerError, Message, Text
from rnncli.layers.layer import RATES
from rnncli.layers.stack import Stack
from rnncli.models.keras.versions import Translator, origin_of
from rnncli.specs.build import build
from rnncli.values import Shape

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
