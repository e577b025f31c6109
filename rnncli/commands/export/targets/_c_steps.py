"""The step of a cell in C: a loop over the units for each equation, on arrays of fixed sizes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from math import prod

from rnncli.cells import tree
from rnncli.cells.evaluate import offset_of
from rnncli.cells.layout import Place, index, places, regroup, shape_of, spread
from rnncli.cells.text import BIASES, PACKED
from rnncli.commands.export.export_case import ExportCell
from rnncli.commands.export.literals import as_comment, c_number

HELPERS = {
    "clip": """\
static real clip(real x, real low, real high) {
    const real above = x < low ? low : x;
    return above > high ? high : above;
}

""",
    "maximum": "static real maximum(real a, real b) { return a != a || a > b ? a : b; }\n",
    "minimum": "static real minimum(real a, real b) { return a != a || a < b ? a : b; }\n",
    # pow of tgmath.h is a macro that makes 60 times as much code of each pow inside it.
    "power": "static real power(real a, real b) { return pow(a, b); }\n",
    "where": "static real where(int condition, real a, real b) { return condition ? a : b; }\n",
    "dot": """\
/* The product of a vector with a column of a matrix, whose rows have `width` numbers. */
static real dot(const real *vector, const real *column, int size, int width) {
    double sum = 0;
    for (int k = 0; k < size; k++) sum += (double)vector[k] * column[k * width];
    return (real)sum;
}

""",
    "sum": """\
static double sum(const real *values, int size) {
    double total = 0;
    for (int k = 0; k < size; k++) total += values[k];
    return total;
}

""",
    "mean": "static double mean(const real *values, int size) { return sum(values, size) / size; }\n",
    "variance": """\
static double variance(const real *values, int size) {
    double squares = 0, middle = mean(values, size);
    for (int k = 0; k < size; k++) squares += (values[k] - middle) * (values[k] - middle);
    return squares / size;
}

""",
    "softmax": """\
/* Replaces the values. */
static void softmax(real *values, int size) {
    real largest = values[0], total = 0;
    for (int k = 1; k < size; k++) largest = values[k] > largest ? values[k] : largest;
    for (int k = 0; k < size; k++) total += values[k] = exp(values[k] - largest);
    for (int k = 0; k < size; k++) values[k] /= total;
}

