"""The type that describes an initializer.  Does not import NumPy, so that parsing stays fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rnncli.case import Array, Option

Config = Mapping[str, Any]
ArrayShape = tuple[int, ...]
Fill = Callable[[Config, ArrayShape, str, int], Array]
"""(config with every option, shape, dtype, seed) -> array."""


class Initializer(NamedTuple):
    """One initializer.

    fill: its seed is 0 if the initializer needs none.
    options: by name, in the order of Keras's signature; random initializers have a `seed` option.
    aliases: names in addition to the class name.  Case and underscores don't matter in any of them.
    required_option: one without a default, so that the bare name is not enough.
    unsaved: options that Keras omits from the initializer's config, so that a copy does not have them.
    """

    class_name: str
    fill: Fill
    options: Mapping[str, Option] = {}
    aliases: tuple[str, ...] = ()
    required_option: str = ""
    unsaved: frozenset[str] = frozenset()

    @property
    def takes_seed(self) -> bool:
        """Whether the initializer draws random numbers."""
        return "seed" in self.options


SEED = {"seed": Option("signed_seed")}
