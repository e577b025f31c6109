"""A trace, put in order: loop by loop, narrowed to what is asked for, and held to what the run returned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli import activations
from rnncli.case import Spec
from rnncli.errors import EngineError, UsageError, did_you_mean
from rnncli.layers.stack import Stack
from rnncli.recorded import Recorded, quantities, runs
from rnncli.result import Result

if TYPE_CHECKING:
    from rnncli.case import Array

DIRECTIONS = ("forward_", "backward_")


class Kept(NamedTuple):
    """What to keep of a trace, by index or name; None keeps everything."""

    steps: Sequence[int] | None = None
    units: Sequence[int] | None = None
    batch: Sequence[int] | None = None
    gates: Sequence[str] | None = None


class Loop(NamedTuple):
    """One layer, in one direction, over its time steps in the order of processing.

    path: in front of its names, `0/` in a stack, `forward/` inside Bidirectional, "" elsewhere.
    cells: the configs of its cells by what stands before their gates: "", or `0/`, `1/`, ... of RNN.
    """

    layer: int
    path: str
    direction: str
    steps: Recorded
    cells: Mapping[str, Mapping[str, Any]]

    def bounds(self, quantity: str) -> tuple[float, float] | None:
        """Where the values of `forget.activation` or `hidden` stay by their activation; None: anywhere."""
        place, _, name = quantity.rpartition("/")
        config = self.cells[f"{place}/" if place else ""] if quantity != "output" else self.last
        name, _, part = name.partition(".")
        if name == "cell" or part in ("preactivation", "recurrent"):
            return None
        own = not part or name == "candidate"
        return activations.bounds(config["activation" if own else "recurrent_activation"])

    @property
    def last(self) -> Mapping[str, Any]:
        """The config of the cell whose hidden state is the output."""
        return list(self.cells.values())[-1]

    def stacked(self) -> dict[str, Array]:
        """Every quantity by name, (batch, steps, units), in the order of processing."""
        return {name: self.steps.column(name) for name in self.steps.names()}

    def status(self) -> Array:
        """Each step's place in STATUSES, (batch, steps)."""
        return self.steps.status()


class Trace(NamedTuple):
    """The loops first to last.  batch, units: which indices are left, None where all are."""

    loops: tuple[Loop, ...]
    batch: tuple[int, ...] | None = None
    units: tuple[int, ...] | None = None

    def unit(self, place: int) -> int:
        """The layer's own index of the unit at `place`."""
        return self.units[place] if self.units is not None else place

    def entry(self, place: int) -> int:
        """The input's own index of the batch entry at `place`."""
        return self.batch[place] if self.batch is not None else place


def of(result: Result) -> Trace:
    """The steps of `result`, each with those of its own loop.  Raises UsageError where there are none."""
    stack = Stack(result.layers)
    found = runs(result.trace)
    if not found:
        names = ", ".join(dict.fromkeys(spec.class_name for spec in result.layers))
        raise UsageError(f"{names} has no time steps to trace.", "Trace a recurrent layer, such as lstm.")
    return Trace(tuple(_loop(stack, steps) for steps in found))


def _loop(stack: Stack, steps: Recorded) -> Loop:
    index, direction = steps[0].layer, steps[0].direction
    layer: Any = stack.layers[index]
    path = stack.prefix(index)
    if len(layer.loops) > 1:
        layer, path = layer.loops[direction], f"{path}{direction}/"
    cells = getattr(layer.cell, "cells", None)
    configs = {f"{key}/": cell.config for key, cell in cells.items()} if cells else {"": layer.cell.config}
    return Loop(index, path, direction, steps, configs)


def narrowed(trace: Trace, kept: Kept) -> Trace:
    """`trace` with what is kept of it; arrays stay (batch, units).

    Raises UsageError for what is not there.
    """
    batch = _indices("--batch", kept.batch, [len(trace.loops[0].steps[0].status)], "batch entries")
    sizes = [values.shape[1] for loop in trace.loops for _, values in quantities(loop.steps[0])]
    units = _indices("--unit", kept.units, sizes, "units")
    gates = _named(kept.gates, trace)
    loops = []
    for loop in trace.loops:
        steps = _indices("--step", kept.steps, [len(loop.steps)], "time steps")
        left = loop.steps if steps is None else loop.steps.only(steps)
        loops.append(loop._replace(steps=left.cut(batch, units, gates)))
    return Trace(tuple(loops), batch, units)


