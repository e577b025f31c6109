"""Look up layers and cells by name.

Their modules share only `_layer.py` (the interface), `_cell.py` (initial state and one step), `_recurrent.py`
(a cell run over time) and the helpers that these use.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

from rnncli.case import Spec
from rnncli.errors import LayerError, Message, Text, did_you_mean, fold_name
from rnncli.layers import _activations, _claims
from rnncli.layers._cell import Cell as Cell
from rnncli.layers._cell import StepHolds as StepHolds
from rnncli.layers._equations import Bias as Bias
from rnncli.layers._equations import Constant as Constant
from rnncli.layers._equations import Current as Current
from rnncli.layers._equations import DotProduct as DotProduct
from rnncli.layers._equations import Entry as Entry
from rnncli.layers._equations import LayerInput as LayerInput
from rnncli.layers._equations import Previous as Previous
from rnncli.layers._equations import Product as Product
from rnncli.layers._equations import Sum as Sum
from rnncli.layers._layer import INERT as INERT
from rnncli.layers._layer import Call as Call
from rnncli.layers._layer import Draw as Draw
from rnncli.layers._layer import Layer as Layer
from rnncli.layers._layer import LayerOutput as LayerOutput
from rnncli.layers._layer import LoopRunner as LoopRunner
from rnncli.layers._layer import Place as Place
from rnncli.layers._layer import join_parts as join_parts
from rnncli.layers._layer import split_parts as split_parts
from rnncli.layers._layer import within as within
from rnncli.layers._parametric import ParametricActivation as ParametricActivation
from rnncli.layers._parametric import parse_parametric
from rnncli.layers._recurrent import BEYOND_KERAS as BEYOND_KERAS
from rnncli.layers._recurrent import RecurrentLayer as RecurrentLayer

LAYERS = {
    "Bidirectional": "rnncli.layers.bidirectional",
    "ConvLSTM1D": "rnncli.layers.conv_lstm",
    "ConvLSTM2D": "rnncli.layers.conv_lstm",
    "ConvLSTM3D": "rnncli.layers.conv_lstm",
    "Dense": "rnncli.layers.dense",
    "Dropout": "rnncli.layers.dropout",
    "GRU": "rnncli.layers.gru",
    "LSTM": "rnncli.layers.lstm",
    "Masking": "rnncli.layers.masking",
    "RNN": "rnncli.layers.rnn",
    "SimpleRNN": "rnncli.layers.simple_rnn",
    "TimeDistributed": "rnncli.layers.time_distributed",
}
CELLS = {
    "GRUCell": "rnncli.layers.gru",
    "LSTMCell": "rnncli.layers.lstm",
    "SimpleRNNCell": "rnncli.layers.simple_rnn",
}
activations, claims = _activations, _claims


def make(spec: Spec) -> Layer:
    """Create the layer of `spec`.  Raises LayerError if no such layer exists."""
    return class_of(spec.class_name)(spec)


def make_cell(spec: Spec) -> Cell:
    """Create the cell of `spec`.  Raises LayerError if no such cell exists."""
    return cell_of(spec.class_name)(spec)


@cache
def class_of(name: str) -> type[Layer]:
    """Return the class of a layer, ignoring case and underscores.  Raises LayerError if it does not exist."""
    found: type[Layer] = _load(name, LAYERS, "there is no layer '{name}'.")
    return found


@cache
def cell_of(name: str) -> type[Cell]:
    """Return the class of a cell, ignoring case and underscores.  Raises LayerError if it does not exist."""
    found: type[Cell] = _load(name, CELLS, "there is no cell '{name}'.")
    return found


def _load(name: str, listed: Mapping[str, str], refusal: str) -> Any:
    found = find_name(name, listed)
    if found is None:
        raise LayerError(refusal, did_you_mean(name, tuple(listed)), name=name)
    return getattr(import_module(listed[found]), found)


def find_name(name: str, listed: Mapping[str, str] = LAYERS) -> str | None:
    """Return Keras's name of a layer, or None if there is no such layer; case and underscores don't matter.

    listed: LAYERS, CELLS or both.  Imports nothing.
    """
    folded = fold_name(name)
    return next((known for known in listed if fold_name(known) == folded), None)


def names() -> tuple[str, ...]:
    """Return Keras's names of all layers."""
    return tuple(LAYERS)


def recurrent() -> tuple[str, ...]:
    """Return the names of all recurrent layers."""
    return tuple(name for name in names() if class_of(name).recurrent)


def beyond_keras(spec: Spec) -> Text:
    """Return, as a clause, what Keras cannot compute in the layer itself; "" if it can compute all of it."""
    for name, value in spec.config.items():
        if name.endswith("activation") and parse_parametric(value):
            return Message("Keras has no activation {value}", value=value)
    if spec.config.get("cell_activation"):
        return Message(
            "Keras's {class_name} has no activation of its own for the cell state", class_name=spec.class_name
        )
    return ""


def is_stepped(spec: Spec) -> bool:
    """Return whether the layer is recurrent and its states can be traced."""
    layer = class_of(spec.class_name)
    return layer.recurrent and layer.without_keras


def runs_a_cell(spec: Spec) -> bool:
    """Return whether the layer loops over time itself.  Bidirectional does not; its inner layers do.

    False for specs that are not layers, such as cells and initializers.
    """
    return bool(find_name(spec.class_name)) and issubclass(class_of(spec.class_name), RecurrentLayer)
