"""`rnncli report`: a page that recomputes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.errors import UsageError

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.show.answer import Reply
    from rnncli.show.formats import OutputFlags

EXAMPLES = """\
rnncli report -o note.html
rnncli report --layer lstm --return-sequences --return-state -o lstm.html
rnncli report notes.json --layer bigru --seed 42 -o notes.html
rnncli report ids.json --model model.keras#gru -o gru.html
"""
OWN_FILES = True


def report(ask: Ask, output: OutputFlags) -> Reply[bytes]:
    """Write a page that shows the layer step by step, and recomputes what a reader changes.

    It is one file for any browser, which needs no network: drag an input number, switch return_sequences,
    hold a gate, mask a step, open the equation of any number. Without an input, a layer or a seed, it shows
    a trained layer: the sample `note`.
    """
    from rnncli.cli import files, terminal
    from rnncli.commands.report.page import build_page
    from rnncli.show.answer import Reply

    if output.is_stdout and terminal.stdout_is_terminal():
        raise UsageError("report writes a page for a browser.", "Name the file: {--output page.html}")
    if not output.is_stdout and not str(output.output).lower().endswith((".html", ".htm")):
        advice = "Name the file: {--output page.html}"
        raise UsageError("{output}: report writes an HTML page.", advice, output=output.output)
    if ask.engine not in ("auto", "numpy"):
        raise UsageError("{--engine} does not change the page.", "Leave {--engine} out.")
    page = build_page(ask, output.lang or terminal.LANGUAGE.get())
    return Reply(page.text.encode(), page.remarks, written=files.how_to_open(output.output))
