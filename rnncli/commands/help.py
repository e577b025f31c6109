"""`rnncli help`: a page of the handbook, the help of a command, or the list of pages."""

from __future__ import annotations

from itertools import chain

from rnncli.cli.catalog import click
from rnncli.errors import Message, UsageError, nearest

EXAMPLES = """\
rnncli help masks
rnncli help
rnncli help run
rnncli help return_state --lang ko
"""


def help(*, topic: list[str] | None, quiet: bool, lang: str | None) -> None:  # noqa: A001, ARG001 - there are none
    """A page of the handbook, or the help of a command.

    Without a topic, list all pages.
    """
    from rnncli import handbook
    from rnncli.cli import catalog, pager, terminal

    lang = lang or terminal.LANGUAGE.get()
    words = " ".join(topic or ()).strip()
    word = words.casefold().replace("-", "_")
    if not word:
        pager.show_text(list_topics(lang))
    elif page := handbook.find(words):
        pager.show_markdown(handbook.read(page, lang))
    elif word in catalog.names():
        program = click.globals.get_current_context().find_root()
        command = catalog.command(program, word)
        with command.make_context(word, [], program, resilient_parsing=True) as context:
            terminal.write(f"{command.get_help(context)}\n")
    else:
        near = nearest(word, [*handbook.TOPICS, *chain(*handbook.ALIASES.values()), *catalog.names()])
        advice = "Did you mean rnncli help {near}?" if near else "rnncli help lists all pages."
        raise UsageError("there is no page {topic!r}.", advice, topic=words, near=near)


def list_topics(lang: str) -> str:
    """Return the list of pages, a line each, under their headings."""
    from rnncli import handbook
    from rnncli.cli.terminal import localize

    width = max(map(len, handbook.TOPICS))
    parts = []
    for heading, topics in handbook.SECTIONS.items():
        lines = ""
        for topic in topics:
            title = Message(handbook.title(topic, lang))
            if lang == "ko" and not handbook.is_korean(topic):
                title = Message("{title} (in English)", title=title)
            lines += f"  {topic.ljust(width)}  {localize(title, lang)}\n"
        parts.append(f"{localize(heading, lang)}:\n{lines}")
    last = Message("`rnncli help masks` shows a page, `rnncli help run` the flags of a command.")
    return "\n".join([*parts, f"{localize(last, lang)}\n"])
