"""The tables of `run` and `trace` on the page, for readers without scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnncli import compute
from rnncli.commands.run.answer import RunAnswer
from rnncli.commands.trace.answer import TraceAnswer
from rnncli.compute import trace as tracing
from rnncli.models import LayerUse
from rnncli.show.answer import Answer
from rnncli.show.formats import html
from rnncli.show.page import View


def write_tables(parts: Sequence[LayerUse], lang: str) -> str:
    """Return the tables as HTML."""
    return html.fragment(_answers(parts), View(lang=lang))


def _answers(parts: Sequence[LayerUse]) -> Iterator[Answer]:
    for part in parts:
        yield RunAnswer(compute.run(part.case))
        trace = tracing.trace(tracing.with_all_outputs(part.case))
        yield TraceAnswer(trace, tracing.list_loops(trace), {})
