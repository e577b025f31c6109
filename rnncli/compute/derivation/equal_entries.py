"""The other returned entries that hold the same number."""

from __future__ import annotations

from typing import Any

from rnncli import addresses
from rnncli.case import Case
from rnncli.compute.derivation.explanation import Target
from rnncli.result import Result


def equal_entries(case: Case, result: Result, target: Target) -> tuple[str, ...]:
    """Return the returned entries that hold the same number, according to the layers' claims."""
    stack = case.stack
    last = stack.prefix(len(stack.layers) - 1)
    asked = {info.name for info in stack.outputs(case.inputs.shape)}
    own = target.name in {info.name for info in result.stack.outputs(case.inputs.shape)}
    prefix = last if own else ""
    names = {last + name for name in asked} | {
        info.name for info in stack.outputs(case.inputs.shape, all_layers=True)
    }
    found: list[str] = []
    for tensor in result.outputs:
        for claim in tensor.equals:
            address = addresses.parse(claim)
            other, window = str(address.label), address.numpy_index
            shape = next(one.values.shape for one in result.outputs if one.name == other)
            if tensor.name == prefix + target.name and other in names:
                found.append(f"{other.removeprefix(prefix)}{_outwards(target.indices, window, shape)}")
            elif other == prefix + target.name and tensor.name in names:
                inner = _inwards(target.indices, window, tensor.values.shape, shape)
                found += [f"{tensor.name.removeprefix(prefix)}{list(inner)}"] if inner is not None else []
    return tuple(found)


def _outwards(index: tuple[int, ...], window: tuple[Any, ...], shape: tuple[int, ...]) -> list[int]:
    """Convert `index` in a `window`, such as `[:, -1, 3:]`, to an index in the whole tensor."""
    if not window:
        return list(index)
    left = iter(index)
    return [
        part % size if isinstance(part, int) else range(size)[part][next(left)]
        for part, size in zip(window, shape, strict=True)
    ]


def _inwards(
    index: tuple[int, ...], window: tuple[Any, ...], inner: tuple[int, ...], shape: tuple[int, ...]
) -> tuple[int, ...] | None:
    """Convert an index in the whole tensor to one in the window; None if it is outside."""
    import numpy as np

    places = (tuple(place) for place in np.ndindex(*inner))
    return next((place for place in places if tuple(_outwards(place, window, shape)) == index), None)
