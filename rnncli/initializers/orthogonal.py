"""Orthogonal: a random matrix with orthonormal columns or rows."""

from __future__ import annotations

import math

from rnncli.case import Array, Option, format_shape
from rnncli.errors import LayerError
from rnncli.initializers._contract import SEED, ArrayShape, Config, Initializer

_LARGE = 128


def _orthogonal(config: Config, shape: ArrayShape, dtype: str, seed: int) -> Array:
    """Return Q of a QR decomposition (Saxe et al., 2014), made unique by the signs of R's diagonal."""
    import numpy as np

    from rnncli.initializers import _draws

    if len(shape) < 2:
        raise LayerError(
            "Orthogonal needs a weight of two axes or more, but this one has shape {shape}.",
            "Use it for a kernel or a recurrent kernel; zeros is usual for a bias.",
            shape=format_shape(shape),
        )
    rows, columns = math.prod(shape[:-1]), shape[-1]
    tall = _draws.normal((max(rows, columns), min(rows, columns)), 0.0, 1.0, dtype, seed)
    q = _orthonormal(tall.astype(np.float64)).astype(dtype)
    flat = q.T if rows < columns else q
    return np.ascontiguousarray(np.dtype(dtype).type(config["gain"]) * flat.reshape(shape))


def _orthonormal(a: Array) -> Array:
    """Return Q of the QR decomposition of `a` in which R has a positive diagonal, in float64.

    a: (rows, columns), rows >= columns.
    R is also the Cholesky factor of a'a, which is several times faster to compute but squares the condition
    number.  It is used only for large, tall matrices, where normal draws are far from singular.
    """
    import numpy as np

    if a.shape[1] >= _LARGE and a.shape[0] >= 2 * a.shape[1]:
        return np.asarray(a @ np.linalg.inv(np.linalg.cholesky(a.T @ a)).T)
    q, r = np.linalg.qr(a)
    return np.asarray(q * np.sign(np.diagonal(r)))


INITIALIZERS = (Initializer("Orthogonal", _orthogonal, {"gain": Option("scalar", 1.0), **SEED}),)
