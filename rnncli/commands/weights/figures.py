"""A weight in a few figures: its norm, its statistics and its spectral radius."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rnncli.case import Array
from rnncli.show import statistics
from rnncli.show.statistics import Stats

EXACT = 256
"""Up to this many units, compute the eigenvalues; above it, estimate the largest from matrix powers."""
SQUARINGS = 12


@dataclass(frozen=True)
class Figures:
    """Statistics of the part of a weight that belongs to one gate.

    norm: Frobenius, None where it is not finite.  radius: the spectral radius of a square part, else None.
    """

    name: str
    shape: tuple[int, ...]
    norm: float | None
    stats: Stats
    radius: float | None = None


def summarize(name: str, array: Array) -> Figures:
    """Return the figures of the part of a weight that belongs to one gate."""
    wide = np.asarray(array, np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        norm = float(np.linalg.norm(wide))
    square = name == "recurrent_kernel" and wide.ndim == 2 and wide.shape[0] == wide.shape[1]
    radius = spectral_radius(wide) if square else None
    return Figures(
        name, array.shape, norm if np.isfinite(norm) else None, statistics.summarize(array), radius
    )


def spectral_radius(matrix: Array) -> float | None:
    """Return the largest absolute eigenvalue; None if the matrix is not finite.

    For a large matrix it is |A^k|^(1/k) with k = 2^12 (Gelfand's formula), in float32; the relative error is
    about 1/1000.
    """
    if not matrix.size or not np.isfinite(matrix).all():
        return None
    if len(matrix) <= EXACT:
        return float(np.abs(np.linalg.eigvals(matrix)).max())
    power, logarithm = matrix, 0.0
    for exponent in range(SQUARINGS + 1):
        norm = float(np.linalg.norm(power))
        if norm == 0:
            return 0.0
        logarithm += float(np.log(norm)) / 2**exponent
        power = (power / norm).astype(np.float32)
        if exponent < SQUARINGS:
            power = power @ power
    return float(np.exp(logarithm))
