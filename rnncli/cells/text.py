"""A cell's text: its equations with their options and weights, parsed and checked; and written again.

It is written as the file that `reading.py` reads, and in symbols, for people.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from rnncli.cells import activations, tree
from rnncli.cells.tree import PYTHON, Name, write
from rnncli.errors import LayerError, Message, Text

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.


PACKED = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
"""Weights in which each line has its columns."""
BIASES = frozenset({"bias", "recurrent_bias"})

Size = int | str
"""A size of a weight: a number, `units`, `features`, or a name from the `[sizes]` of its file."""


class CellWeight(NamedTuple):
    """A weight that is not packed.  initializer: None for the usual one, see Cell.all_initializers."""

    shape: tuple[Size, ...]
    initializer: Any = None


class CellText(NamedTuple):
    """A cell.

    states: the names of the states; the layer returns the first.
    step: the equation of each line, in order, by the line's name.
    gates: the lines that use a packed weight, in the order of its columns.
    initial: the start values of the states that do not start at 0.
    options: names of activations, or numbers, by the option's name.
    weights: the weights that are not packed.
    initializers: by packed weight, the initializers that replace the layer's options: for all columns
        (`initializer`), or by line.
    spans: where the nodes of each line stand in its text.
    written: the text of the whole cell.  file: the name of its file, for errors; "" for a text in a config.
    first: the name of the first state in the text; here it is called `hidden`.
    sizes: the `[sizes]` of the file, whole numbers and equations.  shapes: the axes of states and lines.
    inputs: the axes of each part of the input, in place of `x`.  heads: which axes are heads.
    """

    name: str
    states: tuple[str, ...]
    step: Mapping[str, tree.Node]
    gates: tuple[str, ...]
    initial: Mapping[str, float]
    options: Mapping[str, str | float]
    weights: Mapping[str, CellWeight]
    initializers: Mapping[str, Any]
    source: str
    spans: Mapping[str, Mapping[tree.Node, tree.TokenSpan]]
    written: str = ""
    file: Text = ""
    first: str = "hidden"
    sizes: Mapping[str, int | tree.Node] = MappingProxyType({})
    shapes: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    inputs: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    heads: tuple[str, ...] = ("heads",)

    @property
    def has_axes(self) -> bool:
        """Whether axes have names, so that states may have any shape."""
        return bool(self.sizes or self.shapes or self.inputs)

    def axes(self, line: str) -> tuple[str, ...]:
        """Return the axes of a state, or of the columns of a packed line."""
        return self.shapes.get(line, ("units",))

    @property
    def class_name(self) -> str:
        """The class name in a Spec with these equations, `@MGU`; no class of Keras has such a name."""
        return f"@{self.name}"

    @property
    def title(self) -> str:
        """The name and the source."""
        return f"{self.name} ({self.source})" if self.source else self.name

    def written_name(self, line: str) -> str:
        """Return what the text calls a line: the first state may have another name than `hidden`."""
        return self.first if line == "hidden" else line

    def function(self, name: str, config: Mapping[str, Any]) -> str:
        """Return the function of this name; for an option, the name of its activation."""
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
    """Return the number of the line, from 1, on which the entry begins, or the table that holds it.

    None if a search finds neither.
    """
    table = ""
    for number, line in enumerate(text.split("\n"), 1):
        if header := re.match(r"\s*\[+\s*([\w.]+)\s*\]", line):
            table = header[1]
            if ".".join(path) == table:
                return number
        entry = re.match(r"""\s*(?:"([^"]*)"|'([^']*)'|([\w.]+))\s*=""", line)
        if entry and (table, entry[entry.lastindex or 0]) in [
            ("".join(path[:-1]), path[-1]), ("", ".".join(path)),
        ]:  # fmt: skip
            return number
    return line_number(text, path[:-1]) if len(path) > 1 else None


