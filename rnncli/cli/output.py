"""Write an answer to stdout or, atomically, to a file; show the progress of a long run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cached_property
from typing import IO, Any, NamedTuple, Protocol, cast

from rnncli.cli import files, terminal
from rnncli.errors import Message, Text, UsageError
from rnncli.inputs.given import words_of
from rnncli.process.signals import exit_cleanly
from rnncli.result import Result
from rnncli.show import formats
from rnncli.show.answer import Answer
from rnncli.show.page import UNICODE, View

Watch = Callable[[Iterator[Result]], Iterator[Result]]
BUFFER_SIZE = 2**20
"""Bytes of an answer that wait in memory: an error in the first ones leaves no file behind."""
FRACTIONS, OTHERS = "▏▎▍▌▋▊▉█", "─±"
BEYOND_ASCII = f"{UNICODE.ellipsis}{UNICODE.dot}{UNICODE.arrow}{UNICODE.bars}{FRACTIONS}{OTHERS}"
"""Every non-ASCII character that a table may hold; if one cannot be encoded, tables use only ASCII."""


class OutputFlags(NamedTuple):
    """The options of an answer: its format, its looks and its file."""

    format: str | None = None
    output: str | None = None
    precision: int | None = None
    full: bool = False
    width: int | None = None
    lang: str | None = None
    quiet: bool = False
    theme: str | None = None


class Delivery(Protocol):
    """Shows an answer, with the remarks first; if there is no answer, shows no remarks."""

    def __call__(self, answer: Answer, remarks: Sequence[Text] = ()) -> None: ...


def delivery(flags: OutputFlags, reading: Mapping[str, str | None] = {}) -> Delivery:
    """Return the function that shows an answer.  Raises UsageError before any computation if flags conflict.

    reading: the files to read, by their flags; they must not be overwritten.
    """
    files.require_place(flags.output, words_of(reading))
    name = format_of(flags)
    if flags.theme is not None and not formats.FORMATS[name].has_theme:
        raise UsageError(
            "{--theme}: {name} output has no background.",
            "Use {--format} svg or html, or drop {--theme}.",
            name=name,
        )
    if is_stdout(flags.output) and terminal.stdout_is_terminal() and formats.FORMATS[name].binary:
        raise UsageError(
            "{name} is binary and cannot be shown in a terminal.",
            "Write it to a file with {--output} FILE.{name}, or to a pipe.",
            name=name,
        )

    def deliver(answer: Answer, remarks: Sequence[Text] = ()) -> None:
        def start() -> IO[bytes]:
            file = stack.enter_context(_place(flags.output))
            terminal.remark((*remarks, *_mismatch(flags)), flags.quiet)
            return file

        with _quiet_end(flags.output), ExitStack() as stack:
            file = _Buffer(start)
            formats.FORMATS[name].write(answer, view_of(flags, name), cast("IO[bytes]", file))
            file.flush()

    return deliver


@contextmanager
def stream_answers(
    flags: OutputFlags, reading: Mapping[str, str | None] = {}
) -> Iterator[Callable[[Answer], None]]:
    """Yield a function that shows each answer at once; an output file appears after the last one.

    Raises BrokenPipeError if the reader of stdout has gone, so that the caller stops.
    """
    files.require_place(flags.output, words_of(reading))
    name = format_of(flags)
    form = formats.FORMATS[name]
    separator = form.separator
    if separator is None:
        what = Message("{--stream}: {name} cannot be written one record at a time.", name=name)
        raise UsageError(what, "Use ndjson or a table.")
    view = view_of(flags, name)
    with _place(flags.output) as place:
        file, between = _Buffer(lambda: place), b""

        def show(answer: Answer) -> None:
            nonlocal between
            file.write(between)
            form.write(answer, view, cast("IO[bytes]", file))
            file.flush()
            between = separator

        yield show


def send(data: bytes, output: str | None) -> None:
    """Write `data` to the file that --output names, else to stdout."""
    with _quiet_end(output), _place(output) as file:
        file.write(data)
        file.flush()


class _Buffer:
    """File that is opened at the first megabyte, so that an error before then leaves nothing behind."""

    def __init__(self, start: Callable[[], IO[bytes]]) -> None:
        self._start = start
        self._pieces: list[bytes] = []
        self._size = 0

    @cached_property
    def _file(self) -> IO[bytes]:
        return self._start()

    def write(self, data: bytes) -> int:
        self._pieces.append(data)
        self._size += len(data)
        if self._size >= BUFFER_SIZE:
            self._send()
        return len(data)

    def writelines(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self.write(piece)

    def flush(self) -> None:
        self._send()
        self._file.flush()

    def _send(self) -> None:
        data, self._pieces, self._size = b"".join(self._pieces), [], 0
        self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        """Return tell and seek, which archive writers need."""
        self._send()
        return getattr(self._file, name)


@contextmanager
def _quiet_end(output: str | None) -> Iterator[None]:
    """Ignore a broken pipe, and write nothing more to stdout."""
    try:
        yield
    except BrokenPipeError:
        if is_stdout(output):
            terminal.silence_stdout()


def _place(output: str | None) -> AbstractContextManager[IO[bytes]]:
    if is_stdout(output):
        return nullcontext(cast("IO[bytes]", terminal.Stdout()))
    return files.open_output(output or "")


def is_stdout(output: str | None) -> bool:
    """Return whether --output means stdout: not given, or `-`."""
    return output in (None, "-")


def format_of(flags: OutputFlags) -> str:
    """Return --format, else the format of --output's suffix, else table."""
    if flags.format is not None:
        return flags.format
    return "table" if is_stdout(flags.output) else formats.for_output(flags.output or "")


