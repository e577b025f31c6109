"""Check which returned tensors contain the same numbers.

Each layer names the tensors, or parts of them, that should be equal.
"""

from __future__ import annotations

from collections.abc import Mapping

from rnncli.case import Array
from rnncli.result import Claim, Label


def select_true(
    claims: Mapping[Label, tuple[Claim, ...]], tensors: Mapping[Label, Array]
) -> dict[Label, tuple[Claim, ...]]:
    """Return the claims about each tensor that hold exactly for these values."""
    return {
        label: tuple(claim for claim in claims.get(label, ()) if _same(values, evaluate(claim, tensors)))
        for label, values in tensors.items()
    }


def evaluate(claim: Claim, tensors: Mapping[Label, Array]) -> Array | None:
    """Return the part of a tensor that the claim names; None if the tensor does not exist."""
    values = tensors.get(claim.label)
    return None if values is None else values[claim.slices]


def _same(values: Array, other: Array | None) -> bool:
    import numpy as np

    if other is None or values.shape != other.shape:
        return False
    # First without NaN, which is rare and slow to check for.
    return bool((values == other).all()) or np.array_equal(values, other, equal_nan=values.dtype.kind == "f")
