"""Split a batch into chunks, so that it is never fully in memory, and join the results."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import chain
from math import ceil, prod

from rnncli.case import Case, sizes
from rnncli.process import memory
from rnncli.result import Claim, Label, Result

COMFORTABLE = 64 * 2**20
"""Chunks of more than this many bytes are not faster."""
ROWS = 256
"""With fewer sequences, matrix products are slower; COMFORTABLE never makes a chunk smaller than this."""


def plan(case: Case, budget: int) -> tuple[slice, ...]:
    """Return the chunks of the batch in order, of nearly equal size.

    There is a single chunk if the sequences are not independent.
    budget: bytes that the work on one chunk may take; a chunk has at least one sequence.
    """
    batch = len(case.inputs)
    if not _independent(case):
        return (slice(0, batch),)
    each = _bytes_of_a_sequence(case)
    most = max(1, min(budget // each, max(COMFORTABLE // each, ROWS)))
    count = ceil(batch / most)
    size = ceil(batch / count)
    return tuple(slice(start, min(start + size, batch)) for start in range(0, batch, size))


def count_fitting(case: Case, budget: int) -> int:
    """Return how many cases like this one fit in a batch of `budget` bytes; at least 1."""
    return max(1, budget // (_bytes_of_a_sequence(case) * max(len(case.inputs), 1)))


def take_chunk(case: Case, chunk: slice) -> Case:
    """Return the case with only the sequences in `chunk`."""
    states = case.initial_state
    return case._replace(
        inputs=case.inputs[chunk],
        mask=None if case.mask is None else case.mask[chunk],
        initial_state=None if states is None else tuple(state[chunk] for state in states),
    )


def join_results(results: Iterator[Result], batch: int) -> Result:
    """Join the results of the chunks into the result of all `batch` sequences.

    A claim holds only if it holds in every chunk.
    Raises InputError if the result does not fit in memory.
    """
    first = next(results)
    if first.input_shape[0] == batch:
        return first
    import numpy as np

    memory.refuse_beyond(sum(each.values[:1].nbytes * batch for each in first.outputs))
    arrays = [np.empty((batch, *each.values.shape[1:]), each.values.dtype) for each in first.outputs]
    agreed, done = ChunkSummary(), 0
    for result in chain((first,), results):
        agreed.add(result)
        end = done + result.input_shape[0]
        for array, tensor in zip(arrays, result.outputs, strict=True):
            array[done:end] = tensor.values
        done = end
    outputs = tuple(
        tensor._replace(values=array, equals=agreed.equals[tensor.label])
        for tensor, array in zip(first.outputs, arrays, strict=True)
    )
    shape = (batch, *first.input_shape[1:])
    return dataclasses.replace(first, engines=agreed.engines, input_shape=shape, outputs=outputs)


class ChunkSummary:
    """Combines information from all chunks.

    equals: of each tensor, the claims that hold in every chunk.
    engines: those that computed the chunks.
    """

    def __init__(self) -> None:
        self.equals: dict[Label, tuple[Claim, ...]] = {}
        self.engines: tuple[str, ...] = ()

    def add(self, result: Result) -> None:
        """Add the result of one chunk."""
        for tensor in result.outputs:
            held = self.equals.get(tensor.label, tensor.equals)
            self.equals[tensor.label] = tuple(claim for claim in held if claim in tensor.equals)
        self.engines = tuple(dict.fromkeys(self.engines + result.engines))


def _independent(case: Case) -> bool:
    """Return whether the sequences can be computed separately.

    They cannot if states are kept between calls, random numbers are drawn for the whole batch, or the case
    is traced.
    """
    return not (case.with_trace or case.stack.is_stateful or (case.training and case.stack.draws_in_training))


def _bytes_of_a_sequence(case: Case) -> int:
    """Estimate the bytes for one sequence: inputs and outputs, counted twice, and the input projections."""
    stack, shape = case.stack, (1, *case.inputs.shape[1:])
    outputs = (info.shape for info in stack.outputs(shape, all_layers=True))
    numbers = sum(prod(sizes(one)) for one in (shape, *outputs))
    widths = (weight[-1] for weight in stack.weight_shapes(shape).values() if len(weight) > 1)
    gates = shape[1] * sum(width for width in widths if isinstance(width, int))
    itemsize: int = case.inputs.dtype.itemsize
    return itemsize * (2 * numbers + int(gates))
