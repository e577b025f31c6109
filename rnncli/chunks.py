"""A batch in chunks, so that memory need not hold all of it at once; pure: a case -> slices of its batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import chain
from math import prod

from rnncli import memory
from rnncli.case import Case, walk
from rnncli.layers.stack import Stack
from rnncli.result import Result

COMFORTABLE = 64 * 2**20
"""Bytes beyond which a larger chunk is no faster."""
ROWS = 256
"""Sequences below which the matrix products would be slower: a chunk holds as many, whatever their size."""


_DRAWN = ("dropout", "recurrent_dropout", "rate")
"""The options of what is drawn for the batch as a whole, while it trains."""


def plan(case: Case, budget: int) -> tuple[slice, ...]:
    """The chunks of the batch, in order and of nearly one size; one where the sequences go together.

    budget: bytes that the work on one chunk may take; one sequence is the least that a chunk holds.
    """
    batch = len(case.inputs)
    if not _independent(case):
        return (slice(0, batch),)
    each = _bytes_of_a_sequence(case)
    most = max(1, min(budget // each, max(COMFORTABLE // each, ROWS)))
    size = -(-batch // -(-batch // most))
    return tuple(slice(start, min(start + size, batch)) for start in range(0, batch, size))


def together(case: Case, budget: int) -> int:
    """How many cases of this kind are computed as one batch, of so many bytes; one at least."""
    return max(1, budget // (_bytes_of_a_sequence(case) * max(len(case.inputs), 1)))


def part(case: Case, chunk: slice) -> Case:
    """The case of these sequences alone."""
    states = case.initial_state
    return dataclasses.replace(
        case,
        inputs=case.inputs[chunk],
        mask=None if case.mask is None else case.mask[chunk],
        initial_state=None if states is None else tuple(state[chunk] for state in states),
    )


def joined(results: Iterator[Result], batch: int) -> Result:
    """The result of all `batch` sequences.  A claim holds where it holds in every chunk.

    Raises InputError where the memory cannot hold it.
    """
    first = next(results)
    if first.input_shape[0] == batch:
        return first
    import numpy as np

    memory.refuse_beyond(sum(each.values[:1].nbytes * batch for each in first.outputs))
    arrays = [np.empty((batch, *each.values.shape[1:]), each.values.dtype) for each in first.outputs]
    agreed, done = Agreed(), 0
    for result in chain((first,), results):
        agreed.add(result)
        end = done + result.input_shape[0]
        for array, tensor in zip(arrays, result.outputs, strict=True):
            array[done:end] = tensor.values
        done = end
    outputs = tuple(
        tensor._replace(values=array, equals=agreed.equals[tensor.name])
        for tensor, array in zip(first.outputs, arrays, strict=True)
    )
    shape = (batch, *first.input_shape[1:])
    return dataclasses.replace(first, engine=agreed.engine, input_shape=shape, outputs=outputs)


class Agreed:
    """What is said of all chunks.  equals: by the tensor's name, the claims that hold in each of them."""

    def __init__(self) -> None:
        self.equals: dict[str, tuple[str, ...]] = {}
        self._engines: dict[str, None] = {}

    def add(self, result: Result) -> None:
        """One more chunk."""
        for tensor in result.outputs:
            held = self.equals.get(tensor.name, tensor.equals)
            self.equals[tensor.name] = tuple(claim for claim in held if claim in tensor.equals)
        self._engines[result.engine] = None

    @property
    def engine(self) -> str:
        """`onnx, numpy` where not one engine computed all of them."""
        return ", ".join(self._engines)


def _independent(case: Case) -> bool:
    """Whether nothing is kept from call to call, drawn for the batch as a whole, or traced."""
    for inner in (inner for spec in case.layers for inner in walk(spec)):
        config = inner.config
        if config.get("stateful") or (case.training and any(map(config.get, _DRAWN))):
            return False
    return not case.traced


def _bytes_of_a_sequence(case: Case) -> int:
    """About: inputs and outputs, each of them twice, and what the gates get from the inputs."""
    stack, shape = Stack(case.layers), (1, *case.inputs.shape[1:])
    outputs = (info.shape for info in stack.outputs(shape, all_layers=True))
    numbers = sum(prod(size for size in one if isinstance(size, int)) for one in (shape, *outputs))
    widths = (weight[-1] for weight in stack.weight_shapes(shape).values() if len(weight) > 1)
    gates = shape[1] * sum(width for width in widths if isinstance(width, int))
    itemsize: int = case.inputs.dtype.itemsize
    return itemsize * (2 * numbers + int(gates))
