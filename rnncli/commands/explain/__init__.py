"""`rnncli explain`."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from rnncli.cli.flag_groups import OUTPUT, flag
from rnncli.cli.flags import InputFlags, LayerFlags, OutputFlags, RunFlags
from rnncli.cli.hint_rules import Hint
from rnncli.cli.hold_flag import HoldFlag, hold_gates
from rnncli.errors import Message, Text, UsageError

EXAMPLES = """\
rnncli explain 'last_cell_state[0,0]' --layer lstm --seed 42
rnncli explain 'hidden_states[0,3,1]' data.csv -l bigru --return-sequences
rnncli explain 'hidden_state[0,0]' -l gru --units 64 --terms 5 --depth 2
"""
HINTS = (
    Hint(
        lambda values: values["depth"] == 1,
        "explain{tensor}{same} --depth 2",
        "one time step further back",
        "한 시점 더 거슬러 올라가기",
    ),
)


Number = Annotated[
    str | None,
    typer.Argument(
        metavar="TENSOR",
        help="A tensor and an index: 'last_cell_state[0,1]'.",
        show_default=False,
    ),
]
DepthFlag = Annotated[
    int,
    flag(
        OUTPUT, "--depth", metavar="N", min=1,
        help="Follow the states N - 1 steps back, or N - 1 layers down (default 1).",
    ),
]  # fmt: skip
Terms = Annotated[
    int,
    flag(
        OUTPUT, "--terms", metavar="N", min=1,
        help="List the N largest terms of a sum (default 10; --full lists all).",
    ),
]  # fmt: skip


def explain(
    *,
    tensor: Number = None,
    input_flags: InputFlags,
    layer: LayerFlags,
    run: RunFlags,
    output: OutputFlags,
    depth: DepthFlag = 1,
    terms: Terms = 10,
    hold: HoldFlag = None,
) -> None:
    """Where does this number come from?

    The layer's equation with its numbers, term by term, down to the inputs and the previous states.
    The terms add up to the number, apart from the rounding shown.
    """
    from rnncli.cli import request
    from rnncli.cli.output import delivery
    from rnncli.commands.explain.answer import ExplainAnswer
    from rnncli.compute import derivation as explaining

    if tensor is None or not tensor.strip():
        raise UsageError("no tensor was named.", _example(layer))
    _require_no_file(tensor, input_flags, layer)
    deliver = delivery(output, input_flags, layer, run)
    request.require_steps(run)
    tensor = tensor.strip()
    case, remarks, prefix = request.case_of_address(input_flags, layer, run, tensor)
    case = hold_gates(case, hold, run.engine)
    most = None if output.full else terms
    explained = explaining.explain(case, tensor.removeprefix(prefix), depth, most, prefix)
    deliver(ExplainAnswer(*explained), remarks)


def _require_no_file(tensor: str, input_flags: InputFlags, layer: LayerFlags) -> None:
    """Raise UsageError if a file stands in the place of the tensor, which comes first."""
    from pathlib import Path

    if input_flags.input is None and tensor.strip()[:1] not in ("[", "{") and Path(tensor).is_file():
        what = Message("{tensor}: it is a file; the tensor to explain comes before it.", tensor=tensor)
        raise UsageError(what, _example(layer, input_flags._replace(input=tensor)))


def _example(layer: LayerFlags, input_flags: InputFlags | None = None) -> Text:
    """Return a command that explains a number of these layers.  input: names a file, which may hold them."""
    from rnncli.case import Document
    from rnncli.cli import request, sources
    from rnncli.compute import derivation

    document, name = (Document(), "") if input_flags is None else sources.read(input_flags)
    stack = request.stack_of(layer, document, name)
    if stack.input_rank != 3:  # only Keras computes these layers, and explain has no equations for them
        layer = LayerFlags()
        stack = request.stack_of(layer, Document())
    words = [f"'{derivation.example(stack)}'", *([shlex.quote(str(name))] if name else [])]
    words += [f"-l {shlex.quote(text)}" for text in layer.layer or ()]
    words += ["--bidirectional"] if layer.bidirectional else []
    return Message("For example: rnncli explain {words}", words=" ".join(words))
