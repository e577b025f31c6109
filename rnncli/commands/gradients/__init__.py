"""`rnncli gradients`."""

from __future__ import annotations

import re
from typing import Annotated

from rnncli.case import Case
from rnncli.cli.flag_groups import RUN, flag
from rnncli.cli.flags import InputFlags, LayerFlags, OutputFlags, RunFlags
from rnncli.errors import UsageError

SECTION = "Inspect a layer"
SUMMARY = "How far back does the output depend on the input?"
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
    from rnncli.cli.output import delivery
    from rnncli.commands.gradients import curves
    from rnncli.commands.gradients.answer import GradientsAnswer

    deliver = delivery(output, input_flags, layer, run)
    _require_plain(run)
    first, *others = _layers(layer, against)
    case, remarks = request.case(input_flags, first, run)
    cases = [case, *_variants(case, others)]
    deliver(GradientsAnswer(tuple(curves.gradients(one, of) for one in cases)), remarks)


def _require_plain(run: RunFlags) -> None:
    """Raise UsageError for flags that change the numbers but do not apply here."""
    if run.engine not in ("auto", "tensorflow"):
        raise UsageError(
            f"--engine {run.engine}: gradients are computed by tensorflow.", "Leave --engine out."
        )
    if run.training or run.calls > 1:
        name = "--training" if run.training else "--calls"
        raise UsageError(
            f"gradients are computed for one call without dropout, not with {name}.", "Leave it out."
        )


def _layers(layer: LayerFlags, against: list[str] | None) -> list[LayerFlags]:
    """Return the flags of each stack: --layer if given, then each one of --against."""
    from rnncli.specs.build import is_name

    names = [text for word in against or () for text in _separate(word)]
    if against and not names:
        raise UsageError("--against does not name a layer.", "For example --against simple_rnn,lstm,gru.")
    if not names:
        return [layer]
    first = [layer] if layer.layer else []
    return first + [
        layer._replace(layer=[name]) if is_name(name) else LayerFlags(layer=[name]) for name in names
    ]


def _separate(word: str) -> list[str]:
    """Split `lstm,GRU(3, use_bias=False)` at commas outside brackets."""
    parts = re.split(r",(?![^(\[]*[)\]])", word)
    return [part.strip() for part in parts if part.strip()]


def _variants(case: Case, flags: list[LayerFlags]) -> list[Case]:
    """Return cases with the same input and seed and other layers, with the same units unless specified."""
    from rnncli.case import Document
    from rnncli.cli import request
    from rnncli.commands.gradients.curves import units_of
    from rnncli.specs.build import is_name

    if flags and (case.weights is not None or case.initial_state is not None):
        raise UsageError(
            "--against draws the weights of each layer and starts from zero states.",
            "Leave out weights and initial states.",
        )
    units = units_of(case)
    sized = [
        layer._replace(units=units) if not layer.units and all(map(is_name, layer.layer or ())) else layer
        for layer in flags
    ]
    return [case._replace(stack=request.stack_of(layer, Document())) for layer in sized]
