"""Parse a text by Python's grammar, without evaluating it; errors point at the place.

What of that grammar may be used is decided by the reader of the tree: `specs.expressions` for layers,
`cells.tree` for equations.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from rnncli.errors import LayerError, Message, Text, join, recognize

DEEPEST = 50
"""Most brackets that may be open at one place of a text."""

_SHOWN = 100
_STRING_OR_COMMENT = r"""(?s)'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|\#[^\n]*"""
_SMALLER = Message("Write a smaller number.")
_UNNAMED = (Message("expected an argument name before ="), None)
_SYNTAX: dict[str, tuple[Text, Text | None]] = {
    "Exceeds the limit": (Message("the number has too many digits"), _SMALLER),
    "cannot assign": _UNNAMED,
    "expression cannot": _UNNAMED,
    "leading zeros": (Message("a number cannot begin with 0"), None),
    "invalid syntax. Maybe": (Message("invalid syntax"), None),
    "source code": (Message("it contains an invalid character"), None),
}
"""How reasons that Python gives begin, and the reason and advice that replace them."""

_PYTHON = (
    "{bracket} was never closed",
    "closing parenthesis {closing} does not match opening parenthesis {opening}",
    "unmatched {bracket}",
    "f-string: expecting {character}",
    "unterminated string literal (detected at line {line})",
    "unterminated triple-quoted string literal (detected at line {line})",
    "invalid digit {digit} in {base} literal",
    "invalid character {character} ({code})",
    "invalid non-printable character {code}",
)
"""Reasons of Python's that have a value."""


class TokenSpan(NamedTuple):
    """Position of a token: `line` counts from 1; `start` and `end` are character offsets in it, from 0."""

    text: str
    line: int
    start: int
    end: int

    def caret(self) -> Message:
        """Return the source line, and `^^^` under the token in the next line; both indented by two."""
        from rich.cells import cell_len

        source = self.text.split("\n")[self.line - 1]
        end = max(self.start + 1, min(self.end, len(source)))
        first = max(0, self.start - _SHOWN // 2) if len(source) > _SHOWN else 0
        shown = "".join(char if char.isprintable() else " " for char in source[first : first + _SHOWN])
        start, end = self.start - first, min(end - first, _SHOWN)
        before, width = cell_len(shown[:start]), cell_len(shown[start:end])
        return join((f"  {shown}", f"  {' ' * before}{'^' * max(1, width)}"), "\n")


class PointingError(LayerError):
    """An error whose sentence ends with the source line and a caret below the token."""


def fault(span: TokenSpan, reason: Text | LayerError, advice: Text = "") -> PointingError:
    """Return an error with this reason that points at `span`."""
    return PointingError("{reason}.\n{caret}", advice, reason=reason, caret=span.caret())


@contextmanager
def point_at(span: TokenSpan | None) -> Iterator[None]:
    """Add a caret under `span` to errors that have none; None adds nothing."""
    try:
        yield
    except LayerError as error:
        points = isinstance(error, PointingError)
        raise error if span is None or points else fault(span, error, error.advice) from None


def parse_expression(text: str, advice: Text, shown: str = "") -> Any:
    """Return Python's syntax tree of the single expression in `text`.

    advice: for errors that Python's reason does not explain.
    shown: what errors show instead of the text, with the same positions.
    Raises LayerError if `text` is not valid.  Its `what` ends with the source line and a caret under the
    error.
    """
    if is_deeper(text, DEEPEST):
        raise LayerError(
            "the expression is nested more than {deepest} brackets.", "Use fewer brackets.", deepest=DEEPEST
        )
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise fault(_span_of_error(shown or text, error), *_explain(error.msg, advice)) from None
    except (RecursionError, MemoryError):
        raise fault(TokenSpan(shown or text, 1, 0, 1), Message("it is nested too deeply"), advice) from None
    except ValueError:
        raise fault(
            TokenSpan(shown or text, 1, 0, 1), Message("it contains an invalid character"), advice
        ) from None


def _explain(reason: str, advice: Text) -> tuple[Text, Text]:
    """Return the reason that Python gives, or a better one, and advice."""
    for start, (ours, own) in _SYNTAX.items():
        if reason.startswith(start):
            return ours, own or advice
    return recognize(reason.rstrip(".?"), _PYTHON), advice


def span_of(text: str, node: Any) -> TokenSpan:
    """Convert Python's UTF-8 byte offsets to characters; a span covers only the first line of a node."""
    source = text.split("\n")[node.lineno - 1]
    encoded = source.encode()
    start = len(encoded[: node.col_offset].decode())
    if node.end_lineno != node.lineno:
        return TokenSpan(text, node.lineno, start, len(source))
    return TokenSpan(text, node.lineno, start, len(encoded[: node.end_col_offset].decode()))


def is_deeper(text: str, most: int) -> bool:
    """Return whether more than `most` brackets are open at one place of a text, strings left out."""
    depth = 0
    for char in re.sub(_STRING_OR_COMMENT, "", text):
        depth += (char in "([{") - (char in ")]}")
        if depth > most:
            return True
    return False


def _span_of_error(text: str, error: SyntaxError) -> TokenSpan:
    lines = text.split("\n")
    line = min(max(error.lineno or 1, 1), len(lines))
    start = min(max((error.offset or 1) - 1, 0), len(lines[line - 1]))
    same_line = error.end_lineno == line and error.end_offset is not None
    return TokenSpan(text, line, start, (error.end_offset or 1) - 1 if same_line else start + 1)
