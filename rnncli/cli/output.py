"""Write an answer to stdout or, atomically, to a file; show the progress of a long run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import cached_property
from time import monotonic
from typing import IO, Any, cast

from rnncli.cli import files, terminal
from rnncli.errors import Message, Text, UsageError
from rnncli.inputs.source import words_of
from rnncli.options import entries
from rnncli.process import progress
from rnncli.process.signals import exit_cleanly
from rnncli.show import formats
from rnncli.show.answer import Answer, Reply
from rnncli.show.formats import OutputFlags
from rnncli.show.page import UNICODE, View

BUFFER_SIZE = 2**20
"""Bytes of an answer that wait in memory: an error in the first ones leaves no file behind."""
PATIENCE = 1.0
"""Seconds after which a computation has a bar."""
FRACTIONS, OTHERS = "▏▎▍▌▋▊▉█", "─±"
BEYOND_ASCII = f"{UNICODE.ellipsis}{UNICODE.dot}{UNICODE.arrow}{UNICODE.bars}{FRACTIONS}{OTHERS}"
"""Every non-ASCII character that a table may hold; if one cannot be encoded, tables use only ASCII."""


def call(
    function: Callable[..., Reply[Any] | None],
    parameters: dict[str, Any],
    *,
    own_files: bool,
    own_folder: bool = False,
) -> None:
    """Call a command and show what it returns; explore and plot draw on their own.

    parameters: a command takes `output` and `progress` only if it names them.
    own_files: whether --output may also name a file that no format writes.
    own_folder: whether it may name a folder; the command then checks it.
    Raises UsageError before any computation if flags conflict, or if --output names a file that is read.
    """
    flags = parameters.get("output")
    if not isinstance(flags, OutputFlags):
        function(**parameters)
        return
    own = (entry for entry in entries(function.__name__) if entry.reads)
    reading = {entry.flag: parameters.get(entry.name) for entry in own}
    if "ask" in parameters:
        reading |= parameters["ask"].files
    if not own_folder:
        files.require_place(flags.output, words_of(reading))
    format_name = "" if own_files else _require_format(flags)
    with ExitStack() as stack, progress.watched_by(bars := _Bars(flags, stack)):
        optional = {"output": flags, "progress": bars.watch}
        for name, value in optional.items():
            parameters.pop(name, None)
            if name in function.__annotations__:
                parameters[name] = value
        reply = function(**parameters)
        if reply is None:  # the answers of a stream
            return
        _deliver(reply, flags, format_name)
        if reply.written and not flags.is_stdout:
            terminal.remark([reply.written], flags.quiet)
    if reply.failure is not None:
        raise reply.failure


def _deliver(reply: Reply[Any], flags: OutputFlags, format_name: str) -> None:
    """Show a reply.  format_name: "" if --output may name a file that no format writes."""
    answer = reply.answer
    to = flags._replace(output=None) if reply.to_stdout else flags
    name = "" if isinstance(answer, bytes) else format_name or _require_format(to)

    def start() -> IO[bytes]:
        file = stack.enter_context(_place(to.output))
        terminal.remark((*reply.remarks, *(_mismatch(to) if name else ())), flags.quiet)
        return file

    try:
        with ExitStack() as stack:
            file = _Buffer(start)
            if isinstance(answer, bytes):
                file.write(answer)
            else:
                formats.FORMATS[name].write(answer, view_of(to, name, answer.widest), cast("IO[bytes]", file))
            file.flush()
    except BrokenPipeError:
        if to.is_stdout:
            terminal.silence_stdout()


def _require_format(flags: OutputFlags) -> str:
    name = flags.format_name
    if flags.theme is not None and not formats.FORMATS[name].has_theme:
        what = "{--theme}: {name} output has no background."
        raise UsageError(what, "Use {--format} svg or html, or drop {--theme}.", name=name)
    if flags.is_stdout and terminal.stdout_is_terminal() and formats.FORMATS[name].binary:
        what = "{name} is binary and cannot be shown in a terminal."
        raise UsageError(what, "Write it to a file with {--output} FILE.{name}, or to a pipe.", name=name)
    return name


@contextmanager
def stream_answers(flags: OutputFlags) -> Iterator[Callable[[Answer], None]]:
    """Yield a function that shows each answer at once; an output file appears after the last one.

    Raises BrokenPipeError if the reader of stdout has gone, so that the caller stops.
    """
    name = flags.format_name
    form = formats.FORMATS[name]
    separator = form.separator
    if separator is None:
        what = Message("{--stream}: {name} cannot be written one record at a time.", name=name)
        raise UsageError(what, "Use ndjson or a table.")
    view = view_of(flags, name)
    with _place(flags.output) as stream:
        file, between = _Buffer(lambda: stream), b""

        def show(answer: Answer) -> None:
            nonlocal between
            file.write(between)
            form.write(answer, view, cast("IO[bytes]", file))
            file.flush()
            between = separator

        yield show


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


def _place(output: str | None) -> AbstractContextManager[IO[bytes]]:
    if output in (None, "-"):
        return nullcontext(cast("IO[bytes]", terminal.Stdout()))
    return files.open_output(output or "")


def _mismatch(flags: OutputFlags) -> tuple[Text, ...]:
    if flags.format is None or flags.is_stdout:
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


def view_of(flags: OutputFlags, format_name: str, widest: int | None = None) -> View:
    """Return the display settings: a file gets everything, a terminal what it can show.

    widest: most columns of a table without --width.
    """
    environment, stdout = os.environ, sys.stdout
    english = formats.FORMATS[format_name].for_programs
    view = View(
        lang=flags.lang or ("en" if english else terminal.language(environment)),
        precision=flags.precision,
        full=flags.full,
        width=flags.width,
        theme=flags.theme or "",
    )
    if flags.is_stdout and stdout is not None:
        view = view._replace(
            lang=view.lang if flags.lang or english else terminal.LANGUAGE.get(),
            width=flags.width or terminal.columns(stdout, environment),
            color=terminal.has_color(stdout, environment),
            ascii=not terminal.encodes(stdout, BEYOND_ASCII),
            encoding=terminal.encoding(),
        )
    if widest and format_name == "table" and not flags.width:
        return view._replace(width=min(view.width or widest, widest))
    return view


class _Bars:
    """The bars of one command, if stderr is a terminal: of its results, and of long computations.

    drawn: Rich's display of them; None while there is no bar.
    tasks: the bars, by what they count.
    since: when a computation was first reported, by what it counts; PATIENCE later it gets a bar.
    among_numbers: whether numbers are written to the same terminal meanwhile, so that no bar can be drawn.
    """

    def __init__(self, flags: OutputFlags, stack: ExitStack) -> None:
        self.flags, self.stack = flags, stack
        self.drawn: Any = None
        self.tasks: dict[Text, Any] = {}
        self.since: dict[Text, float] = {}
        self.among_numbers = False

    def watch(self, results: Iterator[Any], batch: int, written: bool) -> Iterator[Any]:
        """Return the results, which show a bar while they are computed."""
        self.among_numbers = written and self.flags.is_stdout and terminal.stdout_is_terminal()
        if not self._can_draw():
            return results
        counted = self._count(results, batch)
        self.stack.callback(counted.close)
        return counted

    def say(self, text: Text) -> None:
        terminal.remark((text,), self.flags.quiet)

    def report(self, what: Text, done: int, total: int) -> None:
        if not self._can_draw():
            return
        if done >= total:
            self._erase(what, total)
        elif what in self.tasks or monotonic() - self.since.setdefault(what, monotonic()) > PATIENCE:
            self._draw(what, done, total)

    def _can_draw(self) -> bool:
        return not self.flags.quiet and not self.among_numbers and terminal.stderr_is_terminal()

    def _count(self, results: Iterator[Any], batch: int) -> Generator[Any]:
        what, done = Message("sequences"), 0
        self._draw(what, done, batch)
        try:
            for result in results:
                done += result.input_shape[0]
                self._draw(what, done, batch)
                yield result
        finally:
            self._erase(what, done)

    def _draw(self, what: Text, done: int, total: int) -> None:
        if self.drawn is None:
            self.stack.enter_context(exit_cleanly())  # a terminal keeps what a killed process left there
            self.drawn = _make_display()
            self.stack.callback(self.drawn.stop)
            self.drawn.start()
        if what not in self.tasks:
            self.tasks[what] = self.drawn.add_task(terminal.localize(what), total=total)
        self.drawn.update(self.tasks[what], completed=done)

    def _erase(self, what: Text, done: int) -> None:
        """Show a bar, if there is one, as it ends, and erase it."""
        self.since.pop(what, None)
        if what in self.tasks:
            self.drawn.update(self.tasks[what], completed=done, refresh=True)
            self.drawn.remove_task(self.tasks.pop(what))
        if self.drawn is not None and not self.tasks:
            self.drawn.stop()
            self.drawn = None


def _make_display() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f}/s" if task.speed else "")

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), Rate(), TimeLeft())
    return Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
