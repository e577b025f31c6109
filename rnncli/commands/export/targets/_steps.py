"""The step of a cell in a library of Python: its equations line by line, as in a textbook."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from math import prod
from typing import NamedTuple

from rnncli.cells import tree
from rnncli.cells.text import BIASES, LETTERS, PACKED
from rnncli.commands.export.export_case import ExportCell


def name_columns(cell: ExportCell, weight: str, line: str) -> str:
    """Return the name of a line's columns of a weight, `W_forget`."""
    if weight != "recurrent_bias":
        return f"{LETTERS[weight]}_{line}"
    return f"b2_{line}" if f"recurrent_{line}" in cell.cell.text.gates else f"b_recurrent_{line}"


def has_batch(node: tree.Node, without: Iterable[str]) -> bool:
    """Return whether a node differs between the sequences of a batch.  without: lines that do not differ."""
    names = (name for name in tree.walk(node) if isinstance(name, tree.Name))
    return any(name.name == "x" or (name.kind and name.name not in without) for name in names)


class Language(NamedTuple):
    """How a library of Python writes what equations need.

    split: cuts an array, {0}, into {1} along its last axis.
    calls: functions by name, with {} for each argument; any other function is written as `other`.
        `row` gives a vector the axis of the batch, `as_state` the shape of a state; `number` turns a number
        into an array, `vector` into a row, `full_state` into a state.
    flat: whether the states of a step and those that it returns have the shape (batch, numbers).
    prefix: what stands before the name of a weight, `self.`.
    returned: what the step returns, by default the states.
    """

    split: str
    calls: Mapping[str, str]
    other: str = "NAME({})"
    prefix: str = ""
    returned: str = "{}"
    flat: bool = False

    def call(self, function: str, given: Sequence[str]) -> str:
        """Return a function of expressions."""
        return self.calls.get(function, self.other.replace("NAME", function)).format(*given)


def common_calls(library: str, last_axis: str) -> dict[str, str]:
    """Return the functions of equations in a library that names them as NumPy does.

    last_axis: the arguments by which it keeps the axis over which it reduces.
    """
    return {
        **{name: f"{library}.{name}({{}})" for name in ("exp", "log", "sqrt", "abs", "cos", "sin")},
        **{name: f"{library}.{name}({{}}, {{}})" for name in ("maximum", "minimum", "reshape", "transpose")},
        "brackets": "({})",
        "part": "{}[{}]",
        "einsum": f"{library}.einsum({{}}, {{}}, {{}})",
        "join": f"{library}.concatenate([{{}}, {{}}], axis=1)",
        **{f"{name} over": f"{library}.{name}({{}}, axis={{}})" for name in ("mean", "sum")},
        "variance over": f"{library}.var({{}}, axis={{}})",
        "clip": f"{library}.minimum({library}.maximum({{}}, {{}}), {{}})",
        "mean": f"{library}.mean({{}}, {last_axis})",
        "variance": f"{library}.var({{}}, {last_axis})",
        "sum": f"{library}.sum({{}}, {last_axis})",
        "linear": "{}",
        "full_state": f"{library}.full_like({{1}}, {{0}})",
    }


def write_tuple(parts: Iterable[str]) -> str:
    """Return a tuple as code."""
    texts = list(parts)
    return f"({', '.join(texts)}{',' if len(texts) == 1 else ''})"


def write_step(cell: ExportCell, language: Language) -> Iterator[str]:
    """Yield the body of a function of `x` and the `states` before the step."""
    every = [cell.names[state] for state in cell.states]
    text, shaped = cell.cell.text, [state for state in cell.states if len(cell.shape(state)) > 1]
    states = ", ".join(every) if len(every) > 1 else write_tuple(every)
    yield f"{states} = states"
    if language.flat:
        for state in shaped:
            view = language.call("reshape", [cell.names[state], _text((-1, *cell.shape(state)))])
            yield f"{cell.names[state]} = {view}{_axes(cell, state)}"
    without: set[str] = set()
    for weight, order in text.packing().items():
        if weight in cell.read and len(order) > 1:
            names = ", ".join(name_columns(cell, weight, line) for line in order)
            widths = [prod(cell.shape(line)) if text.has_axes else cell.units for line in order]
            cuts = len(order) if len({*widths}) == 1 else [*accumulate(widths)][:-1]
            split = language.split.format(_weight(cell, weight, language), cuts)
            yield f"{names} = {split}"
    for line, node in cell.lines.items():
        if line in cell.states and not has_batch(node, without):
            name = "full_state" if isinstance(node, tree.Number) else "as_state"
            node = tree.Function(name, (node, tree.Name(line, "before")))
        elif not has_batch(node, without):
            without.add(line)
        axes = _axes(cell, line, batch=line not in without) if text.has_axes else ""
        yield f"{cell.names[line]} = {_StepCode(cell, line, language, without).write(node)}{axes}"
    if language.flat:
        for state in shaped:
            view = language.call("reshape", [cell.names[state], f"(-1, {prod(cell.shape(state))})"])
            yield f"{cell.names[state]} = {view}"
    yield f"return {language.returned.format(states, first=every[0], all=', '.join(every))}"


def _axes(cell: ExportCell, line: str, *, batch: bool = True) -> str:
    """Return a comment with the axes of a line; "" where they are those of the first state."""
    axes = (*(("batch",) if batch else ()), *cell.sizes.axes[line])
    return f"  # ({', '.join(axes)})" if axes != ("batch", "units") else ""


