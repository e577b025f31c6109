"""Masks of the time steps to process: given by the user, or made from the inputs."""

from __future__ import annotations

from typing import Any

from rnncli.case import Array, format_shape
from rnncli.errors import InputError
from rnncli.specs import nested


def parse_mask(raw: Any, inputs: Array) -> Array:
    """Return the mask as a bool array (batch, timesteps).

    A mask of shape (timesteps,) or (1, timesteps) applies to every sequence.  Sequences of sequences
    may also have a mask of (batch, timesteps, inner timesteps), which stays as it is.
    """
    import numpy as np

    mask = raw if isinstance(raw, np.ndarray) else nested.to_array(raw, nested.FLAGS)
    expected = inputs.shape[: 3 if mask.ndim == 3 and inputs.ndim > 3 else 2]
    if mask.dtype.kind not in "bfiu":
        raise InputError(
            "the mask has dtype {dtype}.", "Write true or false for every time step.", dtype=mask.dtype
        )
    if mask.shape not in (expected, (1, *expected[1:]), expected[1:2]):
        raise InputError(
            "the mask is {shape}, but the input is {inputs}.",
            "A mask is (batch, timesteps), here {wanted}.",
            shape=format_shape(mask.shape),
            inputs=format_shape(inputs.shape),
            wanted=format_shape(inputs.shape[:2]),
        )
    wrong = np.argwhere((mask != 0) & (mask != 1))
    if len(wrong):
        place = tuple(map(int, wrong[0]))
        raise InputError(
            "{place} is {mask:g}.",
            "Write true or 1 for a step to process, else false or 0.",
            place,
            mask=mask[place],
        )
    return np.array(np.broadcast_to(mask.astype(bool), expected))


def mask_values(inputs: Array, value: float) -> Array:
    """Return the mask of Keras's Masking layer: True for steps where any feature differs from `value`."""
    import numpy as np

    from rnncli import arrays

    with np.errstate(over="ignore"):
        masked, axes = inputs.dtype.type(value), tuple(range(2, inputs.ndim))
    return np.concatenate([np.any(block != masked, axis=axes) for block in arrays.blocks(inputs)])