def _mismatch(flags: OutputFlags) -> tuple[Text, ...]:
    """Return a remark if the suffix of the file means a different format."""
    if flags.format is None or is_stdout(flags.output):
        return ()
    try:
        meant = formats.for_output(flags.output or "")
    except UsageError:  # the suffix belongs to no format
        return ()
    if meant == flags.format:
        return ()
    return (
        Message("{output}: {--format:format} overrides the suffix", output=flags.output, format=flags.format),
    )


def view_of(flags: OutputFlags, format_name: str) -> View:
    """Return the display settings: a file gets everything, a terminal what it can show."""
    environment, stdout = os.environ, sys.stdout
    english = formats.FORMATS[format_name].for_programs
    view = View(
        lang=flags.lang or ("en" if english else terminal.language(environment)),
        precision=flags.precision,
        full=flags.full,
        width=flags.width,
        theme=flags.theme or "",
    )
    if not is_stdout(flags.output) or stdout is None:
        return view
    return view._replace(
        lang=view.lang if flags.lang or terminal.encodes(stdout, "한") else "en",
        width=flags.width or terminal.columns(stdout, environment),
        color=terminal.has_color(stdout, environment),
        ascii=not terminal.encodes(stdout, BEYOND_ASCII),
        encoding=terminal.encoding(),
    )


@contextmanager
def progress_bar(batch: int, *, enabled: bool) -> Iterator[Watch]:
    """Show a bar while the block runs; the yielded function wraps the results and counts them.

    batch: total number of sequences.  enabled: show the bar, if stderr is a terminal.
    """
    if not enabled or sys.stderr is None or not sys.stderr.isatty():
        yield lambda results: results
        return
    with exit_cleanly(), _draw() as drawn:
        task = drawn.add_task("", total=batch)

        def watch(results: Iterator[Result]) -> Iterator[Result]:
            for result in results:
                drawn.advance(task, result.input_shape[0])
                yield result

        yield watch


def _draw() -> Any:
    """Return a bar of sequences done, sequences per second and time left; it is erased at the end."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f}/s" if task.speed else "")

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("sequences"), Rate(), TimeLeft())
    return Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
