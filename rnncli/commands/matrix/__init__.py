"""`rnncli matrix`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.cli.hint_rules import TRACE
from rnncli.errors import UsageError

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.cli.output import OutputFlags

EXAMPLES = """\
rnncli matrix --layer lstm
rnncli matrix --layer bigru --units 2 --seed 42 --format json
"""
HINTS = (TRACE,)

REFUSED = ("return_sequences", "return_state")


def matrix(ask: Ask, output: OutputFlags) -> None:
    """All combinations of return_sequences and return_state, side by side, and which entries are equal."""
    from rnncli.cli import request
    from rnncli.cli.output import delivery
    from rnncli.commands.matrix.answer import MatrixAnswer, combinations

    deliver = delivery(output, ask.files)
    _refuse_varied_flags(ask)
    case, remarks = request.case(ask)
    deliver(MatrixAnswer(combinations(case, ask.engine)), remarks)


def _refuse_varied_flags(ask: Ask) -> None:
    from rnncli.specs.build import format_flag

    for name in REFUSED:
        if (value := ask.options.get(name)) is not None:
            flag = format_flag(name, value)
            raise UsageError(
                "matrix does not take {flag}: it shows the layer with and without {name}.",
                "Leave {flag} out, or use rnncli run {flag}.",
                flag=flag,
                name=name,
            )
