"""Create weights from an initializer, a shape and a seed, as Keras does.

NumPy is imported only when an array is filled.
"""

from __future__ import annotations

from rnncli.case import Array, Spec
from rnncli.errors import LayerError
from rnncli.initializers._contract import Initializer
from rnncli.initializers._registry import find, list_initializers, settings, snake_case
from rnncli.initializers._seeds import SeedStream

__all__ = [
    "Initializer",
    "SeedStream",
    "dropout_mask",
    "find",
    "make",
    "names",
    "settings",
    "snake_case",
    "takes_seed",
]

DTYPES = ("float16", "float32", "float64")


def names() -> tuple[str, ...]:
    """Keras's short names of all initializers, and `probe`."""
    return tuple(snake_case(initializer) for initializer in list_initializers())


def takes_seed(value: str | Spec) -> bool:
    """Whether creating this initializer takes one integer from the `SeedStream`."""
    initializer, config = settings(value)
    return initializer.takes_seed and config["seed"] is None


def make(value: str | Spec, shape: tuple[int, ...], dtype: str, seed: int | None) -> Array:
    """A weight of shape `shape`, with the values that Keras draws.

    seed: ignored if the Spec has its own seed.
    Raises LayerError if the initializer cannot fill this shape or dtype, or needs a seed and has none.
    """
    import numpy as np

    initializer, config = settings(value)
    if dtype not in DTYPES:
        raise LayerError(
            f"{initializer.class_name} cannot be drawn in {dtype}.", f"Take one of {', '.join(DTYPES)}."
        )
    own = config.get("seed")
    chosen = seed if own is None else own
    if chosen is None and initializer.takes_seed:
        raise LayerError(f"{initializer.class_name} needs a seed.", "Give one with --seed.")
    with np.errstate(all="ignore"):
        return initializer.fill(config, shape, dtype, chosen or 0)


def dropout_mask(shape: tuple[int, ...], rate: float, dtype: str, seed: int, k: int) -> Array:
    """The dropout mask for draw `k` (from 0) of a SeedGenerator; entries are 0 or 1 / (1 - rate)."""
    from rnncli.initializers import _draws

    return _draws.dropout_mask(shape, rate, dtype, seed, k)
