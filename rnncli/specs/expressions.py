"""Parse a layer or an initializer written as in a Python script, without evaluating it.

This module checks only syntax; `layers` and `initializers` know the names and their arguments.
Every part keeps its position in the text, so that errors can point at it.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from rnncli.cells import tree
from rnncli.cells.text import CellText
from rnncli.cells.tree import TokenSpan, parse_expression, span_of
from rnncli.errors import LayerError, Message, Text

LONGEST = 20_000
PREFIXES = frozenset(
    {"tf", "tensorflow", "keras", "api"}
    | {"layers", "initializers", "activations", "constraints", "regularizers"}
)

ADVICE = Message(
    "An expression may contain only calls, names, numbers, strings, lists, tuples and "
    "dicts: LSTM(3, activation='relu')."
)

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


@dataclass(frozen=True)
class BareName:
    """A bare name, such as `LSTM` or `normal`.  equations: from the file of a cell, `@mgu.toml`."""

    name: str
    span: TokenSpan = field(compare=False, repr=False)
    equations: CellText | None = None


@dataclass(frozen=True)
class CallExpression:
    """A call, such as `LSTM(3, use_bias=False)`, with its arguments in the given order.

    span: position of the called name.
    spans: position of each argument, by keyword or by positional index.
    equations: from the file of a cell, `@mgu.toml(4)`.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    span: TokenSpan = field(compare=False, repr=False)
    spans: dict[str | int, TokenSpan] = field(compare=False, repr=False, default_factory=dict)
    equations: CellText | None = None


_SMALLER = Message("Write a smaller number.")


_FILE = r"""@('[^']*\.toml'|"[^"]*\.toml"|(?<=\A@)[^@'"\n]+\.toml\Z|[^\s()\[\],'"]{0,4096}?\.toml\b)"""
"""A file after an @: in quotes; alone, whatever is in its path; or inside an expression, without blanks."""


def list_files(text: str) -> list[str]:
    """Return the files of cells in an expression: `@mgu.toml(4)`, `@'my cells/a.toml'(4)`.

    Empty for an expression that is too long; `parse` refuses it.
    """
    if ".toml" not in text or len(text) > LONGEST:
        return []
    return [match[1].strip("'\"") for match in re.finditer(_FILE, text)]


def parse(text: str, cells: Mapping[str, CellText] = MappingProxyType({})) -> Any:
    """Parse the single expression in `text` into plain Python values, `CallExpression` and `BareName`.

    cells: the equations in the files that it names after an @.
    Raises LayerError if `text` is not valid.  Its `what` ends with the source line and a caret under the
    error.
    """
    text = text.strip().replace("\r\n", "\n").replace("\r", "\n")
    if not text:
        raise LayerError("the expression is empty.", "Name a layer, such as lstm, or write LSTM(3).")
    if len(text) > LONGEST:  # it could exhaust the memory of Python's parser
        what = "the expression has {length} characters; at most {longest} are allowed."
        advice = "Write the layer as a Keras config in a file: {--layer '@layer.json'}"
        raise LayerError(what, advice, length=len(text), longest=LONGEST)
    named: list[CellText] = []

    def mask(match: re.Match[str]) -> str:
        """Return a name as long as the file's, so that every position stays."""
        named.append(cells[match[1].strip("'\"")])
        return f"{len(named) - 1}_".rjust(len(match[0]), "_")

    masked = re.sub(_FILE, mask, text) if cells else text
    try:
        expression = parse_expression(masked, ADVICE, text)
    except LayerError:
        if "@" not in masked:
            raise
        before, _, _ = masked.partition("@")
        line, start = before.count("\n") + 1, len(before.rpartition("\n")[2])
        raise fault(
            TokenSpan(text, line, start, start + 1),
            Message("after @ comes the path of a file that ends in .toml"),
            Message("For example @mgu.toml(4), or @'my cells/mgu.toml'(4)."),
        ) from None
    return _TreeReader(text, masked, named).value(expression)


def fault(span: TokenSpan, reason: Text | LayerError, advice: Text = ADVICE) -> LayerError:
    """Return a LayerError with this reason that points at `span`."""
    return tree.fault(span, reason, advice)


class _TreeReader:
    """Converts the syntax tree of one text to values.

    masked: what Python parsed instead of the text, with as many characters; Python counts in bytes.
    """

    def __init__(self, text: str, masked: str, cells: Sequence[CellText]) -> None:
        self.text, self.masked, self.cells = text, masked, cells
        self.lines = text.split("\n")

    def value(self, node: ast.AST) -> Any:
        match node:
            case ast.Call():
                return self.call(node)
            case ast.Name() | ast.Attribute():
                name, equations = self.name(node)
                return BareName(name, self.span(node), equations)
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

    def name(self, node: ast.AST) -> tuple[str, CellText | None]:
        """Return a name, and the equations of the file that it stands for."""
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
        file = re.fullmatch(r"_+(\d+)_", parts[0])
        if file and int(file[1]) < len(self.cells):
            cell = self.cells[int(file[1])]
            return cell.name, cell
        return parts[0], None

    def call(self, node: ast.Call) -> CallExpression:
        name, equations = self.name(node.func)
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
        return CallExpression(name, args, kwargs, self.span(node.func), spans, equations)

    def keyword_span(self, node: ast.keyword) -> TokenSpan:
        whole = self.span(node)
        token = re.compile(r"\w+").match(self.lines[whole.line - 1], whole.start)
        return TokenSpan(self.text, whole.line, whole.start, token.end() if token else whole.end)

    def span(self, node: Any) -> TokenSpan:
        _, line, start, end = span_of(self.masked, node)
        return TokenSpan(self.text, line, start, end)

    def fault(self, node: ast.AST, reason: Text) -> LayerError:
        return fault(self.span(node), reason)