@contextmanager
def at(text: str, *path: str) -> Iterator[None]:
    """Put the line number and the name of an entry of the file in front of errors: `line 3, forget: ...`."""
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
    """Return the cell of these equations.  Raises LayerError if an equation cannot be parsed."""
    parsed = {line: tree.parse(text) for line, text in step.items()}
    trees = {line: node for line, (node, _) in parsed.items()}
    spans = {line: spans for line, (_, spans) in parsed.items()}
    return CellText(name, states, trees, packed_lines(trees), {}, options, {}, initializers, source, spans)


def packed_lines(step: Mapping[str, tree.Node]) -> tuple[str, ...]:
    """Return the lines that use a packed weight."""
    return tuple(line for line, node in step.items() if packed_in(node))


@lru_cache(1024)  # for each name in a line
def packed_in(node: tree.Node) -> frozenset[str]:
    """Return the packed weights that an equation uses."""
    return frozenset(
        part.name for part in tree.walk(node) if isinstance(part, tree.Name) and part.name in PACKED
    )


_RESOLVED: dict[tuple[Any, ...], tuple[CellText, Mapping[str, tree.Node]]] = {}
"""What `resolve` returned in this process; a command resolves a cell several times, a search hundreds."""
KEPT = 64
"""Number of cells whose lines are kept."""


