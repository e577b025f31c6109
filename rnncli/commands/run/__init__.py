"""`rnncli run`: what a layer returns, of one batch (batch.py) or of a stream of them (stream.py)."""

from __future__ import annotations

from rnncli.cli.flags import (
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

SECTION = "Ask a layer"
SUMMARY = "What does the layer return?"
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
    run.demand_model()
    if run.model is not None:
        from rnncli.commands.run import model, model_stream
        from rnncli.commands.run.model import Wanted as WantedModel

        model.demand(shown, memory)
        wanted_model = WantedModel(
            input, layer, run, check, output, shown, tuple(select or ()), stats, fail_on_nan
        )
        if stream or keep_going:
            model_stream.run(wanted_model, stream=stream, keep_going=keep_going)
        else:
            model.answer(wanted_model)
        return
    if stream or keep_going:
        from rnncli.commands.run import stream as streaming

        streaming.demand(check.check or stats or fail_on_nan, stream=stream, memory=memory)
        streaming.run(input, layer, run, output, select, shown=shown, keep_going=keep_going)
        return
    from rnncli.commands.run import batch
    from rnncli.commands.run.batch import Wanted

    wanted = Wanted(input, layer, run, check, output, shown, tuple(select or ()), stats, fail_on_nan, memory)
    batch.answer(wanted)
