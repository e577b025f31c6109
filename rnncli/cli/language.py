"""The language of messages, notes and help, which are written in English where they are raised."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from itertools import pairwise

from rnncli.errors import write

LANGUAGE: ContextVar[str] = ContextVar("language", default="en")
"""The language of this command line: `en` or `ko`."""

JOINER = "\N{WORD JOINER}"
"""Has no width, and counts as a character."""


def choose_language(args: Sequence[str], locale: str) -> str:
    """Return the language that the last --lang of a command line names, else that of the locale."""
    chosen = locale
    for word, after in pairwise([*args, ""]):
        if word == "--":
            break
        name, equals, value = word.partition("=")
        value = (value if equals else after).casefold()
        if name == "--lang" and value in ("en", "ko"):
            chosen = value
    return chosen


def localize(text: object, lang: str | None = None) -> str:
    """Return a message, an error or a text of the help in `lang`, by default that of this command line."""
    if (lang or LANGUAGE.get()) == "en":
        return write(text)
    from rnncli.locale import translate

    return write(text, translate)


def widen(text: str) -> str:
    """Put a joiner behind every wide character, so that a text is wrapped by its width in a terminal."""
    if text.isascii():
        return text
    from unicodedata import east_asian_width

    return "".join(f"{char}{JOINER}" if east_asian_width(char) in "WF" else char for char in text)


def narrow(text: str) -> str:
    """Take the joiners out again."""
    return text.replace(JOINER, "")
