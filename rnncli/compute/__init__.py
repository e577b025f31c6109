"""Case -> Result: run all stages of the computation."""

from __future__ import annotations

from collections.abc import Iterator

from rnncli.case import Case
from rnncli.result import Result


def run(case: Case, engine: str = "auto", budget: int | None = None) -> Result:
    """Compute what the layers return.

    engine: `auto` selects the fastest engine that gives Keras's numbers for this case.
    budget: memory for the work on one chunk of the batch, in bytes; None for what this machine can spare.
    Raises LayerError or InputError if the case is invalid, UsageError if the engine cannot compute it,
    EngineError if the engine fails.
    """
    from rnncli.compute import chunks

    return chunks.join_results(run_chunks(case, engine, plan(case, budget)), len(case.inputs))


def plan(case: Case, budget: int | None = None) -> tuple[slice, ...]:
    """Return the chunks of the batch, which are computed one after another.  budget: see `run`."""
    from rnncli.compute import chunks
    from rnncli.process import memory

    return chunks.plan(case, memory.default_budget() if budget is None else budget)


def run_chunks(case: Case, engine: str, planned: tuple[slice, ...]) -> Iterator[Result]:
    """Yield what the layers return for each chunk; no chunk is kept after it was yielded."""
    from rnncli import arrays
    from rnncli.compute import call as calling
    from rnncli.compute import chunks

    calling.require_room(case, planned[0].stop)
    call = calling.prepare(case, engine)
    for chunk in planned:
        yield call(chunks.take_chunk(case, chunk))
        arrays.release(case.inputs)
