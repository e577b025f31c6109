"""`rnncli run`: what a layer or a saved model returns.

A batch for a layer is answered here, at once or in chunks that are written as they are computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.commands.checks import ResultChecks
    from rnncli.show.answer import Reply, Watch
    from rnncli.show.formats import OutputFlags

EXAMPLES = """\
rnncli run --layer lstm --return-sequences --return-state --seed 42
rnncli run data.csv --layer @mgu.toml --units 4 --format json
rnncli run '[[[1, 2], [3, 4]]]' --layer 'LSTM(2, use_bias=False)' --check
tail -f sensor.ndjson | rnncli run --stream --stateful --layer gru -f ndjson
"""


def run(
    ask: Ask,
    output: OutputFlags,
    progress: Watch,
    *,
    select: list[str] | None,
    stats: bool,
    stream: bool,
    keep_going: bool,
    memory: str | None,
    **given: Any,
) -> Reply[Any] | None:
    """What does the layer return?

    Every tensor, its shape, its meaning and its numbers. `rnncli help masks` explains masks, and so for
    return_sequences, return_state, bidirectional, stateful and reset_after.
    """
    from rnncli.commands.checks import read_checks
    from rnncli.process import memory as sizes

    if stream or keep_going:
        from rnncli.commands.run.stream import answer_lines

        answer_lines(
            ask, output, {**given, "stats": stats}, select, memory, stream=stream, keep_going=keep_going
        )
        return None
    checks = read_checks(ask, output.format_name, **given)
    budget = None if memory is None else sizes.parse(memory)
    return compute_answer(ask, checks, select, budget, stats=stats, progress=progress)


def compute_answer(
    ask: Ask,
    checks: ResultChecks,
    select: Sequence[str] | None,
    budget: int | None,
    *,
    stats: bool,
    progress: Watch | None = None,
) -> Reply[Any]:
    """Return the answer; a format that can is written while later chunks are computed.

    select: names of the tensors to show; None for all.  budget: bytes for one chunk of the batch.
    progress: shows how far the chunks are.
    """
    from rnncli.ask import subject_of
    from rnncli.commands.checks import select_tensors
    from rnncli.commands.run.answer import ChunkedRunAnswer, RunAnswer, stats_of
    from rnncli.compute import join_results
    from rnncli.show.answer import Reply
    from rnncli.show.formats import FORMATS

    subject = subject_of(ask)
    subject.require_able(memory=budget, all_calls=ask.all_calls, hold=ask.hold)
    if checks.expected is not None:
        checks = checks._replace(expected=checks.expected.beside(subject, ask, select))
    parts, results, batch, chunks = subject.compute(budget)
    if chunks > 1 and progress is not None:
        waits = stats or ask.hold or ask.all_calls or checks.any
        grows = not waits and FORMATS[checks.format].incremental
        results = progress(results, batch, grows)
        if grows:
            from rnncli.compute import ChunkedResult

            kept = (select_tensors(result, select) for result in results)
            return Reply(ChunkedRunAnswer(ChunkedResult(kept, batch)), parts.remarks)
    result, remarks = parts.verify(join_results(results, batch), checks.limits, budget)
    shown = select_tensors(result, select)
    answer = RunAnswer(shown, stats_of(shown, parts.bounds()) if stats else {})
    return checks.reply(answer, (*parts.remarks, *remarks), lambda: subject.passed(parts.uses))
