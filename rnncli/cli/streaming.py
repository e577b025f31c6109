"""`rnncli run --stream`: a record a line, answered as it comes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rnncli import readers
from rnncli.answers.run import RunAnswer
from rnncli.cli import request, sources, terminal
from rnncli.cli.options import InputFlags, LayerFlags, OutputFlags, RunFlags, Shown
from rnncli.cli.output import flowing
from rnncli.cli.records import Records
from rnncli.errors import DisagreementError, InputError, RnncliError, UsageError
from rnncli.readers import Source
from rnncli.streams import Stream, whole_lines

AT_ONCE = 1 << 20
"""Bytes that are asked for; a pipe gives what it has."""
LINES = ("ndjson", "json")
"""The formats that a line can be in."""


def demand(whole: bool, *, stream: bool, memory: str | None) -> None:
    """UsageError where the flags do not go with --stream."""
    if not stream:
        raise UsageError("--keep-going is for --stream.", "Add --stream, or leave it out.")
    if whole:
        raise UsageError("--stream answers line by line.", "Leave --check, --stats and --fail-on-nan out.")
    if memory is not None:
        raise UsageError("--memory is for a batch, and --stream answers line by line.", "Leave it out.")


def run(
    input: InputFlags,
    layer: LayerFlags,
    run: RunFlags,
    output: OutputFlags,
    select: Sequence[str] | None,
    *,
    shown: Shown,
    keep_going: bool,
) -> None:
    """Read, answer, show; without keep_going the first bad line ends it, with what came before shown."""
    sources.demand_one_reader(input, layer, run)
    _demand_lines(input)
    records = Records(input, layer, run, shown)
    stream = Stream(records, run.engine)
    bad, empty = 0, True
    file, where = sources.opened(input)
    with file, flowing(output, input, layer, run) as show:
        for lines in whole_lines(lambda: file.read(AT_ONCE), where):
            for line, answer in zip(lines, stream.answers(lines), strict=True):
                empty = False
                if not isinstance(answer, RnncliError):
                    terminal.remark(records.remarks, output.quiet)
                    records.remarks.clear()
                    show(RunAnswer(request.selected(answer, select), line=line.number))
                elif keep_going:
                    terminal.complain(answer)
                    bad += 1
                else:
                    raise answer
        if empty:
            raise InputError("--stream: not one line came.", "Give a tensor a line, as NDJSON.")
    if bad:
        lines_were = "1 line was" if bad == 1 else f"{bad} lines were"
        raise DisagreementError(f"{lines_were} not answered.", "What is wrong is said above.")


def _demand_lines(input: InputFlags) -> None:
    """UsageError where the flags ask for anything but lines of JSON."""
    if input.input_shape is not None:
        raise UsageError("--stream reads lines, and --input-shape makes an input.", "Leave one of them out.")
    for name in ("fill", "batch_column", "delimiter", "decimal"):
        if getattr(input, name) is not None:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} is not for --stream, which reads lines of JSON.", "Leave it out.")
    format = readers.format_name(Source(""), input.input_format or _format_of(Path(input.input or "")))
    if format not in LINES:
        raise UsageError(
            f"--stream reads lines of JSON, and the input is {format}.",
            "Leave --stream out: a batch goes through in chunks.",
        )
    if input.input is None and not sources.stdin_holds_data():
        raise UsageError("--stream has nothing to read.", "Pipe NDJSON in, or name a file of it.")


def _format_of(path: Path) -> str:
    """What the suffix says; where that says nothing, lines of JSON, as in a log or a pipe."""
    try:
        return readers.format_of(path)
    except InputError:
        return "ndjson"
