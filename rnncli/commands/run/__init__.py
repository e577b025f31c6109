"""`rnncli run`: what a layer or a saved model returns.

A batch for a layer is answered here, at once or in chunks that are written as they are computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnncli.ask import Ask, Remarks
    from rnncli.commands.run.answer import RunAnswer, RunRequest
    from rnncli.compute.compare import TolerancePair
    from rnncli.layers.case import Case
    from rnncli.result import Result
    from rnncli.show.answer import Reply, Watch
    from rnncli.show.formats import OutputFlags

EXAMPLES = """\
rnncli run --layer lstm --return-sequences --return-state --seed 42
rnncli run data.csv --layer @mgu.toml --units 4 --format json
rnncli run '[[[1, 2], [3, 4]]]' --layer 'LSTM(2, use_bias=False)' --check
tail -f sensor.ndjson | rnncli run --stream --stateful --layer gru -f ndjson
"""


def run(ask: Ask, output: OutputFlags, progress: Watch, **flags: Any) -> Reply[Any] | None:
    """What does the layer return?

    Every tensor, its shape, its meaning and its numbers. `rnncli help masks` explains masks, and so for
    return_sequences, return_state, bidirectional, stateful and reset_after.
    """
    from rnncli.commands.run.answer import RunRequest

    request = RunRequest(ask, output, progress, **flags)
    if request.stream or request.keep_going:
        from rnncli.commands.run import stream

        stream.answer(request)
        return None
    if ask.model is not None:
        from rnncli.commands.run import saved_model

        return saved_model.answer(request)
    return answer_batch(request)


def answer_batch(flags: RunRequest) -> Reply[Any]:
    """Return the answer; a format that can is written while later chunks are computed."""
    from rnncli import checks, compute
    from rnncli.commands.run.answer import ChunkedRunAnswer, RunAnswer
    from rnncli.show import formats
    from rnncli.show.answer import Reply

    tolerances = flags.tolerances
    expected = checks.read_expectation(flags.expect, flags.ask)
    case, remarks = flags.ask.case()
    plan, batch = compute.plan(case, flags.budget), len(case.inputs)
    checked = bool(flags.whole_result_flags)
    grows = (
        len(plan) > 1
        and not checked
        and not flags.ask.all_calls
        and formats.FORMATS[flags.output.format_name].incremental
    )
    results = compute.run_chunks(case, flags.ask.engine, plan)
    if len(plan) > 1:
        results = flags.progress(results, batch, grows)
    if grows:
        from rnncli.compute.chunks import ChunkedResult

        kept = (checks.select_tensors(each, flags.select) for each in results)
        return Reply(ChunkedRunAnswer(ChunkedResult(kept, batch)), remarks)
    result = compute.join_results(results, batch)
    if not checked:
        return Reply(RunAnswer(checks.select_tensors(result, flags.select)), remarks)
    found, disagreeing, notes = check_and_select(
        case, result, tolerances if flags.check else None, flags.select, flags.budget, stats=flags.stats
    )
    every = checks.ResultChecks(tolerances, flags.output.format_name, expected, flags.fail_on_nan)
    return every.reply(found, (*remarks, *notes), disagreeing)


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
    from rnncli import checks
    from rnncli.commands.run.answer import RunAnswer, stats_of

    result, disagreeing, notes = checks.verify(case, result, tolerances, budget)
    result = checks.select_tensors(result, select)
    return RunAnswer(result, stats_of(result) if stats else {}), disagreeing, notes
