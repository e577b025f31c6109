"""`rnncli samples`: the built-in inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from rnncli.case import Array
from rnncli.cli.hint_rules import Hint
from rnncli.cli.language import localize
from rnncli.errors import UsageError
from rnncli.inputs.sample_files import Sample
from rnncli.show.page import Answer, Page, Records, Table, View, cell, line
from rnncli.show.parts import head, headings, refuse_tensors

if TYPE_CHECKING:
    from rnncli.cli.output import OutputFlags

EXAMPLES = """\
rnncli samples
rnncli samples sensors > sensors.csv
rnncli samples sentence | rnncli run --layer gru
"""
HINTS = (
    Hint(lambda values: values["name"] is None, "run series", "a sample as the input", "예제를 입력으로"),
)


def samples(output: OutputFlags, *, name: str | None) -> None:
    """The built-in inputs.

    Without a name, list them; with one, print its file unchanged.
    """
    from rnncli.cli.output import delivery, send
    from rnncli.inputs import sample_files as builtin

    if name is not None:
        sample = builtin.get(name)
        _require_its_format(sample, output)
        send(builtin.path(sample).read_bytes(), output.output)
        return

    delivery(output)(SamplesAnswer(builtin.SAMPLES))


def _require_its_format(sample: Sample, output: OutputFlags) -> None:
    """Raise UsageError for a format other than the sample's own; it is printed unchanged."""
    from rnncli.cli.files import require_place

    require_place(output.output)
    own = PurePath(sample.file).suffix.lstrip(".")
    suffix = PurePath(output.output or "").suffix.lstrip(".").casefold()
    for flag, text, format_name in (
        ("--format", output.format, output.format),
        ("--output", output.output, suffix),
    ):
        if format_name not in (None, "", "txt", own):
            raise UsageError(
                "{flag} {text}: the sample {name} is {own}, and it is printed unchanged.",
                "Write it unchanged: rnncli samples {name} -o {file}",
                flag=flag,
                text=text,
                name=sample.name,
                own=own,
                file=sample.file,
            )


@dataclass(frozen=True)
class SamplesAnswer(Answer):
    """The samples' names, descriptions, and commands to try them."""

    samples: Sequence[Sample]

    def document(self, view: View) -> dict[str, Any]:
        """Return name, title and command of each."""
        return {
            **head(),
            "samples": [
                {"name": sample.name, "title": sample.title, "command": command(sample)}
                for sample in self.samples
            ],
        }

    def page(self, view: View) -> Page:
        """Return each name with its title, and the command that runs it below."""
        rows = tuple(
            (
                cell(sample.name, "strong"),
                (line(localize(sample.title, view.lang)), line(command(sample), "dim")),
            )
            for sample in self.samples
        )
        return Page((), (), (Table(headings(("sample", "title"), view), rows),))

    def records(self, view: View) -> Records:
        """Return one row per sample."""
        rows = ((sample.name, sample.title, command(sample)) for sample in self.samples)
        return ("name", "title", "command"), rows

    def tensors(self) -> dict[str, Array]:
        """Raise UsageError; this command has no tensors."""
        return refuse_tensors("samples")


def command(sample: Sample) -> str:
    """Return the command that runs the sample."""
    return f"rnncli samples {sample.name} | rnncli run {sample.hint}".rstrip()
