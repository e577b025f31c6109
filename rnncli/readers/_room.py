"""How many bytes may come out of a packed file, so that a small one cannot fill the memory."""

from __future__ import annotations

from rnncli import memory

ALWAYS = 2**29
"""Bytes that any file may unpack to."""

RATIO = 16
"""How many times its own size a larger file may unpack to; weights and series shrink to a half at best."""


def most(packed: int) -> int:
    """Bytes that a file of `packed` bytes may unpack to: as many as the machine has, at most."""
    return min(max(ALWAYS, RATIO * packed), memory.total())


def shown(size: int) -> str:
    """A size for the eye, `3.0 GiB`."""
    return memory.shown(size)
