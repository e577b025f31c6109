"""Names made safe to show: a terminal obeys control characters, and XML has no place for them."""

from __future__ import annotations


def visible(text: str, keep: str = "") -> str:
    r"""`text` with every control and format character written out: ESC becomes `\x1b`, U+202E `\u202e`.

    keep: characters that stay as they are, such as the line feed of a message.
    """
    if text.isprintable():
        return text
    return "".join(char if char in keep or _is_shown(char) else _written_out(char) for char in text)


def _is_shown(char: str) -> bool:
    from unicodedata import category

    return char.isprintable() or category(char) == "Zs"


def _written_out(char: str) -> str:
    return char.encode("unicode_escape").decode()


def json_escaped(data: bytes) -> bytes:
    r"""JSON text that is as safe, and means the same strings: U+202E becomes `\u202e`, also inside a key.

    JSON's own rules leave DEL, the controls above it and all format characters as they are.
    """
    if data.isascii() and b"\x7f" not in data:
        return data
    text = data.decode("utf-8", "surrogatepass")
    if text.isprintable():
        return data
    return "".join(_json_char(char) for char in text).encode()


def _json_char(char: str) -> str:
    if char == "\n" or _is_shown(char):
        return char
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at] << 8 | units[at + 1]:04x}" for at in range(0, len(units), 2))
