"""`rnncli samples`."""

from __future__ import annotations

from typing import Annotated

import typer

from rnncli.cli.options import OutputFlags

EXAMPLES = """\
rnncli samples
rnncli samples sensors > sensors.csv
rnncli samples sentence | rnncli run --layer gru
"""


def samples(
    output: OutputFlags,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Print this sample as it is.")] = None,
) -> None:
    """The built-in inputs.

    Without a name they are listed; with one, its file is printed as it is.
    """
    from rnncli import builtin
    from rnncli.cli.output import delivery, send

    if name is not None:
        send(builtin.path(builtin.get(name)).read_bytes(), output.output)
        return
    from rnncli.answers.samples import SamplesAnswer

    delivery(output)(SamplesAnswer(builtin.SAMPLES))
