"""Parse a layer or an initializer written as in a Python script, without evaluating it.

This module checks only syntax; `layers` and `initializers` know the names and their arguments.
Every part keeps its position in the text, so that errors can point at it.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rnncli.errors import LayerError, Message, Text, recognize

LONGEST = 20_000
DEEPEST = 50
PREFIXES = frozenset(
    {"tf", "tensorflow", "keras", "api"}
    | {"layers", "initializers", "activations", "constraints", "regularizers"}
)

ADVICE = Message(
    "An expression may contain only calls, names, numbers, strings, lists, tuples and "
    "dicts: LSTM(3, activation='relu')."
)

_SHOWN = 100
_STRING_OR_COMMENT = r"""(?s)'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|\#[^\n]*"""
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_REFUSED: Mapping[type[ast.AST], Text] = {
    **dict.fromkeys(
        (ast.BinOp, ast.UnaryOp, ast.BoolOp), Message("operators are not evaluated, write the result")
    ),
    ast.Compare: Message("comparisons are not evaluated, write the result"),
    ast.Lambda: Message("a lambda cannot be used"),
    ast.Subscript: Message("a subscript cannot be used"),
    **dict.fromkeys(_COMPREHENSIONS, Message("a comprehension cannot be used")),
    ast.JoinedStr: Message("an f-string cannot be used, write the text itself"),
    ast.IfExp: Message("a condition cannot be used"),
    ast.NamedExpr: Message("an assignment cannot be used"),
    ast.Set: Message("a set cannot be used, write a list"),
    ast.Starred: Message("*arguments cannot be unpacked, write them out"),
}

