"""`rnncli run --stream`: one record per line, answered by layers or by a saved model as it arrives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rnncli import arrays
from rnncli.ask import Ask, subject_of
from rnncli.ask.layer_files import is_layer
from rnncli.ask.lines import NewRemarks, whole_lines
from rnncli.cli import terminal
from rnncli.cli.output import stream_answers
from rnncli.commands import checks
from rnncli.commands.run.answer import RunAnswer
from rnncli.errors import DisagreementError, Flag, InputError, RnncliError, UsageError, count
from rnncli.inputs import formats
from rnncli.inputs.formats import Source
from rnncli.inputs.source import open_lines, read_arrived, stdin_holds_data
from rnncli.options import first_given, of_files_alone
from rnncli.show.formats import OutputFlags

LINES = ("ndjson", "json")
"""The formats a line can be in."""
WHOLE = {
    "check": "--check",
    "expect": "--expect",
    "stats": "--stats",
    "fail_on_nan": "--fail-on-nan",
    "hold": "--hold",
}
"""Options whose answer needs every number before it can begin."""


def answer_lines(
    ask: Ask,
    output: OutputFlags,
    whole: Mapping[str, Any],
    select: Sequence[str] | None,
    memory: str | None,
    *,
    stream: bool,
    keep_going: bool,
) -> None:
    """Read, compute, show; without keep_going, stop at the first bad line, after showing earlier results.

    whole: options whose answer needs every number before it can begin.
    Raises UsageError for options that cannot be combined with --stream.
    """
    if not stream:
        raise UsageError("{--keep-going} needs {--stream}.", "Add {--stream}, or leave it out.")
    if refused := [flag for name, flag in WHOLE.items() if {**whole, "hold": ask.hold}[name]]:
        what = "{refused} cannot be combined with {--stream}."
        raise UsageError(what, "Leave {refused} out.", refused=" and ".join(refused))
    if memory is not None:
        raise UsageError(
            "{--memory} applies to a batch, but {--stream} computes line by line.", "Leave it out."
        )
    subject = subject_of(ask)
    subject.require_able(all_calls=ask.all_calls)
    require_lines(ask)
    remarks = NewRemarks()
    answers = subject.lines(remarks)
    bad, empty = 0, True
    file, where = open_lines(ask.input, is_layer)
    with file, stream_answers(output) as show:
        for lines in whole_lines(lambda: read_arrived(file, arrays.BLOCK, where), where):
            for line, outcome in zip(lines, answers(lines), strict=True):
                empty = False
                if not isinstance(outcome, RnncliError):
                    terminal.remark(remarks.take(), output.quiet)
                    show(RunAnswer(checks.select_tensors(outcome, select), line=line.number))
                elif keep_going:
                    terminal.print_error(outcome)
                    bad += 1
                else:
                    raise outcome
        if empty:
            raise InputError("{--stream}: the input has no lines.", "Give one tensor per line, as NDJSON.")
    if bad:
        raise DisagreementError("{lines} failed.", "See the messages above.", lines=count(bad, "line"))


def require_lines(ask: Ask) -> None:
    """Raise UsageError if the flags ask for anything but lines of JSON."""
    if ask.input_shape is not None:
        raise UsageError(
            "{--stream} reads lines, but {--input-shape} generates an input.", "Leave one of them out."
        )
    if flag := first_given(ask._asdict(), ("fill", *of_files_alone("lines"))):
        what = "{flag} does not apply to {--stream}, which reads lines of JSON."
        raise UsageError(what, "Leave it out.", flag=Flag(flag))
    format_name = formats.detect_format(Source(""), ask.input_format or _format_of(Path(ask.input or "")))
    if format_name not in LINES:
        what = "{--stream} reads lines of JSON, but the input is {format_name}."
        advice = "Leave {--stream} out; a large batch is processed in chunks."
        raise UsageError(what, advice, format_name=format_name)
    if ask.input is None and not stdin_holds_data():
        raise UsageError("{--stream} has nothing to read.", "Pipe NDJSON in, or name an NDJSON file.")


def _format_of(path: Path) -> str:
    """Return the format for the suffix; unknown suffixes mean lines of JSON, as in a log or a pipe."""
    try:
        return formats.format_of(path)
    except InputError:
        return "ndjson"
