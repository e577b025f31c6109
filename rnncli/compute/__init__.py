"""Case -> Result: the stages joined."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from rnncli.case import Case
from rnncli.compute import call as calling
from rnncli.compute import checks, chunks
from rnncli.result import Result
from rnncli.specs import memory


def run(case: Case, engine: str = "auto", budget: int | None = None) -> Result:
    """What the layers return.

    engine: `auto` takes the fastest that gives Keras's numbers for this case.
    budget: bytes for the work on one chunk of the batch; None for what this machine can spare.
    Raises LayerError or InputError where case cannot be meant, EngineError where the engine fails.
    """
    return chunks.joined(parts(case, engine, plan(case, budget)), len(case.inputs))


def plan(case: Case, budget: int | None = None) -> tuple[slice, ...]:
    """The chunks of the batch that are computed one after the other.  budget: as in `run`."""
    return chunks.plan(case, memory.spare() if budget is None else budget)


def parts(case: Case, engine: str, planned: tuple[slice, ...]) -> Iterator[Result]:
    """What the layers return for each chunk; nothing is kept of those that were taken."""
    from rnncli import arrays

    checks.demand_room(case, planned[0].stop)
    call = calling.opened(case, engine)
    case = dataclasses.replace(case, initial_state=calling.initial_state(case))
    for chunk in planned:
        yield call(chunks.part(case, chunk))
        arrays.release(case.inputs)
