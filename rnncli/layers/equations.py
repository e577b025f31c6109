"""The terms of equations, by which cells and layers describe their results: sums of products.

An equation gives one number, for one batch entry and one unit.
"""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from rnncli.cells import tree
from rnncli.cells.text import CellText
from rnncli.cells.tree import Call, Name, Node, Number, Operation, walk
from rnncli.result import Label


class Current(NamedTuple):
    """A gate or a part of the state, at this step and for this unit.

    function: the option that names the activation applied to it.  complement: use 1 minus its value.
    kind: `recurrent` for the recurrent part of a gate, instead of the gate.
    """

    name: str
    function: str = ""
    complement: bool = False
    kind: str = ""


class Previous(NamedTuple):
    """A part of the state before this step, for this unit."""

    name: str


class Entry(NamedTuple):
    """A number computed by a loop over time.

    direction: which loop of a Bidirectional, else "".  position: the step, in processing order.
    part: the part of the state after that step, or OUTPUT.
    """

    direction: str
    position: int
    part: Label
    unit: int


class LayerInput(NamedTuple):
    """The layer's own input, at the same index as the number."""


class Constant(NamedTuple):
    """A constant number in the equation."""

    value: float


EquationFactor = Current | Previous | Entry | LayerInput | Constant


class Product(NamedTuple):
    """The product of one or more factors."""

    factors: tuple[EquationFactor, ...]


class DotProduct(NamedTuple):
    """The product of a row and a column of a kernel: a sum with one term per entry of the row.

    row: `inputs`, or a part of the state before this step, such as `hidden`.
    gate: the gate whose columns of `kernel` are used.
    by: a gate that each entry of the row is first multiplied by.
    """

    row: str
    kernel: str
    gate: str = ""
    by: str = ""


class Bias(NamedTuple):
    """An entry of the bias.  gate: the gate it belongs to.  line: its row, if the bias has two."""

    gate: str = ""
    line: int | None = None


class Sum(NamedTuple):
    """function(sum of the terms).  function: the option that names it; "" for no function."""

    terms: tuple[Product | DotProduct | Bias, ...]
    function: str = ""


def times(*factors: EquationFactor) -> Product:
    """Return the product of these factors."""
    return Product(factors)


def list_terms(text: CellText, biased: bool, parts: Mapping[str, Node]) -> dict[str, Sum]:
    """Return the equations of a cell's lines by name.

    parts: by line, the part of it that a trace has as `recurrent`, which gets an equation of its own.
    """
    found: dict[str, Sum] = {}
    assigned: list[str] = []
    for line, node in text.step.items():
        reader = _TermReader(text, line, tuple(assigned), biased)
        function = ""
        if (
            isinstance(node, Call)
            and node.function in text.options
            and isinstance(node.arguments[0], tree.Sum)
        ):
            function, node = node.function, node.arguments[0]
        if line in parts:
            found[f"{line}.recurrent"] = Sum(tuple(reader.terms(reader.take_recurrent(node))))
        found[line] = Sum(tuple(reader.terms(node)), function)
        assigned.append(line)
    return found


class _TermReader:
    """Reads the terms of one line.  assigned: the lines above it."""

    def __init__(self, text: CellText, line: str, assigned: Sequence[str], biased: bool) -> None:
        self.text, self.line, self.assigned, self.biased = text, line, assigned, biased
        self.recurrent: Node | None = None

    def take_recurrent(self, node: Node) -> Node:
        """Return what the line multiplies by a gate; from then on it is one factor."""
        self.recurrent = next(
            one.right for one in walk(node) if isinstance(one, Operation) and isinstance(one.right, tree.Sum)
        )
        return self.recurrent

    def terms(self, node: Node) -> Iterator[Product | DotProduct | Bias]:
        """Yield the terms of a sum, those of sums inside it too; of any other node, itself."""
        match node:
            case tree.Sum(terms):
                for _, term in terms:
                    yield from self.terms(term)
            case Name("bias" | "recurrent_bias" as name):
                if self.biased:
                    row = None if not self.text.has_two_biases else 0 if name == "bias" else 1
                    yield Bias(self.line, row)
            case Operation("@", Name("x"), Name(kernel)):
                yield DotProduct("inputs", kernel, self.line)
            case Operation("@", Name(state), Name(kernel)):
                yield DotProduct(state, kernel, self.line)
            case Operation("@", Operation("*", Name(gate), Name(state)), Name(kernel)):
                yield DotProduct(state, kernel, self.line, gate)
            case _:
                yield Product(tuple(self.factors(node)))

    def factors(self, node: Node) -> Iterator[EquationFactor]:
        if node == self.recurrent:
            yield Current(self.line, kind="recurrent")
            return
        match node:
            case Operation("*", left, right):
                yield from (*self.factors(left), *self.factors(right))
            case tree.Sum(((1, Number(1.0)), (-1, Name(name)))):
                yield Current(name, complement=True)
            case Call(function, (Name(name),)):
                yield Current(name, function)
            case Name(name) if name in self.assigned:
                yield Current(name)
            case Name(name):
                yield Previous(name)
