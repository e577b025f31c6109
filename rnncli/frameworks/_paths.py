"""Keras's names: paths of weights (the layer, the direction, the weight), and groups in files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from rnncli.case import Array
from rnncli.frameworks._chain import CellWeights, Chain, LayerWeights

Convert = Callable[[str, Mapping[str, Array]], dict[str, Array]]


def directions(layer: LayerWeights) -> Iterator[tuple[str, CellWeights]]:
    """Yield each cell with the prefix of its weights: `forward/` and `backward/`, or "" for a single one."""
    prefixes = ("",) if len(layer.cells) == 1 else ("forward/", "backward/")
    return zip(prefixes, layer.cells, strict=True)


def convert_chain(chain: Chain, convert: Convert) -> dict[str, Array]:
    """Return every array by its path, `bi/forward/kernel`.  convert: of one direction."""
    return {
        f"{layer.name}/{prefix}{name}".lstrip("/"): array
        for layer in chain.layers
        for prefix, cell in directions(layer)
        for name, array in convert(cell.class_name, cell.weights).items()
    }


def make_unique(names: Iterable[str]) -> list[str]:
    """Number repeated names: the second `lstm` becomes `lstm_1`."""
    counts: dict[str, int] = {}
    unique: list[str] = []
    for name in names:
        counts[name] = counts.get(name, -1) + 1
        unique.append(f"{name}_{counts[name]}" if counts[name] else name)
    return unique


def default_name(class_name: str) -> str:
    """Return a class as Keras names layers and groups: `LayerNormalization` -> `layer_normalization`."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
