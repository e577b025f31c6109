"""A recurrent layer, and the cell that it runs over time: the state at the start, and one step.

The engine runs the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from itertools import groupby
from math import prod
from typing import Any, ClassVar

from rnncli import initializers
from rnncli.cells.builtin import simple_rnn
from rnncli.cells.program import DropoutMasks, compile_cell
from rnncli.cells.sizes import CellSizes, lower, measure
from rnncli.cells.text import CellText, resolve
from rnncli.cells.tree import Name, Node, Operation, walk
from rnncli.errors import LayerError, inside
from rnncli.layers.layer import (
    INITIALIZED_BY,
    Draw,
    Layer,
    LayerCall,
    LayerEquation,
    LayerOutput,
    LoopEntry,
    LoopRunner,
)
from rnncli.result import OUTPUT, Claim, Label, TensorInfo
from rnncli.values import Array, Option, Shape, Spec
from rnncli.values import sizes as sizes_of

LOOP_OPTIONS: Mapping[str, Option] = {
    "return_sequences": Option("flag", False),
    "return_state": Option("flag", False),
    "go_backwards": Option("flag", False),
    "stateful": Option("flag", False),
    "unroll": Option("flag", False),
    "zero_output_for_mask": Option("flag", False),
}

BEYOND_KERAS = ("cell_activation", "input_order")
"""Settings that only ONNX nodes have.  Keras has no such options, so only readers of saved models set them.

cell_activation: of an LSTM's output, if the candidate has another activation.
input_order: a layer with go_backwards returns its sequence in the order of the input, and fills masked steps
    with zeros only if it returns a sequence.
"""

State = tuple[Any, ...]
"""The parts of a cell's state, (batch, numbers) each, the output first; the states of all stacked cells.

