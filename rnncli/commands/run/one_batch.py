"""`rnncli run` for one batch: computed at once, or in chunks that are written as they are computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rnncli import compute
from rnncli.ask import Remarks
from rnncli.case import Case
from rnncli.cli import checks, terminal
from rnncli.cli.output import delivery, format_of, is_stdout, progress_bar
from rnncli.commands.run.answer import ChunkedRunAnswer, RunAnswer, stats_of
from rnncli.compute import chunks
from rnncli.show import formats

if TYPE_CHECKING:
    from rnncli.commands.run import RunRequest
    from rnncli.compute.compare import TolerancePair
    from rnncli.result import Result


def answer(flags: RunRequest) -> None:
    """Compute and show the answer; if it can, it is written before the last chunk is computed."""
    tolerances = flags.tolerances
    deliver = delivery(flags.output, flags.ask.files)
    expected = flags.read_expectation()
    case, remarks = flags.ask.case()
    plan, batch = compute.plan(case, flags.budget), len(case.inputs)
    whole = bool(flags.whole_result_flags) or flags.ask.all_calls
    grows = len(plan) > 1 and not whole and formats.FORMATS[format_of(flags.output)].incremental
    among_numbers = grows and is_stdout(flags.output.output) and terminal.stdout_is_terminal()
    with progress_bar(batch, enabled=len(plan) > 1 and not flags.output.quiet and not among_numbers) as watch:
        results = watch(compute.run_chunks(case, flags.ask.engine, plan))
        if grows:
            kept = (checks.select_tensors(each, flags.select) for each in results)
            deliver(ChunkedRunAnswer(chunks.ChunkedResult(kept, batch)), remarks)
            return
        result = chunks.join_results(results, batch)
    found, disagreeing, notes = check_and_select(
        case, result, tolerances if flags.check else None, flags.select, flags.budget, stats=flags.stats
    )
    flags.checks(expected).show(found, (*remarks, *notes), disagreeing, deliver)


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
