"""The streams: data on stdout, messages on stderr in the reader's language, and what a terminal can show."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, TextIO

from rnncli.errors import Message, RnncliError, Text, UsageError
from rnncli.errors import write as write_text
from rnncli.show.visible import visible, width_of

if TYPE_CHECKING:
    from rnncli.show.page import View

ColorDepth = Literal["truecolor", "256", "none"]

EDGE_LENGTH = 100
"""Characters to keep at either end of a much longer word, such as a path or mistyped input."""

LONG_WORD = rf"(\S{{{EDGE_LENGTH}}})\S{{{EDGE_LENGTH},}}(\S{{{EDGE_LENGTH}}})"
"""Matches such a long word."""

MAX_LENGTH = 1500
"""Maximum number of characters of a message, including quotes."""
MAX_LINES = 18
"""Maximum number of lines of a message."""


LANGUAGE: ContextVar[str] = ContextVar("language", default="en")
"""The language of this command line: `en` or `ko`."""

JOINER = "\N{WORD JOINER}"
"""Has no width, and counts as a character."""


def choose_language(args: Sequence[str], locale: str) -> str:
    """Return the language of the last --lang of a command line, else of the locale."""
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
    """Return a message, an error or a text of the help in `lang`, by default in this command's language."""
    if (lang or LANGUAGE.get()) == "en":
        return write_text(text)
    from rnncli.show.wording import say

    return say(text, lang or LANGUAGE.get())


def widen(text: str) -> str:
    """Put a joiner behind every wide character, so that a text is wrapped by its width in a terminal."""
    if text.isascii():
        return text
    from unicodedata import east_asian_width

    return "".join(f"{char}{JOINER}" if east_asian_width(char) in "WF" else char for char in text)


def narrow(text: str) -> str:
    """Take the joiners out again."""
    return text.replace(JOINER, "")


def print_error(error: RnncliError) -> None:
    """Print `rnncli: <what>`, then the advice, on stderr."""
    text = f"{localize(error)}\n{localize(error.advice)}".rstrip()
    _say(f"rnncli: {_visible(text)}", style="\x1b[1;31m")


def remark(remarks: Iterable[Text], quiet: bool) -> None:
    """Print `rnncli: note: ...` on stderr, one line each, unless `quiet`."""
    for text in () if quiet else remarks:
        _say(f"rnncli: {localize('note')}: {_visible(localize(text))}")


def _visible(text: str) -> str:
    """Make control characters visible and shorten long text; names and values may hold anything."""
    shown = visible(_shorten(re.sub(LONG_WORD, r"\1…\2", text), 3 * MAX_LENGTH), keep="\n")
    lines = _shorten(re.sub(LONG_WORD, r"\1…\2", shown), MAX_LENGTH).split("\n")
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 4], "…", *lines[-3:]]
    return "\n".join(lines)


def _shorten(text: str, most: int) -> str:
    """Shorten a long text to its beginning and its end, which says what to do."""
    return text if len(text) <= most else f"{text[: most * 2 // 3]} … {text[-most // 3 :]}"


def _say(text: str, style: str = "") -> None:
    """Print `text`, with the program's name in `style` if stderr has color.

    If the message cannot be written, it is lost; the data and the exit code are unaffected.
    """
    stream = sys.stderr
    if stream is None:
        return
    try:
        if stream.isatty() and (width := columns(stream, {})):
            text = wrap(text, width)
        if style and has_color(stream, os.environ):
            name, _, rest = text.partition(" ")
            text = f"{style}{name}\x1b[0m {rest}"
        codec = stream.encoding or "utf-8"
        stream.write(f"{text}\n".encode(codec, "backslashreplace").decode(codec))
        stream.flush()
    except OSError:
        silence_stdout(2)


def say_dim(texts: Iterable[str]) -> None:
    """Print the first of `texts` that fits on stderr if it is a terminal.

    The last line of a text is a command: wrapped, it could not be copied.
    """
    stream = sys.stderr
    if stream is None or not stream.isatty():
        return
    width = columns(stream, {}) or 0
    text = next((text for text in texts if width_of(text.rpartition("\n")[2]) <= width), None)
    if text is None:
        return
    heading, end, command = text.rpartition("\n")
    text = f"{wrap(heading, width)}{end}{command}"
    styled = f"\x1b[2m{_visible(text)}\x1b[0m" if has_color(stream, os.environ) else _visible(text)
    with suppress(OSError, UnicodeEncodeError):
        stream.write(f"{styled}\n")
        stream.flush()


