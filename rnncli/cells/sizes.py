"""The sizes of a cell's lines, errors where they do not fit, and its equations without names of axes."""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

from collections.abc import Mapping, Sequence
from math import prod
from operator import mul, truediv
from typing import Any, NamedTuple

from rnncli.cells import tree
from rnncli.cells.text import BIASES, PACKED, CellText, Size, at, fold_call
from rnncli.errors import LayerError, Message, Text, inside
from rnncli.errors import count as counted

LARGEST = 2**31
"""Most numbers of a value in one step."""
MOST_AXES = 8
"""Most axes of a value; with the batch 9, which TensorFlow takes."""

Axes = tuple[str, ...]
"""The names of axes.  In a file that names none, the text of a size stands for its axis; "?" is unknown."""

Value = tuple[tree.Node, Axes]
"""A node without names of axes, and the axes of its numbers; with () it is an array of size 1."""

UNKNOWN = "?"
ALONG = ("softmax", "log_softmax", "sparsemax")
"""Activations over the last axis."""
_OUTER = Message("outer(a, b) multiplies every number of a with every number of b.")


class CellSizes(NamedTuple):
    """The sizes of a cell for one number of units and of features.

    known: the size of each axis; None if it is not known.  axes: of each state and line.
    inputs: the first column and the number of columns of each part of the input.
    widest: the most numbers of a value in one step.
    """

    known: Mapping[str, int | None]
    axes: Mapping[str, Axes]
    inputs: Mapping[str, tuple[int, int]]
    widest: int

    def size(self, axis: str) -> int | None:
        """Return the size of an axis."""
        return self.known[axis] if axis in self.known else None if axis == UNKNOWN else int(axis)

    def shape(self, axes: Axes) -> tuple[Any, ...]:
        """Return the sizes of these axes; (1,) for none."""
        return tuple(map(self.size, axes)) or (1,)

    def place(self, axes: Axes, indices: Mapping[str, int]) -> int:
        """Return the flat index of a number.  indices: by axis; 0 without an entry, at most the last."""
        place = 0
        for axis, size in zip(axes, self.shape(axes), strict=False):
            place = place * size + min(indices.get(axis, 0), size - 1)
        return place

    def numbers(self, axes: Axes) -> int | None:
        """Return how many numbers a value with these axes has."""
        shape = self.shape(axes)
        return None if None in shape else prod(shape)


def measure(text: CellText, config: Mapping[str, Any], features: int | None) -> CellSizes:
    """Return the sizes of a cell.  features: None if the number is not known.

    Raises LayerError, with a caret, where sizes do not fit, or a value has too many numbers.
    """
    units: int = config["units"]
    known: dict[str, int | None] = {"units": units, "features": features}
    axes: dict[str, Axes] = {}
    if not text.written:  # the lines of Keras's cells fit, and have one number per unit
        axes = dict.fromkeys((*text.states, *text.step), (str(units),) if units > 1 else ())
        return CellSizes(known, axes, {}, 0)
    with inside(text.file or text.name):
        for name, given in text.sizes.items():
            with at(text.written, "sizes", name):
                if not isinstance(given, int):
                    known[name] = _whole(given, known, text.spans[name])
                elif name != "units":
                    known[name] = config.get(name, given)
        sizes = CellSizes(known, axes, _split(text, known), 0)
        for state in text.states:
            count = sizes.numbers(text.axes(state))
            if count is not None and count > LARGEST:
                what = "the state {name} has {count} numbers, more than {largest}."
                with at(text.written, "shapes", state):
                    raise LayerError(what, "Give smaller sizes.", name=state, count=count, largest=LARGEST)
            axes[state] = _rename(text, sizes, text.axes(state))
        widest = 0
        for line, node in text.step.items():
            reader = _Reader(text, config, sizes, line)
            with at(text.written, "step", text.written_name(line)):
                axes[line] = reader.line_axes(node)
            widest = max(widest, reader.widest)
    return sizes._replace(widest=widest)


def lower(
    text: CellText, config: Mapping[str, Any], lines: Mapping[str, tree.Node], sizes: CellSizes
) -> Mapping[str, tree.Node]:
    """Return the equations without names of axes.  lines: as `resolve` returns them."""
    lowered = {}
    for line, node in lines.items():
        reader = _Reader(text, config, sizes, line, lowers=True)
        with (
            inside(text.file or text.name),
            at(text.written, "step", text.written_name(line)),
        ):
            lowered[line] = reader.align(*reader.value(node), sizes.axes[line])
    return lowered


