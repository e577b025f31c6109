"""The cases of a cell that is written as equations, and its files beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from rnncli import specs
from rnncli.ask.layer_files import read_layer
from rnncli.cells.text import PACKED
from rnncli.cells.tree import Name, Node, Operation, walk
from rnncli.cells.writing import to_toml
from rnncli.commands.conformance.cases import TOLERANCES, KitCase
from rnncli.commands.conformance.cell_faults import EDGES, list_faults
from rnncli.commands.conformance.cell_oracle import CellCase, CellForm
from rnncli.commands.conformance.faults import faults_of, list_traits
from rnncli.commands.conformance.judge import settle
from rnncli.commands.conformance.kit import files_of, pack, shared_files
from rnncli.commands.conformance.oracle import compute
from rnncli.commands.known import Known
from rnncli.errors import UsageError
from rnncli.initializers import make
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
        usual = 0.0 if matrix or callable(value) else make(value, known, "float64", 1) * _is_constant(value)
        weights[name] = usual + drawn
    return weights


def _is_constant(value: Any) -> bool:
    return value in ("zeros", "ones") or getattr(value, "class_name", "") == "Constant"


def _shift(form: CellForm, x: Array, weights: Mapping[str, Array], shift: float) -> None:
    """Add to the arguments of what multiplies a state: by the weights of a feature that is 1, or a bias."""
    if not shift:
        return
    names = {name.name for factor in _list_decays(form) for name in _reach(form, factor)}
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


def _list_decays(form: CellForm) -> Iterator[Node]:
    for node in form.lines.values():
        for part in walk(node):
            if isinstance(part, Operation) and part.symbol == "*":
                for factor, state in ((part.left, part.right), (part.right, part.left)):
                    if isinstance(state, Name) and state.kind == "before":
                        yield factor


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
