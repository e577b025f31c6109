"""The tables of `run` and `trace` on the page, for readers without scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnncli import compute
from rnncli.commands.run.answer import RunAnswer
from rnncli.commands.trace.answer import TraceAnswer
from rnncli.compute import trace as tracing
from rnncli.models import LayerUse
from rnncli.show.formats import html
from rnncli.show.page import View


def write_tables(parts: Sequence[LayerUse], lang: str) -> str:
    """Return the tables as HTML."""
    return "".join(_tables(parts, View(lang=lang)))


def _tables(parts: Sequence[LayerUse], view: View) -> Iterator[str]:
    for part in parts:
        result = compute.run(part.case)
        yield html.fragment(RunAnswer(result), view)
        case = tracing.with_all_outputs(part.case)
        trace = tracing.trace(case)
        yield html.fragment(TraceAnswer(trace, tracing.list_loops(trace), {}), view)