def _indices(flag: str, wanted: Sequence[int] | None, sizes: Sequence[int], what: str) -> Any:
    """`wanted` counted from the front, each once; they have to be in everything of these sizes."""
    if not wanted:
        return None
    size = min(sizes)
    for index in wanted:
        if not -size <= index < size:
            everywhere = "" if size == max(sizes) else " everywhere"
            several = f"there are {size} {what}{everywhere}, 0 to {size - 1}"
            one = f"of the {what} only 0 is {everywhere.strip() or 'there'}"
            raise UsageError(
                f"{flag} {index}: {several if size > 1 else one}.",
                "A negative one counts from the end: -1 is the last.",
            )
    return tuple(dict.fromkeys(index % size for index in wanted))


def _named(wanted: Sequence[str] | None, trace: Trace) -> frozenset[str] | None:
    """The gates that are meant; `input` means it in every cell of RNN, `1/input` in one."""
    if not wanted:
        return None
    known = dict.fromkeys(name for loop in trace.loops for name in loop.steps[0].gates)
    found: set[str] = set()
    for word in wanted:
        meant = [name for name in known if word in (name, name.rpartition("/")[2])]
        if not meant:
            raise UsageError(f"--gate {word}: there is no such gate.", did_you_mean(word, known))
        found.update(meant)
    return frozenset(found)


def bounds_of(result: Result) -> dict[str, tuple[float, float] | None]:
    """By name of a returned tensor where its values stay by their activation; None: anywhere."""
    stack, found = Stack(result.layers), {}
    every = _is_every_layer(stack, result)
    for index, (layer, shape) in enumerate(stack.input_shapes(result.input_shape)):
        for info in layer.outputs(shape):
            found[f"{index}/{info.name}" if every else info.name] = _bounds(layer.spec, info.name)
    return found


def _bounds(spec: Spec, name: str) -> tuple[float, float] | None:
    config = spec.config
    if "cell_state" in name or (config.get("merge_mode") == "sum" and not name.startswith(DIRECTIONS)):
        return None
    if "layer" in config:
        own = config.get("backward_layer") if name.startswith("backward_") else None
        return _bounds(own or config["layer"], name.removeprefix("forward_").removeprefix("backward_"))
    cell = config.get("cell")
    if isinstance(cell, tuple):
        place = name.partition("/")[0]
        cell = cell[int(place) if place.isdigit() else -1]
    config = cell.config if cell else config
    return activations.bounds(config["activation"]) if "activation" in config else None


def verify(result: Result) -> None:
    """Raises EngineError where the steps do not end in the outputs and the states that were returned."""
    import numpy as np

    returned = {tensor.name: tensor.values for tensor in result.outputs}
    for name, values in told(result):
        if not np.array_equal(values, returned[name], equal_nan=True):
            raise EngineError(
                f"the trace of {result.engine} does not end in the {name} that it returned.",
                "This is a mistake in rnncli; please report it.",
            )


def told(result: Result) -> Iterator[tuple[str, Array]]:
    """What the steps alone say of every tensor that a recurrent layer returned, by its name."""
    if not result.trace:
        return
    stack, loops = Stack(result.layers), of(result).loops
    every = _is_every_layer(stack, result)
    for index, (layer, shape) in enumerate(stack.input_shapes(result.input_shape)):
        own = [loop for loop in loops if loop.layer == index]
        if not own or not (every or index == len(stack.layers) - 1):
            continue
        names = [info.name for info in layer.outputs(shape)]
        for name, values in zip(names, _ends(layer, own), strict=False):
            yield (f"{index}/{name}" if every else name), values


def _is_every_layer(stack: Stack, result: Result) -> bool:
    """Whether every layer's tensors were returned, and not the last one's alone."""
    return len(stack.layers) > 1 and result.outputs[0].name.startswith("0/")


def _ends(layer: Any, loops: Sequence[Loop]) -> Iterator[Array]:
    """Outputs, then states, in Keras's order."""
    outputs = [loop.steps.column("output") if layer.sequences else loop.steps[-1].output for loop in loops]
    if len(loops) == 1:
        yield outputs[0]
    else:
        first, second = outputs
        yield from layer.merge(first, second[:, ::-1] if layer.sequences else second)
    for loop in loops:
        yield from loop.steps[-1].state.values()
