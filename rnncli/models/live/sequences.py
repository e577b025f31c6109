"""What one sequence of a batch is given, of what a live object is called with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from rnncli.values import Array


class Share(NamedTuple):
    """Which sequence of a batch.

    first: the first tensor that the object is given, or list, which holds the sequences.
    size: the number of sequences.  row: of the sequence.
    axis: of the sequences in the first tensor.
    other: of the sequences in another tensor, where the sizes of two of its axes fit.
    real: (timesteps) of bool, the steps that the sequence keeps; None for all of them.
    """

    first: Any
    size: int
    row: int
    axis: int = 0
    other: int = 0
    real: Array | None = None

    def take(self, value: Any) -> Any:
        """Return a nested value with the share of the sequence in each tensor.

        Tensors without an axis of the sequences, and other values, stay as they are.
        """
        if is_packed(value):
            from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

            part = slice(self.row, self.row + 1)
            padded, lengths = pad_packed_sequence(value, batch_first=True)
            return pack_padded_sequence(padded[part, : int(lengths[part])], lengths[part], batch_first=True)
        if value is self.first or hasattr(value, "shape"):
            return self._take_tensor(value)
        if isinstance(value, Mapping):
            return {name: self.take(item) for name, item in value.items()}
        if type(value) in (list, tuple):
            return type(value)(self.take(item) for item in value)
        return value

    def take_beside(self, name: str, value: Any) -> Any:
        """Return the share of the sequence in `lengths`, `mask` or `initial_state`.

        A mask of one row is that of every sequence.
        """
        if self.real is not None and name == "lengths":
            return np.array([self.real.sum()])
        if name == "mask" and (value.ndim == 1 or len(value) == 1 or self.real is not None):
            rows = np.atleast_2d(value)
            mask = rows if len(rows) == 1 else rows[self.row : self.row + 1]
            return mask if self.real is None else mask[:, self.real]
        return self.take(value)

    def _take_tensor(self, tensor: Any) -> Any:
        part, is_first = slice(self.row, self.row + 1), tensor is self.first
        shape = tuple(getattr(tensor, "shape", ()))
        if not shape:
            return tensor[part] if is_first else tensor  # a list of sequences
        fitting = [axis for axis, size in enumerate(shape) if size == self.size]
        axis = self.axis if is_first else self.other if self.other in fitting else min(fitting, default=None)
        if axis is None:
            return tensor
        tensor = tensor[part] if axis == 0 else tensor[(slice(None),) * axis + (part,)]
        is_mask = len(shape) == 2 and "bool" in str(tensor.dtype)
        if self.real is None or not (is_first or is_mask):
            return tensor
        steps = np.flatnonzero(self.real)  # may be fewer than in the tensor; the rest is padding
        start, stop = (int(steps[0]), int(steps[-1]) + 1) if len(steps) else (0, 0)
        if stop - start != len(steps):
            return np.take(np.asarray(tensor), steps, 1 - axis)
        return tensor[(slice(None),) * (1 - axis) + (slice(start, stop),)]  # as TensorFlow takes it, too


def first_of(value: Any, *, has_list: bool) -> Any:
    """Return the first tensor of a nested value; None if there is none.

    has_list: whether the tensors in a list are sequences; then the list is returned.
    """
    is_batch = isinstance(value, list) and (has_list or (bool(value) and isinstance(value[0], str)))
    if is_batch or is_packed(value) or hasattr(value, "shape"):
        return value
    items = (
        value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    )
    return next((first for item in items if (first := first_of(item, has_list=has_list)) is not None), None)


def with_arrays(value: Any) -> Any:
    """Return a nested value with an array for each list of numbers, unless its rows differ in length."""
    if isinstance(value, list) and holds_numbers(value):
        try:
            return np.array(value)
        except ValueError:
            return value
    if isinstance(value, Mapping):
        return {name: with_arrays(item) for name, item in value.items()}
    return type(value)(map(with_arrays, value)) if type(value) in (list, tuple) else value


def count(first: Any, axis: int) -> int:
    """Return the number of sequences in the first tensor."""
    if is_packed(first):
        return int(first.batch_sizes[0])
    return int(first.shape[axis]) if hasattr(first, "shape") else len(first)


def is_packed(value: Any) -> bool:
    """Return whether a value is a PackedSequence of PyTorch, which is also a tuple."""
    return type(value).__name__ == "PackedSequence" and hasattr(value, "batch_sizes")


def holds_numbers(value: Any) -> bool:
    """Return whether a value is a number, or a nested list of numbers."""
    if isinstance(value, list):
        return bool(value) and all(map(holds_numbers, value))
    return isinstance(value, (int, float))
