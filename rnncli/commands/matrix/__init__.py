"""`rnncli matrix`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.cli.hints import TRACE
from rnncli.errors import Either, Flag, Message, UsageError
from rnncli.options import flag_name

if TYPE_CHECKING:
    from rnncli.ask import Ask, Remarks
    from rnncli.cli.output import OutputFlags
    from rnncli.commands.matrix.answer import MatrixAnswer

EXAMPLES = """\
rnncli matrix --layer lstm
rnncli matrix --layer bigru --units 2 --seed 42 --format json
"""
HINTS = (TRACE,)

OTHER = "run"
"""The command that takes them."""
REFUSED = ("return_sequences", "return_state")


def matrix(ask: Ask, output: OutputFlags) -> None:
    """All combinations of return_sequences and return_state, side by side, and which entries are equal."""
    from rnncli.cli.output import delivery

    deliver = delivery(output, ask.files)
    answer, remarks = compute_answer(ask)
    deliver(answer, remarks)


def compute_answer(ask: Ask) -> tuple[MatrixAnswer, Remarks]:
    """Return the answer, and remarks.  Raises UsageError for the options that matrix varies."""
    from rnncli.commands.matrix.answer import MatrixAnswer, combinations

    for name in REFUSED:
        if name in ask.options:
            flag = Flag(flag_name(name if ask.options[name] else f"no_{name}"))
            raise UsageError(
                "matrix does not take {flag}: it shows the layer with and without {name}.",
                "Leave {flag} out, or use {run}.",
                flag=flag,
                name=name,
                run=Either(Message("rnncli run {flag}", flag=flag), OTHER),
            )
    case, remarks = ask.case()
    return MatrixAnswer(combinations(case, ask.engine)), remarks
