"""Shapes of layers, weights and tensors for `shape`, without an engine and without NumPy."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from rnncli.case import Shape, Spec, known_sizes
from rnncli.layers.stack import Stack
from rnncli.result import LayerShapes, ShapeReport


def outline(specs: tuple[Spec, ...], input_shape: Shape, *, all_layers: bool = False) -> ShapeReport:
    """Return the shape of every weight and tensor, without an engine."""
    stack = Stack(specs)
    parts = tuple(
        LayerShapes(
            stack.prefix(index).rstrip("/"),
            layer.spec,
            weights := layer.weight_shapes(shape),
            add_counts(map(count_parameters, weights.values())),
            layer.outputs(shape),
        )
        for index, (layer, shape) in enumerate(stack.input_shapes(input_shape))
    )
    outputs = stack.outputs(input_shape, all_layers=all_layers)
    return ShapeReport(specs, input_shape, stack.dtype, parts, outputs, stack.claims(all_layers=all_layers))


def count_parameters(shape: Shape) -> int | None:
    """Return the number of parameters of a weight; None if a size is not a number."""
    sizes = known_sizes(shape)
    return None if sizes is None else prod(sizes)


def add_counts(counts: Iterable[int | None]) -> int | None:
    """Return the sum; None if a count is unknown."""
    every = list(counts)
    known = [count for count in every if count is not None]
    return sum(known) if len(known) == len(every) else None
