"""The loops over time: names of their parts, traces of every step, and what a trace says of the outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from rnncli import addresses, compute
from rnncli.cells import activations
from rnncli.compute import engines
from rnncli.errors import Flag, Message, UsageError, did_you_mean
from rnncli.layers.case import Case
from rnncli.layers.layer import Layer
from rnncli.layers.stack import Stack
from rnncli.process import memory, progress
from rnncli.result import OUTPUT, Label, LoopTrace, Result
from rnncli.values import Shape

LARGE = 2**30
"""A trace of more bytes says how many it needs, before it is computed."""


class LoopPart(NamedTuple):
    """A gate or a state of one loop over time.  label: its name in the trace.

    units: how many numbers it has in a step.  axes: the size of each axis of these.
    """

    layer: int
    direction: str
    label: Label
    units: int
    axes: Mapping[str, int]


def list_loop_parts(stack: Stack, input_shape: Shape | None = None) -> dict[Label, LoopPart]:
    """Return the parts a user may name: `forget`, `forward/forget`, `1/cell_0/reset`; default: last layer.

    input_shape: None if it is not known, which leaves the size of some parts open.
    """
    parts: dict[Label, LoopPart] = {}
    shapes = stack.input_shapes((None,) * stack.input_rank if input_shape is None else input_shape)
    for index, (layer, shape) in enumerate(shapes):
        features = shape[-1] if isinstance(shape[-1], int) else None
        for direction, loop in layer.loops.items():
            whole: Any = getattr(loop, "cell", None)
            if whole is None:
                continue
            below = features
            for cell_index, cell in whole.by_index.items():
                counts, sizes, below = cell.line_sizes(below), cell.sizes(below), cell.units
                for name in (*cell.gates, *cell.states):
                    label = Label(name, cell=cell_index, kind="activation" if name in cell.gates else "")
                    axes = {"units": counts[name]}
                    if cell.text.has_axes:
                        axes = {axis: sizes.size(axis) for axis in sizes.axes[name]}
                    part = LoopPart(index, direction, label, counts[name], axes)
                    typed = label.short._replace(direction=direction)
                    if len(stack.layers) > 1:
                        parts[typed._replace(layer=index)] = part
                    if index == len(stack.layers) - 1:
                        parts[typed] = part
    return parts


class LoopAxes(NamedTuple):
    """The axes of each part of a loop with their sizes, and which axes are heads."""

    axes: Mapping[Label, tuple[str, ...]]
    shapes: Mapping[Label, tuple[int, ...]]
    heads: tuple[str, ...]

    @property
    def head_sizes(self) -> dict[str, int]:
        """The size of each axis of heads."""
        return {axis: size for part, shape in self.shapes.items()
                for axis, size in zip(self.axes[part], shape, strict=True) if axis in self.heads}  # fmt: skip

    def own(self, part: Label) -> list[str]:
        """Return the axes of a part that are not heads: two or more of a matrix."""
        return [axis for axis in self.axes.get(part, ()) if axis not in self.heads]

    def kept(self, part: Label, heads: Mapping[str, int]) -> list[tuple[int, tuple[int, ...]]]:
        """Return the flat index and the indices of each number of a part that is of these heads."""
        return [
            (index, indices)
            for index, indices in enumerate(product(*map(range, self.shapes[part])))
            if all(heads.get(axis, at) == at for axis, at in zip(self.axes[part], indices, strict=True))
        ]

    def is_vector(self, part: Label) -> bool:
        """Return whether a part has at most one axis, which is none of heads."""
        axes = self.axes.get(part, ())
        return len(axes) < 2 and not {*axes} & {*self.heads}


def axes_of(case: Case, loop: LoopTrace) -> LoopAxes:
    """Return the axes of the parts of a loop of a Case."""
    layer, shape = list(case.stack.input_shapes(case.inputs.shape))[int(loop.layer)]
    cell = layer.loops[loop.direction if loop.is_half else ""].cell  # type: ignore[attr-defined]
    features, heads, axes = shape[-1], dict[str, None](), dict[Label, tuple[str, ...]]()
    shapes: dict[Label, tuple[int, ...]] = {}
    for index, inner in cell.by_index.items():
        sizes = inner.sizes(features)
        heads |= dict.fromkeys(inner.text.heads)
        for part in loop.parts:
            if part == OUTPUT or part.cell != index:
                continue
            named = sizes.axes[part.part] if inner.text.has_axes else inner.text.axes(part.part)
            axes[part], shapes[part] = named, tuple(sizes.size(axis) for axis in named)
        features = inner.units
    return LoopAxes(axes, shapes, tuple(heads))


class TraceSelection(NamedTuple):
    """The parts of a trace to keep, by index or name; None keeps everything.  steps: also ranges, `0:5`."""

    steps: Sequence[int | str] | None = None
    units: Sequence[int] | None = None
    batch: Sequence[int] | None = None
    gates: Sequence[str] | None = None


def list_loops(result: Result) -> tuple[LoopTrace, ...]:
    """Return the trace of `result`.  Raises UsageError if no layer has time steps."""
    if not result.trace:
        names = ", ".join(dict.fromkeys(spec.class_name for spec in result.specs))
        raise UsageError(
            "{names} has no time steps to trace.", "Trace a recurrent layer, such as lstm.", names=names
        )
    return result.trace


def narrow(loops: Sequence[LoopTrace], selection: TraceSelection) -> tuple[LoopTrace, ...]:
    """Return the loops with only the selected parts, and without the states before the first step.

    If `selection` is empty, return the loops unchanged.
    Raises UsageError if an index is out of range or a gate is unknown.
    """
    if not any(selection):
        return tuple(loops)
    import numpy as np

    batch = _indices("--batch", selection.batch, [len(loops[0].status)], "batch entries")
    gates = _select_gates(selection.gates, loops) if selection.gates else None
    kept = [
        {
            part: values
            for part, values in loop.parts.items()
            if gates is None or not part.kind or part._replace(kind="activation") in gates
        }
        for loop in loops
    ]
    sizes = [
        values.shape[-1]
        for parts in kept
        for part, values in parts.items()
        if values.shape[-1] > 1 or not part.kind
    ]
    units = _indices("--unit", selection.units, sizes, "units")
    entries = slice(None) if batch is None else list(batch)

    def columns(size: int) -> Any:
        """Return the indices of the selected units; a gate with one number has index 0 for every unit."""
        return slice(None) if units is None else [unit if size > 1 else 0 for unit in units]

    narrowed = []
    for loop, parts in zip(loops, kept, strict=True):
        wanted = addresses.select_steps(list(map(str, selection.steps or ())), len(loop.times))
        steps = _indices("--step", wanted, [len(loop.times)], "time steps")
        rows = slice(None) if steps is None else np.flatnonzero(np.isin(loop.times, steps))
        narrowed.append(
            loop._replace(
                times=loop.times[rows],
                status=loop.status[entries][:, rows],
                parts={
                    part: values[entries][:, rows][..., columns(values.shape[-1])]
                    for part, values in parts.items()
                },
                start={},
                batch=batch,
                units=units,
                hold_masks={
                    gate: held[rows][:, columns(held.shape[-1])]
                    for gate, held in loop.hold_masks.items()
                    if gates is None or gate in gates
                },
            )
        )
    return tuple(narrowed)


def _indices(flag: str, chosen: Sequence[int] | None, sizes: Sequence[int], what: str) -> Any:
    """Return `wanted` as nonnegative indices without duplicates; None if `wanted` is empty."""
    if not chosen:
        return None
    size = min(sizes)
    for index in chosen:
        if not -size <= index < size:
            known = Message("the only index is 0")
            if size > 1:
                known = Message(f"the {what} are 0 to {{last}}", last=size - 1)
            if size < max(sizes):
                known = Message("{known} in the smallest layer", known=known)
            advice = "A negative index counts from the end: -1 is the last."
            raise UsageError("{flag} is out of range: {known}.", advice, flag=Flag(flag, index), known=known)
    return tuple(dict.fromkeys(index % size for index in chosen))


def _select_gates(names: Sequence[str], loops: Sequence[LoopTrace]) -> set[Label]:
    """Return the selected gates; in an RNN of cells, `input` is of every cell, `cell_1/input` of one."""
    known, selected = dict.fromkeys(gate for loop in loops for gate in loop.gates), set[Label]()
    for word in names:
        matches = [gate for gate in known if word in (str(gate.short), gate.part)]
        if not matches:
            advice = did_you_mean(word, (str(gate.short) for gate in known))
            raise UsageError("{--gate:word}: there is no such gate.", advice, word=word)
        selected.update(matches)
    return selected


def tensor_bounds(
    stack: Stack, input_shape: Shape, *, all_layers: bool = False
) -> dict[Label, tuple[float, float] | None]:
    """Return the limits that the activation sets on each returned tensor; None for no limits."""
    layers = list(enumerate(stack.input_shapes(input_shape)))
    every = len(layers) > 1 and all_layers
    return {
        info.with_place(layer=index if every else None).label: _layer_bounds(layer, info.label)
        for index, (layer, shape) in (layers if every else layers[-1:])
        for info in layer.outputs(shape)
    }


def _layer_bounds(layer: Layer, label: Label) -> tuple[float, float] | None:
    """Return the limits that the activation of a layer sets on a tensor it returns; None for no limits."""
    if layer.config.get("merge_mode") == "sum" and not label.direction:
        return None
    loop: Any = layer.loops.get(label.direction or "forward", layer)
    if hasattr(loop, "cell"):
        cells = loop.cell.by_index
        cell = cells[label.cell] if label.cell in cells else list(cells.values())[-1]
        return cell.bounds[label.part]  # type: ignore[no-any-return]
    is_limited = "activation" in loop.config and label.part != "cell"
    return activations.bounds(loop.config["activation"]) if is_limited else None


def reason_not_traced(case: Case) -> Message | None:
    """Return why no engine can trace the case; None if one can."""
    if (refusal := engines.reason_not_traced(case)) is None:
        return None
    text = "the engine {engine}, the only one that records steps, cannot trace this: {refusal}."
    return Message(text, engine=engines.STEPWISE, refusal=refusal)


def trace(case: Case) -> Result:
    """Compute what the layers return and a trace of every step, with the engine that records them.

    Raises UsageError if that engine cannot compute the layers, or cannot compute them in their dtype;
    InputError if the machine has less memory than every line of every step needs.
    """
    compute.require_room(case, len(case.inputs))
    batch, steps = case.inputs.shape[:2]
    parts = list_loop_parts(case.stack, case.inputs.shape).values()
    units = {(part.layer, part.direction, part.label): part.units for part in parts}
    needed = case.inputs.dtype.itemsize * batch * steps * sum(units.values())
    memory.refuse_beyond(needed, Message("the trace"), free_now=True)
    if needed > LARGE:
        progress.say(Message("the trace needs {size} of memory.", size=memory.format_size(needed)))
    if refusal := reason_not_traced(case):
        advice = "Use rnncli run, or trace lstm, gru or another recurrent layer in float32."
        raise UsageError(refusal, advice)
    return compute.run(case._replace(with_trace=True), engines.STEPWISE)


def with_all_outputs(case: Case) -> Case:
    """Return the case with the outputs and states of every layer returned, to verify the whole trace."""
    return case._replace(stack=case.stack.with_states(), all_layers=True)
