"""What ought to be the same numbers, said per layer as `hidden_states[:, -1, :]`, and checked here."""

from __future__ import annotations

from collections.abc import Mapping

from rnncli import addresses
from rnncli.case import Array


def holding(
    claims: Mapping[str, tuple[str, ...]], tensors: Mapping[str, Array]
) -> dict[str, tuple[str, ...]]:
    """Of each tensor's claims those that hold, to the last bit, for these values."""
    return {
        name: tuple(claim for claim in claims.get(name, ()) if _same(values, evaluate(claim, tensors)))
        for name, values in tensors.items()
    }


def evaluate(claim: str, tensors: Mapping[str, Array]) -> Array | None:
    """The part of a tensor that `hidden_states[:, 0, 3:]` names; None where there is no such tensor."""
    address = addresses.parse(claim)
    values = tensors.get(str(address.label))
    return None if values is None else values[address.numpy_index]


def _same(values: Array, other: Array | None) -> bool:
    import numpy as np

    if other is None or values.shape != other.shape:
        return False
    if (values == other).all():  # NaN is rare, and to look for it takes longer than all the rest
        return True
    return bool(np.array_equal(values, other, equal_nan=values.dtype.kind == "f"))
