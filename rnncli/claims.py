"""What ought to be the same numbers, said per layer as `hidden_states[:, -1, :]`, and checked here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnncli.case import Array

_CLAIM = re.compile(r"(?P<name>[\w/]+)(?:\[(?P<index>[^\]]*)\])?")


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
    name, index = _parsed(claim)
    return tensors[name][index] if name in tensors else None


def parse_index(text: str) -> tuple[int | slice, ...]:
    """`:, -1, 3:` as what NumPy takes between brackets.  Raises ValueError for anything else."""
    return tuple(_part(part.strip()) for part in text.split(",") if part.strip() != "...")


@cache
def _parsed(claim: str) -> tuple[str, tuple[int | slice, ...]]:
    """Its tensor and its index; layers say few claims, and a stream asks for them line after line."""
    match = _CLAIM.fullmatch(claim)
    return (match["name"], parse_index(match["index"] or "...")) if match else ("", ())


def _part(text: str) -> int | slice:
    if ":" not in text:
        return int(text)
    return slice(*(int(bound) if bound.strip() else None for bound in text.split(":")))


def _same(values: Array, other: Array | None) -> bool:
    import numpy as np

    if other is None or values.shape != other.shape:
        return False
    return bool(np.array_equal(values, other, equal_nan=values.dtype.kind == "f"))
