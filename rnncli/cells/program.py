"""Compile the step of a cell: its equations as a Python function on NumPy arrays.

The function is assembled from the checked tree alone: every name in it is made here.  Three things make it as
fast as a step written by hand.  What depends on no state is computed for many time steps at once (`project`).
Lines beside each other in a packed weight that contain the same sum share one product.  Their common
activation is called once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from rnncli.case import Array
from rnncli.cells import activations
from rnncli.cells.text import BIASES, PACKED, CellText, packed_in
from rnncli.cells.tree import REDUCTIONS, Function, Name, Node, Number, Operation, Sum, parts, walk

MANY = 2**14
"""Number of elements above which computing an activation takes longer than the call overhead."""

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
    """A gate at one time step, arrays of shape (batch, units).

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
    text: CellText, lines: Mapping[str, Node], config: Mapping[str, Any], recurrent: Mapping[str, Node]
) -> Callable[[Mapping[str, Array], DropoutMasks], BoundCell]:
    """Return a function that binds the cell to weights and dropout masks.

    lines: the equation of each line, as `resolve` returns it.
    recurrent: by line, the part of its equation that a trace shows as `recurrent`.
    """
    import numpy as np

    # As text, in which -0.0 is not 0.0.
    key = repr((text.name, text.states, text.gates, text.step, config["units"], lines, recurrent))
    if key not in _COMPILED:
        if len(_COMPILED) >= KEPT:
            _COMPILED.clear()
        source = _Source(text, lines, config["units"], recurrent)
        _COMPILED[key] = compile(source.text(), f"<{text.name}>", "exec"), tuple(source.functions)
    code, named = _COMPILED[key]
    functions = activations.array_functions(np)
    for name in named:
        if name not in functions:
            value: Any = config.get(name) or text.options.get(name, name)
            functions[name] = activations.get_unguarded(value)
    scope: dict[str, Any] = {
        "Gate": Gate, "product": product, "hold": hold, "activate": activate, "columns": columns,
        "expand": expand, "units": config["units"], "functions": functions,
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
    variables: of each line.  functions: the variable of each function.
    order: the lines of each packed weight, in the order of its columns.
    packable: by line, the parts of its equation that neighbouring lines can share.
    uses: in how many lines a part occurs.
    written: the code by its level: ONCE, PROJECTED or STEP.
    values: the variable of each value that is computed once, and its level.
    passed: the names in `step` of the variables that `project` returns.
    """

    def __init__(
        self, text: CellText, lines: Mapping[str, Node], units: int, recurrent: Mapping[str, Node]
    ) -> None:
        self.cell, self.lines, self.units, self.recurrent = text, lines, units, recurrent
        nodes = (node for line in lines.values() for node in walk(line))
        called = dict.fromkeys(node.function for node in nodes if isinstance(node, Function))
        self.functions = {name: f"f{index}" for index, name in enumerate(called)}
        self.variables = {line: f"g{index}" for index, line in enumerate(lines)}
        self.order = text.packing()
        self.uses = Counter(node for line in lines.values() for node in set(walk(line)) if parts(node))
        self.written: dict[int, list[str]] = {ONCE: [], PROJECTED: [], STEP: []}
        self.values: dict[Any, tuple[str, int]] = {}
        self.passed: dict[str, str] = {}
        self.done: set[str] = set()
        self.packable = {
            line: {part for part in walk(node) if _is_packable(part)} for line, node in lines.items()
        }

    def text(self) -> str:
        """Return the source."""
        for line in self.lines:
            if line not in self.done:
                self._line(line)
        gates = "".join(f"{self._gate(line)}, " for line in self.cell.traced)
        before = "".join(f"s{index}, " for index in range(len(self.cell.states)))
        after = "".join(f"{self.variables[state]}, " for state in self.cell.states)
        taken = "".join(f"{name}, " for name in self.passed.values())
        project = [*self.written[PROJECTED], f"return ({''.join(f'{name}, ' for name in self.passed)})"]
        step = [f"({before}) = state", *([f"({taken}) = projected"] if taken else []), *self.written[STEP]]
        once = (f"{variable} = functions[{name!r}]" for name, variable in self.functions.items())
        lines = [
            "def bind(weights, dropout):",
            *(f"    {line}" for line in (*once, *self.written[ONCE])),
            "    def project(x):",
            *(f"        {line}" for line in project),
            "    def step(projected, state, holds=None):",
            *(f"        {line}" for line in (*step, f"return ({after}), lambda: ({gates})")),
            "    return project, step",
        ]
        return "\n".join(lines)

    def _line(self, line: str) -> None:
        """Write a line, together with the lines that apply the same activation to the same packed sum."""
        node = self.lines[line]
        together = [line]
        if isinstance(node, Function) and len(node.arguments) == 1 and _is_packable(node.arguments[0]):
            run = self._run(node.arguments[0], line)
            together = [other for other in run if self.lines[other] == node and other not in self.done]
        if len(together) > 1 and isinstance(node, Function) and _level(node) == STEP:
            packed, gates = self._packed(node.arguments[0], run, STEP), tuple(map(run.index, together))
            names, function = (
                ", ".join(self.variables[name] for name in together),
                self.functions[node.function],
            )
            self.written[STEP].append(f"{names} = activate({function}, {packed}, units, {gates})")
        else:
            together, code = [line], self._code(node, line, STEP)
            code = f"expand({code}, s0)" if _level(node) == ONCE else code
            self.written[STEP].append(f"{self.variables[line]} = {code}")
        if traced := tuple(name for name in together if name in self.cell.traced):
            variables = ", ".join(self.variables[name] for name in traced)
            self.written[STEP].append(f"if holds: ({variables},) = hold(holds, {traced}, ({variables},))")
        self.done.update(together)

    def _gate(self, line: str) -> str:
        """Return the Gate of a line for a trace."""
        node, value, before = self.lines[line], self.variables[line], "None"
        match node:
            case Function(function, (Sum() | Operation("@") as inner,)) if function not in REDUCTIONS:
                before = self._code(inner, line, STEP)  # a trace shows the sum, too: the preactivation
                before = f"expand({before}, s0)" if _level(node) == ONCE else before
        recurrent = f", {self._code(self.recurrent[line], line, STEP)}" if line in self.recurrent else ""
        return f"Gate({before}, {value}{recurrent})"

    def _code(self, node: Node, line: str, at: int) -> str:
        """Return code for the value of a node in a line.

        A value that is used often, or is known before the step, becomes a variable, written first.
        at: the level of the code that uses the value.
        """
        level = _level(node)
        match node:
            case Number(value):
                return f"({value!r})"  # -2.0 ** x would be -(2.0 ** x)
            case Name(name, "before"):
                return f"s{self.cell.states.index(name)}"
            case Name(name, kind) if kind:
                return self.variables[name]
            case Name("x"):
                return self._refer(PROJECTED, at, node, "x * dropout.inputs[0] if dropout.inputs else x")
            case Name(name) if name not in PACKED:
                return self._refer(ONCE, at, node, f"weights[{name!r}]")
        if _is_packable(node):
            return self._packed(node, (line,), at)
        if level < at or self.uses[node] > 1:
            # A packed weight means other columns in each line.
            key = (node, line) if packed_in(node) else node
            return self._refer(level, at, key, lambda: self._inline(node, line, level))
        return self._inline(node, line, at)

    def _inline(self, node: Node, line: str, at: int) -> str:
        match node:
            case Sum(terms):
                return _join([(sign, self._code(term, line, at)) for sign, term in terms])
            case Operation("@", left, Name(weight)):
                return f"product({self._code(left, line, at)}, {self._code(Name(weight), line, at)}, ())"
            case Operation(symbol, left, right):
                return f"({self._code(left, line, at)} {symbol} {self._code(right, line, at)})"
            case Function(function, arguments):
                values = ", ".join(self._code(argument, line, at) for argument in arguments)
                return f"{self.functions[function]}({values})"
        raise AssertionError(node)

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

    def _packed(self, node: Node, wanted: Run, at: int) -> str:
        """Return code for a packable node in the columns of the wanted lines."""
        run, level = self._run(node, wanted[0]), _level(node)
        name = self._refer(level, at, (node, run), lambda: self._packed_code(node, run, level))
        if run == wanted:
            return name
        start = run.index(wanted[0])
        return f"{name}[..., {start * self.units}:{(start + len(wanted)) * self.units}]"

    def _packed_code(self, node: Node, run: Run, at: int) -> str:
        match node:
            case Sum(terms):
                return _join([(sign, self._packed(term, run, at)) for sign, term in terms])
            case Operation("@", left, Name(weight)):
                order, matrix = self.order[weight], f"weights[{weight!r}]"
                start, stop = order.index(run[0]), order.index(run[-1]) + 1
                if len(order) > stop - start:
                    matrix = f"columns({matrix}, {start * self.units}, {stop * self.units})"
                matrix = self._refer(ONCE, at, (weight, run), matrix)
                if weight == "kernel" and left != Name("x"):  # each x in it is masked where it stands
                    return f"product({self._code(left, run[0], at)}, {matrix}, ())"
                part = "inputs" if weight == "kernel" else "recurrent"
                gates = f"dropout.{part}[{start}:{stop}] if len(dropout.{part}) > 1 else dropout.{part}"
                masks = self._refer(ONCE, at, (weight, run, "masks"), gates)
                row = "x" if weight == "kernel" else self._code(left, run[0], at)
                return f"product({row}, {matrix}, {masks})"
            case Name(weight):
                order = self.order[weight]
                start, stop = order.index(run[0]), order.index(run[-1]) + 1
                which = "" if not self.cell.has_two_biases else "0, " if weight == "bias" else "1, "
                return f"weights['bias'][{which}{start * self.units}:{stop * self.units}]"
        raise AssertionError(node)

    def _run(self, node: Node, line: str) -> Run:
        """Return `line` and the lines beside it in the packed weights that contain this packable node."""
        products = (part for part in walk(node) if isinstance(part, Operation) and part.symbol == "@")
        if any(packed_in(part.left) for part in products):
            return (line,)  # the left operand of the @ differs from line to line
        weights = [part.name for part in walk(node) if isinstance(part, Name) and part.name in PACKED]
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


def _level(node: Node) -> int:
    """Return when the value of a node is computed."""
    names = [part for part in walk(node) if isinstance(part, Name)]
    if any(name.kind for name in names):
        return STEP
    return PROJECTED if Name("x") in names else ONCE


def _is_packable(node: Node) -> bool:
    """Return whether neighbouring lines can share the node: a sum of packed products and biases."""
    match node:
        case Sum(terms):
            return all(_is_packable(term) for _, term in terms)
        case Operation("@", _, Name(weight)):
            return weight in PACKED
        case Name(name, ""):
            return name in BIASES
    return False


def product(values: Array, kernel: Array, masks: tuple[Array, ...]) -> Array:
    """Return values @ kernel; each gate's columns use `values` times the dropout mask of that gate.

    values: (..., batch, n); kernel: (n, gates * units).
    masks: none, one, or one per gate, each (batch, n).
    """
    if len(masks) < 2:
        return _product(values * masks[0] if masks else values, kernel)
    import numpy as np

    pairs = zip(masks, np.split(kernel, len(masks), axis=-1), strict=True)
    return np.concatenate([_product(values * mask, part) for mask, part in pairs], axis=-1)


def _product(values: Array, kernel: Array) -> Array:
    """Return values @ kernel as a single 2-D product.

    NumPy would multiply 3-D values one matrix at a time, and pack the kernel again each time.
    """
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
    """Return the gates, each (batch, units), with the held entries replaced by their values."""
    import numpy as np

    pairs = zip(names, gates, strict=True)
    return [np.where(*holds[name], gate) if name in holds else gate for name, gate in pairs]
