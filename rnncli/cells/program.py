"""Compile the step of a cell: its equations as a Python function on NumPy arrays.

The function is assembled from the checked tree alone: every name in it is made here.  Three things make it as
fast as a step written by hand.  What depends on no state is computed for many time steps at once (`project`).
Lines beside each other in a packed weight that contain the same sum share one product.  Their common
activation is called once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple

from rnncli.cells import activations, tree
from rnncli.cells.sizes import CellSizes
from rnncli.cells.text import BIASES, PACKED, CellText, packed_in
from rnncli.values import Array

MANY = 2**14
"""Number of elements above which computing an activation takes longer than the call overhead."""


def view(value: Array, rank: int, order: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    """Return a value with its last `rank` axes in another order and shape, see tree.Reshape."""
    lead = value.ndim - rank
    if order != tuple(range(rank)):
        value = value.transpose(*range(lead), *(lead + axis for axis in order))
    return value.reshape(*value.shape[:lead], *shape)


def shift(window: Array, value: Array, rank: int) -> Array:
    """Return the window without its oldest entry, then `value`, see tree.Shift."""
    import numpy as np

    if value.ndim == rank or len(value) < len(window):  # the same for each sequence
        value = np.broadcast_to(value, (len(window), *value.shape[value.ndim - rank :]))
    return np.concatenate((window[:, 1:], value), 1)


def delayed(value: Array, start: Array) -> Array:
    """Return the value (steps, batch, ...) of the step before; `start` before the first step."""
    import numpy as np

    return np.concatenate((start.reshape(1, *value.shape[1:]), value[:-1]))


def windows(entries: Array, start: Array, shape: tuple[int, ...]) -> Array:
    """Return a window over the entries after each step, (steps, batch, *shape).

    entries: (steps, batch, 1, ...).  start: the window before the first step, (batch, numbers).
    """
    import numpy as np

    size, *rest = shape
    first = np.moveaxis(start.reshape(len(start), size, *rest), 1, 0)
    whole = np.concatenate((first, entries.reshape(*entries.shape[:2], *rest)))
    return np.moveaxis(np.lib.stride_tricks.sliding_window_view(whole, size, axis=0)[1:], -1, 2)


def product(values: Array, kernel: Array, masks: tuple[Array, ...]) -> Array:
    """Return values @ kernel; each gate's columns use `values` times the dropout mask of that gate.

    values: (..., batch, n); kernel: (n, gates * units).
    masks: none, one, or one per gate, each (batch, n).
    """
    if len(masks) > 1:
        import numpy as np

        pairs = zip(masks, np.split(kernel, len(masks), axis=-1), strict=True)
        return np.concatenate([product(values, part, (mask,)) for mask, part in pairs], axis=-1)
    values = values * masks[0] if masks else values
    # NumPy would multiply 3-D values one matrix at a time, and pack the kernel again each time.
    rows: Array = values if values.ndim == 2 else values.reshape(-1, values.shape[-1])
    products: Array = rows.dot(kernel)  # several times faster than @ on small arrays
    return products.reshape(*values.shape[:-1], -1) if values.ndim > 2 else products


def columns(weight: Array, start: int, stop: int) -> Array:
    """Return a copy of some columns of a weight; products read it faster than a view."""
    import numpy as np

    return np.ascontiguousarray(weight[:, start:stop])


def expand(value: Any, like: Array) -> Array:
    """Return a value that is the same in every step, repeated for each sequence of the batch."""
    import numpy as np

    array = np.asarray(value, like.dtype)
    return np.broadcast_to(array, (len(like), array.shape[-1] if array.ndim else 1))


def activate(
    activation: Callable[[Array], Array], packed: Array, units: int, gates: Sequence[int]
) -> list[Array]:
    """Apply an activation to some gates of (batch, all gates * units); returns (batch, units) for each.

    One call for all gates is the fastest; for small arrays, even if it includes gates that are not needed.
    """
    if packed.size > MANY and len(gates) * units < packed.shape[-1]:
        return [activation(packed[:, gate * units : (gate + 1) * units]) for gate in gates]
    activated = activation(packed.reshape(len(packed), -1, units))
    return [activated[:, gate] for gate in gates]


def hold(
    holds: Mapping[str, tuple[Array, Array]], names: Sequence[str], gates: Sequence[Array]
) -> list[Array]:
    """Return the gates, each (batch, ...), with the held entries replaced by their values."""
    import numpy as np

    def held(name: str, gate: Array) -> Array:
        which, values = (part.reshape(gate.shape[1:]) for part in holds[name])
        return np.where(which, values, gate)

    pairs = zip(names, gates, strict=True)
    return [held(name, gate) if name in holds else gate for name, gate in pairs]


STEP_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    product, view, shift, delayed, windows, columns, expand, activate, hold,
)  # fmt: skip


ONCE, PROJECTED, STEP = 0, 1, 2
"""When a value is computed: once a call, for a block of time steps, or in each step."""

Run = tuple[str, ...]
"""Lines beside each other in the packed weights."""


class DropoutMasks(NamedTuple):
    """The dropout masks of one call: none, one shared by all gates, or one per gate.

    inputs: each (batch, features); recurrent: each (batch, units).
    """

    inputs: tuple[Array, ...] = ()
    recurrent: tuple[Array, ...] = ()


class Gate(NamedTuple):
    """A gate at one time step, arrays of shape (batch, units), flat where its axes have names.

    preactivation: the argument of its activation; None if the gate is not a function of a sum.
    recurrent: the recurrent part of a GRU's candidate before the reset gate, with reset_after; else None.
    """

    preactivation: Array | None
    activation: Array
    recurrent: Array | None = None

    @property
    def kinds(self) -> dict[str, Array]:
        """Its arrays by kind, in the order of a trace."""
        kinds = {"preactivation": self.preactivation, "recurrent": self.recurrent}
        known = {kind: values for kind, values in kinds.items() if values is not None}
        return {**known, "activation": self.activation}


class BoundCell(NamedTuple):
    """A cell with its weights, for one call.

    project(inputs) returns the values that depend on no state, as a tuple of arrays.  The inputs are
        (timesteps, batch, features) or (batch, features); only the last axis of an array differs.
    step(projected, state, holds) returns the state after one step and a function that returns the gates.
        The caller must use `np.errstate(all="ignore")`.
    """

    project: Callable[[Array], tuple[Array, ...]]
    step: Callable[..., tuple[tuple[Array, ...], Callable[[], tuple[Gate, ...]]]]


def compile_cell(
    text: CellText, lines: Mapping[str, tree.Node], config: Mapping[str, Any],
    recurrent: Mapping[str, tree.Node], sizes: CellSizes, *, holds: bool = False, chained: bool = False,
) -> Callable[[Mapping[str, Array], DropoutMasks, Any], BoundCell]:  # fmt: skip
    """Return a function that binds the cell to weights, dropout masks and a dtype.

    lines: the equation of each line, without names of axes.
    recurrent: by line, the part of its equation that a trace shows as `recurrent`.
    holds: whether lines may be held; else lines that depend on no state are computed before the steps, where
        axes have names.
    chained: whether `project` gets steps that follow each other, none of them masked, and the states before
        them; then also a state that only repeats or collects such lines is computed before the steps.
    """
    import numpy as np

    # As text, in which -0.0 is not 0.0.
    key = repr(
        (text.name, text.states, text.gates, text.step, text.inputs, sizes, lines, recurrent, holds, chained)
    )
    if key not in _COMPILED:
        if len(_COMPILED) >= KEPT:
            _COMPILED.clear()
        source = _Source(text, lines, sizes, recurrent, lifts=text.has_axes and not holds, chained=chained)
        _COMPILED[key] = compile(source.text(), f"<{text.name}>", "exec"), tuple(source.functions)
    code, named = _COMPILED[key]
    functions = activations.array_functions(np)
    for name in named:
        if name not in functions:
            value: Any = config.get(name) or text.options.get(name, name)
            functions[name] = activations.get_unguarded(value)
    scope: dict[str, Any] = {
        "Gate": Gate, "units": config["units"], "functions": functions, "np": np,
        **{function.__name__: function for function in STEP_FUNCTIONS},
    }  # fmt: skip
    exec(code, scope)
    return scope["bind"]  # type: ignore[no-any-return]


KEPT = 64
"""Number of cells whose code is kept."""

_COMPILED: dict[str, tuple[Any, tuple[str, ...]]] = {}
"""Code and the names of its functions, by their sources: a command makes the same cell several times."""


class _Source:
    """The source of `bind`, written from the lines of a cell.

    lines: by name, their equations; done: those that are written.  recurrent: see `compile_cell`.
    widths: how many columns of a packed weight each line has.  shapes: of the states and lines.
    lifts: whether a line that depends on no state is computed before the steps.
    levels: of the lines above, when they are computed.
    delayed: the states that are a line of the step before; windows: those that are a window over lines.
    variables: of each line.  functions: the variable of each function.
    order: the lines of each packed weight, in the order of its columns.
    packable: by line, the parts of its equation that neighbouring lines can share.
    uses: in how many lines a part occurs.
    written: the code by its level: ONCE, PROJECTED or STEP.
    values: the variable of each value that is computed once, and its level.
    passed: the names in `step` of the variables that `project` returns.
    """

    def __init__(
        self, text: CellText, lines: Mapping[str, tree.Node], sizes: CellSizes,
        recurrent: Mapping[str, tree.Node], *, lifts: bool, chained: bool,
    ) -> None:  # fmt: skip
        self.cell, self.lines, self.sizes, self.recurrent, self.lifts = text, lines, sizes, recurrent, lifts
        self.units: int = sizes.known["units"] or 0
        self.widths = {line: sizes.numbers(text.axes(line)) or 0 for line in text.gates}
        self.shapes = {
            line: sizes.shape(axes) if text.has_axes else (1,) for line, axes in sizes.axes.items()
        }
        self.levels: dict[str, int] = {}
        chained = chained and lifts
        self.delayed = {state for state in text.states if chained and self._is_input(lines[state])}
        self.windows = {state for state in text.states if chained and self._is_window(state)}
        nodes = (node for line in lines.values() for node in tree.walk(line))
        called = dict.fromkeys(node.function for node in nodes if isinstance(node, tree.Function))
        self.functions = {name: f"f{index}" for index, name in enumerate(called)}
        self.variables = {line: f"g{index}" for index, line in enumerate(lines)}
        self.order = text.packing()
        self.uses = Counter(
            node for line in lines.values() for node in set(tree.walk(line)) if tree.parts(node)
        )
        self.written: dict[int, list[str]] = {ONCE: [], PROJECTED: [], STEP: []}
        self.values: dict[Any, tuple[str, int]] = {}
        self.passed: dict[str, str] = {}
        self.done: set[str] = set()
        self.packable = {
            line: {part for part in tree.walk(node) if _is_packable(part)} for line, node in lines.items()
        }

    def text(self) -> str:
        """Return the source."""
        for line in self.lines:
            if line not in self.done:
                self._line(line)
        gates = "".join(f"{self._gate(line)}, " for line in self.cell.traced)
        before = "".join(f"s{index}, " for index in range(len(self.cell.states)))
        after = "".join(f"{self._flat(self._read(state, STEP), state)}, " for state in self.cell.states)
        taken = "".join(f"{name}, " for name in self.passed.values())
        project = [*self.written[PROJECTED], f"return ({''.join(f'{name}, ' for name in self.passed)})"]
        step = [f"({before}) = state", *([f"({taken}) = projected"] if taken else [])]
        step += [
            f"s{index} = s{index}.reshape(-1, {_text(self.shapes[state])})"
            for index, state in enumerate(self.cell.states)
            if len(self.shapes[state]) > 1 and state not in self.delayed | self.windows
        ]
        step += self.written[STEP]
        once = (f"{variable} = functions[{name!r}]" for name, variable in self.functions.items())
        lines = [
            "def bind(weights, dropout, dtype):",
            *(f"    {line}" for line in (*once, *self.written[ONCE])),
            "    def project(x, before=None):",
            *(f"        {line}" for line in project),
            "    def step(projected, state, holds=None):",
            *(f"        {line}" for line in (*step, f"return ({after}), lambda: ({gates})")),
            "    return project, step",
        ]
        return "\n".join(lines)

    def _is_input(self, node: tree.Node) -> bool:
        """Return whether a node depends on the input, and on no state."""
        names = [part for part in tree.walk(node) if isinstance(part, tree.Name)]
        if any(name.kind in ("before", "line") for name in names):
            return False
        free = [self._is_input(self.lines[name.name]) for name in names if name.kind == "free"]
        return any(free) or any(name == tree.Name("x") or name.kind == "input" for name in names)

    def _is_window(self, state: str) -> bool:
        """Return whether a state is read only by its own line, which shifts what depends on no state."""
        reads = sum(
            part == tree.Name(state, "before") for node in self.lines.values() for part in tree.walk(node)
        )
        node = self.lines[state]
        return reads == 1 and isinstance(node, tree.Shift) and self._is_input(node.value)

    def _write_ahead(self, line: str) -> None:
        """Write a line that depends on no state, and the lines that it reads, unless they are written."""
        for part in tree.walk(self.lines[line]):
            if isinstance(part, tree.Name) and part.kind == "free":
                self._write_ahead(part.name)
        if line not in self.done:
            self._line(line)

    def _line(self, line: str) -> None:
        """Write a line, together with the lines that apply the same activation to the same packed sum."""
        node = self.lines[line]
        together = [line]
        if isinstance(node, tree.Function) and len(node.arguments) == 1 and _is_packable(node.arguments[0]):
            run = self._run(node.arguments[0], line)
            together = [other for other in run if self.lines[other] == node and other not in self.done]
        self.levels[line] = level = self._level(node)
        if level < STEP and self.lifts:
            if line in self.windows and isinstance(node, tree.Shift):
                entry, index = self._code(node.value, line, level), self.cell.states.index(line)
                code = f"windows({entry}, before[{index}], {self.shapes[line]})"
            else:
                code = self._code(node, line, level)
            code = f"np.full(1, {code}, dtype)" if isinstance(node, tree.Number) else code
            self.written[level].append(f"{self.variables[line]} = {code}")
            self.values[line], self.done = (self.variables[line], level), self.done | {line}
            return
        same = all(self.widths[other] == self.units for other in together if other in self.widths)
        if len(together) > 1 and isinstance(node, tree.Function) and level == STEP and same:
            packed, gates = self._packed(node.arguments[0], run, STEP), tuple(map(run.index, together))
            names, function = (
                ", ".join(self.variables[name] for name in together),
                self.functions[node.function],
            )
            self.written[STEP].append(f"{names} = activate({function}, {packed}, units, {gates})")
        else:
            together, code = [line], self._code(node, line, STEP)
            code = self._expanded(code, node, line)
            self.written[STEP].append(f"{self.variables[line]} = {code}")
        if traced := tuple(name for name in together if name in self.cell.traced):
            variables = ", ".join(self.variables[name] for name in traced)
            self.written[STEP].append(f"if holds: ({variables},) = hold(holds, {traced}, ({variables},))")
        self.done.update(together)

    def _expanded(self, code: str, node: tree.Node, line: str) -> str:
        """Return code for a value of a line with an axis for the batch."""
        if self._level(node) != ONCE:
            return code
        shape = self.shapes[line]
        flat = f"expand(np.reshape({code}, -1), s0)" if len(shape) > 1 else f"expand({code}, s0)"
        return f"{flat}.reshape(-1, {_text(shape)})" if len(shape) > 1 else flat

    def _flat(self, code: str, line: str) -> str:
        """Return code for a value of a line, (batch, numbers)."""
        shape = self.shapes[line]
        return f"{code}.reshape(-1, {prod(shape)})" if len(shape) > 1 else code

    def _read(self, line: str, at: int) -> str:
        """Return code for the value of a line, with an axis for the batch in the step."""
        if line not in self.values:
            return self.variables[line]
        value = self._refer(self.levels[line], at, line, "")
        return self._expanded(value, self.lines[line], line) if at == STEP else value

    def _gate(self, line: str) -> str:
        """Return the Gate of a line for a trace."""
        node, value, before = self.lines[line], self._flat(self._read(line, STEP), line), "None"
        whole = node
        while isinstance(node, tree.Reshape):
            node = node.part
        match node:
            case tree.Function(function, (tree.Sum() | tree.Operation("@") as inner,)) if (
                function not in tree.REDUCTIONS
            ):
                before = self._code(inner, line, STEP)  # a trace shows the sum, too: the preactivation
                if self._level(node) == ONCE:
                    before = f"expand(np.reshape({before}, -1), s0)"
                elif whole is node:
                    before = self._flat(before, line)
        recurrent = f", {self._code(self.recurrent[line], line, STEP)}" if line in self.recurrent else ""
        return f"Gate({before}, {value}{recurrent})"

    def _code(self, node: tree.Node, line: str, at: int) -> str:
        """Return code for the value of a node in a line.

        A value that is used often, or is known before the step, becomes a variable, written first.
        at: the level of the code that uses the value.
        """
        level = self._level(node)
        match node:
            case tree.Number(value):
                return f"({value!r})"  # -2.0 ** x would be -(2.0 ** x)
            case tree.Name(name, "before"):
                index = self.cell.states.index(name)
                if name not in self.delayed:
                    return f"s{index}"
                self._write_ahead(name)
                code = f"delayed({self.values[name][0]}, before[{index}])"
                return self._refer(PROJECTED, at, node, code)
            case tree.Name(name, "input"):
                start, width = self.sizes.inputs[name]
                x = self._code(tree.Name("x"), line, PROJECTED)
                return self._refer(PROJECTED, at, node, f"{x}[..., {start}:{start + width}]")
            case tree.Name(name, kind) if kind:
                if name in self.values:
                    return self._refer(self.levels[name], at, name, "")
                return self.variables[name]
            case tree.Index(size):
                return self._refer(ONCE, at, node, f"np.arange({size}, dtype=dtype)")
            case tree.Name("x"):
                return self._refer(PROJECTED, at, node, "x * dropout.inputs[0] if dropout.inputs else x")
            case tree.Name(name) if name not in PACKED:
                return self._refer(ONCE, at, node, f"weights[{name!r}]")
        if _is_packable(node):
            return self._packed(node, (line,), at)
        if level < at or self.uses[node] > 1:
            # A packed weight means other columns in each line.
            key = (node, line) if packed_in(node) else node
            return self._refer(level, at, key, lambda: self._inline(node, line, level))
        return self._inline(node, line, at)

    def _inline(self, node: tree.Node, line: str, at: int) -> str:
        match node:
            case tree.Sum(terms):
                return _join([(sign, self._code(term, line, at)) for sign, term in terms])
            case tree.Operation("@", left, tree.Name(weight)):
                return f"product({self._code(left, line, at)}, {self._code(tree.Name(weight), line, at)}, ())"
            case tree.Operation(symbol, left, right):
                return f"({self._code(left, line, at)} {symbol} {self._code(right, line, at)})"
            case tree.Function(function, arguments):
                values = ", ".join(self._code(argument, line, at) for argument in arguments)
                return f"{self.functions[function]}({values})"
            case tree.Reshape(part, before, order, shape):
                value = self._code(part, line, at)
                if at == STEP and order == tuple(range(len(before))):
                    return f"{value}.reshape(-1, {_text(shape)})"
                return f"view({value}, {len(before)}, {order}, {shape})"
            case tree.Einsum(left, right, subscripts):
                return _contract(self._code(left, line, at), self._code(right, line, at), *subscripts)
            case tree.Shift(window, entry, rank):
                return f"shift({self._code(window, line, at)}, {self._code(entry, line, at)}, {rank})"
        raise AssertionError(node)

    def _level(self, node: tree.Node) -> int:
        """Return when the value of a node is computed."""
        levels = [ONCE]
        for name in (part for part in tree.walk(node) if isinstance(part, tree.Name)):
            if name.kind in ("line", "free"):
                levels.append(self.levels[name.name] if self.lifts else STEP)
            elif name.kind == "before":
                levels.append(PROJECTED if name.name in self.delayed | self.windows else STEP)
            elif name == tree.Name("x") or name.kind == "input":
                levels.append(PROJECTED)
        return max(levels)

    def _refer(self, level: int, at: int, key: Any, code: str | Callable[[], str]) -> str:
        """Return the variable of a value that is computed once, at its level; written when first needed.

        at: the level of the code that uses it.  key: equal for equal values.  code: of the value.
        """
        if key not in self.values:
            made = code if isinstance(code, str) else code()
            variable = f"v{len(self.values)}"
            self.values[key] = variable, level
            self.written[level].append(f"{variable} = {made}")
        variable, level = self.values[key]
        if level == PROJECTED and at == STEP:
            return self.passed.setdefault(variable, f"p{len(self.passed)}")
        return variable

    def _packed(self, node: tree.Node, wanted: Run, at: int) -> str:
        """Return code for a packable node in the columns of the wanted lines."""
        run, level = self._run(node, wanted[0]), self._level(node)
        name = self._refer(level, at, (node, run), lambda: self._packed_code(node, run, level))
        if run == wanted:
            return name
        start = self._width(run[: run.index(wanted[0])])
        return f"{name}[..., {start}:{start + self._width(wanted)}]"

    def _width(self, lines: Sequence[str]) -> int:
        return sum(self.widths[line] for line in lines)

    def _packed_code(self, node: tree.Node, run: Run, at: int) -> str:
        match node:
            case tree.Sum(terms):
                return _join([(sign, self._packed(term, run, at)) for sign, term in terms])
            case tree.Operation("@", left, tree.Name(weight)):
                order, matrix = self.order[weight], f"weights[{weight!r}]"
                start, stop = order.index(run[0]), order.index(run[-1]) + 1
                if len(order) > stop - start:
                    matrix = f"columns({matrix}, {self._width(order[:start])}, {self._width(order[:stop])})"
                matrix = self._refer(ONCE, at, (weight, run), matrix)
                if weight == "kernel" and left != tree.Name("x"):  # each x in it is masked where it stands
                    return f"product({self._code(left, run[0], at)}, {matrix}, ())"
                part = "inputs" if weight == "kernel" else "recurrent"
                gates = f"dropout.{part}[{start}:{stop}] if len(dropout.{part}) > 1 else dropout.{part}"
                masks = self._refer(ONCE, at, (weight, run, "masks"), gates)
                row = "x" if weight == "kernel" else self._code(left, run[0], at)
                return f"product({row}, {matrix}, {masks})"
            case tree.Name(weight):
                order = self.order[weight]
                start, stop = order.index(run[0]), order.index(run[-1]) + 1
                which = "" if not self.cell.has_two_biases else "0, " if weight == "bias" else "1, "
                return f"weights['bias'][{which}{self._width(order[:start])}:{self._width(order[:stop])}]"
        raise AssertionError(node)

    def _run(self, node: tree.Node, line: str) -> Run:
        """Return `line` and the lines beside it in the packed weights that contain this packable node."""
        products = (
            part for part in tree.walk(node) if isinstance(part, tree.Operation) and part.symbol == "@"
        )
        if any(packed_in(part.left) for part in products):
            return (line,)  # the left operand of the @ differs from line to line
        weights = [
            part.name for part in tree.walk(node) if isinstance(part, tree.Name) and part.name in PACKED
        ]
        sharing = [other for other in self.cell.gates if node in self.packable[other] or other == line]
        run: list[str] = [line]
        for offset, end in ((1, -1), (-1, 0)):
            while True:
                places = [
                    (self.order[weight], self.order[weight].index(run[end]) + offset) for weight in weights
                ]
                beside = {order[place] if 0 <= place < len(order) else "" for order, place in places}
                if len(beside) > 1 or beside.isdisjoint(sharing):
                    break
                run.insert(len(run) if offset > 0 else 0, beside.pop())
        return tuple(run)


def _join(terms: Sequence[tuple[int, str]]) -> str:
    text = "".join(f" {'+' if sign > 0 else '-'} {code}" for sign, code in terms)
    return f"({text[3:] if terms[0][0] > 0 else text[1:]})"


def _text(shape: Sequence[int]) -> str:
    return ", ".join(map(str, shape))


def _contract(left: str, right: str, before: str, other: str, after: str) -> str:
    """Return code for an Einsum; a product of matrices, which is faster, where it can be one."""
    kept, summed = [*before[:-1]], before[-1]
    shared, rows = ([mark for mark in kept if (mark in other) == both] for both in (True, False))
    columns = [mark for mark in other if mark not in before]
    if len(rows) > 1 or len(columns) > 1 or kept != [*shared, *rows]:
        return f"np.einsum('...{before},...{other}->...{after}', {left}, {right})"
    if [*other] == [*shared, *columns, summed] and columns:
        right = f"{right}.swapaxes(-1, -2)"
    elif [*other] != [*shared, summed, *columns]:
        right = f"np.einsum('...{other}->...{''.join([*shared, summed, *columns])}', {right})"
    left = left if rows else f"{left}[..., None, :]"
    right = right if columns else f"{right}[..., None]"
    end = "[..., 0, 0]" if not rows and not columns else "" if rows and columns else (
        "[..., 0]" if rows else "[..., 0, :]"
    )  # fmt: skip
    return f"np.matmul({left}, {right}){end}"


def _is_packable(node: tree.Node) -> bool:
    """Return whether neighbouring lines can share the node: a sum of packed products and biases."""
    match node:
        case tree.Sum(terms):
            return all(_is_packable(term) for _, term in terms)
        case tree.Operation("@", _, tree.Name(weight)):
            return weight in PACKED
        case tree.Name(name, ""):
            return name in BIASES
    return False
