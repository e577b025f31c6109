"""`rnncli trace`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.cli.hint_rules import Hint, is_one_lstm, is_traceable
from rnncli.errors import Message

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.cli.output import OutputFlags

EXAMPLES = """\
rnncli trace --layer lstm --seed 42 --unit 0
rnncli trace data.csv --layer bigru --step -1 --gate update --format json
rnncli trace --layer gru --stats --check
rnncli trace --layer lstm -f ndjson | jq '.gates.forget.activation'
"""
HINTS = (
    Hint(
        lambda values: is_one_lstm(values) and not values["hold"],
        "trace{same} --hold forget=1",
        Message("with the forget gate held open"),
    ),
    Hint(is_traceable, "plot{same} --terminal", Message("the same as a picture")),
)


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
) -> None:
    """Every gate and state at every time step.

    Steps are listed in the order in which the layer processed them; t is the index in the input.
    """
    from dataclasses import replace

    from rnncli.cli import expectation, request, steps
    from rnncli.cli.output import delivery, format_of
    from rnncli.cli.result_checks import ResultChecks, parse_checks, verify
    from rnncli.commands.trace.answer import TraceAnswer, stats_of
    from rnncli.compute import trace as tracing

    tolerances = parse_checks(atol, rtol, check=check, expect=expect, hold=ask.hold)
    for text in step or ():
        steps.parse_range(text)
    deliver = delivery(output, ask.files)
    request.require_steps(ask)
    expected = expectation.read_expectation(expect, ask, output.output, require_names=True)
    case, remarks, chosen = request.case_or_layer(ask)
    case, specs = tracing.with_all_outputs(case), case.specs
    result, disagreeing, notes = verify(
        case, tracing.trace(case), tolerances if check else None, chosen=chosen
    )
    loops = tracing.list_loops(result)
    wanted = steps.select_indices(step, len(loops[0].times))
    kept = tracing.narrow(loops, tracing.TraceSelection(wanted, unit, batch, gate))
    answer = TraceAnswer(replace(result, specs=specs), kept, stats_of(kept) if stats else {})
    checks = ResultChecks(tolerances, format_of(output), expected, fail_on_nan, hidden_in=("ndjson",))
    checks.show(answer, (*remarks, *notes), disagreeing, deliver)
