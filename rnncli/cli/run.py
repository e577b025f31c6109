"""`rnncli run`."""

from __future__ import annotations

from rnncli.cli.options import (
    CheckFlags,
    FailOnNan,
    InputFlags,
    KeepGoing,
    LayerFlags,
    Memory,
    OutputFlags,
    RunFlags,
    Select,
    Shown,
    Streaming,
    WithStats,
)

EXAMPLES = """\
rnncli run --layer lstm --return-sequences --return-state --seed 42
rnncli run data.csv --layer bigru --units 4 --format json
rnncli run '[[[1, 2], [3, 4]]]' --layer 'LSTM(2, use_bias=False)' --check
rnncli run --return-sequences -f json | rnncli run --layer gru
tail -f sensor.ndjson | rnncli run --stream --stateful --layer gru -f ndjson
"""


def run(
    input: InputFlags,
    layer: LayerFlags,
    run: RunFlags,
    check: CheckFlags,
    output: OutputFlags,
    shown: Shown,
    select: Select = None,
    stats: WithStats = False,
    fail_on_nan: FailOnNan = False,
    stream: Streaming = False,
    keep_going: KeepGoing = False,
    memory: Memory = None,
) -> None:
    """What does the layer return?

    Every returned tensor in Keras's order, with its shape, its meaning and its numbers.
    """
    shown.demand_calls(run)
    if stream or keep_going:
        from rnncli.cli import streaming

        streaming.demand(check.check or stats or fail_on_nan, stream=stream, memory=memory)
        streaming.run(input, layer, run, output, select, shown=shown, keep_going=keep_going)
        return
    from rnncli import chunks, pipeline, renderers
    from rnncli.answers.run import GrowingRunAnswer, RunAnswer, first_nan, stats_of
    from rnncli.cli import progress, request, terminal
    from rnncli.cli.output import delivery, format_of, is_stdout
    from rnncli.memory import parse

    deliver, budget = delivery(output, input, layer, run), None if memory is None else parse(memory)
    case, remarks = request.case(input, layer, run, all_layers=shown.all_layers, all_calls=shown.all_calls)
    batch, plan = len(case.inputs), pipeline.plan(case, budget)
    results = pipeline.parts(case, run.engine, plan)
    looked_at = check.check or stats or fail_on_nan or shown.all_calls
    growing = len(plan) > 1 and renderers.grows(format_of(output)) and not looked_at
    among_numbers = growing and is_stdout(output.output) and terminal.is_watched()
    wanted = len(plan) > 1 and not output.quiet and not among_numbers
    with progress.bar(batch, wanted=wanted) as watch:
        if growing:
            from rnncli.unfolding import Unfolded

            kept = (request.selected(each, select) for each in watch(results))
            deliver(GrowingRunAnswer(Unfolded(kept, batch)), remarks)
            return
        result = chunks.joined(watch(results), batch)
    apart: list[str] = []
    if check.check:
        from rnncli import beyond, comparing

        result, apart = comparing.held(case, result, *check.tolerances, budget)
        remarks += beyond.denormals(case, result)
    result = request.selected(result, select)
    remarks += request.unseen(result, format_of(output))
    deliver(RunAnswer(result, stats_of(result) if stats else {}), remarks)
    request.demand_agreement(apart, result, check)
    request.demand_numbers(first_nan(result) if fail_on_nan else None)
