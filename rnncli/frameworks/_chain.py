"""The weights that a layout converts: chains of layers, of one direction or two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rnncli.case import Array


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
    """Layers each of which gets the output of the one before it; most chains have one layer.

    name: what PyTorch calls the module that holds them all; "" for a module on its own.
    """

    name: str
    layers: tuple[LayerWeights, ...]
