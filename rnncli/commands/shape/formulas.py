"""The formula behind the number of parameters of a weight: `5 features x 4 gates x 3 units = 60`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import Any

from rnncli import layers
from rnncli.errors import Message, join
from rnncli.values import Shape, Spec, known_sizes

Factor = tuple[Any, str]
"""A size, and what is counted."""

COUNTED = {
    "bias": ("{number} bias", "{number} biases"),
    "channel": ("{number} channel", "{number} channels"),
    "direction": ("{number} direction", "{number} directions"),
    "feature": ("{number} feature", "{number} features"),
    "filter": ("{number} filter", "{number} filters"),
    "gate": ("{number} gate", "{number} gates"),
    "number": ("{number} number", "{number} numbers"),
    "token id": ("{number} token id", "{number} token ids"),
    "time step": ("{number} time step", "{number} time steps"),
    "unit": ("{number} unit", "{number} units"),
}
"""What is counted: one, and several."""
PLAIN: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "Dense": {"kernel": ("feature", "unit"), "bias": ("unit",)},
    "Embedding": {"embeddings": ("token id", "number")},
    "Conv1D": {"kernel": ("time step", "channel", "filter"), "bias": ("filter",)},
    "BatchNormalization": dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), ("feature",)),
    "LayerNormalization": dict.fromkeys(("gamma", "beta"), ("feature",)),
}
"""What the axes of the weights of other layers count."""


def formula(name: str, shape: Shape, spec: Spec | None, class_name: str = "") -> Message:
    """Return the formula.

    name: the path of a weight in Keras, `forward/kernel`, or its name in PyTorch or ONNX.
    spec: of the layer.  class_name: of a layer without one, such as TimeDistributed(Dense).
    """
    for factors in _candidates(name, shape, spec, class_name):
        known = known_sizes(shape)
        if known is None or prod(size for size, _ in factors) == prod(known):
            return _write(factors)
    return _write([(size, "") for size in shape])


def _write(factors: Sequence[Factor]) -> Message:
    """Return `3 features x 8 units = 24`; `? features` for a size that is not known."""
    sizes = [size for size, _ in factors]
    shown = [("?" if size is None else size, noun) for size, noun in factors]
    counts = (Message(COUNTED[noun][size != 1], number=size) if noun else str(size) for size, noun in shown)
    words = join(counts, " x ")
    if len(factors) < 2 or not all(isinstance(size, int) for size in sizes):
        return words
    return Message("{words} = {total}", words=words, total=f"{prod(sizes):,}")


def _candidates(name: str, shape: Shape, spec: Spec | None, class_name: str) -> Iterator[list[Factor]]:
    """Yield what the sizes of the weight may be made of."""
    leaf = name.rpartition("/")[2]
    cells = [] if spec is None else list(cells_of(spec))
    if not cells:
        core = re.sub(r"^(TimeDistributed\()+|\)+$", "", class_name or (spec.title if spec else ""))
        nouns = PLAIN.get(core, {}).get(leaf, ())
        if len(nouns) == len(shape):
            yield list(zip(shape, nouns, strict=True))
        return
    named = [cell for path, cell in cells if path and name.startswith(path)]
    for cell in named or [cell for _, cell in cells]:
        packing = cell.text.packing()
        lines = len(packing.get(leaf, ())) or max(map(len, packing.values()), default=1)
        units: Factor = (cell.units, "unit")
        packed = [*([(lines, "gate")] if lines > 1 else []), units]
        first, last = (shape[0], "feature"), (shape[-1], "feature")
        directions: list[Factor] = [(shape[0], "direction")] if shape[0] != 1 else []
        yield from {
            "kernel": [[first, *packed]],
            "recurrent_kernel": [[units, *packed]],
            "bias": [packed, [(2, "bias"), *packed]],
        }.get(leaf, [])
        if "weight_hh" in leaf:
            yield [*packed, units]
        elif leaf.startswith("weight_ih"):
            yield [*packed, last]
        elif len(shape) == 3:  # W and R of ONNX
            yield [*directions, *packed, last]
        elif leaf not in packing:  # bias_ih; B of ONNX
            yield packed
            yield [*directions, (2, "bias"), *packed]


def cells_of(spec: Spec) -> Iterator[tuple[str, Any]]:
    """Yield the cells of a recurrent layer, each with what the paths of its weights begin with."""
    for direction, loop in layers.make(spec).loops.items():
        core: Any = getattr(loop, "cell", None)
        for index, cell in core.by_index.items() if core else ():
            if hasattr(cell, "text"):
                yield (f"{direction}/" if direction else "") + ("" if index is None else f"{index}/"), cell
