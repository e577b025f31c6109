"""The step of a cell in a library of Python: its equations line by line, as in a textbook."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from rnncli.cells.text import BIASES, PACKED
from rnncli.cells.tree import Call, Name, Node, Operation, rebuild, walk, write
from rnncli.commands.export.export_case import ExportCell

LETTERS: Mapping[str, str] = {
    "kernel": "W",
    "recurrent_kernel": "U",
    "bias": "b",
    "recurrent_bias": "b_recurrent",
}
"""How the columns of a line begin: `W_forget`."""


def columns_of(cell: ExportCell, weight: str, line: str) -> tuple[int, int]:
    """Return the place of a line among those that have columns of a packed weight, and their number."""
    order = cell.cell.text.lines_using(*(BIASES if weight in BIASES else (weight,)))
    return order.index(line), len(order)


def has_batch(node: Node, without: Iterable[str]) -> bool:
    """Return whether a node differs between the sequences of a batch.  without: the lines that do not."""
    names = (one for one in walk(node) if isinstance(one, Name))
    return any(one.name == "x" or (one.kind and one.name not in without) for one in names)


class Language(NamedTuple):
    """How a library of Python writes what equations need.

    split: cuts an array, {0}, into {1} along its last axis.
    call: functions by name, with {} for each argument; any other is `other`, with its name and its argument.
        `row` gives a vector the axis of the batch, `as_state` the shape of the first state.
    prefix: of a weight's name, `self.`.
    """

    split: str
    calls: Mapping[str, str]
    other: str
    prefix: str = ""


def write_step(cell: ExportCell, language: Language) -> Iterator[str]:
    """Yield the lines that cut the packed weights, and those of the equations."""
    without: set[str] = set()
    used = {one.name for node in cell.lines.values() for one in walk(node) if isinstance(one, Name)}
    for weight in (one for one in PACKED if one in used):
        order = cell.cell.text.lines_using(*(BIASES if weight in BIASES else (weight,)))
        if len(order) > 1:
            names = ", ".join(f"{LETTERS[weight]}_{line}" for line in order)
            yield f"{names} = {language.split.format(_weight(cell, weight, language), len(order))}"
    for line, node in cell.lines.items():
        if not has_batch(node, without):
            without.add(line)
            node = Call("as_state", (node,)) if line in cell.states else node
        yield f"{cell.names[line]} = {_code(cell, node, line, language, without)}"


def _code(cell: ExportCell, node: Node, line: str, language: Language, without: set[str]) -> str:
    def name(node: Name) -> str:
        if node.name == "x" or node.kind:
            return cell.names.get(node.name, node.name)
        if node.name in PACKED and columns_of(cell, node.name, line)[1] > 1:
            return f"{LETTERS[node.name]}_{line}"
        return _weight(cell, node.name, language)

    def call(function: str, given: list[str]) -> str:
        return language.calls.get(function, language.other.replace("NAME", function)).format(*given)

    def with_rows(node: Node) -> Node:
        node = rebuild(node, with_rows)
        if "row" in language.calls and isinstance(node, Operation) and node.symbol == "@":
            return node if has_batch(node.left, without) else node._replace(left=Call("row", (node.left,)))
        return node

    return write(with_rows(node), name, call)


def _weight(cell: ExportCell, weight: str, language: Language) -> str:
    """Return an expression for a whole weight, or for one row of a bias with two."""
    array = "bias" if weight in BIASES else weight
    name = f"{language.prefix}{cell.global_name(array)}" if language.prefix else cell.names[array]
    return f"{name}[{int(weight != 'bias')}]" if array == "bias" and cell.cell.text.has_two_biases else name
