"""Case -> Result: run all stages of the computation, on the whole batch or one chunk of it after another."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import chain
from math import ceil, prod

from rnncli.case import Array, Case, sizes
from rnncli.result import Claim, Label, Result

COMFORTABLE = 64 * 2**20
"""Chunks of more than this many bytes are not faster."""
ROWS = 256
"""With fewer sequences, matrix products are slower; COMFORTABLE never makes a chunk smaller than this."""


def run(case: Case, engine: str = "auto", budget: int | None = None) -> Result:
    """Compute what the layers return.

    engine: `auto` selects the fastest engine that gives Keras's numbers for this case.
    budget: see `plan`.
    Raises LayerError or InputError if the case is invalid, UsageError if the engine cannot compute it,
    EngineError if the engine fails.
    """
    return join_results(run_chunks(case, engine, plan(case, budget)), len(case.inputs))


def plan(case: Case, budget: int | None = None) -> tuple[slice, ...]:
    """Return the chunks of the batch in order, of nearly equal size; they are computed one after another.

    There is a single chunk if the sequences are not independent: if states are kept between calls, random
    numbers are drawn for the whole batch, or the case is traced.
    budget: bytes that the work on one chunk may take, None for what this machine can spare; a chunk has at
        least one sequence.
    """
    from rnncli.layers.stack import Stack
    from rnncli.process import memory

    batch, stack = len(case.inputs), Stack(case.specs)
    if case.with_trace or stack.is_stateful or (case.training and stack.draws_in_training):
        return (slice(0, batch),)
    each = bytes_of_a_sequence(case)
    budget = memory.default_budget() if budget is None else budget
    most = max(1, min(budget // each, max(COMFORTABLE // each, ROWS)))
    size = ceil(batch / ceil(batch / most))
    return tuple(slice(start, min(start + size, batch)) for start in range(0, batch, size))


def bytes_of_a_sequence(case: Case) -> int:
    """Estimate the bytes for one sequence: inputs and outputs, counted twice, and the input projections."""
    from rnncli.layers.stack import Stack

    stack, shape = Stack(case.specs), (1, *case.inputs.shape[1:])
    outputs = (info.shape for info in stack.outputs(shape, all_layers=True))
    numbers = sum(prod(sizes(one)) for one in (shape, *outputs))
    widths = (weight[-1] for weight in stack.weight_shapes(shape).values() if len(weight) > 1)
    gates = shape[1] * sum(width for width in widths if isinstance(width, int))
    itemsize: int = case.inputs.dtype.itemsize
    return itemsize * (2 * numbers + int(gates))


def run_chunks(case: Case, engine: str, planned: tuple[slice, ...]) -> Iterator[Result]:
    """Yield what the layers return for each chunk; no chunk is kept after it was yielded."""
    from rnncli import arrays
    from rnncli.compute import call as calling

    calling.require_room(case, planned[0].stop)
    call = calling.prepare(case, engine)
    for chunk in planned:
        yield call(take_chunk(case, chunk))
        arrays.release(case.inputs)


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
    engines: the engines that computed the chunks.
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

    from rnncli.process import memory

    memory.refuse_beyond(sum(each.values[:1].nbytes * batch for each in first.outputs))
    arrays = [np.empty((batch, *each.values.shape[1:]), each.values.dtype) for each in first.outputs]
    masks: list[list[Array]] = [[] for _ in first.outputs]
    agreed, done = ChunkSummary(), 0
    for result in chain((first,), results):
        agreed.add(result)
        end = done + result.input_shape[0]
        for array, masked, tensor in zip(arrays, masks, result.outputs, strict=True):
            array[done:end] = tensor.values
            masked += [] if tensor.masked is None else [tensor.masked]
        done = end
    outputs = tuple(
        tensor._replace(
            values=array,
            equals=agreed.equals[tensor.label],
            masked=np.concatenate(masked) if masked else None,
        )
        for tensor, array, masked in zip(first.outputs, arrays, masks, strict=True)
    )
    shape = (batch, *first.input_shape[1:])
    return dataclasses.replace(first, engines=agreed.engines, input_shape=shape, outputs=outputs)
