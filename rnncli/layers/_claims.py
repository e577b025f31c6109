"""Check which returned tensors contain the same numbers.

Each layer names the tensors, or parts of them, that should be equal: `hidden_states[:, -1, :]`.
"""

from __future__ import annotations

from collections.abc import Mapping

from rnncli import addresses
from rnncli.case import Array


def select_true(
    claims: Mapping[str, tuple[str, ...]], tensors: Mapping[str, Array]
) -> dict[str, tuple[str, ...]]:
    """The claims about each tensor that hold exactly for these values."""
    return {
        name: tuple(claim for claim in claims.get(name, ()) if _same(values, evaluate(claim, tensors)))
        for name, values in tensors.items()
    }


def evaluate(claim: str, tensors: Mapping[str, Array]) -> Array | None:
    """The part of a tensor that `hidden_states[:, 0, 3:]` selects; None if the tensor does not exist."""
    address = addresses.parse(claim)
    values = tensors.get(str(address.label))
    return None if values is None else values[address.numpy_index]


def _same(values: Array, other: Array | None) -> bool:
    import numpy as np

    if other is None or values.shape != other.shape:
        return False
    if (values == other).all():  # first without NaN: it is rare, and checking for it is slow
        return True
    return bool(np.array_equal(values, other, equal_nan=values.dtype.kind == "f"))
