"""The cases of a cell that is written as equations, its files beside them, and the faults of its kernels.

The faults are made from the equations, and named by the line that they change.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, combinations, pairwise
from math import prod
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from rnncli import specs
from rnncli.ask.layer_files import read_layer
from rnncli.cells.sizes import axes_of
from rnncli.cells.text import PACKED, depends_on_state, to_toml
from rnncli.cells.tree import (
    AXES,
    REDUCTIONS,
    Function,
    Name,
    Node,
    Number,
    Operation,
    Sum,
    rebuild,
    walk,
    write,
)
from rnncli.conformance.cell_oracle import MOVED, CellCase, CellForm, CellRun
from rnncli.conformance.faults import faults_of, list_traits
from rnncli.conformance.kit import files_of, pack, shared_files
from rnncli.conformance.oracle import TOLERANCES, Change, KitCase, compute
from rnncli.conformance.verdicts import settle
from rnncli.errors import Message, UsageError
from rnncli.initializers import make
from rnncli.known import Known, known
from rnncli.layers.recurrent import Cell, RecurrentLayer
from rnncli.values import Array, sizes

BATCH, LARGEST = 2, 100.0
"""Sequences of a case; beyond the largest number, the weights become smaller."""
MOST_NUMBERS = 2**16
"""Of all states of a sequence: no fault needs more, and every case is computed with each fault."""
TINY, LARGE, SHIFT = 1e-3, 8.0, 3.0
"""The factors of tiny and of large inputs, and what is added to the arguments of decays."""


class CaseRow(NamedTuple):
    """A case.  lengths: of the sequences; none for whole ones.  starts: whether initial states are given.

    scale: of x, of every second step if it is TINY.  shift: what is added to the arguments of decays.
    """

    attribute: str
    name: str
    steps: int = 5
    lengths: tuple[int, ...] = ()
    starts: bool = False
    scale: float = 1.0
    shift: float = 0.0
    dtype: str = "float32"


ROWS = (
    CaseRow("basic", "basic"),
    *(CaseRow("chunk_edges", f"length_{steps}", steps) for steps in (1, 63, 64, 65, 127, 129)),
    CaseRow("initial_state", "initial_state", starts=True),
    CaseRow("initial_state", "initial_state_65", 65, starts=True),
    CaseRow("padding", "padding", 9, (9, 4)),
    CaseRow("padding", "padding_initial_state", 7, (2, 7), starts=True),
    CaseRow("padding", "padding_129", 129, (129, 65)),
    CaseRow("decay", "strong_decay", 17, starts=True, shift=SHIFT),
    CaseRow("decay", "weak_decay", 17, starts=True, shift=-SHIFT),
    CaseRow("tiny_keys", "tiny_keys", 9, starts=True, scale=TINY),
    CaseRow("large_gates", "large_gates", 9, scale=LARGE),
    CaseRow("float64", "float64", dtype="float64"),
    CaseRow("float64", "float64_initial_state", 17, starts=True, dtype="float64"),
    CaseRow("float64", "float64_tiny_keys", 9, starts=True, scale=TINY, dtype="float64"),
)


def list_cell_cases(text: str) -> tuple[KitCase, ...]:
    """Return the cases of the cell of an expression, `@cell.toml(16)`.

    Raises UsageError for anything but one layer around a cell that is written in a file.
    """
    stack = specs.from_flags([read_layer(text)], {})
    layer = stack.layers[0]
    cell = layer.cell if isinstance(layer, RecurrentLayer) else None
    if len(stack) > 1 or not isinstance(cell, Cell) or not cell.text.written:
        what, advice = "{--cell:text} is not a cell of a file.", "Name its file: {--cell '@cell.toml(16)'}."
        raise UsageError(what, advice, text=text)
    form = CellForm(cell, cell.sizes(None).known["features"] or cell.units)
    numbers = sum(prod(form.sizes.shape(form.sizes.axes[state])) for state in form.names)
    if numbers > MOST_NUMBERS:
        what = "the states of {--cell:text} have {numbers} numbers, and those of a case at most {most}."
        raise UsageError(what, "Give smaller sizes.", text=text, numbers=numbers, most=MOST_NUMBERS)
    return tuple(_build(form, row) for row in ROWS)


def _build(form: CellForm, row: CaseRow) -> CellCase:
    """Return a case with bounded numbers: with smaller weights, or a smaller shift, if necessary."""
    for factor in (1.0, 0.5, 0.25, 0.125, 0.0):
        case = _fill(form, row, factor)
        arrays = compute(case).values()
        if all(np.isfinite(array).all() and np.abs(array).max(initial=0) < LARGEST for array in arrays):
            break
    return case


def _fill(form: CellForm, row: CaseRow, factor: float) -> CellCase:
    """Return a case; factor: of its shift and of a large scale; below 1/2, of all numbers, too."""
    rng = np.random.default_rng(crc32(row.name.encode()))
    text, cell = form.text, form.cell
    damp = 1.0 if factor >= 0.5 else max(factor, 0.05)
    x = damp * rng.standard_normal((BATCH, row.steps, form.features))
    if row.scale == TINY:
        x[:, 1::2] *= TINY
    x *= max(1.0, factor * row.scale)
    weights = {name: damp * array for name, array in _draw_weights(form, rng).items()}
    _shift(form, x, weights, factor * row.shift)
    inputs: dict[str, Array] = {"x": x}
    if text.inputs:
        shapes = {name: form.sizes.shape(axes) for name, axes in text.inputs.items()}
        places = form.sizes.inputs.items()
        parts = {name: x[..., start : start + width] for name, (start, width) in places}
        inputs = {name: part.reshape(BATCH, row.steps, *shapes[name]) for name, part in parts.items()}
    states = {}
    for state, name in form.names.items():
        shape = (BATCH, *form.sizes.shape(form.sizes.axes[state]))
        start = np.full(shape, text.initial.get(state, 0.0))
        states[f"initial_{name}"] = start + row.starts * 0.5 * damp * rng.standard_normal(shape)
    arrays = {name: array.astype(row.dtype) for name, array in (inputs | weights | states).items()}
    arrays["lengths"] = np.array(row.lengths or [row.steps] * BATCH, np.int32)
    exact = {name: array.astype(np.float64) for name, array in arrays.items()}
    digits = 4 * np.finfo(row.dtype).eps
    near = {name: array * (1 + digits * rng.uniform(-1, 1, array.shape)) for name, array in exact.items()}
    padded = np.arange(row.steps) >= arrays["lengths"][:, None]
    for array in arrays.values():
        array.flags.writeable = False
    return CellCase(
        name=row.name,
        operator=cell.text.name,
        attribute=row.attribute,
        attributes={
            "form": form,
            "padded": padded,
            "exact": exact,
            "known": {},
            "near": {"exact": near, "known": {}},
        },
        inputs=arrays,
        graph_inputs=tuple(arrays),
        outputs=("outputs", *(f"last_{name}" for name in form.names.values())),
        dtype=row.dtype,
        opset=0,
        ir_version=0,
        is_open=False,
    )


def _draw_weights(form: CellForm, rng: Any) -> dict[str, Array]:
    """Return weights in which every number differs: the initial ones of vectors, and drawn ones."""
    cell, weights = form.cell, {}
    for name, shape in cell.weight_shapes((BATCH, None, form.features)).items():
        known = sizes(shape)
        matrix = name in PACKED[:2] or name in cell.factors
        drawn = rng.standard_normal(known) / np.sqrt(known[-2] if matrix and len(known) > 1 else 4)
        value = cell.all_initializers()[name]
        constant = value in ("zeros", "ones") or getattr(value, "class_name", "") == "Constant"
        usual = 0.0 if matrix or callable(value) else make(value, known, "float64", 1) * constant
        weights[name] = usual + drawn
    return weights


def _shift(form: CellForm, x: Array, weights: Mapping[str, Array], shift: float) -> None:
    """Add to the arguments of what multiplies a state: by the weights of a feature that is 1, or a bias."""
    if not shift:
        return
    names = {name.name for _, _, factor, _ in _list_factors(form) for name in _reach(form, factor)}
    if "kernel" in weights:
        x[..., 0] = 1.0
        start = 0
        for line in form.text.packing()["kernel"]:
            width = form.sizes.numbers(form.text.axes(line)) or 0
            if line in names:
                weights["kernel"][0, start : start + width] += shift
            start += width
    for name in names & weights.keys() - {*PACKED, *form.cell.factors}:
        weights[name][...] += shift / 2
    for name in names & form.text.inputs.keys():
        start, width = form.sizes.inputs[name]
        x[..., start : start + width] += shift


def _list_factors(form: CellForm) -> Iterator[tuple[str, Operation, Node, Name]]:
    """Yield the products of something with a state: the line, the product, the factor and the state."""
    for line, node in form.lines.items():
        for part in walk(node):
            if isinstance(part, Operation) and part.symbol == "*":
                for factor, state in ((part.left, part.right), (part.right, part.left)):
                    if isinstance(state, Name) and state.kind == "before":
                        yield line, part, factor, state


def _reach(form: CellForm, node: Node) -> Iterator[Name]:
    """Yield the names that a node depends on in this step, with the lines that they stand for."""
    for name in (part for part in walk(node) if isinstance(part, Name)):
        yield name
        if name.kind in ("line", "free"):
            yield from _reach(form, form.lines[name.name])


@faults_of.register
def _(case: CellCase) -> tuple[Known, ...]:
    return list_faults(case.form)


@list_traits.register
def _(case: CellCase) -> frozenset[str]:
    longer = [f"beyond {size}" for size in EDGES if case.padded.shape[1] > size]
    return frozenset([*longer, *(["padded"] if case.padded.any() else [])])


@files_of.register
def _(case: CellCase) -> dict[str, bytes]:
    tolerance = TOLERANCES[case.dtype]
    return {
        "data.json": json.dumps({"rtol": tolerance, "atol": tolerance}).encode(),
        "inputs.npz": pack(case.inputs),
        "outputs.npz": pack(compute(case)),
    }


@shared_files.register
def _(case: CellCase) -> dict[str, bytes]:
    text, config = case.form.text, case.form.cell.config
    changed = [name for name, size in text.sizes.items() if isinstance(size, int) and config[name] != size]
    written = to_toml(text, config, text.initializers) if changed else text.written
    return {"cell.toml": written.encode()}


@settle.register
def _(case: CellCase, outputs: Mapping[str, Array]) -> dict[str, Array]:
    """Return the outputs with 0 in padded steps, which are not judged; also where time is the first axis."""
    returned = outputs["outputs"].copy()
    for padded in (case.padded, case.padded.T):
        if returned.shape[:2] == padded.shape:
            returned[padded] = 0
            break
    return {**outputs, "outputs": returned}


EDGES = (16, 32, 64, 128)
"""The usual sizes of a chunk."""
SMALL = 1e-2
"""Below this, a number in a sum is an eps."""
USUAL = (1e-5, 1e-6)
"""The usual numbers in its place."""
LIKE = {
    "silu": ("sigmoid", "relu", "gelu", "tanh"),
    "sigmoid": ("tanh", "hard_sigmoid", "silu", "softplus"),
    "tanh": ("sigmoid", "relu"),
    "softplus": ("exp", "relu", "sigmoid"),
    "exp": ("sigmoid", "softplus"),
    "elu": ("relu", "exp"),
    "mean": ("sum",),
    "sum": ("mean",),
    "cos": ("sin",),
    "sin": ("cos",),
}
"""Functions that are taken for each other."""

LOOK_AT_STATES = Message("Look at the states: where a chunk begins, where a sequence begins and ends.")

Edit = tuple[str, Node, Node]
"""What a fault is called, a part of the equation, and what stands there instead."""


@cache
def list_faults(form: CellForm) -> tuple[Known, ...]:
    """Return the faults of a cell; of those that change a line in the same way, the first."""
    found: dict[Any, Known] = {}
    for line, node in form.lines.items():
        look = Message(
            "Look at the line {line}: {equation}.", line=form.name_of(line), equation=_write(form, node)
        )
        edits = list(_list_edits(form, line, node))
        numbers = Counter(name for name, _, _ in edits)
        for name, old, new in edits:
            edited = _replace(node, old, new)
            if edited != node and _fits(form, line, edited):
                change = _edit(old, new)
                which = f" in {_write(form, old)}" if numbers[name] > 1 else ""
                row = _row(form, line, name + which, look, "", **{line: change})
                found.setdefault((line, edited), row)
        for count, (name, other, at) in enumerate(_list_occurrences(form, line, node)):
            edited = _replace(node, *other, at=[at])
            if _fits(form, line, edited):
                key = line, edited if edited != node else count
                found.setdefault(key, _row(form, line, name, look, "", **{line: _edit(*other, at)}))
        if line not in form.text.states:
            late = {f"late {line}": lambda late, run: True}
            found[line, "late"] = _row(form, line, "the value of the step before is used", look, "", **late)
    others = (_list_columns, _list_late, _list_states, _list_turned_states, _list_turned_outputs)
    return (*found.values(), *chain.from_iterable(listed(form) for listed in others))


def _row(form: CellForm, line: str, name: str, look: Message, needs: str, **changes: Change) -> Known:
    row = known("", f"{form.name_of(line)}: {name}", text=look, **changes)
    return row._replace(needs=frozenset(filter(None, [needs])))


def _fits(form: CellForm, line: str, node: Node) -> bool:
    try:
        form.equation(line, node)
    except ValueError:
        return False
    return True


def _write(form: CellForm, node: Node) -> str:
    return write(node, lambda name: form.name_of(name.name) if name.kind else name.name)


def _replace(node: Node, old: Node, new: Node, at: list[int] | None = None) -> Node:
    """Return the node with another part.  at: counts down to the only occurrence that is replaced."""
    if node == old:
        if at is None:
            return new
        at[0] -= 1
        return new if at[0] < 0 <= at[0] + 1 else node
    return rebuild(node, lambda part: _replace(part, old, new, at))


def _edit(old: Node, new: Node, at: int | None = None) -> Change:
    return lambda node, run: _replace(node, old, new, None if at is None else [at])


def _list_edits(form: CellForm, line: str, node: Node) -> Iterator[Edit]:  # noqa: C901, PLR0912  a table of forms
    """Yield what may be left out of an equation, added to it, or put in another place."""

    def text(part: Node) -> str:
        return _write(form, part)

    for part in dict.fromkeys(walk(node)):
        match part:
            case Sum(terms):
                for at, (sign, term) in enumerate(terms):
                    others = terms[:at] + terms[at + 1 :]
                    if others:
                        yield f"{text(term)} is missing", part, Sum(others)
                    if len(others) == 1 and others[0][0] < 0:
                        yield f"{text(others[0][1])} instead of {text(part)}", part, others[0][1]
                    flipped = (*terms[:at], (-sign, term), *terms[at + 1 :])
                    yield f"{text(term)} has the wrong sign", part, Sum(flipped)
            case Operation("*", left, right):
                for kept, factor in ((left, right), (right, left)):
                    yield f"{text(factor)} is missing", part, kept
                    match factor:  # without its sign
                        case Sum(((-1, size),)):
                            yield f"{text(size)} is missing", part, Sum(((-1, kept),))
                        case Number(value) if value < 0:
                            yield f"{-value:g} is missing", part, Sum(((-1, kept),))
                    yield f"{text(factor)} twice", part, Operation("*", factor, part)
                    terms = kept.terms if isinstance(kept, Sum) else ()
                    for at, (sign, term) in enumerate(terms if len(terms) > 1 else ()):
                        once = (*terms[:at], (sign, Operation("*", factor, term)), *terms[at + 1 :])
                        yield f"{text(factor)} only on {text(term)}", part, Sum(once)
            case Operation("/", left, right):
                yield f"/ {text(right)} is missing", part, left
                yield f"* {text(right)} instead of /", part, Operation("*", left, right)
                yield f"/ {text(right)} twice", part, Operation("/", part, right)
            case Operation("**", base, power):
                yield f"** {text(power)} is missing", part, base
            case Function("sqrt" as function, (Sum(terms),)):
                yield f"{function} of {text(part.arguments[0])} is missing", part, part.arguments[0]
                for at, (sign, term) in enumerate(terms):
                    if isinstance(term, Number):
                        rest = Function(function, (Sum(terms[:at] + terms[at + 1 :]),))
                        yield f"{text(term)} outside the root", part, Sum(((1, rest), (sign, term)))
            case Function("variance", (inner, *axis)):
                square = Function("mean", (Operation("**", inner, Number(2.0)), *axis))
                yield "the mean is not subtracted in variance", part, square
            case Function("maximum" | "minimum", (one, two)):
                yield f"{text(two)} is missing", part, one
                yield f"{text(one)} is missing", part, two
                other = {"maximum": "minimum", "minimum": "maximum"}[part.function]
                yield f"{other} instead of {part.function}", part, Function(other, part.arguments)
            case Function(function, (inner, *more)) if function not in (*AXES, MOVED):
                if not (function in REDUCTIONS and more):
                    yield f"{function} of {text(inner)} is missing", part, inner
                for other in LIKE.get(form.text.function(function, form.cell.config), ()):
                    yield f"{other} instead of {function}", part, Function(other, part.arguments)
            case Number(value) if 0 < value < SMALL:
                for near in dict.fromkeys(f"{near:g}" for near in (10 * value, value / 10, *USUAL)):
                    yield f"{near} instead of {value:g}", part, Number(float(near))
    yield from _list_moves(form, line, node)


def _list_moves(form: CellForm, line: str, node: Node) -> Iterator[Edit]:
    """Yield the axes of a value that may be taken for each other, and neighbouring heads."""
    axes = form.sizes.axes
    for part in dict.fromkeys(walk(node)):
        match part:
            case Name(name, kind) if kind in ("before", "line", "free"):
                named = axes[name]
            case Name(name) if name in form.text.weights:
                named = tuple(str(axis) for axis in form.text.weights[name].shape)
            case Operation("@", _, Name(name)) if name in PACKED:
                named = form.text.axes(line)
            case Function("join", (inner,)) if not isinstance(inner, Name):
                part, named = inner, axes_of(inner, form.text, form.cell.config, form.sizes, line)
            case Function("outer"):
                parts = [each for each in walk(part) if isinstance(each, Name) and each.name in axes]
                named = tuple(dict.fromkeys(axis for each in parts for axis in axes[each.name]))
            case _:
                continue
        if len({*named}) < len(named):
            continue
        for at, (one, two) in enumerate(pairwise(named)):
            what = f"{_write(form, part)} transposed ({one} and {two})"
            yield what, part, _moved(form, part, _transpose(at - len(named), at + 1 - len(named)))
        for at, axis in enumerate(named):
            if axis in form.windows and isinstance(part, Name) and not part.kind:
                what = f"{_write(form, part)} reversed along {axis}"
                yield what, part, _moved(form, part, _reverse(at - len(named)))
            for first in range(min((form.sizes.size(axis) or 1) - 1, 4) if axis in form.text.heads else 0):
                what = f"{_write(form, part)} with {axis} {first} and {first + 1} swapped"
                yield what, part, _moved(form, part, _swap(at - len(named), first))


def _moved(form: CellForm, part: Node, move: Callable[[Array], Array]) -> Node:
    form.moves.append(move)
    return Function(MOVED, (part, Number(float(len(form.moves) - 1))))


def _transpose(axis: int, other: int) -> Callable[[Array], Array]:
    """Return what reads an array as if two axes had changed places."""
    return lambda value: np.swapaxes(value, axis, other).reshape(value.shape)


def _exchange(axis: int, other: int) -> Callable[[Array], Array]:
    return lambda value: np.swapaxes(value, axis, other)


def _reverse(axis: int) -> Callable[[Array], Array]:
    return lambda value: np.flip(value, axis)


def _swap(axis: int, first: int) -> Callable[[Array], Array]:
    def swap(value: Array) -> Array:
        order = np.arange(value.shape[axis])
        order[[first, first + 1]] = first + 1, first
        return np.take(value, order, axis)

    return swap


def _list_occurrences(form: CellForm, line: str, node: Node) -> Iterator[tuple[str, tuple[Node, Node], int]]:
    """Yield each name in an equation with another value of the same axes in its place."""
    axes, kinds = form.sizes.axes, dict.fromkeys(form.text.states, "before")
    for above, tree in form.lines.items():
        if above == line:
            break
        kinds[above] = "line" if depends_on_state(tree) else "free"
    candidates = [*(Name(name, kind) for name, kind in kinds.items())]
    candidates += [Name(name, "before") for name, kind in kinds.items() if name in form.text.states]
    names = [part for part in walk(node) if isinstance(part, Name)]
    others: list[tuple[str, Node]]
    for part in dict.fromkeys(names):
        count = names.count(part)
        if part.kind in ("before", "line", "free"):
            others = [
                (_name_other(form, line, part, other), other)
                for other in dict.fromkeys(candidates)
                if other != part and {*axes[other.name]} == {*axes[part.name]}
            ]
        elif part.name in form.text.sizes:
            sizes = [name for name in form.sizes.known if name != part.name]
            others = [(f"{name} instead of {part.name}", Name(name)) for name in sizes]
        else:
            continue
        for what, other in others:
            for at in range(count):
                place = f" (occurrence {at + 1} of {count})" if count > 1 else ""
                yield f"{what}{place}", (part, other), at


def _name_other(form: CellForm, line: str, part: Name, other: Name) -> str:
    above = [*form.lines][: [*form.lines].index(line)]
    old = " before its update" if other.kind == "before" and other.name in above else ""
    return f"{form.name_of(other.name)}{old}" + (
        "" if part.name == other.name else f" instead of {form.name_of(part.name)}"
    )


def _list_columns(form: CellForm) -> Iterator[Known]:
    """Yield the lines whose columns in the packed weights may be swapped."""
    gates = form.text.gates
    look = Message("Look at the columns of kernel: they stand in the order {lines}.", lines=", ".join(gates))
    widths = {line: form.sizes.numbers(form.text.axes(line)) for line in gates}
    for one, two in combinations(gates, 2):
        if widths[one] == widths[two]:
            name = f"{form.name_of(one)}, {form.name_of(two)}: columns swapped"
            yield known("", name, text=look, columns=_swapped(one, two))


def _swapped(one: str, two: str) -> Change:
    names = {one: two, two: one}
    return lambda line, run, weight: names.get(line, line) if weight in PACKED else line


def _list_late(form: CellForm) -> Iterator[Known]:
    """Yield the factors of a state that may be applied after its update."""
    look = Message("Look at the order: what multiplies a state before its update is not applied after it.")
    for line, part, factor, state in _list_factors(form):
        if state != factor:
            edits = {line: [_edit(part, state)]}
            edits.setdefault(state.name, []).append(_multiply(factor))
            changes = {name: _chain(several) for name, several in edits.items()}
            name = f"{_write(form, factor)} is applied after the update"
            yield _row(form, state.name, name, look, "", **changes)


def _multiply(factor: Node) -> Change:
    return lambda node, run: Operation("*", factor, node)


def _chain(changes: list[Change]) -> Change:
    def change(value: Any, run: CellRun) -> Any:
        for each in changes:
            value = each(value, run)
        return value

    return change


def _list_states(form: CellForm) -> Iterator[Known]:
    """Yield what may happen to states at their start, between the steps and at their end."""
    names = (part for node in form.lines.values() for part in walk(node) if isinstance(part, Name))
    read = {name.name for name in names if name.kind == "before"}
    every = form.text.states
    groups = [*((state,) for state in every), tuple(state for state in every if state in read), tuple(every)]
    for states in dict.fromkeys(filter(None, groups)):
        rows: list[tuple[str, str, str, Change]] = [
            ("changed by padded steps", "padded", "ended", lambda ended, run: ended & False),
            ("the last state is returned as zeros", "", "last", lambda value, run, state: 0 * value),
            ("the initial state is returned as the last one", "", "last", _initial),
        ]
        if read.issuperset(states):
            rows.append(("the initial state is ignored", "", "start", lambda value, run, state: 0 * value))
            for size in EDGES:
                edge = f"at the edge of a chunk of {size}"
                zeros, starts = _at_edge(size, lambda value, run, state: 0 * value), _at_edge(size, _initial)
                rows.append((f"taken as zeros {edge}", f"beyond {size}", "carried", zeros))
                rows.append((f"taken as its initial value {edge}", f"beyond {size}", "carried", starts))
        line = ", ".join(map(form.name_of, states))
        for name, needs, place, change in rows:
            changes = {f"{place} {state}": change for state in states}
            yield _row(form, line, name, LOOK_AT_STATES, needs, **changes)


def _list_turned_states(form: CellForm) -> Iterator[Known]:
    """Yield the axes of an initial and of a last state that may be taken for each other."""
    for state in form.text.states:
        axes = "batch", *form.sizes.axes[state]
        turns = [
            (f"reversed along {axis}", _reverse(at)) for at, axis in enumerate(axes) if axis in form.windows
        ]
        for axis, other in combinations(range(len(axes)), 2):
            if axis:
                turns.append((f"transposed ({axes[axis]} and {axes[other]})", _transpose(axis, other)))
            if not axis or form.sizes.size(axes[axis]) != form.sizes.size(axes[other]):
                name = f"the last state is returned as {_exchanged(axes, axis, other)}"
                change = {f"last {state}": _turned(_exchange(axis, other))}
                yield _row(form, state, name, LOOK_AT_STATES, "", **change)
        for what, turn in turns:
            for which in (["start"], ["last"], ["start", "last"]):
                names = " and the ".join("initial" if place == "start" else place for place in which)
                name = f"the {names} state {what}"
                changes = {f"{place} {state}": _turned(turn) for place in which}
                yield _row(form, state, name, LOOK_AT_STATES, "", **changes)


def _list_turned_outputs(form: CellForm) -> Iterator[Known]:
    """Yield the axes of the outputs that may be exchanged, or reshaped where they should be transposed."""
    look = Message("Look at the axes of the outputs: (batch, timesteps, units).")
    axes = "batch", "timesteps", "units"
    turns = {}
    for axis, other in combinations(range(3), 2):
        turns[f"returned as {_exchanged(axes, axis, other)}"] = _exchange(axis, other)
        turns[f"{_exchanged(axes, axis, other)} reshaped, not transposed"] = _transpose(axis, other)
    match form.lines["hidden"]:
        case Function("join", (inner,)):
            parts = axes_of(inner, form.text, form.cell.config, form.sizes, "hidden")
            sizes = form.sizes.shape(parts)
            turns[f"(batch, {parts[0]}, timesteps, {', '.join(parts[1:])}) reshaped, not transposed"] = (
                lambda value: np.moveaxis(value.reshape(*value.shape[:2], *sizes), 2, 1).reshape(value.shape)
            )
    for name, turn in turns.items():
        yield _row(form, "outputs", name, look, "", outputs=_turned(turn))


def _exchanged(axes: Sequence[str], axis: int, other: int) -> str:
    order = [*axes]
    order[axis], order[other] = axes[other], axes[axis]
    return f"({', '.join(order)})"


def _turned(turn: Callable[[Array], Array]) -> Change:
    return lambda value, run, *state: turn(value)


def _initial(value: Array, run: CellRun, state: str) -> Array:
    return run.inputs[f"initial_{run.form.names[state]}"]


def _at_edge(size: int, other: Change) -> Change:
    return lambda value, run, state: other(value, run, state) if run.now and run.now % size == 0 else value