def axes_of(node: tree.Node, text: CellText, config: Mapping[str, Any], sizes: CellSizes, line: str) -> Axes:
    """Return the axes of a node of a resolved line."""
    return _Reader(text, config, sizes, line).value(node)[1]


def lower_part(
    node: tree.Node, text: CellText, config: Mapping[str, Any], sizes: CellSizes, line: str
) -> Value:
    """Return a part of the equation of a line without names of axes, and the axes of its numbers."""
    return _Reader(text, config, sizes, line, lowers=True).value(node)


def _split(text: CellText, known: dict[str, int | None]) -> dict[str, tuple[int, int]]:
    """Return the columns of each part of the input; `known` gets the number of features."""
    starts, start = {}, 0
    for name, axes in text.inputs.items():
        width = prod(known[axis] or 1 for axis in axes)
        starts[name] = start, width
        start += width
    if text.inputs:
        if known["features"] not in (None, start):
            what = "the input has {features} features, but {names} have {count} numbers together."
            names = ", ".join(f"{name} ({width})" for name, (_, width) in starts.items())
            advice = Message(
                "Give the numbers side by side, such as {--input-shape:shape}, or arrays by these names.",
                shape=f"1,4,{start}",
            )
            raise LayerError(what, advice, features=known["features"], names=names, count=start)
        known["features"] = start
    return starts


def _whole(
    node: tree.Node, known: Mapping[str, int | None], spans: Mapping[tree.Node, tree.TokenSpan]
) -> int | None:
    """Return the value of an equation of `[sizes]`."""
    from fractions import Fraction

    def value(part: tree.Node) -> Fraction | None:
        match part:
            case tree.Number(number):
                result: Fraction | None = Fraction(repr(number))
            case tree.Name(name):
                size = known[name]
                result = None if size is None else Fraction(size)
            case tree.Sum(terms):
                values = [value(term) for _, term in terms]
                result = None if None in values else tree.add([sign for sign, _ in terms], values)
            case tree.Operation(symbol, left, right):
                first, second = value(left), value(right)
                if symbol == "/" and second == 0:
                    raise tree.fault(spans[part], Message("this divides by 0"))
                divides = {"*": mul, "/": truediv}[symbol]
                result = None if first is None or second is None else divides(first, second)
            case _:
                raise TypeError(part)
        if result is not None and abs(result) > LARGEST:
            raise tree.fault(spans[part], Message("this is more than {largest}", largest=LARGEST))
        return result

    whole = value(node)
    if whole is not None and (whole < 1 or whole.denominator > 1):
        what = Message("a size is a whole number from 1 on, but this is {value}", value=f"{float(whole):g}")
        names = dict.fromkeys(part.name for part in [node, *_inside(node)] if isinstance(part, tree.Name))
        given = Message("Here {sizes}.", sizes=", ".join(f"{name} = {known[name]}" for name in names))
        raise tree.fault(spans[node], what, given if names else "")
    return None if whole is None else int(whole)


def _inside(node: tree.Node) -> list[tree.Node]:
    return [part for operand in tree.parts(node) for part in (operand, *_inside(operand))]


def _rename(text: CellText, sizes: CellSizes, axes: Sequence[Any]) -> Axes:
    """Return the axes by which values meet: their names; without names in the file, their sizes."""
    names = [str(axis) for axis in axes]
    if not text.has_axes:
        names = [UNKNOWN if (size := sizes.size(name)) is None else str(size) for name in names]
    return tuple(name for name in names if name != "1")


