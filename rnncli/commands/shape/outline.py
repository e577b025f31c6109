"""Shapes of layers, weights and tensors for `shape`, without an engine and without NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from rnncli.case import Shape
from rnncli.layers.stack import Stack
from rnncli.result import LayerShapes, ShapeReport


def outline(stack: Stack, input_shape: Shape, *, all_layers: bool = False) -> ShapeReport:
    """Return the shape of every weight and tensor, without an engine."""
    parts = tuple(
        LayerShapes(
            stack.prefix(index).rstrip("/"),
            layer.spec,
            weights := layer.weight_shapes(shape),
            _parameters(weights),
            layer.outputs(shape),
        )
        for index, (layer, shape) in enumerate(stack.input_shapes(input_shape))
    )
    outputs = stack.outputs(input_shape, all_layers=all_layers)
    return ShapeReport(stack, input_shape, stack.dtype, parts, outputs, stack.claims(all_layers=all_layers))


def _parameters(weights: Mapping[str, Shape]) -> int | None:
    total = 0
    for shape in weights.values():
        if not all(isinstance(size, int) for size in shape):
            return None
        total += prod(size for size in shape if isinstance(size, int))
    return total
