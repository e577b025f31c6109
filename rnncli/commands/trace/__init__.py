"""`rnncli trace`."""

# Annotations must be objects at run time, as in cli/flags.py, whose groups this adds to.

from typing import Annotated, NamedTuple

from rnncli.cli.flag_groups import flag
from rnncli.cli.flags import CheckFlags, FailOnNan, InputFlags, LayerFlags, OutputFlags, RunFlags, WithStats
from rnncli.cli.hint_rules import Hint, is_one_lstm, is_traceable
from rnncli.cli.hold_flag import HoldFlag, hold_gates

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
        "with the forget gate held open",
        "망각 게이트를 연 채로 고정",
    ),
    Hint(is_traceable, "plot{same} --terminal", "the same as a picture", "같은 값을 그림으로"),
)

NARROW = "Selection"


class SelectionFlags(NamedTuple):
    """What to keep of the trace."""

    step: Annotated[
        list[str] | None,
        flag(
            NARROW,
            "--step",
            "--steps",
            metavar="N",
            help="Keep this time step of the input, or A:B; -1 is the last. Repeat for several.",
        ),
    ] = None
    unit: Annotated[
        list[int] | None,
        flag(NARROW, "--unit", metavar="N", help="Keep this unit. Repeat for several."),
    ] = None
    batch: Annotated[
        list[int] | None,
        flag(NARROW, "--batch", metavar="N", help="Keep this sequence of the batch. Repeat for several."),
    ] = None
    gate: Annotated[
        list[str] | None,
        flag(NARROW, "--gate", metavar="NAME", help="Keep this gate and the states. Repeat for several."),
    ] = None


def trace(
    input_flags: InputFlags,
    layer: LayerFlags,
    run: RunFlags,
    check: CheckFlags,
    narrow: SelectionFlags,
    output: OutputFlags,
    stats: WithStats = False,
    fail_on_nan: FailOnNan = False,
    hold: HoldFlag = None,
) -> None:
    """Every gate and state at every time step.

    Steps are listed in the order in which the layer processed them; t is the index in the input.
    """
    from dataclasses import replace

    from rnncli.cli import expectation, request, steps
    from rnncli.cli.output import delivery, format_of
    from rnncli.cli.result_checks import ResultChecks, verify
    from rnncli.commands.trace.answer import TraceAnswer, stats_of
    from rnncli.compute import trace as tracing

    for text in narrow.step or ():
        steps.parse_range(text)
    deliver = delivery(output, input_flags, layer, run)
    request.require_steps(run)
    expected = expectation.read_expectation(check.expect, input_flags, output.output, require_names=True)
    case, remarks, chosen = request.case_or_layer(input_flags, layer, run)
    case = hold_gates(case, hold, run.engine, check=check.check)
    case, specs = tracing.with_all_outputs(case), case.specs
    tolerances = check.tolerances if check.check else None
    result, disagreeing, notes = verify(case, tracing.trace(case), tolerances, chosen=chosen)
    loops = tracing.list_loops(result)
    wanted = steps.select_indices(narrow.step, len(loops[0].times))
    kept = tracing.narrow(loops, tracing.TraceSelection(wanted, narrow.unit, narrow.batch, narrow.gate))
    answer = TraceAnswer(replace(result, specs=specs), kept, stats_of(kept) if stats else {})
    checks = ResultChecks(check, format_of(output), expected, fail_on_nan, hidden_in=("ndjson",))
    checks.show(answer, (*remarks, *notes), disagreeing, deliver)