class _Reader:
    """Takes the names of axes out of the nodes of one line, and checks that its values fit.

    lowers: whether constants are folded, and bias is 0 without use_bias; else only sizes are checked.
    """

    def __init__(
        self, text: CellText, config: Mapping[str, Any], sizes: CellSizes, line: str, *, lowers: bool = False
    ) -> None:
        self.text, self.config, self.sizes, self.line, self.lowers = text, config, sizes, line, lowers
        self.spans, self.widest = text.spans[line], 0

    def line_axes(self, node: tree.Node) -> Axes:
        """Return the axes of the line."""
        text, sizes, line = self.text, self.sizes, self.line
        _, axes = self.value(node)
        name = text.written_name(line)
        if not text.has_axes:
            size, units = sizes.numbers(axes), sizes.known["units"]
            if size not in ({units, None} if line in text.states else {*sizes.known.values(), 1, None}):
                what = Message("it has {size} numbers; a line may have units, features or 1", size=size)
                if line in text.states:
                    template = "it has {size} numbers, but the state {line} has {units}"
                    what = Message(template, size=size, line=name, units=units)
                raise self.fault(node, what)
            return axes
        expected = text.axes(line) if line in text.states or line in text.shapes else axes
        if {*axes} != {*expected}:
            template = "it has {axes}, but {line} has {wanted}"
            what = Message(template, axes=_axes_text(axes), line=name, wanted=_axes_text(expected))
            raise self.fault(node, what, Message("The axes of states and lines stand in [shapes]."))
        return expected

    def value(self, node: tree.Node) -> Value:
        """Return a node without names of axes, and its axes.  Raises LayerError where parts do not fit."""
        lowered, axes = self._value(node)
        count = self.sizes.numbers(axes) or 0
        if len(axes) > MOST_AXES:
            what = Message("it has {count} axes, more than {most}", count=len(axes), most=MOST_AXES)
            raise self.fault(node, what)
        if count > LARGEST:
            what = Message("it has {count} numbers, more than {largest}", count=count, largest=LARGEST)
            raise self.fault(node, what, Message("Give smaller sizes."))
        self.widest = max(self.widest, count)
        return lowered, axes

    def _value(self, node: tree.Node) -> Value:
        match node:
            case tree.Number():
                return node, ()
            case tree.Name():
                return self._name(node)
            case tree.Operation("@"):
                return self._product(node)
            case tree.Function("outer", (left, right)):
                values = [self.value(left), self.value(right)]
                whole = tuple(dict.fromkeys((*values[0][1], *values[1][1])))
                return self._combine(tree.Operation("*", left, right), values, whole)
            case tree.Function("join", (inner,)):
                return self._join(node, *self.value(inner))
            case tree.Function("shift", (tree.Name() as window, inner)):
                return self._shift(node, window, *self.value(inner))
            case tree.Function("index", (tree.Name(axis),)):
                return tree.Index(self.sizes.size(axis) or 0), (axis,)
            case tree.Function(function, (inner, *axis)) if function in tree.REDUCTIONS or (
                axis and function == "softmax"
            ):
                return self._reduce(node, *self.value(inner))
        values = [self.value(part) for part in tree.parts(node)]
        return self._combine(node, values, self._meet(node, [axes for _, axes in values]))

    def _name(self, node: tree.Name) -> Value:
        text, sizes, name = self.text, self.sizes, node.name
        if name == "x":
            return node, _rename(text, sizes, ("features",))
        if name in text.inputs:
            return self._shaped(tree.Name(name, "input"), text.inputs[name])
        if name in sizes.axes:
            return node, sizes.axes[name]
        if name in BIASES:
            if self.lowers and text.has_axes and not self.config["use_bias"]:
                zeros = tree.Operation(
                    "*", tree.Number(0.0), tree.Index(sizes.numbers(text.axes(self.line)) or 0)
                )
                return self._shaped(zeros, text.axes(self.line))
            return self._shaped(node, text.axes(self.line))
        if name in text.weights:
            axes = _rename(text, sizes, text.weights[name].shape)
            if len({*axes}) < len(axes):
                what = Message("{name} has an axis twice, so it must be on the right of @", name=name)
                raise self.fault(node, what)
            return self._squeezed(node), axes
        if name in text.options:  # a number
            return node, ()
        size = sizes.known[name]
        return (node if size is None else tree.Number(float(size))), ()

    def _shaped(self, node: tree.Node, axes: Sequence[Size]) -> Value:
        """Return a value whose numbers stand side by side, with these axes."""
        names = tuple(map(str, axes))
        shape, count = self.sizes.shape(names), self.sizes.numbers(names)
        lowered = node if len(shape) < 2 else tree.Reshape(node, (count or 0,), (0,), shape)
        return lowered, _rename(self.text, self.sizes, axes)

    def _squeezed(self, node: tree.Name) -> tree.Node:
        """Return a weight without the axes that its shape gives as the number 1."""
        shape = self.text.weights[node.name].shape
        kept = tuple(str(axis) for axis in shape if axis != 1)
        if not self.text.has_axes or len(shape) < 2 or len(kept) == len(shape):
            return node
        whole = self.sizes.shape(tuple(map(str, shape)))
        return tree.Reshape(node, whole, tuple(range(len(shape))), self.sizes.shape(kept))

    def _product(self, node: tree.Operation) -> Value:
        left, axes = self.value(node.left)
        text, sizes, right = self.text, self.sizes, node.right
        if isinstance(right, tree.Name) and (right.name in PACKED or not text.has_axes):
            if right.name in PACKED:
                needs: Size = "features" if right.name == "kernel" else "units"
                made: Sequence[Size] = text.axes(self.line)
            else:
                needs, *made = text.weights[right.name].shape
            needed = _rename(text, sizes, (needs,))
            if axes != needed and (UNKNOWN,) not in (axes, needed):
                template = "{weight} needs {needed} numbers on its left, not {given}"
                both: list[Any] = [sizes.numbers(needed), sizes.numbers(axes)]
                if text.has_axes:
                    template = "{weight} needs {needed} on its left, not {given}"
                    both = [_axes_text(needed), _axes_text(axes)]
                what = Message(template, weight=right.name, needed=both[0], given=both[1])
                raise self.fault(node, what)
            return self._shaped(tree.Operation("@", left, right), made)
        is_weight = isinstance(right, tree.Name) and right.name in text.weights
        if isinstance(right, tree.Name) and is_weight:
            others = _rename(text, sizes, text.weights[right.name].shape)
            operand = self._squeezed(right)
        else:
            operand, others = self.value(right)
        if not axes or axes[-1] not in others:
            template = "@ sums over the last axis of its left side, but the sides have {left} and {right}"
            what = Message(template, left=_axes_text(axes), right=_axes_text(others))
            advice = Message("The right side must have that axis. {outer}", outer=_OUTER)
            raise self.fault(node, what, advice)
        summed = others.index(axes[-1])
        if axes[:-1] == () and summed == 0 and len(others) == 2 and operand == right and is_weight:
            return tree.Operation("@", left, operand), others[1:]
        own = [place for place, axis in enumerate(others) if place != summed and axis not in axes[:-1]]
        further = [others[place] for place in own]
        result = (*axes[:-1], *further)
        if len({*result}) < len(result):
            raise self.fault(node, Message("the result has an axis twice: {axes}", axes=_axes_text(result)))
        letters = _letters((*axes, *further))
        before, after = letters[: len(axes)], letters[: len(axes) - 1] + letters[len(axes) :]
        shared, rest = dict(zip(axes, before, strict=True)), iter(letters[len(axes) :])
        marks = (next(rest) if place in own else shared[axis] for place, axis in enumerate(others))
        summed_up = tree.Einsum(left, operand, (before, "".join(marks), after))
        return (summed_up if result else tree.Reshape(summed_up, (), (), (1,))), result

    def _meet(self, node: tree.Node, axes: Sequence[Axes]) -> Axes:
        """Return the axes of the operand that has all of them."""
        whole = max((each for each in axes if each != (UNKNOWN,)), key=len, default=(UNKNOWN,))
        for other in axes:
            if {*other} - {*whole, UNKNOWN}:
                if not self.text.has_axes:
                    one, two = self.sizes.numbers(whole), self.sizes.numbers(other)
                    raise self.fault(
                        node, Message("its parts have {one} and {two} numbers", one=one, two=two)
                    )
                what = Message("its parts have {one} and {two}", one=_axes_text(whole), two=_axes_text(other))
                advice = Message(
                    "The axes of one part must be among those of the other. {outer}", outer=_OUTER
                )
                raise self.fault(node, what, advice)
        return (UNKNOWN,) if not whole and (UNKNOWN,) in axes else whole

    def _combine(self, node: tree.Node, values: Sequence[Value], whole: Axes) -> Value:
        """Return the node on operands whose axes stand side by side as in `whole`."""
        operands = [self.align(part, axes, whole) for part, axes in values]
        views = {part[1:] if isinstance(part, tree.Reshape) else None for part in operands}
        along = isinstance(node, tree.Function) and self.text.function(node.function, self.config) in ALONG
        if len(views) == 1 and (view := views.pop()) and not along:  # shapes change after the activation
            operands = [part.part for part in operands if isinstance(part, tree.Reshape)]
            return tree.Reshape(self._rebuilt(node, operands), *view), whole
        return self._rebuilt(node, operands), whole

    def _rebuilt(self, node: tree.Node, operands: Sequence[tree.Node]) -> tree.Node:
        taken = iter(operands)
        made = tree.rebuild(node, lambda _: next(taken))
        with tree.point_at(self.spans.get(node)):
            return fold_call(made, {**self.text.options, **self.config}) if self.lowers else made

    def align(self, node: tree.Node, axes: Axes, whole: Axes) -> tree.Node:
        """Return the node with its axes in the order of `whole`, and axes of size 1 for the others."""
        if isinstance(node, tree.Number) or axes == whole or (len(whole) < 2 and not axes) or UNKNOWN in axes:
            return node
        order = tuple(axes.index(axis) for axis in whole if axis in axes) or (0,)
        shape = tuple(self.sizes.size(axis) if axis in axes else 1 for axis in whole)
        return tree.Reshape(node, self.sizes.shape(axes), order, shape)  # type: ignore[arg-type]

    def _join(self, node: tree.Node, inner: tree.Node, axes: Axes) -> Value:
        count, units = self.sizes.numbers(axes), self.sizes.known["units"]
        if None not in (count, units) and count != units:
            numbers = counted(count or 0, "number")
            what = Message("it has {numbers}, but units is {units}", numbers=numbers, units=units)
            raise self.fault(node, what)
        shape = self.sizes.shape(axes)
        joined = (
            inner if len(shape) < 2 else tree.Reshape(inner, shape, tuple(range(len(shape))), (units or 0,))
        )
        return joined, ("units",)

    def _shift(self, node: tree.Node, window: tree.Name, inner: tree.Node, axes: Axes) -> Value:
        if window.name not in self.text.states:
            what = Message("shift moves the entries of a state, and {name} is not one", name=window.name)
            raise self.fault(node, what)
        whole = self.sizes.axes[window.name]
        if not whole or {*axes} != {*whole[1:]} or isinstance(inner, tree.Number):
            template = "it needs {needed}, the axes of {name} without the first, not {given}"
            fields = {"needed": _axes_text(whole[1:]), "given": _axes_text(axes), "name": window.name}
            raise self.fault(node, Message(template, **fields))
        entry = self.align(inner, axes, whole[1:])
        rest = self.sizes.shape(whole[1:])
        if len(whole) > 1:
            entry = tree.Reshape(entry, rest, tuple(range(len(rest))), (1, *rest))
        return tree.Shift(window, entry, len(whole)), whole

    def _reduce(self, node: tree.Function, inner: tree.Node, axes: Axes) -> Value:
        """Return a function over an axis, which is moved to the end, and dropped except by softmax."""
        function, (_, *given) = node.function, node.arguments
        if given and (not isinstance(given[0], tree.Name) or given[0].name not in axes):
            what = Message("{name} needs an axis of its argument, which has {axes}", name=function,
                           axes=_axes_text(axes))  # fmt: skip
            raise self.fault(node, what)
        if not axes:
            return self._rebuilt(tree.Function(function, (inner,)), [inner]), ()
        axis = given[0].name if given and isinstance(given[0], tree.Name) else axes[-1]
        rest = tuple(other for other in axes if other != axis)
        reduced = tree.Function(function, (self.align(inner, axes, (*rest, axis)),))
        if function == "softmax":
            return self.align(reduced, (*rest, axis), axes), axes
        shape = self.sizes.shape(rest)
        return (
            tree.Reshape(reduced, (*shape, 1), tuple(range(len(shape) + 1)), shape) if rest else reduced
        ), rest

    def fault(self, node: tree.Node, reason: Text, advice: Text = "") -> LayerError:
        if not self.text.has_axes:
            known = self.sizes.known["features"] is not None
            advice = (
                "x has {features} numbers, a state has {units}." if known else "A state has {units} numbers."
            )
            advice = Message(advice, features=self.sizes.known["features"], units=self.sizes.known["units"])
        span = self.spans.get(node) or next(iter(self.spans.values()))
        return tree.fault(span, reason, advice)


def _letters(axes: Axes) -> str:
    """Return a letter for each axis, of its name if possible; `b` is left for the batch."""
    from string import ascii_letters

    letters = ""
    for axis in axes:
        choices = (letter for letter in axis.lower() + ascii_letters if letter in ascii_letters)
        letters += next(letter for letter in choices if letter not in letters + "b")
    return letters


def _axes_text(axes: Axes) -> Text:
    return ", ".join(axes) if axes else Message("no axes")
