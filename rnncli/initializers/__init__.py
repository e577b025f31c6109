"""Create weights from an initializer, a shape and a seed, as Keras does.

`fills.py` has the list of all initializers.  NumPy is imported only when an array is filled.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import import_module
from random import Random
from typing import Any, NamedTuple

from rnncli.case import Array, Option, Spec
from rnncli.errors import LayerError, did_you_mean, fold_name

DTYPES = ("float16", "float32", "float64")

Config = Mapping[str, Any]
ArrayShape = tuple[int, ...]
Fill = Callable[[Config, ArrayShape, str, int], Array]
"""(config with every option, shape, dtype, seed) -> array."""


class Initializer(NamedTuple):
    """An initializer.

    fill: fills a weight; its seed is 0 if the initializer needs none.
    options: by name, in the order of Keras's signature; random initializers have a `seed` option.
    aliases: names in addition to the class name.  Case and underscores don't matter.
    required_option: the option without a default, so that the bare name is not enough; "" if there is none.
    unsaved: options that Keras omits from the initializer's config, so that a copy does not have them.
    in_keras: whether Keras has the initializer; without, it cannot be in a config for Keras.
    """

    class_name: str
    fill: Fill
    options: Mapping[str, Option] = {}
    aliases: tuple[str, ...] = ()
    required_option: str = ""
    unsaved: frozenset[str] = frozenset()
    in_keras: bool = True

    @property
    def takes_seed(self) -> bool:
        """Whether the initializer draws random numbers."""
        return "seed" in self.options


SEED = {"seed": Option("signed_seed")}
SEEDS = 1_000_000_000
"""Random seeds are below this, so that they are short enough to retype."""


def draw_seed() -> int:
    """Return a random seed, for use when none was given; the caller's generator does not change."""
    return Random().randrange(SEEDS)


def seed_stream(seed: int) -> Callable[[], int]:
    """Return a function that returns the seeds which Keras uses after `keras.utils.set_random_seed`.

    Each object that Keras creates gets the next seed, from 1 to 10**9, of Python's random module.
    """
    return partial(Random(seed).randint, 1, 10**9)


def names() -> tuple[str, ...]:
    """Return Keras's short names of all initializers, and `probe`."""
    return tuple(snake_case(initializer.class_name) for initializer in _list())


def find(name: str) -> Initializer:
    """Return the initializer called `name`; case and underscores don't matter.

    Raises LayerError if it does not exist.
    """
    initializer = _index_by_name().get(fold_name(name))
    if initializer is None:
        raise LayerError("there is no initializer '{name}'.", did_you_mean(name, names()), name=name)
    return initializer


def snake_case(class_name: str) -> str:
    """Return Keras's short name, such as `random_normal` for RandomNormal."""
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", class_name).lower()


def settings(value: str | Spec) -> tuple[Initializer, dict[str, Any]]:
    """Return the initializer and the values of all its options, defaults included."""
    name, given = (value, {}) if isinstance(value, str) else (value.class_name, value.config)
    initializer = find(name)
    return initializer, {name: option.default for name, option in initializer.options.items()} | dict(given)


def takes_seed(value: str | Spec) -> bool:
    """Return whether creating this initializer takes a seed from the `seed_stream`."""
    initializer, config = settings(value)
    return initializer.takes_seed and config["seed"] is None


def make(value: str | Spec, shape: tuple[int, ...], dtype: str, seed: int | None) -> Array:
    """Return a weight of shape `shape`, with the values that Keras draws.

    seed: ignored if the Spec has its own seed.
    Raises LayerError if the initializer cannot fill this shape or dtype, or needs a seed and has none.
    """
    import numpy as np

    initializer, config = settings(value)
    if dtype not in DTYPES:
        raise LayerError(
            "{class_name} cannot be drawn in {dtype}.",
            "Use one of {dtypes}.",
            class_name=initializer.class_name,
            dtype=dtype,
            dtypes=", ".join(DTYPES),
        )
    seed = seed if config.get("seed") is None else config["seed"]
    if seed is None and initializer.takes_seed:
        raise LayerError(
            "{class_name} needs a seed.", "Give one with {--seed}.", class_name=initializer.class_name
        )
    with np.errstate(all="ignore"):
        return initializer.fill(config, shape, dtype, seed or 0)


def dropout_mask(shape: tuple[int, ...], rate: float, dtype: str, seed: int, k: int) -> Array:
    """Return the dropout mask for draw `k` (from 0) of a SeedGenerator; entries are 0 or 1 / (1 - rate)."""
    from rnncli.initializers import _draws

    return _draws.dropout_mask(shape, rate, dtype, seed, k)


def _list() -> tuple[Initializer, ...]:
    return import_module("rnncli.initializers.fills").INITIALIZERS  # type: ignore[no-any-return]


@cache
def _index_by_name() -> dict[str, Initializer]:
    return {
        fold_name(name): initializer
        for initializer in _list()
        for name in (initializer.class_name, f"{initializer.class_name}Initializer", *initializer.aliases)
    }
