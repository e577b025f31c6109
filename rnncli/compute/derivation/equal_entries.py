"""The other returned entries that hold the same number."""

from __future__ import annotations

from rnncli.case import Case
from rnncli.compute.derivation.explanation import Target
from rnncli.result import Claim, Index, Result


def equal_entries(case: Case, result: Result, target: Target) -> tuple[Claim, ...]:
    """Return the returned entries that hold the same number, according to the layers' claims."""
    stack, shape = case.stack, case.inputs.shape
    last = len(stack.layers) - 1
    is_returned = target.label in {info.label for info in result.stack.outputs(shape)}
    own = stack.label(last, target.label) if is_returned else target.label
    known = {stack.label(last, info.label) for info in stack.outputs(shape)}
    known |= {info.label for info in stack.outputs(shape, all_layers=True)}
    claims: list[Claim] = []
    for tensor in result.outputs:
        for claim in tensor.equals:
            other, window = claim.label, claim.slices
            shape = next(output.values.shape for output in result.outputs if output.label == other)
            if tensor.label == own and other in known:
                claims.append(Claim(other, _to_tensor_index(target.indices, window, shape)))
            elif other == own and tensor.label in known:
                inner = _to_window_index(target.indices, window, shape)
                claims += [Claim(tensor.label, inner)] if inner is not None else []
    return tuple(
        claim.with_place(layer=None) if is_returned and claim.label.layer == last else claim
        for claim in claims
    )


def _to_tensor_index(index: tuple[int, ...], window: Index, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Convert `index` in a `window`, such as `[:, -1, 3:]`, to an index in the whole tensor."""
    if not window:
        return index
    left = iter(index)
    return tuple(
        part % size if isinstance(part, int) else range(size)[part][next(left)]
        for part, size in zip(window, shape, strict=True)
    )


def _to_window_index(index: tuple[int, ...], window: Index, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """Convert an index in the whole tensor to one in the window; None if it is outside."""
    if not window:
        return index
    inner: list[int] = []
    for place, part, size in zip(index, window, shape, strict=True):
        selected = (range(size)[part],) if isinstance(part, int) else range(size)[part]
        if place not in selected:
            return None
        inner += [] if isinstance(part, int) else [selected.index(place)]
    return tuple(inner)
