"""`rnncli export`: the same layer as a script or file that gives the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.show.answer import Reply
    from rnncli.show.formats import OutputFlags

EXAMPLES = """\
rnncli export --layer 'LSTM(3)' --seed 42 --to numpy
rnncli export data.csv --layer bigru --seed 42 --to c --output bigru.c
rnncli export ids.json --model model.keras --to torch --output layers.py
rnncli export --layer 'GRU(4)' --to onnx --output gru.onnx
"""


OWN_FILES = True


def export(ask: Ask, output: OutputFlags, *, to: str | None) -> Reply[bytes]:
    """Write the layer as a script or file that gives the same numbers.

    A script holds the input, the weights and the initial states, and prints every returned tensor: its name
    and shape, then its numbers, one row per line.  A config holds the options alone, an ONNX model also the
    weights and the initial states.  With --model it writes the model's recurrent layers, or those named after
    the #, each with the input, mask and initial states that it receives in the model.
    """
    from rnncli.commands.export import export_request

    return export_request.answer(ask, to, output)
