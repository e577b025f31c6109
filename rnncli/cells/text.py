"""A cell's text: its equations with their options and weights, parsed and checked."""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from rnncli.cells import activations
from rnncli.cells.tree import (
    Function,
    Name,
    Node,
    Number,
    Operation,
    Sum,
    TokenSpan,
    finite,
    fold,
    parse,
    point_at,
    rebuild,
    walk,
)
from rnncli.errors import LayerError, Message, Text

PACKED = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
"""Weights of which every line has columns of its own."""
BIASES = frozenset({"bias", "recurrent_bias"})

Size = int | str
"""A size of a weight: a number, `units` or `features`."""


class CellWeight(NamedTuple):
    """A weight beyond the packed ones.  initializer: None for Keras's default of this number of axes."""

    shape: tuple[Size, ...]
    initializer: Any = None


class CellText(NamedTuple):
    """A cell.

    states: the first is what the layer returns.  step: the lines, in their order, by name.
    gates: the lines that use a packed weight, in the order of its columns.
    initial: the states that do not start at 0.  options: names of activations, or numbers.
    weights: those beyond the packed ones.  initializers: of packed weights, if not by the options of that
        name: for all columns, or by line.
    spans: where the nodes of each line stand in its text.
    written: the text that it was read from.  file: its name, for errors; "" if a config has the text.
    first: what the text calls the first state, which is `hidden` here.
    """

    name: str
    states: tuple[str, ...]
    step: Mapping[str, Node]
    gates: tuple[str, ...]
    initial: Mapping[str, float]
    options: Mapping[str, str | float]
    weights: Mapping[str, CellWeight]
    initializers: Mapping[str, Any]
    source: str
    spans: Mapping[str, Mapping[Node, TokenSpan]]
    written: str = ""
    file: Text = ""
    first: str = "hidden"

    @property
    def class_name(self) -> str:
        """The name of a Spec with these equations, `@MGU`; no class of Keras can have it."""
        return f"@{self.name}"

    @property
    def title(self) -> str:
        """The name and the source."""
        return f"{self.name} ({self.source})" if self.source else self.name

    def function(self, name: str, config: Mapping[str, Any]) -> str:
        """Return the function of an equation: of an option, the activation that it names."""
        return str(config.get(name) or self.options.get(name, name))

    def lines_using(self, *weights: str) -> tuple[str, ...]:
        """Return the lines that use one of these packed weights, in the order of its columns."""
        return tuple(line for line in self.gates if not packed_in(self.step[line]).isdisjoint(weights))

    def packing(self) -> dict[str, tuple[str, ...]]:
        """Return, by weight, the lines whose columns stand in it side by side."""
        return {name: self.lines_using(*(BIASES if name in BIASES else (name,))) for name in PACKED}

    @property
    def has_two_biases(self) -> bool:
        """Whether `bias` has two rows, the second for `recurrent_bias`."""
        return bool(self.lines_using("recurrent_bias"))

    @property
    def traced(self) -> tuple[str, ...]:
        """The lines that are not states, in their order: the gates of a trace."""
        return tuple(line for line in self.step if line not in self.states)


def line_number(text: str, path: tuple[str, ...]) -> int | None:
    """Return the line, from 1, on which the entry begins, as far as a search finds it."""
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*([\w.]+)\s*\]", line):
            table = header[1]
            if ".".join(path) == table:
                return number
        own = re.match(r"""\s*["']?([\w.]+)["']?\s*=""", line)
        if own and (table, own[1]) in [("".join(path[:-1]), path[-1]), ("", ".".join(path))]:
            return number
    return None


@contextmanager
def at(text: str, *path: str) -> Iterator[None]:
    """Name the line of this entry of a file, and its last name, in an error."""
    try:
        yield
    except LayerError as error:
        what = Message("line {number}, {name}", number=line_number(text, path) or 1, name=path[-1])
        raise LayerError("{place}: {error}", error.advice, place=what, error=error) from None


def define(
    name: str,
    states: tuple[str, ...],
    step: Mapping[str, str],
    options: Mapping[str, str | float],
    source: str,
    initializers: Mapping[str, Any] = MappingProxyType({}),
) -> CellText:
    """Return the cell of these equations.  Raises LayerError if one of them cannot be parsed."""
    parsed = {line: parse(text) for line, text in step.items()}
    trees = {line: node for line, (node, _) in parsed.items()}
    spans = {line: spans for line, (_, spans) in parsed.items()}
    return CellText(name, states, trees, packed_lines(trees), {}, options, {}, initializers, source, spans)