A part whose axes have names is flat here; it has its axes where it is given and returned.
"""


class RecurrentLayer(Layer):
    """Returns its output and, with return_state, each part of its last state, (batch, units) or its axes.

    sequences: whether it returns the output of every time step.  returns_state: whether the last states, too.
    """

    recurrent = runs_a_cell = True
    cell_class: ClassVar[type[Cell]]

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.cell = self.make_cell(spec)
        self.sequences: bool = spec.config["return_sequences"]
        self.returns_state: bool = spec.config["return_state"]
        # Whether the steps are computed backwards, but returned in the order of the input.
        self._turns_back = bool(spec.config["go_backwards"] and spec.config.get("input_order"))

    def arrange(self, output: Any) -> Any:
        return output[:, ::-1] if self.sequences and self._turns_back else output

    def with_returns(self, **returns: bool) -> Spec:
        spec = super().with_returns(**returns)
        if "input_order" not in self.config:
            return spec
        zeroed = spec.config["return_sequences"]
        return replace(spec, config={**spec.config, "zero_output_for_mask": zeroed})

    def make_cell(self, spec: Spec) -> Any:
        return self.cell_class(spec)

    def weight_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return self.cell.weight_shapes(input_shape)  # type: ignore[no-any-return]

    def outputs(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        batch, timesteps = input_shape[:2]
        units, label = self.cell.units, Label("hidden", self.sequences)
        if self.sequences:
            output = TensorInfo(label, ("batch", "timesteps", "units"), (batch, timesteps, units))
        else:
            output = TensorInfo(label, ("batch", "units"), (batch, units), self.ends)
        return (output, *(self.states(input_shape) if self.returns_state else ()))

    def states(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        """Return last_hidden_state, then the other states of the cell, such as last_cell_state."""
        features = input_shape[-1] if isinstance(input_shape[-1], int) else None
        return tuple(
            TensorInfo(label, ("batch", *axes), (input_shape[0], *shape), self.ends)
            for label, (axes, shape) in self.cell.state_shapes(features).items()
        )

    def claims(self) -> dict[Label, tuple[Claim, ...]]:
        """Claim that the last hidden state equals the row that was computed last."""
        row = (slice(None), 0 if self._turns_back else -1, slice(None))
        same = Claim(Label("hidden", self.sequences), row if self.sequences else ())
        return {self.cell.output_state: (same,)} if self.returns_state else {}

    def equation(self, label: Label, index: tuple[int, ...], input_shape: tuple[int, ...]) -> LayerEquation:
        """Return the equation of an output, at its position in processing order, or of a last state."""
        return LayerEquation(Name("state"), {"state": self.entry(label, index, input_shape)})

    def entry(
        self, label: Label, index: tuple[int, ...], input_shape: tuple[int, ...], direction: str = ""
    ) -> LoopEntry:
        """Return the number that the loop computed.  direction: as in LoopEntry."""
        last = input_shape[1] - 1
        position = (last - index[1] if self._turns_back else index[1]) if label.sequence else last
        return LoopEntry(direction, position, label.in_loop if label.last else OUTPUT, index[-1])

    def initializers(self) -> dict[str, Any]:
        return self.cell.initializers()  # type: ignore[no-any-return]

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        return self.cell.take_seeds(draw)  # type: ignore[no-any-return]

    def call(self, runner: LoopRunner, call: LayerCall) -> LayerOutput:
        output, states = runner.loop(self, call)
        if self.returns_state:
            infos = self.states(call.inputs.shape)
            states = tuple(
                part.reshape(sizes_of(info.shape)) for part, info in zip(states, infos, strict=True)
            )
        tensors = (self.arrange(output), *(states if self.returns_state else ()))
        return LayerOutput(tensors, self.next_mask(None, call.mask))

    def next_mask(self, inputs: Array | None, mask: Array | None) -> Array | None:
        return mask if self.sequences else None


def sizes_by_cell(cell: Any, features: int | None) -> dict[int | None, dict[str, int]]:
    """Return the size of each line of each cell, by the index of the cell in RNN's list.

    cell: a Cell, or StackedCells.
    features: the number of features of the first cell's input; None if unknown.
    """
    line_sizes: dict[int | None, dict[str, int]] = {}
    for index, stacked in cell.by_index.items():
        line_sizes[index], features = stacked.line_sizes(features), stacked.units
    return line_sizes


def cell_options(text: CellText, **further: Option) -> dict[str, Option]:
    """Return the options of a cell in Keras's order: units, options of its equations, options of every cell.

    further: options that only this cell has, such as unit_forget_bias.
    """
    of_equations = {
        name: Option("activation" if isinstance(value, str) else "number", value)
        for name, value in text.options.items()
    }
    initializers = {
        option: Option("initializer", text.initializers.get(weight, {}).get("initializer", usual))
        for (weight, option), usual in zip(INITIALIZED_BY.items(), _USUAL, strict=True)
    }
    sizes = {name: Option("size", size) for name, size in text.sizes.items() if isinstance(size, int)}
    return {
        "units": Option("size", required=True),
        **sizes,
        **of_equations,
        "use_bias": Option("flag", True),
        **initializers,
        **further,
        "dropout": Option("rate", 0.0),
        "recurrent_dropout": Option("rate", 0.0),
        "seed": Option("seed"),
        "dtype": Option("dtype", "float32"),
    }


_USUAL = ("glorot_uniform", "orthogonal", "zeros")
"""Keras's initializers of the packed weights."""
_BY_AXES = {1: "zeros", 2: "glorot_uniform"}
"""Keras's initializer of other weights, by the number of axes."""


