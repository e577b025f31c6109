"""`rnncli trace`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rnncli.ask import Ask, Remarks
    from rnncli.ask.passage import Passage
    from rnncli.commands.trace.answer import TraceAnswer
    from rnncli.compute.compare import TolerancePair
    from rnncli.show.answer import Reply
    from rnncli.show.formats import OutputFlags

EXAMPLES = """\
rnncli trace --layer lstm --seed 42 --unit 0
rnncli trace data.csv --layer bigru --step -1 --gate update --format json
rnncli trace --layer gru --stats --check
rnncli trace --layer lstm -f ndjson | jq '.gates.forget.activation'
"""


def trace(
    ask: Ask,
    output: OutputFlags,
    *,
    check: bool,
    expect: str | None,
    atol: list[str] | None,
    rtol: list[str] | None,
    step: list[str] | None,
    unit: list[int] | None,
    batch: list[int] | None,
    gate: list[str] | None,
    stats: bool,
    fail_on_nan: bool,
) -> Reply[TraceAnswer]:
    """Every gate and state at every time step.

    Steps stand in the order of the rows that run returns; t is the index in the input.
    """
    from rnncli.addresses import parse_steps
    from rnncli.commands.checks import ResultChecks, parse_tolerances, read_expectation, require_purpose
    from rnncli.compute.engines import require_steps

    require_purpose(atol, rtol, check=check, expect=expect, hold=ask.hold)
    tolerances = parse_tolerances(atol, rtol)
    for text in step or ():
        parse_steps(text)
    require_steps(ask.engine)
    expected = read_expectation(expect, ask, require_names=True)
    selection = Selection(step, unit, batch, gate)
    limits = tolerances if check else None
    answer, disagreeing, remarks, passage = compute_answer(ask, limits, selection, stats=stats)
    checks = ResultChecks(tolerances, output.format_name, expected, fail_on_nan, hidden_in=("ndjson",))
    return checks.reply(answer, remarks, disagreeing, passage)


class Selection(NamedTuple):
    """What to keep of a trace: steps, `-1` or `0:5`, units, sequences and gates; None for all."""

    step: Sequence[str] | None = None
    unit: Sequence[int] | None = None
    batch: Sequence[int] | None = None
    gate: Sequence[str] | None = None


def compute_answer(
    ask: Ask, tolerances: TolerancePair | None, selection: Selection, *, stats: bool
) -> tuple[TraceAnswer, list[str], Remarks, Passage]:
    """Return the answer, the tensors that differ from Keras's, remarks, and what the numbers went through.

    tolerances: the tolerances of a check; None without one.
    """
    from dataclasses import replace

    from rnncli.ask import subject_of
    from rnncli.commands.trace.answer import TraceAnswer, stats_of
    from rnncli.compute import trace as tracing
    from rnncli.result import join_layers

    subject = subject_of(ask)
    parts = subject.parts().keep_able(tracing.reason_not_traced)
    wide = [use._replace(case=tracing.with_all_outputs(use.case)) for use in parts.uses]
    results = {use.layer: tracing.trace(use.case) for use in wide}
    joined = join_layers(results, parts.head) if parts.head else next(iter(results.values()))
    verified = parts._replace(uses=wide).verify(joined, tolerances)
    specs = tuple(spec for use in parts.uses for spec in use.case.stack)
    kept = tracing.narrow(tracing.list_loops(verified.result), tracing.TraceSelection(*selection))
    answer = TraceAnswer(replace(verified.result, specs=specs), kept, stats_of(kept) if stats else {})
    passage = subject.passage({use.layer: use.case for use in parts.uses})
    return answer, list(verified.disagreeing), (*parts.remarks, *verified.remarks), passage