class _StepCode:
    """The equation of one line as code.  without: the lines that are the same for all sequences."""

    def __init__(self, cell: ExportCell, line: str, language: Language, without: set[str]) -> None:
        self.cell, self.line, self.language, self.without = cell, line, language, without
        self.packing = cell.cell.text.packing()

    def write(self, node: tree.Node) -> str:
        return tree.write(self._adapt(node), self._name, self.language.call)

    def _name(self, node: tree.Name) -> str:
        if node.kind == _CODE:
            return node.name
        if node.kind == "input":
            start, width = self.cell.sizes.inputs[node.name]
            return f"x[:, {start}:{start + width}]"
        if node.name == "x" or node.kind:
            return self.cell.names.get(node.name, node.name)
        if len(self.packing.get(node.name, ())) > 1:
            return name_columns(self.cell, node.name, self.line)
        return _weight(self.cell, node.name, self.language)

    def _has_batch(self, node: tree.Node) -> bool:
        return has_batch(node, self.without)

    def _adapt(self, node: tree.Node) -> tree.Node:
        """Return a node that `tree.write` can write, with calls for numbers among arrays and new shapes."""
        calls, adapt = self.language.calls, self._adapt
        match node:
            case tree.Operation("@", tree.Number() as left, right):
                return node._replace(left=tree.Function("vector", (left,)), right=adapt(right))
            case tree.Operation("@", left, right) if "row" in calls and not self._has_batch(left):
                if self.cell.cell.text.has_axes:  # the product has no axis for the batch, too
                    return adapt(tree.Einsum(left, right, ("i", "ij", "j")))
                return node._replace(left=tree.Function("row", (adapt(left),)), right=adapt(right))
            case tree.Function("maximum" | "minimum" | "clip", given) if "number" in calls:
                numbers = (
                    tree.Function("number", (each,)) if isinstance(each, tree.Number) else each
                    for each in given
                )
                return node._replace(arguments=tuple(map(adapt, numbers)))
            case tree.Reshape():
                return self._reshape(node, spreads=False)
            case tree.Einsum(left, right, (before, other, after)):
                marks = ["b" if self._has_batch(part) else "" for part in (left, right)]
                text = f'"{marks[0]}{before},{marks[1]}{other}->{max(marks)}{after}"'
                return tree.Function("einsum", (_code(text), adapt(left), adapt(right)))
            case tree.Shift(window, entry):
                rest, first = self._part(adapt(window), ":, 1:"), self._part(adapt(window), ":, :1")
                if not self._has_batch(entry):
                    name = "full_state" if isinstance(entry, tree.Number) else "as_state"
                    return tree.Function("join", (rest, tree.Function(name, (adapt(entry), first))))
                return tree.Function("join", (rest, adapt(entry)))
            case tree.Index(size):
                return tree.Function("index", (_code(str(size)),))
        batch = self._has_batch(node)
        return tree.rebuild(
            node,
            lambda part: (
                self._reshape(part, spreads=batch) if isinstance(part, tree.Reshape) else adapt(part)
            ),
        )

    def _reshape(self, view: tree.Reshape, *, spreads: bool) -> tree.Node:
        """spreads: whether the value is spread over the axes of another, which has an axis for the batch."""
        part, before, order, shape = view
        batch = int(self._has_batch(part))
        after = tuple(before[axis] for axis in order)
        match part:
            case tree.Function(("mean" | "variance" | "sum") as function, (inner,)) if (
                after == before == (*shape, 1)
            ):
                axis = len(shape)  # the reduced axis is dropped
                match inner:
                    case tree.Reshape(whole, first, (*others, last), moved) if others == sorted(
                        others
                    ) and moved == tuple(first[each] for each in inner.order):
                        inner, axis = whole, last
                return tree.Function(f"{function} over", (self._adapt(inner), _code(str(axis + batch))))
        code = self._adapt(part)
        if order != tuple(range(len(order))):
            axes = (*range(batch), *(axis + batch for axis in order))
            code = tree.Function("transpose", (code, _code(_text(axes))))
        if after == shape:
            return code
        marks, taken = [":"] * batch, 0
        for size in shape:
            keeps = taken < len(after) and size == after[taken]
            marks.append(":" if keeps else "None")
            taken += keeps
        if (
            taken < len(after)
            or prod(shape) != prod(after)
            or any(size != 1 for size, mark in zip(shape, marks[batch:], strict=True) if mark == "None")
        ):
            return tree.Function("reshape", (code, _code(_text((*[-1] * batch, *shape)))))
        while marks and marks[-1] == ":":
            del marks[-1]
        while marks and marks[0] == "None" and spreads:
            del marks[0]
        return self._part(code, ", ".join(marks)) if marks else code

    def _part(self, node: tree.Node, index: str) -> tree.Node:
        whole = node if isinstance(node, (tree.Name, tree.Function)) else tree.Function("brackets", (node,))
        return tree.Function("part", (whole, _code(index)))


_CODE = "code"
"""The kind of a name that is code already."""


def _code(text: str) -> tree.Name:
    return tree.Name(text, _CODE)


def _text(shape: Sequence[int]) -> str:
    return write_tuple(map(str, shape))


def _weight(cell: ExportCell, weight: str, language: Language) -> str:
    array = "bias" if weight in BIASES else weight
    name = f"{language.prefix}{cell.global_name(array)}" if language.prefix else cell.names[array]
    return f"{name}[{int(weight != 'bias')}]" if array == "bias" and cell.cell.text.has_two_biases else name


def weight_shapes(cell: ExportCell) -> dict[str, str]:
    """Return the shapes of the weights as code: in `features` and `units` or, for named axes, as numbers."""
    shapes = {}
    for name, array in cell.weights.items():
        if cell.cell.text.has_axes:
            shape = list(map(str, array.shape))
        elif name in PACKED:
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