_SMALLER = Message("Write a smaller number.")
_UNNAMED = (Message("expected an argument name before ="), ADVICE)
_SYNTAX = {
    "Exceeds the limit": (Message("the number has too many digits"), _SMALLER),
    "cannot assign": _UNNAMED,
    "expression cannot": _UNNAMED,
    "invalid syntax. Maybe": (Message("invalid syntax"), ADVICE),
    "source code": (Message("it contains an invalid character"), ADVICE),
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

    def caret(self) -> str:
        """Return the source line, and `^^^` under the token in the next line; both indented by two."""
        from rich.cells import cell_len

        source = self.text.split("\n")[self.line - 1]
        end = max(self.start + 1, min(self.end, len(source)))
        first = max(0, self.start - _SHOWN // 2) if len(source) > _SHOWN else 0
        shown = "".join(char if char.isprintable() else " " for char in source[first : first + _SHOWN])
        start, end = self.start - first, min(end - first, _SHOWN)
        before, width = cell_len(shown[:start]), cell_len(shown[start:end])
        return f"  {shown}\n  {' ' * before}{'^' * max(1, width)}"


@dataclass(frozen=True)
class Name:
    """A bare name, such as `LSTM` or `normal`."""

    name: str
    span: TokenSpan = field(compare=False, repr=False)


@dataclass(frozen=True)
class CallExpression:
    """A call, such as `LSTM(3, use_bias=False)`, with its arguments in the given order.

    span: position of the called name.
    spans: position of each argument, by keyword or by positional index.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    span: TokenSpan = field(compare=False, repr=False)
    spans: dict[str | int, TokenSpan] = field(compare=False, repr=False, default_factory=dict)


def parse(text: str) -> Any:
    """Parse the single expression in `text` into plain Python values, `CallExpression` and `Name`.

    Raises LayerError if `text` is not valid.  Its `what` ends with the source line and a caret under the
    error.
    """
    text = text.strip().replace("\r\n", "\n").replace("\r", "\n")
    _limit_text(text)
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError as error:
        raise fault(_span_of_error(text, error), *_explain_syntax(error.msg)) from None
    except (RecursionError, MemoryError):
        raise fault(TokenSpan(text, 1, 0, 1), Message("it is nested too deeply")) from None
    except ValueError:
        raise fault(TokenSpan(text, 1, 0, 1), Message("it contains an invalid character")) from None
    return _TreeReader(text).value(tree.body)


def _explain_syntax(reason: str) -> tuple[Text, Text]:
    """Return the reason that Python gives, or a better one, and advice."""
    for start, ours in _SYNTAX.items():
        if reason.startswith(start):
            return ours
    return recognize(reason.rstrip(".?"), _PYTHON), ADVICE


def fault(span: TokenSpan, reason: Text | LayerError, advice: Text = ADVICE) -> LayerError:
    """Return a LayerError with this reason that points at `span`."""
    return LayerError("{reason}.\n{caret}", advice, reason=reason, caret=span.caret())


class _TreeReader:
    """Converts the syntax tree of one text to values."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.lines = text.split("\n")

    def value(self, node: ast.AST) -> Any:
        match node:
            case ast.Call():
                return self.call(node)
            case ast.Name() | ast.Attribute():
                return Name(self.name(node), self.span(node))
            case ast.List():
                return [self.value(item) for item in node.elts]
            case ast.Tuple():
                return tuple(self.value(item) for item in node.elts)
            case ast.Dict():
                pairs = zip(node.keys, node.values, strict=True)
                return {self.key(key, node): self.value(item) for key, item in pairs}
            case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as value)) if type(value) is not bool:
                return -self.constant(node.operand)
            case ast.Constant():
                return self.constant(node)
        raise self.fault(node, _REFUSED.get(type(node), Message("this cannot be used in an expression")))

    def constant(self, node: Any) -> Any:
        value = node.value
        if isinstance(value, float) and not math.isfinite(value):
            raise fault(self.span(node), Message("the number is too large"), _SMALLER)
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        raise self.fault(node, Message("a literal of type {name} cannot be used", name=type(value).__name__))

    def key(self, node: ast.AST | None, holder: ast.AST) -> str:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        raise self.fault(node or holder, Message("the keys of a dict must be strings"))

    def name(self, node: ast.AST) -> str:
        parts: list[str] = []
        whole = node
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            raise self.fault(whole, Message("expected a name here, such as LSTM or keras.layers.LSTM"))
        parts.append(node.id)
        for part in reversed(parts[1:]):
            if part not in PREFIXES:
                raise self.fault(
                    whole, Message("the name contains {part}, which is not part of Keras", part=part)
                )
        return parts[0]

    def call(self, node: ast.Call) -> CallExpression:
        name = self.name(node.func)
        spans: dict[str | int, TokenSpan] = {index: self.span(item) for index, item in enumerate(node.args)}
        kwargs: dict[str, Any] = {}
        args = tuple(self.value(item) for item in node.args)
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self.fault(keyword, Message("**arguments cannot be unpacked, write them out"))
            if keyword.arg in kwargs:
                what = Message("{arg} is given twice", arg=keyword.arg)
                raise fault(self.keyword_span(keyword), what, Message("Leave one of them out."))
            spans[keyword.arg] = self.keyword_span(keyword)
            kwargs[keyword.arg] = self.value(keyword.value)
        return CallExpression(name, args, kwargs, self.span(node.func), spans)

    def keyword_span(self, node: ast.keyword) -> TokenSpan:
        whole = self.span(node)
        token = re.compile(r"\w+").match(self.lines[whole.line - 1], whole.start)
        return TokenSpan(self.text, whole.line, whole.start, token.end() if token else whole.end)

    def span(self, node: Any) -> TokenSpan:
        """Convert Python's UTF-8 byte offsets to characters; a span covers only the first line of a node."""
        source = self.lines[node.lineno - 1]
        encoded = source.encode()
        start = len(encoded[: node.col_offset].decode())
        if node.end_lineno != node.lineno:
            return TokenSpan(self.text, node.lineno, start, len(source))
        return TokenSpan(self.text, node.lineno, start, len(encoded[: node.end_col_offset].decode()))

    def fault(self, node: ast.AST, reason: Text) -> LayerError:
        return fault(self.span(node), reason)


def _limit_text(text: str) -> None:
    """Reject empty, very long and deeply nested texts, which could exhaust the memory of Python's parser.

    Raises LayerError.
    """
    if not text:
        raise LayerError("the expression is empty.", "Name a layer, such as lstm, or write LSTM(3).")
    if len(text) > LONGEST:
        raise LayerError(
            "the expression has {length} characters; at most {longest} are allowed.",
            "Write the layer as a Keras config in a file: {--layer '@layer.json'}",
            length=len(text),
            longest=LONGEST,
        )
    if is_deeper(text, DEEPEST):
        raise LayerError(
            "the expression is nested more than {deepest} brackets.", "Use fewer brackets.", deepest=DEEPEST
        )


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
