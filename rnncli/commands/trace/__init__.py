"""`rnncli trace`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnncli.errors import Flag, UsageError

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.commands.checks import ResultChecks
    from rnncli.commands.trace.answer import TraceAnswer
    from rnncli.compute.trace import TraceSelection
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
    step: list[str] | None,
    unit: list[int] | None,
    batch: list[int] | None,
    gate: list[str] | None,
    state: str | None,
    head: str | None,
    stats: bool,
    **given: Any,
) -> Reply[TraceAnswer]:
    """Every gate and state at every time step.

    Steps stand in the order of the rows that run returns; t is the index in the input.
    """
    from rnncli.addresses import parse_steps
    from rnncli.commands.checks import read_checks
    from rnncli.compute.trace import TraceSelection

    for text in step or ():
        parse_steps(text)
    checks = read_checks(ask, output.format_name, command="trace", **given)
    selection = TraceSelection(step, unit, batch, gate)
    return compute_answer(ask, checks, selection, stats=stats, state=state, head=head)


def compute_answer(
    ask: Ask, checks: ResultChecks, selection: TraceSelection, *, stats: bool, state: str | None = None,
    head: str | None = None,
) -> Reply[TraceAnswer]:  # fmt: skip
    """Return the answer, with statistics if they are asked for."""
    from dataclasses import replace

    from rnncli.ask import subject_of
    from rnncli.commands.trace.answer import TraceAnswer, answer_of_axes, stats_of
    from rnncli.compute import trace as tracing
    from rnncli.compute.engines import require_steps
    from rnncli.result import join_layers

    require_steps(ask.engine)
    subject = subject_of(ask)
    parts = subject.parts().keep_able(tracing.reason_not_traced)
    wide = [use.shown(tracing.with_all_outputs(use.case)) for use in parts.uses]
    results = {use.layer: tracing.trace(use.case) for use in wide}
    joined = join_layers(results, parts.head) if parts.head else next(iter(results.values()))
    result, remarks = parts._replace(uses=wide).verify(joined, checks.limits)
    result = replace(result, specs=tuple(spec for use in parts.uses for spec in use.case.stack))
    if parts.case.stack.has_axes:
        if stats or selection.units:
            what = "{flag} is not available for cells with states of other shapes."
            raise UsageError(what, "Use {--head} or {--state}.", flag=Flag("--stats" if stats else "--unit"))
        shown = answer_of_axes(result, parts.case, selection, state, head)
        checks = checks._replace(hidden_in=("ndjson",))
        return checks.reply(shown, (*parts.remarks, *remarks), lambda: subject.passed(parts.uses))
    if state is not None or head is not None:
        what = "{flag} is for cells whose states have other shapes."
        flag = Flag("--head" if state is None else "--state")
        raise UsageError(what, "Use {--gate} or {--unit}.", flag=flag)
    loops = tracing.narrow(tracing.list_loops(result), selection)
    answer = TraceAnswer(result, loops, stats_of(loops) if stats else {})
    checks = checks._replace(hidden_in=("ndjson",))
    return checks.reply(answer, (*parts.remarks, *remarks), lambda: subject.passed(parts.uses))
