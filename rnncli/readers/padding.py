"""Pad sequences of different lengths."""

from __future__ import annotations

from rnncli.case import Array


def pad(sequences: tuple[Array, ...], end: str, value: float) -> tuple[Array, Array]:
    """Return the sequences in one array (batch, longest, ...), and the mask (batch, longest).

    end: `pre` or `post`, where shorter ones get `value`.  The mask is False there.
    """
    import numpy as np

    longest = max(map(len, sequences))
    array = np.full((len(sequences), longest, *sequences[0].shape[1:]), value, dtype=np.float64)
    mask = np.zeros((len(sequences), longest), dtype=bool)
    for row, sequence in enumerate(sequences):
        there = slice(longest - len(sequence), longest) if end == "pre" else slice(len(sequence))
        array[row, there] = sequence
        mask[row, there] = True
    return array, mask
