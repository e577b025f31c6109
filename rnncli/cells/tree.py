"""The nodes of an equation, and the parser that makes them: text -> Python's syntax tree -> nodes.

A node is a plain value: two that are equal compute the same number, wherever they stand.
Python's grammar is parsed, never evaluated.  An error points at its token, a `TokenSpan`; so do those of
`specs.expressions`, which reads layers by the same grammar.
"""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

import ast
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from operator import mul, truediv
from typing import Any, NamedTuple, TypeAlias

from rnncli.errors import LayerError, Message, Text, join, recognize

LONGEST = 2_000
"""Most characters of an equation."""
DEEPEST = 50
"""Most levels of an equation's tree, and most brackets that may be open in any text that is parsed."""

ADVICE = Message(
    "An equation may contain names, numbers, + - * / ** @, parentheses and functions: "
    "sigmoid(x @ kernel + hidden @ recurrent_kernel + bias)."
)


class Number(NamedTuple):
    """A number."""

    value: float


class Name(NamedTuple):
    """`x`, a weight, a line or a state.

    kind: set by `resolve`: `before` for the value of a state before this step, `line` for a line that
        depends on a state, `free` for a line that does not; "" for anything else.
    """

    name: str
    kind: str = ""


class Sum(NamedTuple):
    """Terms with their signs, 1 or -1, added in this order."""

    terms: "tuple[tuple[int, Node], ...]"


class Operation(NamedTuple):
    """Two operands; symbol: one of `* / ** @`."""

    symbol: str
    left: "Node"
    right: "Node"


class Function(NamedTuple):
    """A function and its arguments.  function: its name as written, which may be the name of an option."""

    function: str
    arguments: "tuple[Node, ...]"


class Reshape(NamedTuple):
    """The numbers of `part` in another shape.  Axes of batch and time in front are kept.

    before: the sizes of its axes; order: of them, in the new order; shape: the sizes that follow from a
        reshape after that.
    """

    part: "Node"
    before: tuple[int, ...]
    order: tuple[int, ...]
    shape: tuple[int, ...]


class Einsum(NamedTuple):
    """The sum of products over one axis.  subscripts: a letter for each axis of left, right and the result.

    `("hk", "hkv", "hv")` multiplies a vector for each head with a matrix for each head.
    """

    left: "Node"
    right: "Node"
    subscripts: tuple[str, str, str]


class Shift(NamedTuple):
    """The window without the first entry of its first axis, then `value`, whose first axis has size 1."""

    window: "Node"
    value: "Node"
    rank: int


@dataclass(frozen=True)
class Index:
    """The numbers 0, 1, ..., size - 1.  No tuple, which would equal the Number `size`."""

    size: int


Node: TypeAlias = Number | Name | Sum | Operation | Function | Reshape | Einsum | Shift | Index
"""The last four have no names of axes; `sizes.py` writes them in place of the functions of AXES."""


REDUCTIONS = ("mean", "variance", "sum")
"""Functions over the last axis, which is kept with size 1; or over a named axis, which is dropped."""
AXES: Mapping[str, int] = {"outer": 2, "join": 1, "shift": 2, "index": 1}
"""The functions that move numbers between axes, and their numbers of arguments."""
FUNCTIONS: Mapping[str, int] = {
    **dict.fromkeys(("exp", "log", "sqrt", "abs", "cos", "sin"), 1),
    **dict.fromkeys(("maximum", "minimum"), 2),
    "clip": 3,
    **dict.fromkeys(REDUCTIONS, 1),
}
"""The functions of numbers beside Keras's activations, and their numbers of arguments."""

ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {"*": mul, "/": truediv, "**": pow}
"""The function of each operation on numbers or arrays; the caller computes the product with a weight."""


_SHOWN = 100
"""Most characters of a line that stand above a caret."""


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
"""Python's reasons that contain a value."""


def parse_expression(text: str, advice: Text, shown: str = "") -> Any:
    """Return Python's syntax tree of the single expression in `text`.

    advice: for errors that Python's reason does not explain.
    shown: what errors show instead of the text, with the same positions.
    Raises LayerError if `text` is not valid, with the source line and a caret under the error.
    """
    if is_deeper(text, DEEPEST):
        what = "the expression is nested more than {deepest} brackets."
        raise LayerError(what, "Use fewer brackets.", deepest=DEEPEST)
    shown = shown or text
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        lines = shown.split("\n")
        line = min(max(error.lineno or 1, 1), len(lines))
        start = min(max((error.offset or 1) - 1, 0), len(lines[line - 1]))
        same_line = error.end_lineno == line and error.end_offset is not None
        span = TokenSpan(shown, line, start, (error.end_offset or 1) - 1 if same_line else start + 1)
        raise fault(span, *_explain(error.msg, advice)) from None
    except (RecursionError, MemoryError):
        raise fault(TokenSpan(shown, 1, 0, 1), Message("it is nested too deeply"), advice) from None
    except ValueError:
        raise fault(TokenSpan(shown, 1, 0, 1), Message("it contains an invalid character"), advice) from None


