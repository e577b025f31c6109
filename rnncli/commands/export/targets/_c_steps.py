"""The step of a cell in C: a loop over the units for each equation, on arrays of fixed sizes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from rnncli.cells.evaluate import offset_of
from rnncli.cells.sizes import count_of
from rnncli.cells.text import BIASES, PACKED
from rnncli.cells.tree import Function, Name, Node, Number, Operation, rebuild, walk, write
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
OPERATORS = {"@": "dot", "**": "power"}
"""The operators that C writes as functions."""


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
    states = "".join(f", real {cell.names[name]}[{cell.units}]" for name in cell.states)
    return (
        f"/* One time step of {as_comment(cell.cell.text.title)}. */\n"
        f"static void step{cell.suffix}(const real x[{cell.features}]{states}) {{\n"
        + textwrap.indent("\n".join([*writer.statements, *unread]), "    ")
        + "\n}\n"
    )


class _StepWriter:
    """Collects the statements of a step.  sizes: of lines and states, by name."""

    def __init__(self, cell: ExportCell, suffix: str) -> None:
        self.cell, self.suffix, self.temporary = cell, suffix, 0
        self.known = cell.cell.sizes(cell.features)
        self.sizes = {"x": cell.features, **cell.cell.line_sizes(cell.features)}
        self.statements: list[str] = []

    def line(self, line: str, node: Node) -> None:
        """Write a line.  A state that a product reads is replaced at the end, after all units were read."""
        name, size = self.cell.names[line], self.sizes[line]
        product = ("@", Name(line, "before"))
        again = any(isinstance(part, Operation) and part[:2] == product for part in walk(node))
        target = self._new("t") if line in self.cell.states and again else name
        value = self._value(node, line)
        if line not in self.cell.states or again:
            self.statements.append(f"real {target}[{size}];")
        self._loop(size, f"{target}[{_index(size)}] = {value};")
        if target != name:
            self.statements.append(f"memcpy({name}, {target}, sizeof {target});")

    def _loop(self, size: int, statement: str) -> None:
        head = f"for (int j = 0; j < {size}; j++)" if size > 1 else ""
        apart = "" if not head else "\n    " if len(head) + len(statement) > 90 else " "
        self.statements.append(f"{head}{apart}{statement}")

    def _new(self, start: str) -> str:
        self.temporary += 1
        return f"{start}{self.temporary}"

    def _value(self, node: Node, line: str) -> str:
        return write(self._adapt(node, line))

    def _adapt(self, node: Node, line: str) -> Node:
        cell = self.cell
        match node:
            case Number(value):
                text = c_number(value, self.suffix)
                return Name(f"({text})" if text.startswith("-") else text)
            case Name(name, kind):
                return Name(self._name(name, line, local=bool(kind) or name == "x"))
            case Operation("@", left, Name(weight)):
                vector, (rows, width) = self._array(left, line), cell.weights[weight].shape
                packed = weight in PACKED
                start = offset_of(cell.cell.text, weight, line, self.known)[0] if packed else 0
                column = f"{cell.full_name(weight)}[0][{_index(cell.units if packed else width, start)}]"
                return Name(f"dot({vector}, &{column}, {rows}, {width})")
            case Operation("**", left, right):
                return self._adapt(Function("power", (left, right)), line)
            case Function("mean" | "variance" | "sum" as function, (inner,)):
                vector, total = self._array(inner, line), self._new("t")
                self.statements.append(f"const real {total} = {function}({vector}, {self._size(inner)});")
                return Name(total)
            case Function("softmax", (inner,)):
                vector, size = self._array(inner, line, fresh=True), self._size(inner)
                self.statements.append(f"softmax({vector}, {size});")
                return Name(f"{vector}[{_index(size)}]")
            case Function(function, arguments):
                given = ", ".join(self._value(argument, line) for argument in arguments)
                return Name(f"{'fabs' if function == 'abs' else function}({given})")
        return rebuild(node, lambda part: self._adapt(part, line))

    def _name(self, name: str, line: str, *, local: bool) -> str:
        if local:
            return f"{self.cell.names.get(name, name)}[{_index(self.sizes[name])}]"
        if name not in BIASES:
            return f"{self.cell.full_name(name)}[{_index(self._size(Name(name)))}]"
        *rows, start = offset_of(self.cell.cell.text, name, line, self.known)
        row = "".join(f"[{row}]" for row in rows)
        return f"bias{self.cell.suffix}{row}[{_index(self.cell.units, start)}]"

    def _array(self, node: Node, line: str, *, fresh: bool = False) -> str:
        """Return an array of the numbers of a node.  fresh: never the array of a line or a weight."""
        if isinstance(node, Name) and not fresh:
            if node.kind or node.name == "x":
                return self.cell.names.get(node.name, node.name)
            if node.name not in BIASES:
                return self.cell.full_name(node.name)
        value, name, size = self._value(node, line), self._new("t"), self._size(node)
        self.statements.append(f"real {name}[{size}];")
        self._loop(size, f"{name}[{_index(size)}] = {value};")
        return name

    def _size(self, node: Node) -> int:
        cell = self.cell.cell
        return count_of(node, cell.text, cell.config, self.known, cell.states[0]) or 1


def _index(size: int, start: int = 0) -> str:
    """Return the index of unit j in numbers that begin at `start`; `start` if there is only one number."""
    return str(start) if size == 1 else f"{start} + j" if start else "j"
