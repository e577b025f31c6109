"""A batch, and what each of its sequences returns alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice, product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rnncli.errors import InputError, Message, RnncliError, Text, format_names
from rnncli.values import Array

if TYPE_CHECKING:
    from rnncli.ask.returned import Alone, Returned
    from rnncli.result import NamedTensor

MOST = 32
"""Sequences for which a whole model is called again."""
MOST_READINGS = 16
"""Ways to read the axes of several inputs that are tried: two axes may have as many rows as the batch."""


class Batch(NamedTuple):
    """What a batch returned, and how to get what one sequence returns.

    whole: what the batch returned.
    size: the number of sequences.  compared: how many of them are called alone.
    masked: whether steps of it are masked.  padded: whether steps are padding that nothing masks.
    call: returns what the sequence of an index returns alone; with `cut`, without the steps that are masked
        or padding.  Raises an RnncliError if it cannot be called.
    real: returns, for an index, the steps that `cut` leaves, of one or several inputs.
    remarks: on the calls alone, complete after them.
    """

    whole: Returned
    size: int
    compared: int
    masked: bool
    padded: bool
    call: Callable[[int, bool], Alone]
    real: Callable[[int], Sequence[Array]]
    remarks: Callable[[], Sequence[Text]]

    @classmethod
    def of_layers(
        cls,
        whole: Returned,
        compared: int,
        call: Callable[[int, bool], Alone],
        remarks: Callable[[], Sequence[Text]],
    ) -> Batch:
        """Return the batch of layers that rnncli computes, with the mask of the first one."""
        masks = [whole.mask] if whole.masked else [*whole.real.values()]

        def real(index: int) -> list[Array]:
            return [mask[index] for mask in masks if mask is not None]

        padded = bool(whole.real)
        return cls(whole, whole.batch, compared, whole.masked, padded, call, real, remarks)


def find_axes(
    whole: Returned, contents: Any, call: Callable[[Returned], Returned]
) -> tuple[Returned, RnncliError | None, tuple[Text, ...]]:
    """Return the batch with the axis of the sequences in each input of an ONNX model.

    Also return why the model cannot be called with one sequence, None if it can, and remarks on the axes.

    Where the file calls no axis batch, the first recurrent node tells: when the model is called with one
    sequence, so is this node.
    contents: of the file.  call: returns what the model returns for other inputs.
    """
    named = {
        entry.name: axis
        for entry in contents.inputs
        for axis, size in enumerate(entry.shape or ())
        if isinstance(size, str) and "batch" in size.lower() and entry.name in whole.inputs
    }
    layer, first = next(iter(whole.cases.items()))
    size = next((whole.inputs[name].shape[axis] for name, axis in named.items()), whole.batch)
    fitting: Iterator[list[int | None]] = (
        [named[name]]
        if name in named
        else [axis for axis, length in enumerate(array.shape) if length == size] or [None]
        for name, array in whole.inputs.items()
    )
    failure: RnncliError | None = None
    for axes in islice(product(*fitting), MOST_READINGS):
        known = {name: axis for name, axis in zip(whole.inputs, axes, strict=True) if axis is not None}
        tried = whole._replace(axes=known, size=size)
        try:
            alone = call(tried.of_sequence(0, cut=False)).cases[layer]
        except RnncliError as error:
            failure = failure or error
            continue
        if alone.inputs.shape == (1, *first.inputs.shape[1:]):
            return tried, None, ()
        if named:
            text = "{layer} does not read as its batch the axis {axis} of {input}, which the file calls batch"
            name, axis = next(iter(named.items()))
            return tried, None, (Message(text, layer=layer, axis=axis, input=name),)
    what = "no axis of the inputs is that of the sequences of {layer}."
    return whole, failure or InputError(what, layer=layer), ()


def note_cut(whole: Returned, inputs_of: Callable[[str], set[str]]) -> tuple[Text, ...]:
    """Return a remark on layers with other inputs than the first one, such as a decoder.

    inputs_of: returns the inputs of a model that a layer depends on.
    """
    kept = [name for name in whole.cases if inputs_of(name) - {*whole.read}]
    if not kept or whole.mask is None or whole.mask.all():
        return ()
    text = "the masked steps of {layer} are cut; all steps of the other input of {names} stay"
    return (Message(text, layer=next(iter(whole.cases)), names=format_names(kept)),)


class Part(NamedTuple):
    """The part of a tensor that belongs to one sequence.

    axis: of the sequences; None without one.
    indices: for each axis; several where the rows of a sequence may stand together or apart, as of an output
        of (batch * timesteps, units), or in the order of the steps or backwards.
    """

    axis: int | None
    indices: tuple[tuple[Array, ...], ...]


def find_part(
    tensor: NamedTensor, shape: tuple[int, ...], size: int, row: int, real: Sequence[Array]
) -> Part | None:
    """Return the part of a batch's tensor that one sequence returned in a tensor of this shape.

    size: the number of sequences.  row: of the sequence.
    real: its steps that were not cut, or that are not padding, of one or several inputs.
    None if the shape does not tell.
    """
    whole = tensor.values.shape
    every = tuple(np.arange(length) for length in whole)
    if len(shape) != len(whole):
        return None
    axes = [
        axis for axis in range(len(whole)) if size > 1 and shape[axis] and whole[axis] == size * shape[axis]
    ]
    for axis in axes if size > 1 else [None]:
        times = [other for other in range(len(whole)) if other != axis and whole[other] != shape[other]]
        orders = [every]
        if times:
            rows = _real_rows(tensor, row, whole[times[0]], shape[times[0]], real) if len(times) == 1 else []
            orders = [(*every[: times[0]], kept, *every[times[0] + 1 :]) for kept in rows]
        if not orders:
            continue
        if axis is None:
            return Part(0, tuple(orders))
        count = shape[axis]
        together, apart = np.arange(row * count, (row + 1) * count), np.arange(row, size * count, size)
        both = (together,) if count == 1 else (together, apart)
        return Part(axis, tuple((*order[:axis], own, *order[axis + 1 :]) for order in orders for own in both))
    return Part(None, (every,)) if shape == whole else None


def _real_rows(tensor: NamedTensor, row: int, before: int, after: int, real: Sequence[Array]) -> list[Array]:
    """Return the rows of a sequence that are left of an axis, if they are known; several for several orders.

    Where two inputs have the numbers of steps of the tensor, they are equal, as all padding is on one side.
    PyTorch's packed sequences end with the longest one.
    """
    if tensor.masked is not None and tensor.masked.shape[1:] == (before,) and row < len(tensor.masked):
        steps = np.flatnonzero(~tensor.masked[row])
        if len(steps) == after < before:
            return [steps]
    for mask in real:
        steps = mask[:before]
        if mask.sum() == after == steps.sum() and len(steps) == before:
            if len(tensor.time):
                return [np.flatnonzero(steps[list(tensor.time)])]
            # Behind a layer with go_backwards, the last step comes first.
            orders = [steps] if tensor.masked is not None else [steps, steps[::-1]]
            return [np.flatnonzero(order) for order in orders]
    return []
