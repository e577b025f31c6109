"""samples: the built-in inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnncli.readers.samples import Sample
from rnncli.renderers.page import Column, Page, Records, Table, View, cell, line
from rnncli.renderers.parts import head, no_tensors
from rnncli.renderers.wording import say

if TYPE_CHECKING:
    from rnncli.case import Array


@dataclass(frozen=True)
class SamplesAnswer:
    """Their names, what they are, and how to try one."""

    samples: Sequence[Sample]

    def document(self, view: View) -> dict[str, Any]:
        """name, title and command of each."""
        return {
            **head(),
            "samples": [
                {"name": sample.name, "title": sample.title, "command": command(sample)}
                for sample in self.samples
            ],
        }

    def page(self, view: View) -> Page:
        """A name and its title, and under it the command that runs it."""
        headings = (Column(say("sample", view.lang)), Column(say("title", view.lang)))
        rows = tuple(
            (cell(sample.name, "strong"), (line(sample.title), line(command(sample), "dim")))
            for sample in self.samples
        )
        return Page((), (), (Table(headings, rows),))

    def records(self, view: View) -> Records:
        """One sample a row."""
        rows = ((sample.name, sample.title, command(sample)) for sample in self.samples)
        return ("name", "title", "command"), rows

    def tensors(self) -> dict[str, Array]:
        """There are none: UsageError."""
        return no_tensors("samples")


def command(sample: Sample) -> str:
    """What to type to see it run."""
    return f"rnncli samples {sample.name} | rnncli run {sample.hint}".rstrip()
