"""`rnncli run`: what a layer or a saved model returns.

A batch for a layer is answered here, at once or in chunks that are written as they are computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.ask.subject import Computed, Verified
    from rnncli.commands.run.answer import RunAnswer, RunRequest
    from rnncli.compute.compare import TolerancePair
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
    return answer_batch(request)


def answer_batch(flags: RunRequest) -> Reply[Any]:
    """Return the answer; a format that can is written while later chunks are computed."""
    from rnncli import compute
    from rnncli.ask import subject_of
    from rnncli.commands import checks
    from rnncli.commands.run.answer import ChunkedRunAnswer, RunAnswer
    from rnncli.show import formats
    from rnncli.show.answer import Reply

    tolerances, ask = flags.tolerances, flags.ask
    subject = subject_of(ask)
    subject.require_able(memory=flags.memory, all_calls=ask.all_calls, hold=ask.hold)
    expected = checks.read_expectation(flags.expect, ask)
    if expected is not None:
        expected = expected.beside(subject, ask, flags.select)
    computed = subject.compute(flags.budget)
    checked, results = bool(flags.whole_result_flags), computed.results
    in_chunks = computed.chunks > 1
    grows = (
        in_chunks
        and not checked
        and not ask.all_calls
        and formats.FORMATS[flags.output.format_name].incremental
    )
    if in_chunks:
        results = flags.progress(results, computed.batch, grows)
    if grows:
        from rnncli.compute.chunks import ChunkedResult

        kept = (checks.select_tensors(result, flags.select) for result in results)
        return Reply(ChunkedRunAnswer(ChunkedResult(kept, computed.batch)), computed.remarks)
    result = compute.join_results(results, computed.batch)
    if not checked:
        return Reply(RunAnswer(checks.select_tensors(result, flags.select)), computed.remarks)
    limits = tolerances if flags.check else None
    answer, verified = verify_and_select(
        computed, result, limits, flags.select, flags.budget, stats=flags.stats
    )
    every = checks.ResultChecks(tolerances, flags.output.format_name, expected, flags.fail_on_nan)
    remarks = (*computed.remarks, *verified.remarks)
    return every.reply(answer, remarks, verified.disagreeing, subject.passage(computed.cases))


def verify_and_select(
    computed: Computed,
    result: Result,
    tolerances: TolerancePair | None,
    select: Sequence[str] | None,
    budget: int | None,
    *,
    stats: bool,
) -> tuple[RunAnswer, Verified]:
    """Return the answer, and what was found by comparing it.

    tolerances: for a check; None without one.  select: names of the tensors to show.
    """
    from rnncli.commands import checks
    from rnncli.commands.run.answer import RunAnswer, stats_of

    verified = computed.verify(result, tolerances, budget)
    shown = checks.select_tensors(verified.result, select)
    return RunAnswer(shown, stats_of(shown, computed.bounds()) if stats else {}), verified
