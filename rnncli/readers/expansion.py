"""Limit how many bytes a compressed file may expand to, so that a small file cannot fill the memory."""

from __future__ import annotations

from rnncli.specs import memory

ALWAYS = 2**29
"""Bytes that any file may expand to."""

RATIO = 16
"""A larger file may expand to this multiple of its size; real weights and series compress to half at best."""


def compute_limit(packed: int) -> int:
    """Return how many bytes a file of `packed` bytes may expand to; at most the memory of the machine."""
    return min(max(ALWAYS, RATIO * packed), memory.total())
