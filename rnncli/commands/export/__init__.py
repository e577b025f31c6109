"""`rnncli export`: the same layer as a script or file that gives the same numbers."""

# Annotations must be objects at run time, as in cli/flags.py, whose groups this adds to.

from typing import Annotated

from rnncli.cli.flag_groups import OUTPUT, choice, flag
from rnncli.cli.flags import InputFlags, LayerFlags, RunFlags
from rnncli.commands.export import targets

EXAMPLES = """\
rnncli export --layer 'LSTM(3)' --seed 42 --to numpy
rnncli export data.csv --layer bigru --seed 42 --to c --output bigru.c
rnncli export ids.json --model model.keras --to torch --output layers.py
rnncli export --layer 'GRU(4)' --to onnx --output gru.onnx
"""


def export(
    input_flags: InputFlags,
    layer: LayerFlags,
    run: RunFlags,
    to: Annotated[
        str | None, choice(OUTPUT, "--to", "TARGET", targets.names(), "What to write (required).")
    ] = None,
    output: Annotated[
        str | None, flag(OUTPUT, "--output", "-o", metavar="FILE", help="Write to a file.")
    ] = None,
    lang: Annotated[  # noqa: ARG001  cli.language reads it, before any message
        str | None, choice(OUTPUT, "--lang", "LANG", ("en", "ko"), "Language of notes (default: the locale).")
    ] = None,
    quiet: Annotated[bool, flag(OUTPUT, "--quiet", help="No notes on stderr.")] = False,
) -> None:
    """Write the layer as a script or file that gives the same numbers.

    A script holds the input, the weights and the initial states, and prints every returned tensor: its name
    and shape, then its numbers, one row per line.  A config holds the options alone, an ONNX model also the
    weights and the initial states.  With --model it writes the model's recurrent layers, or those named after
    the #, each with the input, mask and initial states that it receives in the model.
    """
    from rnncli.commands.export import export_request

    export_request.answer(export_request.ExportRequest(input_flags, layer, run, to, output, quiet))