def _explain(reason: str, advice: Text) -> tuple[Text, Text]:
    for start, (better_reason, better_advice) in _SYNTAX.items():
        if reason.startswith(start):
            return better_reason, better_advice or advice
    return recognize(reason.rstrip(".?"), _PYTHON), advice


def span_of(text: str, node: Any) -> TokenSpan:
    """Return the span of a node of Python's tree, in characters; of several lines, only the first.

    Python counts in bytes of UTF-8.
    """
    source = text.split("\n")[node.lineno - 1]
    encoded = source.encode()
    start = len(encoded[: node.col_offset].decode())
    if node.end_lineno != node.lineno:
        return TokenSpan(text, node.lineno, start, len(source))
    return TokenSpan(text, node.lineno, start, len(encoded[: node.end_col_offset].decode()))


def is_deeper(text: str, most: int) -> bool:
    """Return whether more than `most` brackets are open at once in a text, strings and comments left out."""
    depth = 0
    for char in re.sub(_STRING_OR_COMMENT, "", text):
        depth += (char in "([{") - (char in ")]}")
        if depth > most:
            return True
    return False


_SHORTER = Message("Give parts of it a line of their own.")
_OPERATORS: Mapping[type[ast.operator], str] = {
    ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.MatMult: "@",
}  # fmt: skip
_NUMBER = r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"


def parse(text: str, advice: Text = ADVICE) -> tuple[Node, dict[Node, TokenSpan]]:
    """Return the tree of an equation, and where in the text each of its nodes stands first.

    advice: says what an equation may contain.
    Raises LayerError, with a caret, for anything but names, numbers, operators and calls.
    """
    if not text.strip():
        raise LayerError("the equation is empty.", advice)
    if len(text) > LONGEST:
        what = "the equation has {length} characters; at most {longest} are allowed."
        raise LayerError(what, _SHORTER, length=len(text), longest=LONGEST)
    text = re.sub(r"\s", " ", text).strip()
    foreign = re.search(r"[^ -~]|#", text)
    if foreign:
        span = TokenSpan(text, 1, *foreign.span())
        raise fault(span, Message("this character cannot be used in an equation"), advice)
    reader = _EquationReader(text, advice)
    return reader.node(parse_expression(text, advice), 1), reader.spans


class _EquationReader:
    def __init__(self, text: str, advice: Text) -> None:
        self.text, self.advice = text, advice
        self.spans: dict[Node, TokenSpan] = {}

    def node(self, tree: ast.expr, depth: int) -> Node:
        if depth > DEEPEST:
            what = Message("this is nested more than {deepest} levels", deepest=DEEPEST)
            raise fault(span_of(self.text, tree), what, _SHORTER)
        result = self._make(tree, depth + 1)
        shown = tree.func if isinstance(tree, ast.Call) else tree
        self.spans.setdefault(result, span_of(self.text, shown))
        return result

    def _make(self, tree: ast.expr, depth: int) -> Node:
        match tree:
            case ast.Name():
                return Name(tree.id)
            case ast.Constant():
                return self._number(tree)
            case ast.BinOp(op=ast.Add() | ast.Sub()) | ast.UnaryOp(op=ast.USub()):
                return Sum(tuple(self._terms(tree, depth)))
            case ast.BinOp(left, operator, right) if type(operator) in _OPERATORS:
                operands = self.node(left, depth), self.node(right, depth)
                return Operation(_OPERATORS[type(operator)], *operands)
            case ast.Call(ast.Name(function), arguments, []) if not any(
                isinstance(argument, ast.Starred) for argument in arguments
            ):
                return Function(function, tuple(self.node(argument, depth) for argument in arguments))
        raise self.fault(tree, Message("this cannot be used in an equation"))

    def _terms(self, tree: ast.expr, depth: int) -> Iterator[tuple[int, Node]]:
        """Yield the terms of `a + b - c`, which Python nests to the left; a parenthesis is a single term."""
        chain: list[tuple[int, ast.expr]] = []
        while isinstance(tree, ast.BinOp) and isinstance(tree.op, (ast.Add, ast.Sub)):
            chain.append((1 if isinstance(tree.op, ast.Add) else -1, tree.right))
            outer, tree = tree, tree.left
            if (outer.lineno, outer.col_offset) != (tree.lineno, tree.col_offset):
                break  # the left operand stands in parentheses
        bare = not chain or (tree.lineno, tree.col_offset) == (outer.lineno, outer.col_offset)
        is_negated = bare and isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub)
        chain.append((-1, tree.operand) if is_negated else (1, tree))  # type: ignore[attr-defined]
        for sign, term in reversed(chain):
            yield sign, self.node(term, depth)

    def _number(self, tree: ast.Constant) -> Number:
        written = span_of(self.text, tree)
        if isinstance(tree.value, (bool, str, bytes)) or tree.value in (None, ...):
            raise self.fault(tree, Message("this cannot be used in an equation"))
        if not re.fullmatch(_NUMBER, self.text[written.start : written.end]):
            raise self.fault(tree, Message("this is not a decimal number"))
        value = float(self.text[written.start : written.end])
        if not math.isfinite(value):
            raise fault(written, Message("the number is too large"), Message("Write a smaller number."))
        return Number(value)

    def fault(self, tree: ast.expr, reason: Text) -> LayerError:
        return fault(span_of(self.text, tree), reason, self.advice)