def resolve(text: CellText, config: Mapping[str, Any], *, in_order: bool = True) -> Mapping[str, tree.Node]:
    """Return the lines as they are computed with these options.

    Until a state's line is computed, its name means its value before the step.
    Options that are numbers become numbers.  Without `use_bias` a bias is 0.
    in_order: whether the terms of a sum that depend on no state come first; False keeps the order in which
        they were written, for people to read.
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
) -> Mapping[str, tree.Node]:
    kinds = dict.fromkeys(text.states, "before")

    def change(node: tree.Node) -> tree.Node:
        with tree.point_at(text.spans[line].get(node)):
            return make(node)

    def make(node: tree.Node) -> tree.Node:
        match node:
            case tree.Name(name) if name in kinds:
                return tree.Name(name, kinds[name])
            case tree.Name(name) if isinstance(numbers.get(name), (int, float)):
                return tree.Number(float(numbers[name]))
            case tree.Name(name) if name in BIASES and not use_bias and not text.has_axes:
                return tree.Number(0.0)
            case tree.Function(function, (value, tree.Name() as axis)) if function in (
                *tree.REDUCTIONS,
                "softmax",
            ):
                return tree.Function(function, (change(value), axis))
            case tree.Function("index"):
                return node
            case tree.Operation("@", left, _) if isinstance(constant := change(left), tree.Number):
                if constant.value:
                    what = "a number alone stands on the left of @."
                    raise LayerError(what, "Put a name there, such as x or hidden.")
                return constant  # a bias that is not used
            case tree.Sum(terms):
                kept = [(sign, new) for sign, term in terms if (new := change(term)) != tree.Number(0.0)]
                if in_order:  # the sum of the terms that depend on no state comes first
                    free = [(sign, term) for sign, term in kept if not depends_on_state(term)]
                    others = [(sign, term) for sign, term in kept if depends_on_state(term)]
                    kept = (
                        [(1, tree.Sum(tuple(free))), *others] if len(free) > 1 and others else free + others
                    )
                alone = len(kept) == 1 and kept[0][0] > 0
                return tree.fold(kept[0][1] if alone else tree.Sum(tuple(kept))) if kept else tree.Number(0.0)
        return fold_call(tree.rebuild(node, change), numbers)

    resolved: dict[str, tree.Node] = {}
    for line, node in text.step.items():
        with at(text.written, "step", text.written_name(line)):
            resolved[line] = change(node)
        kinds[line] = "line" if depends_on_state(resolved[line]) else "free"
    return resolved


def fold_call(node: tree.Node, options: Mapping[str, Any]) -> tree.Node:
    """Return a constant node as a Number; other nodes are returned unchanged."""
    if (
        not isinstance(node, tree.Function) or node.function in tree.AXES
        or not all(isinstance(part, tree.Number) for part in node.arguments)
    ):  # fmt: skip
        return tree.fold(node)
    given = [part.value for part in node.arguments if isinstance(part, tree.Number)]
    return tree.finite(activations.compute_constant(options.get(node.function, node.function), given), node)


def depends_on_state(node: tree.Node) -> bool:
    """Return whether the value of a resolved node depends on the state."""
    return any(isinstance(part, tree.Name) and part.kind in ("before", "line") for part in tree.walk(node))


def to_toml(text: CellText, config: Mapping[str, Any], initializers: Mapping[str, Any]) -> str:
    """Return the file of a cell with these options.

    initializers: the initializers of packed weights, by name, where they are not Keras's default.
    """
    return "\n".join(_lines(text, config, initializers)) + "\n"


def _lines(text: CellText, config: Mapping[str, Any], initializers: Mapping[str, Any]) -> Iterator[str]:
    step = text.step if config["use_bias"] else resolve(text, config, in_order=False)
    yield f"name = {_value(text.name)}"
    yield f"states = {_value(text.states)}"
    if text.source:
        yield f"source = {_value(text.source)}"
    if text.gates != packed_lines(text.step):
        yield f"gates = {_value(text.gates)}"
    options = {name: config.get(name, value) for name, value in text.options.items()}
    weights = {
        name: {"shape": weight.shape, **({"initializer": weight.initializer} if weight.initializer else {})}
        for name, weight in text.weights.items()
    }
    if text.heads != ("heads",):
        yield f"heads = {_value(text.heads)}"
    sizes = {
        name: write(size) if not isinstance(size, int) else config.get(name, size)
        for name, size in text.sizes.items()
    }
    tables: Mapping[str, Mapping[str, Any]] = {
        "sizes": sizes,
        "shapes": text.shapes,
        "inputs": text.inputs,
        "initial": text.initial,
        "options": options,
        "weights": {**initializers, **weights},
        "step": {line: write(node) for line, node in step.items()},
    }
    for table, entries in tables.items():
        if entries:
            yield f"\n[{table}]"
            yield from (f"{name} = {_value(value)}" for name, value in entries.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{name} = {_value(entry)}' for name, entry in value.items())} }}"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(_value, value))}]"
    if not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else repr(value)
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in quoted)


LETTERS: Mapping[str, str] = {"kernel": "W", "recurrent_kernel": "U", "bias": "b", "recurrent_bias": "b"}
"""Symbols of packed weights; they stand for the columns that belong to the line."""
_SHORT = {"sigmoid": "σ", "linear": ""}
_OPERATORS = {
    **PYTHON,
    "*": ("{} ⊙ {}", 2, 3, 2),
    "·": ("{} · {}", 2, 3, 2),
    "**": ("{}^{}", 5, 3, 4),
    "@": ("{} {}", 3, 3, 2),
}


def old_state(name: str) -> str:
    """Return the symbol of a state before the step: `h` for the hidden state, else as in `velocity[t-1]`."""
    return "h" if name == "hidden" else f"{name}[t-1]"


def to_symbols(text: CellText, config: Mapping[str, Any]) -> dict[str, str]:
    """Return each line as in a textbook, `σ(x W + h U + b)`."""

    def name(node: Name) -> str:
        if node.name in BIASES and text.has_two_biases:
            return f"b[{0 if node.name == 'bias' else 1}]"
        if node.kind == "before":
            return old_state(node.name)
        return LETTERS.get(node.name, node.name)

    def call(function: str, given: list[str]) -> str:
        named = text.function(function, config)
        return f"{_SHORT.get(named, named)}({', '.join(given)})"

    lines = resolve(text, config, in_order=False).items()
    return {line: write(node, name, call, _OPERATORS) for line, node in lines}
