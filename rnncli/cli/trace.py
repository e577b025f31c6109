"""`rnncli trace`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from rnncli.cli.options import CheckFlags, FailOnNan, InputFlags, LayerFlags, OutputFlags, RunFlags, WithStats

EXAMPLES = """\
rnncli trace --layer lstm --seed 42 --unit 0
rnncli trace data.csv --layer bigru --step -1 --gate update --format json
rnncli trace --layer gru --stats --check
rnncli trace --layer lstm -f ndjson | jq '.gates.forget.activation'
"""

PANEL = "Narrow"


def _kept(*names: str, metavar: str, what: str) -> Any:
    return typer.Option(
        *names,
        metavar=metavar,
        help=f"{what} Several keep several.",
        rich_help_panel=PANEL,
        show_default=False,
    )


def trace(
    input: InputFlags,
    layer: LayerFlags,
    run: RunFlags,
    check: CheckFlags,
    output: OutputFlags,
    step: Annotated[
        list[str] | None,
        _kept(
            "--step", "--steps", metavar="N", what="Keep this time step of the input, or A:B; -1 is the last."
        ),
    ] = None,
    unit: Annotated[
        list[int] | None, _kept("--unit", metavar="N", what="Keep this unit, on an axis of 1.")
    ] = None,
    batch: Annotated[
        list[int] | None, _kept("--batch", metavar="N", what="Keep this sequence of the batch.")
    ] = None,
    gate: Annotated[
        list[str] | None, _kept("--gate", metavar="NAME", what="Keep this gate, beside the states.")
    ] = None,
    stats: WithStats = False,
    fail_on_nan: FailOnNan = False,
) -> None:
    """Every gate and state at every time step.

    Steps are in the order in which the layer took them; t is the input's own index.
    """
    from rnncli import beyond, comparing, pipeline, tracing
    from rnncli.answers.trace import TraceAnswer, first_nan, stats_of
    from rnncli.cli import request, steps
    from rnncli.cli.output import delivery, format_of

    for text in step or ():
        steps.part(text)
    deliver = delivery(output, input, layer, run)
    request.demand_steps(run)
    case, remarks = request.case(input, layer, run)
    case, asked = pipeline.witnessed(case), case.layers
    result = pipeline.trace(case)
    apart: list[str] = []
    if check.check:
        result, apart = comparing.held(case, result, *check.tolerances)
        remarks += beyond.denormals(case, result)
    whole = tracing.of(result)
    wanted = steps.indices(step, len(whole.loops[0].steps))
    kept = tracing.narrowed(whole, tracing.Kept(wanted, unit, batch, gate))
    remarks += request.unseen(result, format_of(output), elsewhere=("ndjson",))
    deliver(TraceAnswer(request.as_asked(result, asked), kept, stats_of(kept) if stats else {}), remarks)
    request.demand_agreement(apart, result, check)
    request.demand_numbers(first_nan(kept) if fail_on_nan else None)
