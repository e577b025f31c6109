"""Progress bar of a long run, on stderr if it is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rnncli.process.signals import exit_cleanly
from rnncli.result import Result

if TYPE_CHECKING:
    Watch = Callable[[Iterator[Result]], Iterator[Result]]


@contextmanager
def bar(batch: int, *, enabled: bool) -> Iterator[Watch]:
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
