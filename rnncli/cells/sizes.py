"""The sizes of the lines of a cell, and errors where they do not fit."""

from __future__ import annotations

from collections.abc import Mapping

from rnncli.cells.text import BIASES, PACKED, CellText, Size, at
from rnncli.cells.tree import Function, Name, Node, Operation, TokenSpan, fault, parts
from rnncli.errors import LayerError, Message, Text, inside


def check_sizes(cell: CellText, units: int, features: int | None) -> dict[str, int | None]:
    """Return the size of every line.  features: None if it is not known.

    Raises LayerError, with a caret, where two sizes do not fit, or the size of a line is not units, features
    or 1.
    """
    sizes: dict[str, int | None] = dict.fromkeys(cell.states, units)
    for line, node in cell.step.items():
        checker = SizeChecker(cell, cell.spans[line], sizes, {"units": units, "features": features})
        name = cell.first if line == "hidden" else line
        with inside(cell.file or cell.name), at(cell.written, "step", name):
            size = checker.size(node)
            if size not in ({units, None} if line in cell.states else {units, features, 1, None}):
                what = Message("it has {size} numbers; a line may have units, features or 1", size=size)
                if line in cell.states:
                    template = "it has {size} numbers, but the state {line} has {units}"
                    what = Message(template, size=size, line=name, units=units)
                raise fault(cell.spans[line][node], what)
        sizes[line] = size
    return sizes


class SizeChecker:
    """The sizes of the nodes of a line; None for a size that is not known."""

    def __init__(
        self, cell: CellText, spans: Mapping[Node, TokenSpan], lines: Mapping[str, int | None],
        known: Mapping[str, int | None],
    ) -> None:  # fmt: skip
        self.cell, self.spans, self.lines, self.known = cell, spans, lines, known

    def size(self, node: Node) -> int | None:
        """Return the size of a node.  Raises LayerError, with a caret, where two sizes do not fit."""
        match node:
            case Name("x"):
                return self.known["features"]
            case Name(name) if name in self.lines:
                return self.lines[name]
            case Name(name) if name in self.cell.weights:
                return self._number(self.cell.weights[name].shape[0])
            case Name(name) if name in BIASES:
                return self.known["units"]
            case Operation("@", left, Name(weight)):
                if weight in PACKED:
                    needed = self.known["features" if weight == "kernel" else "units"]
                    made = self.known["units"]
                else:
                    needed, made = map(self._number, self.cell.weights[weight].shape)
                given = self.size(left)
                if None not in (given, needed) and given != needed:
                    template = "{weight} needs {needed} numbers on its left, not {given}"
                    raise self._fault(node, Message(template, weight=weight, needed=needed, given=given))
                return made
            case Function("mean" | "variance" | "sum", (inner,)):
                self.size(inner)
                return 1
        whole: int | None = 1
        for part in parts(node):
            size = self.size(part)
            if size not in (1, None, whole) and whole not in (1, None):
                what = Message("its parts have {one} and {two} numbers", one=whole, two=size)
                raise self._fault(node, what)
            whole = size if whole == 1 or (whole is None and size != 1) else whole
        return whole

    def _number(self, size: Size) -> int | None:
        return self.known[size] if isinstance(size, str) else size

    def _fault(self, node: Node, reason: Text) -> LayerError:
        known = self.known["features"] is not None
        advice = "x has {features} numbers, a state has {units}." if known else "A state has {units} numbers."
        return fault(self.spans[node], reason, Message(advice, **self.known))
