"""`rnncli weights`: what is in a saved model."""

from __future__ import annotations

from typing import Annotated

import typer

from rnncli.cli.flags import OutputFlags

SECTION = "Look around"
SUMMARY = "What is in a saved model: its recurrent layers, gate by gate."
EXAMPLES = """\
rnncli weights model.keras
rnncli weights model.keras#lstm,gru
rnncli weights checkpoint.pt --format json
rnncli weights model.h5 --output weights.npz
"""


def weights(
    output: OutputFlags,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A saved model of Keras, PyTorch or ONNX.")],
) -> None:
    """What is in a saved model: its recurrent layers, gate by gate.

    FILE: .keras, .h5 or .hdf5 of Keras, a state dict or checkpoint of PyTorch (.pt, .pth), .onnx, or
    .safetensors and .npz with the names of Keras or PyTorch. FILE#lstm,gru shows those layers alone.
    With --output FILE.npz the weights are written in Keras's layout.
    """
    from rnncli.cli import sources
    from rnncli.cli.output import delivery
    from rnncli.commands.weights.answer import WeightsAnswer
    from rnncli.commands.weights.contents import chosen, contents
    from rnncli.readers import models

    deliver = delivery(output)
    path, names = _parted(file)
    found = chosen(contents(models.listed(sources.find_source(path))), names)
    deliver(WeightsAnswer(found), found.notes)


def _parted(file: str) -> tuple[str, tuple[str, ...]]:
    """The file, and the names of layers behind a # that is no part of its own name."""
    from rnncli.cli import files

    path, mark, names = file.rpartition("#")
    if not mark or files.expand_user(file).exists():
        return file, ()
    return path, tuple(filter(None, (name.strip() for name in names.split(","))))
