"""Look up layers and cells by name.

A layer is a `Layer` (`layer.py`); a `RecurrentLayer` (`recurrent.py`) is a layer that runs a `Cell`
(start state and one step) over time; `plain/` has the layers that are not recurrent.  `stack.py` holds the
layers of a Case.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rnncli.cells.activations import parse_parametric
from rnncli.errors import LayerError, Message, Text, did_you_mean, fold_name
from rnncli.values import Spec

if TYPE_CHECKING:
    from rnncli.layers.layer import Layer
    from rnncli.layers.recurrent import Cell

LAYERS = {
    "Bidirectional": "rnncli.layers.bidirectional",
    "ConvLSTM1D": "rnncli.layers.conv_lstm",
    "ConvLSTM2D": "rnncli.layers.conv_lstm",
    "ConvLSTM3D": "rnncli.layers.conv_lstm",
    "Dense": "rnncli.layers.plain.core",
    "Dropout": "rnncli.layers.plain.core",
    "GRU": "rnncli.layers.builtin",
    "LSTM": "rnncli.layers.builtin",
    "Masking": "rnncli.layers.plain.core",
    "RNN": "rnncli.layers.rnn",
    "SimpleRNN": "rnncli.layers.builtin",
    "TimeDistributed": "rnncli.layers.plain.time_distributed",
}
CELLS = {
    "GRUCell": "rnncli.layers.builtin",
    "LSTMCell": "rnncli.layers.builtin",
    "SimpleRNNCell": "rnncli.layers.builtin",
}


def make(spec: Spec) -> Layer:
    """Create the layer of `spec`.  Raises LayerError if no such layer exists."""
    return class_of(spec.class_name)(spec)


def make_cell(spec: Spec) -> Cell:
    """Create the cell of `spec`.  Raises LayerError if no such cell exists."""
    if spec.equations is not None:
        from rnncli.layers.recurrent import Cell

        return Cell(spec)
    return cell_of(spec.class_name)(spec)


@cache
def class_of(name: str) -> type[Layer]:
    """Return the class of a layer, ignoring case and underscores.  Raises LayerError if it does not exist."""
    return _load(name, LAYERS, "there is no layer '{name}'.")  # type: ignore[no-any-return]


@cache
def cell_of(name: str) -> type[Cell]:
    """Return the class of a cell, ignoring case and underscores.  Raises LayerError if it does not exist."""
    return _load(name, CELLS, "there is no cell '{name}'.")  # type: ignore[no-any-return]


def _load(name: str, listed: Mapping[str, str], refusal: str) -> Any:
    class_name = find_name(name, listed)
    if class_name is None:
        raise LayerError(refusal, did_you_mean(name, tuple(listed)), name=name)
    return getattr(import_module(listed[class_name]), class_name)


def find_name(name: str, listed: Mapping[str, str] = LAYERS) -> str | None:
    """Return Keras's name of a layer, or None if there is no such layer; case and underscores don't matter.

    listed: LAYERS, CELLS or both.  Imports nothing.
    """
    folded = fold_name(name)
    return next((known for known in listed if fold_name(known) == folded), None)


def recurrent_names() -> tuple[str, ...]:
    """Return the names of all recurrent layers."""
    return tuple(name for name in LAYERS if class_of(name).recurrent)


def beyond_keras(spec: Spec) -> Text:
    """Return a clause that says why Keras cannot compute the layer; "" if it can.  Ignores inner layers."""
    for name, value in spec.config.items():
        if name.endswith("activation") and parse_parametric(value):
            return Message("Keras has no activation {value}", value=value)
    if not spec.config.get("cell_activation"):
        return ""
    template = "Keras's {class_name} has no activation of its own for the cell state"
    return Message(template, class_name=spec.class_name)


def is_stepped(spec: Spec) -> bool:
    """Return whether the layer is recurrent and its states can be traced."""
    layer = class_of(spec.class_name)
    return layer.recurrent and layer.without_keras


def runs_a_cell(spec: Spec) -> bool:
    """Return whether the layer loops over time itself.  Bidirectional does not; its inner layers do.

    False for specs that are not layers, such as cells and initializers.
    """
    return bool(find_name(spec.class_name)) and class_of(spec.class_name).runs_a_cell
