"""Layouts: how a framework packs the weights of recurrent layers.  One file per framework, found by its stem.

A layout's file has
    FRAMEWORK                           its name, as its users write it
    SUFFIXES                            the files that only this layout has, beside arrays by name
    from_keras(class_name, weights)     the arrays of one direction of one layer, from Keras's
    to_keras(class_name, arrays)        Keras's weights, bit for bit those that from_keras was given
    refusal(layer)                      why the layout cannot hold the layer, or None
    notes(chain)                        settings that the arrays do not contain
    arrays(chain)                       all arrays of a chain of layers, by their names in a file
    dump(chains)                        the content of a file of one of SUFFIXES; only if there are any

Keras's layout is the common one: kernel (features, gates * units), recurrent_kernel (units, gates * units),
and bias, (gates * units,) or for a GRU with reset_after (2, 3 * units).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

from rnncli.case import Array
from rnncli.errors import LayerError
from rnncli.layouts._gates import GATES, class_of
from rnncli.layouts._paths import default_name
from rnncli.registry import names_in

__all__ = [
    "GATES",
    "CellWeights",
    "Chain",
    "LayerWeights",
    "class_of",
    "convert",
    "default_name",
    "get",
    "names",
]


class CellWeights(NamedTuple):
    """One direction of a layer.

    class_name: SimpleRNN, LSTM or GRU; any other class has only Keras's layout.
    config: Keras's config; an option that is missing has Keras's default.
    weights: by Keras's names, `kernel`.
    """

    class_name: str
    config: Mapping[str, Any]
    weights: Mapping[str, Array]

    @property
    def units(self) -> int:
        """The size of the state."""
        return len(self.weights["recurrent_kernel"])

    @property
    def features(self) -> int:
        """The size of the input."""
        return len(self.weights["kernel"])


class LayerWeights(NamedTuple):
    """A recurrent layer.

    name: its path, `inside/deep`; "" for a layer on its own.
    cells: one, or the forward and the backward one of a Bidirectional.
    merge_mode: of a Bidirectional.
    """

    name: str
    cells: tuple[CellWeights, ...]
    merge_mode: str | None = "concat"

    @property
    def title(self) -> str:
        """What messages call the layer."""
        return self.name or self.cells[0].class_name


class Chain(NamedTuple):
    """Layers, each of which gets the previous layer's output; most chains have one layer.

    name: what PyTorch calls the module that holds them all; "" for a module on its own.
    """

    name: str
    layers: tuple[LayerWeights, ...]


@cache
def names() -> tuple[str, ...]:
    """Return the names of all layouts: the stems of the files in this folder."""
    return names_in(__path__)


def get(name: str) -> ModuleType:
    """Return the module of a layout, one of `names()`."""
    return import_module(f"{__name__}.{name}")


def convert(name: str, chains: Sequence[Chain]) -> dict[str, Array]:
    """Return the arrays of all layers in a layout, by their names in a file.

    Raises LayerError for the first layer that the layout cannot hold, and if two arrays would get one name.
    """
    layout = get(name)
    require(name, (layer for chain in chains for layer in chain.layers))
    found: dict[str, Array] = {}
    for chain in chains:
        for key, array in layout.arrays(chain).items():
            if key in found:
                raise LayerError(
                    f"two layers would be called {key} in {layout.FRAMEWORK}'s layout.",
                    "Convert them one at a time.",
                )
            found[key] = array
    return found


def require(name: str, layers: Iterable[LayerWeights]) -> None:
    """Raise LayerError for the first layer that a layout cannot hold."""
    layout = get(name)
    for layer in layers:
        reason = layout.refusal(layer)
        if reason:
            raise LayerError(
                f"{layer.title} cannot be converted to {layout.FRAMEWORK}'s layout: {reason}.",
                "Leave this layer out, or convert to another layout; keras holds every layer.",
            )