def wrap(text: str, width: int) -> str:
    """Wrap `text` between words; quoted lines with carets and long words are left unchanged.

    A shape counts as one word.
    """
    import textwrap

    wrapper = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
    lines: list[str] = []
    joined = re.sub(r"\((\w+, )+\w*\)", lambda shape: shape[0].replace(" ", "\xa0"), widen(text))
    for line in joined.split("\n"):
        is_kept = len(line) <= width or line.startswith(" ")
        lines += [line] if is_kept else wrapper.wrap(line)
    return narrow("\n".join(lines)).replace("\xa0", " ")


def write(data: str | bytes) -> None:
    """Write `data` to stdout; ignore a reader that has gone.  Raises OSError if the disk is full."""
    try:
        Stdout().write(data if isinstance(data, bytes) else data.encode(encoding(), "backslashreplace"))
        flush()
    except BrokenPipeError:
        silence_stdout()


class Stdout:
    """Binary stdout; never seeks, because it may be redirected to append to a file.

    Raises UsageError if it is closed.  Makes it blocking: another process that shares it may have made it
    non-blocking.
    """

    def __init__(self) -> None:
        self._ended = False
        require_stdout(Message("Write to a file with {--output FILE}."))
        with suppress(OSError, ValueError):
            os.set_blocking(sys.stdout.fileno(), True)
        sys.stdout.flush()

    def write(self, data: bytes) -> int:
        """Write all of `data`; after an interrupted write, discard whatever follows."""
        if self._ended:
            return len(data)
        rest, self._ended = memoryview(data), True
        while rest:  # an unbuffered stream may write only a part
            rest = rest[sys.stdout.buffer.write(rest) :]
        self._ended = False
        return len(data)

    def flush(self) -> None:
        """Flush the stream."""
        flush()


def stderr_is_terminal() -> bool:
    """Return whether stderr is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def stdout_is_terminal() -> bool:
    """Return whether stdout is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def require_stdout(advice: Text) -> None:
    """Raise UsageError if standard output was closed before the program began."""
    if sys.stdout is None:
        raise UsageError("standard output is closed.", advice)


def encoding() -> str:
    """Return the encoding of stdout."""
    return (sys.stdout and sys.stdout.encoding) or "utf-8"


def flush() -> None:
    """Flush stdout; a full disk may show up only here."""
    if sys.stdout is not None:
        sys.stdout.flush()


def silence_stdout(descriptor: int = 1) -> None:
    """Discard further output, so that the interpreter does not report an error at exit; of stderr, 2."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def has_color(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether to use color: on a terminal, or with FORCE_COLOR.

    NO_COLOR and FORCE_COLOR=0 turn it off.  An empty variable counts as not set.
    """
    forced = environment.get("FORCE_COLOR", "").casefold()
    if environment.get("NO_COLOR") or forced in ("0", "false"):
        return False
    if forced:
        return True
    return stream.isatty() and environment.get("TERM") != "dumb"


def drawing_view(lang: str | None, width: int | None, drawn: str) -> tuple[View, ColorDepth]:
    """Return what standard output can show of a drawing, and in how many colors.

    drawn: the characters of the drawing.
    """
    from rnncli.show.page import View

    view = View(
        lang=displayable_language(lang),
        width=width or columns(sys.stdout, os.environ),
        ascii=not encodes(sys.stdout, drawn),
    )
    return view, depth(os.environ) if has_color(sys.stdout, os.environ) else "none"


def depth(environment: Mapping[str, str]) -> ColorDepth:
    """Return how many colors a color terminal can show; none if they are too few for a heat map."""
    if environment.get("COLORTERM", "").casefold() in ("truecolor", "24bit"):
        return "truecolor"
    term = environment.get("TERM", "")
    return "256" if "256" in term or not term else "none"


def columns(stream: TextIO, environment: Mapping[str, str]) -> int | None:
    """Return the terminal's width, else a valid COLUMNS, else None: do not cut lines."""
    try:
        if stream.isatty() and (width := os.get_terminal_size(stream.fileno()).columns) > 0:
            return width
    except (OSError, ValueError):
        pass
    text = environment.get("COLUMNS", "")
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def encodes(stream: TextIO, text: str) -> bool:
    """Return whether `text` can be encoded for `stream`."""
    try:
        text.encode(stream.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def displayable_language(lang: str | None) -> str:
    """Return the language of --lang, else the locale's; English where Korean cannot be shown."""
    if lang is not None or sys.stdout is None:
        return lang or "en"
    return language(os.environ) if encodes(sys.stdout, "한") else "en"


def language(environment: Mapping[str, str] = os.environ) -> str:
    """Return `ko` if the first set of LC_ALL, LC_MESSAGES and LANG says so, else `en`."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environment.get(name):
            return "ko" if value.lower().startswith("ko") else "en"
    return "en"