def packed_lines(step: Mapping[str, Node]) -> tuple[str, ...]:
    """Return the lines that use a packed weight."""
    return tuple(line for line, node in step.items() if packed_in(node))


@lru_cache(1024)  # for each name in a line
def packed_in(node: Node) -> frozenset[str]:
    """Return the packed weights that an equation uses."""
    return frozenset(one.name for one in walk(node) if isinstance(one, Name) and one.name in PACKED)


_RESOLVED: dict[tuple[Any, ...], tuple[CellText, Mapping[str, Node]]] = {}
"""What `resolve` returned in this process: a command makes a cell several times, a search by the hundred."""
KEPT = 64
"""Number of cells whose lines are kept."""


def resolve(text: CellText, config: Mapping[str, Any], *, in_order: bool = True) -> Mapping[str, Node]:
    """Return the lines as they are computed with these options.

    A name of a state means its value before the step until the state's own line.  Numbers of options stand
    as numbers.  Without `use_bias` a bias is 0.  In a sum, the terms that depend on no state come first.
    in_order: otherwise the terms of a sum stay as they are written, which people read.
    Raises LayerError, with a caret, where a constant is not finite.
    """
    numbers = {name: config.get(name, value) for name, value in text.options.items()}
    key = id(text), repr(numbers), config["use_bias"], in_order  # with -0.0, which equals 0.0
    if key not in _RESOLVED:
        if len(_RESOLVED) >= KEPT:
            _RESOLVED.clear()
        _RESOLVED[key] = text, _resolve(text, numbers, config["use_bias"], in_order)
    return _RESOLVED[key][1]


def _resolve(
    text: CellText, numbers: Mapping[str, Any], use_bias: bool, in_order: bool
) -> Mapping[str, Node]:
    kinds = dict.fromkeys(text.states, "before")

    def change(node: Node) -> Node:
        with point_at(text.spans[line].get(node)):
            return make(node)

    def make(node: Node) -> Node:
        match node:
            case Name(name) if name in kinds:
                return Name(name, kinds[name])
            case Name(name) if isinstance(numbers.get(name), (int, float)):
                return Number(float(numbers[name]))
            case Name(name) if name in BIASES and not use_bias:
                return Number(0.0)
            case Operation("@", left, _) if isinstance(constant := change(left), Number):
                if constant.value:
                    raise LayerError(
                        "a number alone stands on the left of @.", "Put a name there, such as x or hidden."
                    )
                return constant  # a bias that is not used
            case Sum(terms):
                kept = [(sign, new) for sign, term in terms if (new := change(term)) != Number(0.0)]
                return _sum(_ordered(kept) if in_order else kept)
        return fold_with(rebuild(node, change), numbers)

    found: dict[str, Node] = {}
    for line, node in text.step.items():
        with at(text.written, "step", text.first if line == "hidden" else line):
            found[line] = change(node)
        kinds[line] = "line" if depends_on_state(found[line]) else "free"
    return found


def fold_with(node: Node, options: Mapping[str, Any]) -> Node:
    """Return the Number that a constant node is, with these options; any other node as it is.

    Raises LayerError if the number is not finite.
    """
    if not isinstance(node, Function) or not all(isinstance(one, Number) for one in node.arguments):
        return fold(node)
    given = [one.value for one in node.arguments if isinstance(one, Number)]
    return finite(activations.compute_constant(options.get(node.function, node.function), given), node)


def depends_on_state(node: Node) -> bool:
    """Return whether the number that a resolved node computes can differ with the state."""
    return any(isinstance(one, Name) and one.kind in ("before", "line") for one in walk(node))


def _ordered(terms: list[tuple[int, Node]]) -> list[tuple[int, Node]]:
    """Return the terms with those that depend on no state first, as one sum of their own."""
    free = [one for one in terms if not depends_on_state(one[1])]
    others = [one for one in terms if depends_on_state(one[1])]
    return [(1, Sum(tuple(free))), *others] if len(free) > 1 and others else free + others


def _sum(terms: list[tuple[int, Node]]) -> Node:
    if not terms:
        return Number(0.0)
    return fold(terms[0][1] if len(terms) == 1 and terms[0][0] > 0 else Sum(tuple(terms)))
