"""`rnncli samples`."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from rnncli.cli.flags import OutputFlags
from rnncli.errors import UsageError

if TYPE_CHECKING:
    from rnncli.readers.samples import Sample

SECTION = "Look around"
SUMMARY = "The built-in inputs."
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
    from rnncli.cli.output import delivery, send
    from rnncli.readers import samples as builtin

    if name is not None:
        sample = builtin.get(name)
        _demand_its_format(sample, output)
        send(builtin.path(sample).read_bytes(), output.output)
        return
    from rnncli.commands._samples_answer import SamplesAnswer

    delivery(output)(SamplesAnswer(builtin.SAMPLES))


def _demand_its_format(sample: Sample, output: OutputFlags) -> None:
    """UsageError for a format that it is not in: it is printed as it is."""
    from rnncli.cli.files import demand_place

    demand_place(output.output)
    own = PurePath(sample.file).suffix.lstrip(".")
    suffix = PurePath(output.output or "").suffix.lstrip(".").casefold()
    for flag, said, asked in (
        ("--format", output.format, output.format),
        ("--output", output.output, suffix),
    ):
        if asked not in (None, "", "txt", own):
            raise UsageError(
                f"{flag} {said}: the sample {sample.name} is {own}, and is printed as it is.",
                f"rnncli samples {sample.name} -o {sample.file}",
            )
