"""Text in a terminal: names made safe to show, since terminals obey control characters, and its width."""

from __future__ import annotations

from collections.abc import Iterable

from rnncli.errors import shorten

MOST_OF_A_NAME = 20
ENDLESS = 1_000_000
"""The width of a line of any length."""


def visible(text: str, keep: str = "") -> str:
    r"""Escape every control and format character in `text`: ESC becomes `\x1b`, U+202E `\u202e`.

    keep: characters to leave unchanged, such as the line feed of a message.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char in keep or _is_shown(char) else char.encode("unicode_escape").decode() for char in text
    )


def name_text(name: str) -> str:
    """Return the name of a step or an answer for a table: visible, and not too long."""
    return visible(shorten(name, MOST_OF_A_NAME))


def step_text(time: int, name: str) -> str:
    """Return `t=3 not`; `t=3` for a time step without a name."""
    return f"t={time} {name_text(name)}" if name else f"t={time}"


def _is_shown(char: str) -> bool:
    from unicodedata import category

    return char.isprintable() or category(char) == "Zs"


def escape_json(data: bytes) -> bytes:
    r"""Make JSON text safe to show, with the same meaning: U+202E becomes `\u202e`, also inside a key.

    JSON itself does not escape DEL, the C1 controls or format characters.
    """
    if data.isascii() and b"\x7f" not in data:
        return data
    text = data.decode("utf-8", "surrogatepass")
    if text.isprintable():
        return data
    return "".join(map(_json_char, text)).encode()


def _json_char(char: str) -> str:
    if char == "\n" or _is_shown(char):
        return char
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))


def width_of(text: str) -> int:
    """Return the terminal columns that `text` takes; a wide character takes two."""
    if text.isascii():
        return len(text)
    from unicodedata import east_asian_width

    return sum(2 if east_asian_width(char) in "WF" else 1 for char in text)


def longest(texts: Iterable[str]) -> int:
    """Return the width of the widest of `texts`; 0 if there are none."""
    return max(map(width_of, texts), default=0)
