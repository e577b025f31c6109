"""The seeds that Keras uses after `keras.utils.set_random_seed`, one for each object it creates."""

from __future__ import annotations

import random


class SeedStream:
    """A stream of seeds from Python's random module; the only object here with mutable state."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def draw(self) -> int:
        """The next seed, from 1 to 10**9."""
        return self._random.randint(1, 10**9)