class Cell:
    """A recurrent cell, derived from its equations: a cell of Keras, or a cell from a file of equations.

    options: the arguments of a cell of Keras, by Keras's names.
    masks_per_gate: whether each gate has its own dropout masks if recurrent_dropout is set.
    gates: the lines that a trace shows as gates; `text.gates` are the lines of the packed weights.
    state_labels: of each part of the state in a result.
    """

    options: ClassVar[Mapping[str, Option]]
    masks_per_gate: ClassVar[bool] = False
    output_state: ClassVar[Label] = Label("hidden", last=True)

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.config = spec.config
        self.units: int = spec.config["units"]
        self.text: CellText = spec.equations or self.equations_of(spec.config)
        self.gates, self.states = self.text.traced, self.text.states
        self.state_labels = [Label(state, last=True) for state in self.states]
        self._compiled: dict[Any, Callable[..., tuple[Any, Any]]] = {}
        self._sizes: dict[int | None, CellSizes] = {}

    def equations_of(self, config: Mapping[str, Any]) -> CellText:
        """Return the equations of a cell of Keras with these options."""
        raise NotImplementedError

    @cached_property
    def lines(self) -> Mapping[str, Node]:
        """The equations as they are computed with the cell's options."""
        with inside(self.text.file or self.text.name):
            return resolve(self.text, self.config)

    @cached_property
    def written(self) -> Mapping[str, Node]:
        """The equations with the cell's options, with the terms of each sum as they are written."""
        return resolve(self.text, self.config, in_order=False)

    def recurrent_parts(self, lines: Mapping[str, Node]) -> dict[str, Node]:
        """Return, by line, the part of its equation that a trace shows as `recurrent`."""
        return {}

    def bind(
        self, weights: Mapping[str, Array], dropout: DropoutMasks, features: int | None = None,
        dtype: Any = None, *, holds: bool = False, chained: bool = False,
    ) -> tuple[Any, Any]:  # fmt: skip
        """Return the functions `project` and `step`, see cells.program.BoundCell.

        features, dtype: of the input; needed where axes have names.
        holds, chained: as in compile_cell.
        """
        features = features if self.text.has_axes else None
        if (features, holds, chained) not in self._compiled:
            sizes, recurrent = self.sizes(features), self.recurrent_parts(self.lines)
            lines = self.lowered(features)
            step = compile_cell(self.text, lines, self.config, recurrent, sizes, holds=holds, chained=chained)
            self._compiled[features, holds, chained] = step
        return self._compiled[features, holds, chained](weights, dropout, dtype)

    def sizes(self, features: int | None) -> CellSizes:
        """Return the sizes of the states and lines.  features: None if the number is not known.

        Raises LayerError, with a caret, where two sizes do not fit.
        """
        if features not in self._sizes:
            self._sizes[features] = measure(self.text, self.config, features)
        return self._sizes[features]

    def widest(self, features: int | None) -> int:
        """Return the most numbers of a value in one step where axes have names; 0 elsewhere."""
        return self.sizes(features).widest if self.text.has_axes else 0

    def lowered(self, features: int | None, lines: Mapping[str, Node] | None = None) -> Mapping[str, Node]:
        """Return the equations as they are computed, without names of axes.  lines: others in their place."""
        lines = self.lines if lines is None else lines
        return lower(self.text, self.config, lines, self.sizes(features)) if self.text.has_axes else lines

    def function(self, name: str) -> str:
        """Return the function of this name; for an option, the name of its activation."""
        return self.text.function(name, self.config)

    @cached_property
    def bounds(self) -> dict[str, tuple[float, float] | None]:
        """The range of each line, (0, 1) for a sigmoid; None if no activation limits the line."""
        from rnncli.cells.evaluate import bounds_of

        return bounds_of(self.lines, self.function)

    @cached_property
    def new_states(self) -> dict[str, str]:
        """The traced lines that equal a state after the step, with that state: `{"candidate": "hidden"}`."""
        return {
            node.name: state
            for state in self.states
            if isinstance(node := self.written[state], Name)
            and node.kind != "before"
            and node.name in self.gates
        }

    def line_sizes(self, features: int | None) -> dict[str, int]:
        """Return the size of each line: units, features or 1; units if it depends on unknown features."""
        sizes = self.sizes(features)
        counts = {line: sizes.numbers(sizes.axes[line]) for line in (*self.states, *self.text.step)}
        return {line: self.units if count is None else count for line, count in counts.items()}

    def heads(self, features: int | None) -> dict[str, int]:
        """Return the size of each axis of heads."""
        sizes = self.sizes(features)
        used = {axis for axes in sizes.axes.values() for axis in axes}
        return {axis: sizes.size(axis) or 0 for axis in self.text.heads if axis in used}

    @property
    def by_index(self) -> dict[int | None, Cell]:
        """The cells by their index in RNN's list: this cell, whose index is None."""
        return {None: self}

    def state_shapes(self, features: int | None) -> dict[Label, tuple[tuple[str, ...], Shape]]:
        """Return the axes of each part of the state and their sizes, by the part's label in a result."""
        if not self.text.has_axes:
            return dict.fromkeys(self.state_labels, (("units",), (self.units,)))
        axes, sizes = map(self.text.axes, self.states), self.sizes(features)
        shaped = ((names, tuple(sizes.known[name] for name in names) or (1,)) for names in axes)
        return dict(
            zip(self.state_labels, ((names or ("1",), shape) for names, shape in shaped), strict=True)
        )

    def weight_shapes(self, input_shape: Shape, *, checked: bool = True) -> dict[str, Shape]:
        """Return the shapes: kernel (features, lines * units), recurrent_kernel (units, lines * units), bias.

        The shapes of the weights that are not packed follow.  lines: the number of lines that use the weight.
        checked: whether to check the sizes in the equations of a file.
        Raises LayerError, with a caret, where two sizes do not fit.
        """
        text, units, features = self.text, self.units, input_shape[-1]
        sizes: dict[Any, Any] = {"units": units, "features": features}
        if text.written and (checked or text.has_axes):
            sizes |= self.sizes(features if isinstance(features, int) else None).known
            sizes["features"] = sizes["features"] or features
        widths: dict[str, Any] = {}
        for name, lines in text.packing().items():
            counts = [[sizes[axis] for axis in text.axes(line)] for line in lines]
            known = all(isinstance(size, int) for shape in counts for size in shape)
            widths[name] = sum(map(prod, counts)) if known else None
        biased = widths["bias"] if self.config["use_bias"] else 0
        shapes: dict[str, Shape] = {
            "kernel": (sizes["features"], widths["kernel"]),
            "recurrent_kernel": (units, widths["recurrent_kernel"]),
            "bias": (2, biased) if text.has_two_biases else (biased,),
            **{
                name: tuple(sizes.get(size, size) for size in weight.shape)
                for name, weight in text.weights.items()
            },
        }
        return {name: shape for name, shape in shapes.items() if shape[-1] != 0}

    def initializers(self) -> dict[str, Any]:
        """Return the initializer of each weight; for a weight with several, a function that draws it."""
        values = {
            name: partial(self._draw_by_line, name) if self.runs(name) else value
            for name, value in self.all_initializers().items()
            if "/" not in name
        }
        factors = self.factors if self.text.has_axes else ()
        return {**values, **dict.fromkeys(factors, initializers.make_factor)}

    @property
    def factors(self) -> list[str]:
        """The weights of a file with named axes that stand on the right of @ and have no initializer there.

        They start as glorot_uniform of their last two axes.
        """
        nodes = (node for line in self.text.step.values() for node in walk(line) if self.text.has_axes)
        rights = (node.right for node in nodes if isinstance(node, Operation) and node.symbol == "@")
        names = {right.name for right in rights if isinstance(right, Name)}
        given = self.text.weights.items()
        return [name for name, weight in given if name in names and not weight.initializer]

    def all_initializers(self) -> dict[str, Any]:
        """Return the initializers of weights, `bias`, and of the columns of a line, `bias/forget`.

        Keras's cells also create the initializer of a bias that they do not use.
        """
        text, values = self.text, {}
        for name in self.weight_shapes((None,), checked=False) if text.written else INITIALIZED_BY:
            if weight := text.weights.get(name):
                usual = "zeros" if text.has_axes and name not in self.factors else "glorot_uniform"
                values[name] = weight.initializer or (usual if text.has_axes else _BY_AXES[len(weight.shape)])
                continue
            values[name], by_line = self.config[INITIALIZED_BY[name]], text.initializers.get(name, {})
            if values[name] != "probe":
                lines = (line for line in text.packing()[name] if line in by_line)
                values |= {f"{name}/{line}": by_line[line] for line in lines}
        return values

    def runs(self, weight: str) -> list[tuple[str, int]]:
        """Return which initializers fill a weight's columns, from the left, as (name, number of columns).

        `[("bias", 3), ("bias/forget", 3), ("bias", 6)]` for an LSTM of 3 units; [] if one fills all columns.
        """
        values = self.all_initializers()
        names = [f"{weight}/{line}" for line in self.text.packing().get(weight, ())]
        if values.keys().isdisjoint(names):
            return []
        sizes, widths = self.sizes(None), []
        for line in self.text.packing()[weight]:
            if (width := sizes.numbers(self.text.axes(line))) is None:
                what = "{weight} has initializers for lines, but their sizes depend on features."
                raise LayerError(what, "Give one initializer for the whole weight.", weight=weight)
            widths.append(width)
        runs = groupby(zip(names, widths, strict=True), lambda pair: pair[0] if pair[0] in values else weight)
        return [(name, sum(width for _, width in run)) for name, run in runs]

    def _draw_by_line(
        self, weight: str, shape: tuple[int, ...], dtype: str, seeds: Mapping[str, int]
    ) -> Array:
        """seeds: by line; "" for the whole weight."""
        import numpy as np

        values, parts = self.all_initializers(), []
        for name, columns in self.runs(weight):
            seed = seeds.get(name.removeprefix(weight).removeprefix("/"))
            parts.append(initializers.make(values[name], (*shape[:-1], columns), dtype, seed))
        return np.concatenate(parts, axis=-1)

    @property
    def dropout_seed_is_first(self) -> bool:
        """Whether the cell has the equations of SimpleRNN: Keras then makes the generator of masks first."""
        return any(self.lines == resolve(simple_rnn(), {"use_bias": used}) for used in (True, False))

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        """Return the seeds by weight.  The generator of masks takes a seed, too, unless `seed` is set."""
        seed, values = self.config["seed"], self.all_initializers()
        dropout = {"dropout": None} if seed is None else {}
        values = {**dropout, **values} if self.dropout_seed_is_first else {**values, **dropout}
        return {"dropout": seed, **take_seeds(values, self.config, draw)}

    def start(self, batch: int, dtype: Any, features: int | None = None) -> State:
        """Return the state before the first step, (batch, numbers) each: zeros, or start values."""
        import numpy as np

        start = self.text.initial
        counts = [prod(sizes_of(shape)) for _, shape in self.state_shapes(features).values()]
        parts = zip(self.states, counts, strict=True)
        return tuple(np.full((batch, count), start.get(part, 0), dtype) for part, count in parts)

    def pack(self, parts: tuple[Array, ...]) -> State:
        """Build a state from arrays in Keras's order."""
        return tuple(part.reshape(len(part), prod(part.shape[1:])) for part in parts)

    def unpack(self, state: State) -> tuple[Array, ...]:
        """Return the arrays of a state, in Keras's order."""
        return state

    def output(self, state: State) -> Array:
        """Return the output of the cell: its first state."""
        return state[0]  # type: ignore[no-any-return]

    def no_dropout(self) -> DropoutMasks:
        return DropoutMasks()

    def dropout_of(
        self, shape: tuple[int, int], dtype: str, path: str, seeds: Mapping[str, int], drawn: dict[str, int]
    ) -> DropoutMasks:
        """Return the masks that Keras draws for one call on inputs of shape (batch, features).

        With recurrent_dropout, each gate of an LSTM or a GRU gets its own masks.
        path: of the cell, `0/`, or "".
        seeds: by path; `0/dropout` is the seed of the generator of this cell.
        drawn: the number of draws so far of each generator, updated in place.
        """
        generator = f"{path}dropout"
        rates = self.config["dropout"], self.config["recurrent_dropout"]
        copies = len(self.gates) if rates[1] > 0 and self.masks_per_gate else 1
        dropout: list[tuple[Array, ...]] = []
        for rate, size in zip(rates, (shape[1], self.units), strict=True):
            used = drawn.get(generator, 0)
            drawn[generator] = used + (copies if rate > 0 else 0)
            masks = (
                initializers.dropout_mask((shape[0], size), rate, dtype, seeds[generator], draw)
                for draw in range(used, drawn[generator])
            )
            dropout.append(tuple(masks))
        return DropoutMasks(*dropout)


def take_seeds(values: Mapping[str, Any], config: Mapping[str, Any], draw: Draw) -> dict[str, int]:
    """Return the seeds by name.

    values: the initializers, in the order in which the layer creates them; None for a generator.
    Initializers that a script creates before the layer take their seeds first, in the order of the config.
    """
    order = list(config)
    before = {
        name: order.index(INITIALIZED_BY.get(name, f"{name}_initializer"))
        for name, value in values.items()
        if isinstance(value, Spec) and not value.deferred
    }
    return {
        name: draw()
        for name in sorted(values, key=lambda name: before.get(name, len(order)))
        if values[name] is None or initializers.takes_seed(values[name])
    }
