"""Whether arrays are finite, and where they are not; also of arrays that are not in memory."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rnncli.arrays import BLOCK, blocks
from rnncli.values import Array


def find_first(array: Array, holds: Callable[[Array], Array]) -> tuple[int, ...] | None:
    """Return the index of the first number for which `holds` is true; None for none, and for text."""
    start = 0
    for block in blocks(array, BLOCK) if array.dtype.kind in "fc" else ():
        hits = np.flatnonzero(holds(block))
        if len(hits):
            return tuple(map(int, np.unravel_index(start + int(hits[0]), array.shape)))
        start += block.size
    return None


def is_finite(array: Array) -> bool:
    """Return whether all numbers are finite; so is text."""
    return find_first(array, lambda block: ~np.isfinite(block)) is None
