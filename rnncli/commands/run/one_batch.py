"""`rnncli run` for one batch: computed at once, or in chunks that are written as they are computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rnncli import compute
from rnncli.ask import Remarks
from rnncli.case import Case
from rnncli.cli import checks, terminal
from rnncli.cli.output import Delivery, delivery, format_of, is_stdout, progress_bar
from rnncli.commands.run.answer import ChunkedRunAnswer, RunAnswer, stats_of
from rnncli.compute import chunks
from rnncli.show import formats

if TYPE_CHECKING:
    from rnncli.cli.checks import Expectation
    from rnncli.commands.run import RunRequest
    from rnncli.compute.compare import TolerancePair
    from rnncli.result import Result


def answer(flags: RunRequest) -> None:
    """Compute and show the answer."""
    _ = flags.tolerances
    deliver = delivery(flags.output, flags.ask.files)
    expected = flags.read_expectation()
    case, remarks = flags.ask.case()
    plan = compute.plan(case, flags.budget)
    if len(plan) > 1 and _can_grow(flags):
        _run_in_chunks(flags, case, plan, deliver, remarks)
    else:
        _run_whole(flags, case, plan, deliver, remarks, expected)


def _can_grow(flags: RunRequest) -> bool:
    """Return whether the answer can be written before the last chunk is computed."""
    whole = bool(flags.whole_result_flags) or flags.ask.all_calls
    return not whole and formats.FORMATS[format_of(flags.output)].incremental


def _run_in_chunks(
    flags: RunRequest, case: Case, plan: tuple[slice, ...], deliver: Delivery, remarks: Remarks
) -> None:
    from rnncli.compute.chunks import ChunkedResult

    batch = len(case.inputs)
    among_numbers = is_stdout(flags.output.output) and terminal.stdout_is_terminal()
    with progress_bar(batch, enabled=not flags.output.quiet and not among_numbers) as watch:
        results = watch(compute.run_chunks(case, flags.ask.engine, plan))
        kept = (checks.select_tensors(each, flags.select) for each in results)
        deliver(ChunkedRunAnswer(ChunkedResult(kept, batch)), remarks)


def _run_whole(
    flags: RunRequest,
    case: Case,
    plan: tuple[slice, ...],
    deliver: Delivery,
    remarks: Remarks,
    expected: Expectation | None,
) -> None:
    with progress_bar(len(case.inputs), enabled=len(plan) > 1 and not flags.output.quiet) as watch:
        results = watch(compute.run_chunks(case, flags.ask.engine, plan))
        result = chunks.join_results(results, len(case.inputs))
    tolerances = flags.tolerances if flags.check else None
    run_answer, disagreeing, notes = check_and_select(
        case, result, tolerances, flags.select, flags.budget, stats=flags.stats
    )
    flags.checks(expected).show(run_answer, (*remarks, *notes), disagreeing, deliver)


def check_and_select(
    case: Case,
    result: Result,
    tolerances: TolerancePair | None,
    select: Sequence[str] | None,
    budget: int | None,
    *,
    stats: bool,
) -> tuple[RunAnswer, list[str], Remarks]:
    """Return the answer, the tensors that differ from Keras's, and remarks.

    tolerances: of a check; None without one.  select: names of the tensors to show.
    """
    result, disagreeing, notes = checks.verify(case, result, tolerances, budget)
    result = checks.select_tensors(result, select)
    return RunAnswer(result, stats_of(result) if stats else {}), disagreeing, notes
