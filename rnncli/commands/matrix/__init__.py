"""`rnncli matrix`."""

from __future__ import annotations

from rnncli.cli.flags import InputFlags, LayerFlags, OutputFlags, RunFlags
from rnncli.cli.hint_rules import TRACE
from rnncli.errors import UsageError

EXAMPLES = """\
rnncli matrix --layer lstm
rnncli matrix --layer bigru --units 2 --seed 42 --format json
"""
HINTS = (TRACE,)

REFUSED = ("return_sequences", "return_state")


def matrix(input_flags: InputFlags, layer: LayerFlags, run: RunFlags, output: OutputFlags) -> None:
    """All combinations of return_sequences and return_state, side by side, and which entries are equal."""
    from rnncli.cli import request
    from rnncli.cli.output import delivery
    from rnncli.commands.matrix.answer import MatrixAnswer, combinations

    deliver = delivery(output, input_flags, layer, run)
    _refuse_varied_flags(layer)
    case, remarks = request.case(input_flags, layer, run)
    deliver(MatrixAnswer(combinations(case, run.engine)), remarks)


def _refuse_varied_flags(layer: LayerFlags) -> None:
    from rnncli.specs.merge import format_flag

    for name in REFUSED:
        if (value := getattr(layer, name)) is not None:
            flag = format_flag(name, value)
            raise UsageError(
                "matrix does not take {flag}: it shows the layer with and without {name}.",
                "Leave {flag} out, or use rnncli run {flag}.",
                flag=flag,
                name=name,
            )
