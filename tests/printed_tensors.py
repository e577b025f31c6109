"""Reads what an exported script prints."""

from __future__ import annotations

import re
from math import prod

import numpy as np

from rnncli.case import Array


def numbers(text: str) -> dict[str, Array]:
    """Return the tensors by name, in the order printed."""
    found: dict[str, Array] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, sizes = re.fullmatch(r"(.+?)((?: \d+)+)", line).groups()  # type: ignore[union-attr]
        shape = tuple(map(int, sizes.split()))
        rows = [list(map(float, next(lines).split())) for _ in range(prod(shape[:-1]))]
        found[name] = np.array(rows).reshape(shape)
    return found
