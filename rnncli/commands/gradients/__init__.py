"""`rnncli gradients`."""

from __future__ import annotations

from typing import Annotated

from rnncli.cli.flag_groups import RUN, flag
from rnncli.cli.flags import InputFlags, LayerFlags, OutputFlags, RunFlags
from rnncli.errors import UsageError

EXAMPLES = """\
rnncli gradients --layer simple_rnn --input-shape 1,30,4 --seed 42
rnncli gradients --against simple_rnn,lstm,gru --input-shape 1,30,4
rnncli gradients data.csv -l gru --return-sequences --of 'hidden_states[0,3]'
"""


def gradients(
    input_flags: InputFlags,
    layer: LayerFlags,
    run: RunFlags,
    output: OutputFlags,
    of: Annotated[
        str | None,
        flag(
            RUN,
            "--of",
            metavar="TENSOR",
            help="The numbers to differentiate, hidden_states[0,3,1] (default: the last output).",
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        flag(
            RUN,
            "--against",
            metavar="LAYERS",
            help="Compare with these layers, with the same units: simple_rnn,lstm,gru.",
        ),
    ] = None,
) -> None:
    """How far back does the output depend on the input?

    The norm of the output's gradient with respect to every state and input, computed by Keras for one
    sequence.
    The states are those of the last recurrent layer, the input is that of the first layer.
    """
    from rnncli.cli import request
    from rnncli.cli.layer_files import read_layer
    from rnncli.cli.output import delivery
    from rnncli.commands.gradients import curves, variants
    from rnncli.commands.gradients.answer import GradientsAnswer

    deliver = delivery(output, input_flags, layer, run)
    run = _without_training(run)
    first, *others = variants.list_layers(layer.layer, against or ())
    options = request.options_of(layer)
    if first is not layer.layer:
        layer = LayerFlags(layer=[first], **variants.own_options([first], options))
    case, remarks = request.case(input_flags, layer, run, one_call=True)
    cases = [case, *variants.make_variants(case, list(map(read_layer, others)), options)]
    deliver(GradientsAnswer(tuple(curves.gradients(one, of) for one in cases)), remarks)


def _without_training(run: RunFlags) -> RunFlags:
    """Return the flags for a call without dropout, so that no note advises --training.

    Raises UsageError for flags that change the numbers but do not apply here.
    """
    if run.engine not in ("auto", "tensorflow"):
        raise UsageError(
            "{--engine:engine}: gradients are computed by tensorflow.",
            "Leave {--engine} out.",
            engine=run.engine,
        )
    if run.training or run.calls > 1:
        name = "--training" if run.training else "--calls"
        raise UsageError(
            "gradients are computed for one call without dropout, not with {name}.",
            "Leave it out.",
            name=name,
        )
    return run if run.model else run._replace(training=False)
