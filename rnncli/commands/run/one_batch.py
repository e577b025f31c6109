"""`rnncli run` for one batch: computed at once, or in chunks that are written as they are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli import compute
from rnncli.case import Case
from rnncli.cli import progress, request, result_checks, terminal
from rnncli.cli.case_request import Remarks
from rnncli.cli.output import Delivery, delivery, format_of, is_stdout
from rnncli.commands.run.answer import ChunkedRunAnswer, RunAnswer, stats_of
from rnncli.compute import chunks
from rnncli.show import formats

if TYPE_CHECKING:
    from rnncli.cli.expectation import Expectation
    from rnncli.commands.run.run_request import RunRequest


def answer(flags: RunRequest) -> None:
    """Compute and show the answer."""
    _ = flags.tolerances
    deliver = delivery(flags.output, flags.ask.files)
    expected = flags.read_expectation()
    case, remarks = request.case(flags.ask)
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
    with progress.bar(batch, enabled=not flags.output.quiet and not among_numbers) as watch:
        results = watch(compute.run_chunks(case, flags.ask.engine, plan))
        kept = (result_checks.select_tensors(each, flags.select) for each in results)
        deliver(ChunkedRunAnswer(ChunkedResult(kept, batch)), remarks)


def _run_whole(
    flags: RunRequest,
    case: Case,
    plan: tuple[slice, ...],
    deliver: Delivery,
    remarks: Remarks,
    expected: Expectation | None,
) -> None:
    batch = len(case.inputs)
    with progress.bar(batch, enabled=len(plan) > 1 and not flags.output.quiet) as watch:
        result = chunks.join_results(watch(compute.run_chunks(case, flags.ask.engine, plan)), batch)
    tolerances = flags.tolerances if flags.check else None
    result, disagreeing, notes = result_checks.verify(case, result, tolerances, flags.budget)
    result = result_checks.select_tensors(result, flags.select)
    run_answer = RunAnswer(result, stats_of(result) if flags.stats else {})
    flags.checks(expected).show(run_answer, (*remarks, *notes), disagreeing, deliver)
