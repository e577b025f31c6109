"""The progress of a long command: bars on a terminal's stderr, erased at their end."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from rnncli.cli import terminal
from rnncli.errors import Message, Text
from rnncli.process import progress
from rnncli.process.signals import exit_cleanly
from rnncli.result import Result
from rnncli.show.formats import OutputFlags

if TYPE_CHECKING:
    from rnncli.show.answer import Watch

PATIENCE = 1.0
"""Seconds after which a computation has a bar."""


@contextmanager
def progress_bar(flags: OutputFlags) -> Iterator[Watch]:
    """Yield a function that wraps results, and shows a bar of them if stderr is a terminal.

    In the block, what long computations report has a bar, too.
    """
    with ExitStack() as stack:
        bars = _Bars(flags, stack)
        stack.enter_context(progress.watched_by(bars))
        yield bars.watch


class _Bars:
    """The bars of one command.

    drawn: Rich's display of them; None while there is no bar.
    tasks: the bars, and since: when a computation without a bar was first reported, by what is counted.
    among_numbers: whether numbers are written to the same terminal meanwhile, so that no bar can be drawn.
    """

    def __init__(self, flags: OutputFlags, stack: ExitStack) -> None:
        self.flags, self.stack = flags, stack
        self.drawn: Any = None
        self.tasks: dict[Text, Any] = {}
        self.since: dict[Text, float] = {}
        self.among_numbers = False

    def watch(self, results: Iterator[Result], batch: int, written: bool) -> Iterator[Result]:
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

    def _count(self, results: Iterator[Result], batch: int) -> Generator[Result]:
        """Yield the results, and show how many sequences are done."""
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
        """Draw a bar, or move it."""
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
    """Return bars of what is done, what it is, how much per second, and the time that is left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f}/s" if task.speed else "")

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), Rate(), TimeLeft())
    return Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
