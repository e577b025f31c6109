"""The seeds that `keras.utils.set_random_seed` hands out, one at each construction."""

from __future__ import annotations

import random


class SeedStream:
    """Python's own sequence of random integers; the only thing here that changes when it is used."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def draw(self) -> int:
        """The next seed, 1 to 1e9."""
        return self._random.randint(1, 10**9)