""",
}
"""Functions of equations and formulas, by name."""
OPERATORS = {"@": "dot", tree.Einsum: "dot", "**": "power"}
"""The operators and nodes that C writes as functions."""


def write_helpers(called: Iterable[str]) -> str:
    """Return the functions of HELPERS that are called; `variance` calls `mean`, which calls `sum`."""
    needed = set(called)
    needed |= {"mean"} if "variance" in needed else set()
    needed |= {"sum"} if "mean" in needed else set()
    return "".join(text for name, text in HELPERS.items() if name in needed)


def write_step(cell: ExportCell, suffix: str) -> str:
    """Return the function of one time step of one sequence, which changes the states in place.

    suffix: what ends a constant, `f` for float.
    """
    writer = _StepWriter(cell, suffix)
    for line, node in cell.lines.items():
        writer.line(line, node)
    unread = [f"(void){cell.names[line]};" for line in cell.lines.keys() - cell.read - {*cell.states}]
    unread += [] if "x" in cell.read else ["(void)x;"]
    states = "".join(f", real {cell.names[name]}[{prod(cell.shape(name))}]" for name in cell.states)
    states_of = f"  States: {cell.describe_states()}." if cell.cell.text.has_axes else ""
    return (
        f"/* One time step of {as_comment(cell.cell.text.title)}.{states_of} */\n"
        f"static void step{cell.suffix}(const real x[{cell.features}]{states}) {{\n"
        + textwrap.indent("\n".join([*writer.statements, *unread]), "    ")
        + "\n}\n"
    )


class _StepWriter:
    """Collects the statements of a step."""

    def __init__(self, cell: ExportCell, suffix: str) -> None:
        self.cell, self.suffix, self.temporary = cell, suffix, 0
        self.statements: list[str] = []

    def line(self, line: str, node: tree.Node) -> None:
        """Write a line.  A state whose other numbers are read, too, is replaced at the end."""
        name, shape = self.cell.names[line], self.cell.shape(line)
        value = self._value(node, line, places(shape))
        again = line in self.cell.states and re.search(
            rf"\b{name}\b(?!\[{index(places(shape), shape)}\])", value
        )
        target = self._new() if again else name
        if line not in self.cell.states or again:
            self.statements.append(f"real {target}[{prod(shape)}];")
        self._loop(shape, f"{target}[{index(places(shape), shape)}] = {value};")
        if again:
            self.statements.append(f"memcpy({name}, {target}, sizeof {target});")

    def _loop(self, shape: Sequence[int], statement: str) -> None:
        head = f"for (int j = 0; j < {prod(shape)}; j++)" if prod(shape) > 1 else ""
        apart = "" if not head else "\n    " if len(head) + len(statement) > 90 else " "
        self.statements.append(f"{head}{apart}{statement}")

    def _new(self) -> str:
        self.temporary += 1
        return f"t{self.temporary}"

    def _value(self, node: tree.Node, line: str, place: Place) -> str:
        return tree.write(self._adapt(node, line, place))

    def _adapt(self, node: tree.Node, line: str, place: Place) -> tree.Node:
        """Return the number of a node at a place as what `tree.write` can write."""
        cell = self.cell
        match node:
            case tree.Number(value):
                text = c_number(value, self.suffix)
                return tree.Name(f"({text})" if text.startswith("-") else text)
            case tree.Name():
                return tree.Name(self._element(node, line, place))
            case tree.Index():
                return tree.Name(f"(real)({index(place, self._shape(node, line))})")
            case tree.Reshape(part, before, order, shape):
                moved = regroup(spread(place, shape), [before[axis] for axis in order])
                inner = tuple(moved[order.index(axis)] for axis in range(len(order)))
                if place == spread(place, shape) or not any(map(_is_product, tree.walk(part))):
                    return self._adapt(part, line, inner)
                return tree.Name(f"{self._array(part, line)}[{index(inner, before)}]")  # not computed again
            case tree.Shift(tree.Name() as window, entry):
                size, *rest = shape = self._shape(window, line)
                kept = f"{cell.names[window.name]}[{index(place, shape, prod(rest))}]"
                entered = self._value(entry, line, ((), *place[1:]))
                return tree.Name(f"({index(place[:1], (size,))} < {size - 1} ? {kept} : {entered})")
            case tree.Einsum(left, right, (before, other, after)):
                axes, shape = dict(zip(after, place, strict=True)), self._shape(right, line)
                marks = ((left, before), (right, other))
                both = [
                    self._pointer(part, line, tuple(axes.get(mark, ()) for mark in own))
                    for part, own in marks
                ]
                summed = other.index(before[-1])
                return tree.Name(f"dot({', '.join(both)}, {shape[summed]}, {prod(shape[summed + 1 :])})")
            case tree.Operation("@", left, tree.Name(weight) as right):
                vector, (rows, width) = self._array(left, line), cell.weights[weight].shape
                column = self._element(right, line, place if weight in PACKED else ((), *place))
                return tree.Name(f"dot({vector}, &{column}, {rows}, {width})")
            case tree.Operation("**", left, right):
                return self._adapt(tree.Function("power", (left, right)), line, place)
            case tree.Function("mean" | "variance" | "sum" | "softmax" as function, (inner,)):
                return tree.Name(self._reduce(function, inner, line, place))
            case tree.Function(function, arguments):
                given = ", ".join(self._value(argument, line, place) for argument in arguments)
                return tree.Name(f"{'fabs' if function == 'abs' else function}({given})")
        return tree.rebuild(node, lambda part: self._adapt(part, line, place))

    def _reduce(self, function: str, inner: tree.Node, line: str, place: Place) -> str:
        """Write a function over the last axis, row by row; return its number at a place."""
        *rows, size = shape = self._shape(inner, line)
        vector, count = self._array(inner, line, fresh=function == "softmax"), prod(rows)
        row = f"&{vector}[j * {size}]" if count > 1 else vector
        if function == "softmax":
            self._loop(rows, f"softmax({row}, {size});")
            return f"{vector}[{index(spread(place, shape), shape)}]"
        total = self._new()
        if count == 1:
            self.statements.append(f"const real {total} = {function}({vector}, {size});")
            return total
        self.statements.append(f"real {total}[{count}];")
        self._loop(rows, f"{total}[j] = {function}({row}, {size});")
        return f"{total}[{index(place[:-1], rows)}]"

    def _element(self, node: tree.Name, line: str, place: Place) -> str:
        """Return a number of an array that has a name."""
        cell, shape = self.cell, self._shape(node, line)
        place, name = spread(place, shape), cell.names.get(node.name, node.name)
        if node.kind == "input":
            return f"x[{index(place, shape, cell.sizes.inputs[node.name][0])}]"
        if node.kind or node.name == "x":
            return f"{name}[{index(place, shape)}]"
        if node.name in PACKED:
            *rows, start = offset_of(cell.cell.text, node.name, line, cell.sizes)
            row = "[0]" if node.name not in BIASES else "".join(f"[{row}]" for row in rows)
            array = "bias" if node.name in BIASES else node.name
            return f"{cell.full_name(array)}{row}[{index(place, shape, start)}]"
        return cell.full_name(node.name) + "".join(
            f"[{index((axis,), (size,))}]" for axis, size in zip(place, shape, strict=True)
        )

    def _pointer(self, node: tree.Node, line: str, place: Place) -> str:
        """Return the address of a number of a node."""
        if isinstance(node, tree.Name):
            return f"&{self._element(node, line, place)}"
        return f"&{self._array(node, line)}[{index(place, self._shape(node, line))}]"

    def _array(self, node: tree.Node, line: str, *, fresh: bool = False) -> str:
        """Return an array of the numbers of a node.  fresh: never the array of a line or a weight."""
        shape = self._shape(node, line)
        if isinstance(node, tree.Name) and not fresh and node.name not in BIASES:
            if (node.kind or node.name == "x") and node.kind != "input":
                return self.cell.names.get(node.name, node.name)
            if not node.kind and len(shape) == 1:
                return self.cell.full_name(node.name)
        value, name = self._value(node, line, places(shape)), self._new()
        self.statements.append(f"real {name}[{prod(shape)}];")
        self._loop(shape, f"{name}[{index(places(shape), shape)}] = {value};")
        return name

    def _shape(self, node: tree.Node, line: str) -> tuple[int, ...]:
        return shape_of(node, self.cell.cell.text, self.cell.sizes, line)


def _is_product(node: tree.Node) -> bool:
    return isinstance(node, tree.Einsum) or (isinstance(node, tree.Operation) and node.symbol == "@")
