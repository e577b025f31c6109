"""The streams: data on stdout, messages on stderr, and what a terminal can show."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Literal, TextIO

from rnncli.errors import RnncliError, UsageError
from rnncli.visible import visible

KEPT = 100
"""Signs at either end of a word that is far longer: a path's, or what somebody took for a key."""


MOST = 1500
"""Signs of a message, whatever it quotes."""
LINES = 18
"""Lines of one."""


def complain(error: RnncliError) -> None:
    """`rnncli: <what>`, then the advice, on stderr."""
    text = f"{error.what}\n{error.advice}".rstrip()
    _say(f"rnncli: {_visible(text)}", style="\x1b[1;31m")


def remark(remarks: Iterable[str], quiet: bool) -> None:
    """`rnncli: note: ...` on stderr, one line each, unless `quiet`."""
    for text in () if quiet else remarks:
        _say(f"rnncli: note: {_visible(text)}")


def _visible(text: str) -> str:
    """A name or a value may hold anything: no control character reaches the terminal, nor a whole page."""
    shown = visible(_ends(text, 3 * MOST), keep="\n")
    lines = _ends(re.sub(rf"(\S{{{KEPT}}})\S{{{KEPT},}}(\S{{{KEPT}}})", r"\1…\2", shown), MOST).split("\n")
    if len(lines) > LINES:
        lines = [*lines[: LINES - 4], "…", *lines[-3:]]
    return "\n".join(lines)


def _ends(text: str, most: int) -> str:
    """Of a long text the beginning, and the end, which says what to do."""
    return text if len(text) <= most else f"{text[: most * 2 // 3]} … {text[-most // 3 :]}"


def _say(text: str, style: str = "") -> None:
    """`text`, the program's name in `style` where there is colour.

    A message that cannot be written is lost, and nothing else: neither the data nor the exit code.
    """
    stream = sys.stderr
    if stream is None:
        return
    try:
        if stream.isatty() and (width := columns(stream, {})):
            text = wrapped(text, width)
        if style and has_colour(stream, os.environ):
            name, _, rest = text.partition(" ")
            text = f"{style}{name}\x1b[0m {rest}"
        encoding = stream.encoding or "utf-8"
        stream.write(f"{text}\n".encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except OSError:
        _silence(2)


def wrapped(text: str, width: int) -> str:
    """`text` broken between words; a quoted line and its carets stand as they are, as does a long word.

    A shape is one word.
    """
    import textwrap

    wrap = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
    lines = (
        [line] if len(line) <= width or line.startswith(" ") else wrap.wrap(line)
        for line in re.sub(r"\((\w+, )+\w*\)", _unbroken, text).split("\n")
    )
    return "\n".join(part for parts in lines for part in parts).replace("\xa0", " ")


def _unbroken(shape: re.Match[str]) -> str:
    return shape[0].replace(" ", "\xa0")


def write(data: str | bytes) -> None:
    """`data` on stdout; a reader that has gone away is no error.  OSError where the disk is full."""
    try:
        put(data if isinstance(data, bytes) else data.encode(encoding(), "backslashreplace"))
    except BrokenPipeError:
        silence_stdout()


def put(data: bytes) -> None:
    """`data` on stdout.  BrokenPipeError where its reader has gone away, OSError where the disk is full."""
    Stdout().write(data)
    flush()


class Stdout:
    """Stdout for bytes; never seeks: what it is redirected to may be appended to.

    UsageError where it is closed.  Who holds it too may have said that nobody waits there: here one does.
    """

    def __init__(self) -> None:
        self._ended = False
        demand_stdout("Write to a file with --output FILE.")
        with suppress(OSError, ValueError):
            os.set_blocking(sys.stdout.fileno(), True)
        sys.stdout.flush()

    def write(self, data: bytes) -> int:
        """All of it; nothing more once that was interrupted, however the writer then ends what it began."""
        if self._ended:
            return len(data)
        rest, self._ended = memoryview(data), True
        while rest:  # an unbuffered stream may take only a part
            rest = rest[sys.stdout.buffer.write(rest) :]
        self._ended = False
        return len(data)

    def flush(self) -> None:
        """Send it on its way."""
        flush()


def is_watched() -> bool:
    """Whether stdout is a terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def demand_stdout(advice: str) -> None:
    """UsageError where standard output was closed before the program began."""
    if sys.stdout is None:
        raise UsageError("standard output is closed.", advice)


def encoding() -> str:
    """What characters become on stdout."""
    return (sys.stdout and sys.stdout.encoding) or "utf-8"


def flush() -> None:
    """Send what was written on its way; a full disk may show only here."""
    if sys.stdout is not None:
        sys.stdout.flush()


def silence_stdout() -> None:
    """Send the rest nowhere, so that the interpreter does not complain of it when it leaves."""
    _silence(1)


def _silence(descriptor: int) -> None:
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)


def has_colour(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Only a terminal has, unless FORCE_COLOR; NO_COLOR or FORCE_COLOR=0 take it away.  Empty is not set."""
    forced = environment.get("FORCE_COLOR", "").casefold()
    if environment.get("NO_COLOR") or forced in ("0", "false"):
        return False
    if forced:
        return True
    return stream.isatty() and environment.get("TERM") != "dumb"


def depth(environment: Mapping[str, str]) -> Literal["truecolor", "256", "none"]:
    """How many colours a terminal that has some can show; none where they are too few for a heat map."""
    if environment.get("COLORTERM", "").casefold() in ("truecolor", "24bit"):
        return "truecolor"
    term = environment.get("TERM", "")
    return "256" if "256" in term or not term else "none"


def columns(stream: TextIO, environment: Mapping[str, str]) -> int | None:
    """The terminal's width, else a COLUMNS that is a width, else None: never cut."""
    try:
        if stream.isatty() and (width := os.get_terminal_size(stream.fileno()).columns) > 0:
            return width
    except (OSError, ValueError):
        pass
    text = environment.get("COLUMNS", "")
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def encodes(stream: TextIO, text: str) -> bool:
    """Whether `text` can be written to `stream`."""
    try:
        text.encode(stream.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def language(environment: Mapping[str, str]) -> str:
    """`ko` where the first set of LC_ALL, LC_MESSAGES and LANG says so, else `en`."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environment.get(name):
            return "ko" if value.lower().startswith("ko") else "en"
    return "en"