def walk(node: Node) -> Iterator[Node]:
    """Yield the node and every node inside it, outermost first."""
    yield node
    for part in parts(node):
        yield from walk(part)


def parts(node: Node) -> tuple[Node, ...]:
    """Return the operands of a node."""
    match node:
        case Sum(terms):
            return tuple(term for _, term in terms)
        case Operation(_, left, right) | Einsum(left, right) | Shift(left, right):
            return left, right
        case Function(_, arguments):
            return arguments
        case Reshape(part):
            return (part,)
    return ()


def rebuild(node: Node, change: Callable[[Node], Node]) -> Node:
    """Return the node with `change` applied to each of its operands."""
    match node:
        case Sum(terms):
            return Sum(tuple((sign, change(term)) for sign, term in terms))
        case Operation(symbol, left, right):
            return Operation(symbol, change(left), change(right))
        case Function(function, arguments):
            return Function(function, tuple(map(change, arguments)))
        case Reshape() | Einsum() | Shift():
            changed: list[Any] = [change(operand) for operand in parts(node)]
            return type(node)(*changed, *node[len(changed) :])
    return node


def fold(node: Node) -> Node:
    """Return a constant sum or operation as a Number, in float64; other nodes are returned unchanged."""
    operands = [part.value for part in parts(node) if isinstance(part, Number)]
    if isinstance(node, Function) or not operands or len(operands) < len(parts(node)):
        return node
    try:
        match node:
            case Sum(terms):
                value = add([sign for sign, _ in terms], operands)
            case Operation(symbol) if symbol in ARITHMETIC:
                value = float(ARITHMETIC[symbol](*operands))
            case _:
                return node
    except (ArithmeticError, TypeError, ValueError):
        value = math.nan
    return finite(value, node)


def add(signs: Iterable[int], terms: Iterable[Any]) -> Any:
    """Return the sum of terms with these signs, in this order."""
    pairs = zip(signs, terms, strict=True)
    sign, total = next(pairs)
    total = total if sign > 0 else -total
    for sign, term in pairs:
        total = total + term if sign > 0 else total - term
    return total


def finite(value: float, node: Node) -> Number:
    """Return `value`, which the node computes, as a Number.  Raises LayerError if it is not finite."""
    if not math.isfinite(value):
        raise LayerError("{equation} is not a finite number.", "Write another number.", equation=write(node))
    return Number(value)


Operators: TypeAlias = Mapping[str, tuple[str, int, int, int]]
"""By symbol: its text, how strongly its left and its right operand must bind, and how strongly it binds.

Sums bind 1, products 2, a negative 3, powers 4, the rest 5.  `·` is a product with a number.
"""

PYTHON: Operators = {
    "*": ("{} * {}", 2, 3, 2),
    "·": ("{} * {}", 2, 3, 2),
    "/": ("{} / {}", 2, 3, 2),
    "**": ("{} ** {}", 5, 3, 4),
    "@": ("{} @ {}", 3, 3, 2),  # with parentheses that readers need
}


def write(
    node: Node,
    name: Callable[[Name], str] = lambda node: node.name,
    call: Callable[[str, list[str]], str] = lambda function, given: f"{function}({', '.join(given)})",
    operators: Operators = PYTHON,
    brackets: Callable[[str], str] = "({})".format,
) -> str:
    """Return the equation as text, in Python or in a notation with other operators and brackets.

    name, call: write a name, and a function with its arguments, in that notation.
    """

    def inside(part: Node, least: int) -> str:
        text = write(part, name, call, operators, brackets)
        return text if _strength(part, operators) >= least else brackets(text)

    match node:
        case Number(value):
            return f"{value:g}" if float(f"{value:g}") == value else repr(value)
        case Name():
            return name(node)
        case Sum(terms):
            (sign, first), *others = terms
            start = inside(first, 2) if sign > 0 else f"-{inside(first, 4)}"
            return start + "".join(f" {'+' if sign > 0 else '-'} {inside(term, 2)}" for sign, term in others)
        case Operation(_, left, right):
            text, before, after, _ = operators[_symbol(node)]
            return text.format(inside(left, before), inside(right, after))
        case Function(function, arguments):
            return call(function, [inside(argument, 0) for argument in arguments])
    raise TypeError(node)


def _symbol(node: Operation) -> str:
    is_scaled = node.symbol == "*" and Number in (type(node.left), type(node.right))
    return "·" if is_scaled else node.symbol


def _strength(node: Node, operators: Operators) -> int:
    match node:
        case Sum(((-1, _),)):
            return 3
        case Sum():
            return 1
        case Operation():
            return operators[_symbol(node)][-1]
        case Number(value) if value < 0:
            return 3
    return 5
