"""`rnncli run` for one batch: computed at once, or in chunks that are written as they are computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli import compute
from rnncli.case import Case
from rnncli.cli import expectation, progress, request, result_checks, terminal
from rnncli.cli.hold_flag import hold_gates
from rnncli.cli.output import Delivery, delivery, format_of, is_stdout
from rnncli.commands.run.answer import GrowingRunAnswer, RunAnswer, first_nan, stats_of
from rnncli.compute import chunks
from rnncli.renderers import formats

if TYPE_CHECKING:
    from rnncli.cli.expectation import Expectation
    from rnncli.cli.request import Remarks
    from rnncli.commands.run.run_request import RunRequest


def answer(wanted: RunRequest) -> None:
    """Compute and show the answer."""
    deliver = delivery(wanted.output, *wanted.file_flags)
    expected = expectation.read_expectation(wanted.check.expect, wanted.input, wanted.output.output)
    shown = wanted.shown
    case, remarks = request.case(*wanted.file_flags, all_layers=shown.all_layers, all_calls=shown.all_calls)
    case = hold_gates(case, wanted.hold, wanted.run, check=wanted.check.check)
    plan = compute.plan(case, wanted.budget)
    if len(plan) > 1 and _can_grow(wanted):
        _run_in_chunks(wanted, case, plan, deliver, remarks)
    else:
        _run_whole(wanted, case, plan, deliver, remarks, expected)


def _can_grow(wanted: RunRequest) -> bool:
    """Whether the answer can be written before the last chunk is computed."""
    whole = wanted.needs_whole_result or wanted.shown.all_calls
    return not whole and formats.get(format_of(wanted.output)).TRAITS.incremental


def _run_in_chunks(
    wanted: RunRequest, case: Case, plan: tuple[slice, ...], deliver: Delivery, remarks: Remarks
) -> None:
    from rnncli.compute.growing import GrowingResult

    batch = len(case.inputs)
    among_numbers = is_stdout(wanted.output.output) and terminal.stdout_is_terminal()
    with progress.bar(batch, wanted=not wanted.output.quiet and not among_numbers) as watch:
        results = watch(compute.parts(case, wanted.run.engine, plan))
        kept = (result_checks.select_tensors(each, wanted.select) for each in results)
        deliver(GrowingRunAnswer(GrowingResult(kept, batch)), remarks)


def _run_whole(
    wanted: RunRequest,
    case: Case,
    plan: tuple[slice, ...],
    deliver: Delivery,
    remarks: Remarks,
    expected: Expectation | None,
) -> None:
    batch, check = len(case.inputs), wanted.check
    with progress.bar(batch, wanted=len(plan) > 1 and not wanted.output.quiet) as watch:
        result = chunks.join_results(watch(compute.parts(case, wanted.run.engine, plan)), batch)
    apart: list[str] = []
    if case.hold:
        from rnncli.compute import holds

        result = holds.compare_without(case, result, wanted.budget)
    if check.check:
        from rnncli.compute import beyond, compare

        result, apart = compare.compare_with_keras(case, result, *check.tolerances, wanted.budget)
        remarks += beyond.denormals(case, result)
    result = result_checks.select_tensors(result, wanted.select)
    remarks += result_checks.note_hidden_differences(result, format_of(wanted.output))
    stored, left = expectation.compare(expected, result.outputs, result.engine, check.tolerances)
    remarks += left
    deliver(RunAnswer(result, stats_of(result) if wanted.stats else {}), remarks)
    result_checks.demand_agreement(apart, result, check)
    expectation.demand_same(stored)
    result_checks.demand_numbers(first_nan(result) if wanted.fail_on_nan else None)
