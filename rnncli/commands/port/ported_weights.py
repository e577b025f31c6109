"""The weights of the other framework in Keras's layout, as files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnncli import layouts
from rnncli.case import Array, format_shape
from rnncli.cli import files
from rnncli.commands.port.hypothesis import ForeignRun, Hypothesis, weights_of
from rnncli.layers import within
from rnncli.layouts import CellWeights, Chain, LayerWeights
from rnncli.renderers import formats
from rnncli.renderers.page import Answer, Page, Records, View, line
from rnncli.renderers.parts import head

SUFFIXES = (".npz", ".safetensors", ".json", ".weights.h5", ".h5")


def write_weights(run: ForeignRun, hypothesis: Hypothesis, place: str) -> None:
    """Write the weights as float32, which foreign weights nearly always are."""
    found = weights_of(run, hypothesis).items()
    weights = {name: np.ascontiguousarray(array, np.float32) for name, array in found}
    if not place.casefold().endswith(".h5"):
        with files.open_output(place) as file:
            formats.get(formats.for_output(place)).write(PortedWeights(weights), View(), file)
        return
    parts = [weights] if len(run.cells) == 1 else [within(weights, path) for path in ("forward", "backward")]
    cells = tuple(CellWeights(run.class_name, dict(run.options), part) for part in parts)
    layer = LayerWeights(run.class_name.lower(), cells, run.merge_mode)
    suffix = ".weights.h5" if place.casefold().endswith(".weights.h5") else ".h5"
    files.write(place, layouts.get("keras").dump([Chain("", (layer,))], suffix))


@dataclass(frozen=True)
class PortedWeights(Answer):
    """The weights in Keras's layout, for --output."""

    weights: Mapping[str, Array]

    def document(self, view: View) -> dict[str, Any]:
        """Return the arrays under `weights`, which --weights reads."""
        return {**head(), "weights": dict(self.weights)}

    def page(self, view: View) -> Page:
        """Return the shapes; no file of weights is a page."""
        rows = tuple(line(f"{name} {format_shape(array.shape)}") for name, array in self.weights.items())
        return Page(rows[0], rows[1:])

    def records(self, view: View) -> Records:
        """Return one row per array."""
        return ("name", "shape"), ((name, format_shape(array.shape)) for name, array in self.weights.items())

    def tensors(self) -> Mapping[str, Array]:
        """Return the arrays."""
        return self.weights
