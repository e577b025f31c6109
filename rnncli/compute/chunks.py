"""A batch in chunks, so that it is never fully in memory; the results joined, or read as they arrive."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import chain
from math import ceil, prod
from typing import Any

from rnncli.case import Array, Case, sizes
from rnncli.errors import UsageError
from rnncli.layers.stack import Stack
from rnncli.process import memory
from rnncli.result import ChunkedTensor, Claim, Label, Result

COMFORTABLE = 64 * 2**20
"""Chunks of more than this many bytes are not faster."""
ROWS = 256
"""With fewer sequences, matrix products are slower; COMFORTABLE never makes a chunk smaller than this."""
IN_MEMORY = 2**24
"""Maximum bytes of a waiting tensor to keep in memory; a larger one is kept in a temporary file."""


def plan(case: Case, budget: int) -> tuple[slice, ...]:
    """Return the chunks of the batch in order, of nearly equal size.

    There is a single chunk if the sequences are not independent: if states are kept between calls, random
    numbers are drawn for the whole batch, or the case is traced.
    budget: bytes that the work on one chunk may take; a chunk has at least one sequence.
    """
    batch, stack = len(case.inputs), Stack(case.specs)
    if case.with_trace or stack.is_stateful or (case.training and stack.draws_in_training):
        return (slice(0, batch),)
    each = _bytes_of_a_sequence(case)
    most = max(1, min(budget // each, max(COMFORTABLE // each, ROWS)))
    size = ceil(batch / ceil(batch / most))
    return tuple(slice(start, min(start + size, batch)) for start in range(0, batch, size))


def count_fitting(case: Case, budget: int) -> int:
    """Return how many cases like this one fit in a batch of `budget` bytes; at least 1."""
    return max(1, budget // (_bytes_of_a_sequence(case) * max(len(case.inputs), 1)))


def _bytes_of_a_sequence(case: Case) -> int:
    """Estimate the bytes for one sequence: inputs and outputs, counted twice, and the input projections."""
    stack, shape = Stack(case.specs), (1, *case.inputs.shape[1:])
    outputs = (info.shape for info in stack.outputs(shape, all_layers=True))
    numbers = sum(prod(sizes(one)) for one in (shape, *outputs))
    widths = (weight[-1] for weight in stack.weight_shapes(shape).values() if len(weight) > 1)
    gates = shape[1] * sum(width for width in widths if isinstance(width, int))
    itemsize: int = case.inputs.dtype.itemsize
    return itemsize * (2 * numbers + int(gates))


def take_chunk(case: Case, chunk: slice) -> Case:
    """Return the case with only the sequences in `chunk`."""
    states = case.initial_state
    return case._replace(
        inputs=case.inputs[chunk],
        mask=None if case.mask is None else case.mask[chunk],
        initial_state=None if states is None else tuple(state[chunk] for state in states),
    )


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


class ChunkedResult:
    """The tensors of all chunks, none fully in memory; to be read one after another, from first to last.

    The first tensor is read while it is computed; the others are stored until they are read.

    result: the result without the tensors; available immediately.
    summary: information from the chunks so far; complete when the first tensor has been read.
    """

    def __init__(self, results: Iterator[Result], batch: int) -> None:
        from rnncli import arrays

        first = next(results)
        shape = (batch, *first.input_shape[1:])
        self.result = dataclasses.replace(first, input_shape=shape, outputs=())
        self.summary = ChunkSummary()
        self._waiting = tuple(_ArrayQueue() for _ in first.outputs[1:])
        parts = (self._iterate_parts(chain((first,), results)), *(queue.parts() for queue in self._waiting))
        self.outputs = tuple(
            ChunkedTensor(
                tensor.label,
                tensor.axes,
                arrays.ChunkedArray((batch, *tensor.values.shape[1:]), tensor.values.dtype, pieces),
                tensor.time,
            )
            for tensor, pieces in zip(first.outputs, parts, strict=True)
        )

    def _iterate_parts(self, results: Iterator[Result]) -> Iterator[Array]:
        """Yield the parts of the first tensor, and store the parts of the others."""
        try:
            for result in results:
                self.summary.add(result)
                first, *others = result.outputs
                for waiting, tensor in zip(self._waiting, others, strict=True):
                    waiting.append(tensor.values)
                yield first.values
        except BaseException:  # nobody will read the others
            for waiting in self._waiting:
                waiting.file.close()
            raise


class _ArrayQueue:
    """A queue of arrays in a temporary file, which are read back after all of them have been added."""

    def __init__(self) -> None:
        from tempfile import SpooledTemporaryFile

        self.file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed when it was read
        self.headers: list[tuple[tuple[int, ...], Any]] = []

    def append(self, array: Array) -> None:
        """Add an array.  Raises UsageError if the temporary file cannot be written."""
        from rnncli import arrays

        try:
            for block in arrays.blocks(array):
                self.file.write(block.tobytes())
        except OSError as error:
            raise UsageError(
                "a temporary file cannot be written: {strerror}.",
                "Name a folder with more room in TMPDIR, or keep fewer tensors with {--select}.",
                strerror=error.strerror or error,
            ) from None
        self.headers.append((array.shape, array.dtype))

    def parts(self) -> Iterator[Array]:
        import numpy as np

        self.file.seek(0)
        for shape, dtype in self.headers:
            yield np.frombuffer(self.file.read(prod(shape) * dtype.itemsize), dtype).reshape(shape)
        self.file.close()
