"""Look up layers and cells by name.  Each module contains related classes: `ConvLSTM2D` is in conv_lstm.py.

A module lists its layers in `LAYERS` and its cells in `CELLS`.  Modules share only `_layer.py` (the
interface), `_cell.py` (initial state and one step), `_recurrent.py` (a cell run over time) and the
helpers that these use.
"""

from __future__ import annotations

import importlib
from functools import cache
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
from rnncli.registry import names_in

activations, claims = _activations, _claims


def make(spec: Spec) -> Layer:
    """Create the layer of `spec`.  Raises LayerError if no such layer exists."""
    return class_of(spec.class_name)(spec)


def make_cell(spec: Spec) -> Cell:
    """Create the cell of `spec`.  Raises LayerError if no such cell exists."""
    return cell_of(spec.class_name)(spec)


def class_of(name: str) -> type[Layer]:
    """Return the class of a layer, ignoring case and underscores.  Raises LayerError if it does not exist."""
    found: type[Layer] = _require(name, "LAYERS")
    return found


def cell_of(name: str) -> type[Cell]:
    """Return the class of a cell, ignoring case and underscores.  Raises LayerError if it does not exist."""
    found: type[Cell] = _require(name, "CELLS")
    return found


def find_name(name: str, *kinds: str) -> str | None:
    """Return Keras's name of a layer, or None if there is no such layer; case and underscores don't matter.

    kinds: LAYERS (default), CELLS or both.
    Imports only modules whose name is a prefix of `name`.
    """
    found_by_kind = (_find(name, kind) for kind in kinds or ("LAYERS",))
    return next((found[0] for found in found_by_kind if found), None)


@cache
def names(kind: str = "LAYERS") -> tuple[str, ...]:
    """Return Keras's names of all layers; with kind CELLS, of all cells."""
    return tuple(name for stem in _stems() for name in _classes_in(stem, kind))


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
    found = _find(spec.class_name, "LAYERS")
    return found is not None and issubclass(found[1], RecurrentLayer)


def _require(name: str, kind: str) -> Any:
    found = _find(name, kind)
    if found is None:
        what = "there is no layer '{name}'." if kind == "LAYERS" else "there is no cell '{name}'."
        raise LayerError(what, did_you_mean(name, names(kind)), name=name)
    return found[1]


@cache
def _find(name: str, kind: str) -> tuple[str, Any] | None:
    folded = fold_name(name)
    for stem in sorted(_stems(), key=len, reverse=True):
        if folded.startswith(fold_name(stem)):
            for class_name, found in _classes_in(stem, kind).items():
                if fold_name(class_name) == folded:
                    return class_name, found
    return None


@cache
def _stems() -> tuple[str, ...]:
    return names_in(__path__)


def _classes_in(stem: str, kind: str) -> dict[str, Any]:
    classes = getattr(importlib.import_module(f"{__name__}.{stem}"), kind, ())
    return {found.__name__: found for found in classes}
