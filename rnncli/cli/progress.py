"""How far a long run has come, on stderr, where somebody watches."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rnncli.signals import tidily_ended

if TYPE_CHECKING:
    from rnncli.result import Result


def watched(results: Iterator[Result], batch: int, quiet: bool) -> Iterator[Result]:
    """The same results, the chunks of `batch` sequences; a bar where there are several, and a terminal."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield from results
        return
    first = next(results)
    done = first.input_shape[0]
    if done == batch:
        yield first
        return
    with tidily_ended(), _bar() as bar:
        task = bar.add_task("", total=batch, completed=0)
        bar.advance(task, done)
        yield first
        for result in results:
            bar.advance(task, result.input_shape[0])
            yield result


def _bar() -> Any:
    """Sequences done, how many a second, and the time that is left; gone in the end."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f}/s" if task.speed else "")

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("sequences"), Rate(), TimeLeft())
    return Progress(*columns, console=Console(stderr=True), transient=True)
