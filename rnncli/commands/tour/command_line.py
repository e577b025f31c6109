"""The command lines of the lesson and of its exercises, parsed, so that their experiments can be computed."""

from __future__ import annotations

import shlex
from typing import Any, NamedTuple

from rnncli.ask import Ask, subject_of
from rnncli.cli.flags import fill, load
from rnncli.inputs import sample_files
from rnncli.inputs.source import SAMPLE
from rnncli.layers.case import Case
from rnncli.values import Array


class CommandLine(NamedTuple):
    """A parsed command line.  command: `run`, `trace`, ...  values: the parameters of its function."""

    command: str
    values: dict[str, Any]

    @classmethod
    def parse(cls, text: str) -> CommandLine:
        """Parse `rnncli COMMAND ...`, as a shell splits it.  Raises UsageError for an unknown flag."""
        _, command, *words = shlex.split(text.replace("\\\n", " "))  # shlex would keep the line break
        return cls(command, fill(command, load(command).make_context(command, words).params))

    def case(self, initial_state: tuple[Array, ...] | None = None) -> Case:
        """Build the requested experiment; without an input, use the sample, and never read stdin.

        initial_state: replaces the file that --initial-state names.
        """
        ask: Ask = self.values["ask"]
        if ask.input is None and ask.input_shape is None:
            ask = ask._replace(input=str(sample_files.path(SAMPLE)))
        if initial_state is not None:
            ask = ask._replace(initial_state=initial_state)
        return subject_of(ask).parts(alone=True).case
