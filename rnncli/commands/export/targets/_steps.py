"""The step of a cell in a library of Python: its equations line by line, as in a textbook."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from rnncli.cells.text import BIASES, PACKED
from rnncli.cells.tree import Function, Name, Node, Number, Operation, rebuild, walk, write
from rnncli.cells.writing import LETTERS
from rnncli.commands.export.export_case import ExportCell


def name_columns(cell: ExportCell, weight: str, line: str) -> str:
    """Return the name of a line's columns of a weight, `W_forget`."""
    if weight != "recurrent_bias":
        return f"{LETTERS[weight]}_{line}"
    return f"b2_{line}" if f"recurrent_{line}" in cell.cell.text.gates else f"b_recurrent_{line}"


def has_batch(node: Node, without: Iterable[str]) -> bool:
    """Return whether a node differs between the sequences of a batch.  without: lines that do not differ."""
    names = (name for name in walk(node) if isinstance(name, Name))
    return any(name.name == "x" or (name.kind and name.name not in without) for name in names)


class Language(NamedTuple):
    """How a library of Python writes what equations need.

    split: cuts an array, {0}, into {1} along its last axis.
    calls: functions by name, with {} for each argument; any other function is written as `other`.
        `row` gives a vector the axis of the batch, `as_state` the shape of the first state; `number` turns a
        number into an array, `vector` into a row, `full_state` into a state.
    prefix: what stands before the name of a weight, `self.`.
    returned: what the step returns, by default the states.
    """

    split: str
    calls: Mapping[str, str]
    other: str = "NAME({})"
    prefix: str = ""
    returned: str = "{}"

    def call(self, function: str, given: Sequence[str]) -> str:
        """Return a function of expressions."""
        return self.calls.get(function, self.other.replace("NAME", function)).format(*given)


def common_calls(library: str, last_axis: str) -> dict[str, str]:
    """Return the functions of equations in a library that names them as NumPy does.

    last_axis: the arguments by which it keeps the axis over which it reduces.
    """
    return {
        **{name: f"{library}.{name}({{}})" for name in ("exp", "log", "sqrt", "abs")},
        **{name: f"{library}.{name}({{}}, {{}})" for name in ("maximum", "minimum")},
        "clip": f"{library}.minimum({library}.maximum({{}}, {{}}), {{}})",
        "mean": f"{library}.mean({{}}, {last_axis})",
        "variance": f"{library}.var({{}}, {last_axis})",
        "sum": f"{library}.sum({{}}, {last_axis})",
        "linear": "{}",
        "full_state": f"{library}.full_like(states[0], {{}})",
    }


def write_tuple(parts: Iterable[str]) -> str:
    """Return a tuple as code."""
    texts = list(parts)
    return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"


def write_step(cell: ExportCell, language: Language) -> Iterator[str]:
    """Yield the body of a function of `x` and the `states` before the step."""
    every = [cell.names[state] for state in cell.states]
    states = ", ".join(every) if len(every) > 1 else write_tuple(every)
    yield f"{states} = states"
    without: set[str] = set()
    for weight, order in cell.cell.text.packing().items():
        if weight in cell.read and len(order) > 1:
            names = ", ".join(name_columns(cell, weight, line) for line in order)
            yield f"{names} = {language.split.format(_weight(cell, weight, language), len(order))}"
    for line, node in cell.lines.items():
        if line in cell.states and not has_batch(node, without):
            node = Function("full_state" if isinstance(node, Number) else "as_state", (node,))
        elif not has_batch(node, without):
            without.add(line)
        yield f"{cell.names[line]} = {_code(cell, node, line, language, without)}"
    yield f"return {language.returned.format(states, first=every[0], all=', '.join(every))}"


def _code(cell: ExportCell, node: Node, line: str, language: Language, without: set[str]) -> str:
    packing = cell.cell.text.packing()

    def name(node: Name) -> str:
        if node.name == "x" or node.kind:
            return cell.names.get(node.name, node.name)
        if len(packing.get(node.name, ())) > 1:
            return name_columns(cell, node.name, line)
        return _weight(cell, node.name, language)

    def adapt(node: Node) -> Node:
        """Mark what the library needs in another form: vectors left of @, numbers among arrays."""
        node = rebuild(node, adapt)
        match node:
            case Operation("@", Number() as left, _):
                return node._replace(left=Function("vector", (left,)))
            case Operation("@", left, _) if "row" in language.calls and not has_batch(left, without):
                return node._replace(left=Function("row", (left,)))
            case Function("maximum" | "minimum" | "clip", given) if "number" in language.calls:
                wrapped = (
                    Function("number", (each,)) if isinstance(each, Number) else each for each in given
                )
                return node._replace(arguments=tuple(wrapped))
        return node

    return write(adapt(node), name, language.call)


def _weight(cell: ExportCell, weight: str, language: Language) -> str:
    array = "bias" if weight in BIASES else weight
    name = f"{language.prefix}{cell.global_name(array)}" if language.prefix else cell.names[array]
    return f"{name}[{int(weight != 'bias')}]" if array == "bias" and cell.cell.text.has_two_biases else name


def weight_shapes(cell: ExportCell) -> dict[str, str]:
    """Return the shapes of the weights as code, in `features` and `units`."""
    shapes = {}
    for name, array in cell.weights.items():
        if name in PACKED:
            count = array.shape[-1] // cell.units
            height = {"kernel": "features", "recurrent_kernel": "units"}.get(name, "2")
            shape = [*[height] * (array.ndim - 1), f"{count} * units" if count > 1 else "units"]
        else:
            shape = [str(size) for size in cell.cell.text.weights[name].shape]
        shapes[name] = write_tuple(shape)
    return shapes


def write_class(name: str, base: str, title: str, lines: Iterable[str]) -> str:
    """Return a class.  lines: of its body, not indented."""
    body = textwrap.indent("\n".join(lines), "    ").rstrip()
    return f'class {name}({base}):\n    """{title}"""\n\n{body}\n'
