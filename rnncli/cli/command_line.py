"""Parse a command line given as text, `rnncli run -l lstm --seed 7`, with the command's own flags."""

from __future__ import annotations

import shlex
from typing import Any, NamedTuple, TypeVar

from rnncli.case import Array, Case
from rnncli.cli.flags import InputFlags, LayerFlags, RunFlags, ShowFlags

SomeFlags = TypeVar("SomeFlags", InputFlags, LayerFlags, RunFlags, ShowFlags)


class CommandLine(NamedTuple):
    """A parsed command line.  command: `run`, `trace`, ...  values: of every flag, by its name in Python."""

    command: str
    values: dict[str, Any]

    @classmethod
    def parse(cls, text: str) -> CommandLine:
        """Parse `rnncli COMMAND ...`, as a shell splits it.  Raises UsageError for an unknown flag."""
        from rnncli.cli import app

        _, command, *words = shlex.split(text.replace("\\\n", " "))  # shlex would keep the line break
        context = app.load(command).make_context(command, words)
        return cls(command, {name: _drop_empty(value) for name, value in context.params.items()})

    def group(self, kind: type[SomeFlags]) -> SomeFlags:
        """Return the flags of one group; a flag that the command lacks has its default."""
        return kind(**{name: self.values[name] for name in kind._fields if name in self.values})

    def case(self, initial_state: tuple[Array, ...] | None = None) -> Case:
        """Build the requested experiment; without an input, use the sample, and never read stdin.

        initial_state: replaces the file that --initial-state names.
        """
        from rnncli.cli import request
        from rnncli.cli.sources import SAMPLE
        from rnncli.inputs import sample_files
        from rnncli.inputs.case_builder import RawValue

        input_flags, run = self.group(InputFlags), self.group(RunFlags)
        if input_flags.input is None and input_flags.input_shape is None:
            input_flags = input_flags._replace(input=str(sample_files.path(sample_files.get(SAMPLE))))
        fields: dict[str, Any] = self.group(ShowFlags)._asdict()
        if initial_state is not None:
            run = run._replace(initial_state=None)
            fields["initial_state"] = RawValue(initial_state, "initial_state")
        return request.case(input_flags, self.group(LayerFlags), run, **fields)[0]


def _drop_empty(value: Any) -> Any:
    """Return a repeatable flag as a list, or None if it was not given."""
    return (list(value) or None) if isinstance(value, tuple) else value
