"""`rnncli matrix`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.errors import Either, Flag, Message, UsageError
from rnncli.options import flag_name, refused_by

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.commands.matrix.answer import MatrixAnswer
    from rnncli.show.answer import Reply

EXAMPLES = """\
rnncli matrix --layer lstm
rnncli matrix --layer bigru --units 2 --seed 42 --format json
"""

OTHER = "run"
"""The command that takes them."""


def matrix(ask: Ask) -> Reply[MatrixAnswer]:
    """All combinations of return_sequences and return_state, side by side, and which entries are equal."""
    from rnncli.ask import subject_of
    from rnncli.commands.matrix.answer import MatrixAnswer, combinations
    from rnncli.show.answer import Reply

    for name in refused_by("matrix"):
        if name in ask.options:
            flag = Flag(flag_name(name, ask.options[name]))
            run = Either(Message("rnncli run {flag}", flag=flag), OTHER)
            what = "matrix does not take {flag}: it shows the layer with and without {name}."
            raise UsageError(what, "Leave {flag} out, or use {run}.", flag=flag, name=name, run=run)
    parts = subject_of(ask).parts(alone=True)
    return Reply(MatrixAnswer(combinations(parts.case, ask.engine)), parts.remarks)
