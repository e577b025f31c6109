"""Cases as the targets write them: the layers in order, each with its loops, cells, weights and mask."""

from __future__ import annotations

import builtins
import dataclasses
import keyword
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from math import prod
from typing import Any

from rnncli import compute, layers
from rnncli.cells import activations
from rnncli.cells.layout import move_inside, without_zeros
from rnncli.cells.sizes import CellSizes
from rnncli.cells.tree import FUNCTIONS, Function, Name, Node, Number, Reshape, Sum, fold, rebuild, walk
from rnncli.compute.engines import LayerRunner
from rnncli.layers.case import Case
from rnncli.layers.layer import LayerCall, within
from rnncli.layers.recurrent import Cell, RecurrentLayer, State
from rnncli.layers.stack import Stack
from rnncli.models import LayerUse
from rnncli.result import TensorInfo
from rnncli.show.visible import visible
from rnncli.values import Array, Spec, sizes

Names = Mapping[str, str]
"""The suffix in a script of each layer of a Case, by the layer's name in a saved model; empty without one."""


@dataclass(frozen=True, eq=False)
class ExportCell:
    """One cell of a loop.

    suffix: of its names in a script, `_0_forward`; "" for a single cell.
    features: number of features of its input.
    weights: by name, in Keras's layout.
    states: the initial states by name, `hidden` and `cell`, each (batch, units) or with its named axes.
    has_initial_states: whether they are supplied; otherwise the cell says how it starts, mostly with zeros.
    """

    suffix: str
    cell: Cell
    features: int
    weights: Mapping[str, Array]
    states: Mapping[str, Array]
    has_initial_states: bool

    @property
    def class_name(self) -> str:
        """The layer that runs such a cell, `LSTM` for LSTMCell too."""
        return self.cell.spec.class_name.removesuffix("Cell")

    @property
    def is_own(self) -> bool:
        """Whether a user wrote the cell's equations."""
        return self.cell.spec.equations is not None

    @property
    def units(self) -> int:
        """The number of numbers in the first state."""
        return self.cell.units

    @cached_property
    def lines(self) -> dict[str, Node]:
        """The equations as scripts compute them."""
        return lines_of(self.cell, self.features)

    @cached_property
    def sizes(self) -> CellSizes:
        """The sizes of states, lines and parts of the input."""
        sizes = self.cell.sizes(self.features)
        return sizes._replace(axes={**self.cell.text.inputs, **sizes.axes})

    def shape(self, line: str) -> tuple[int, ...]:
        """Return the sizes of a state's or a line's axes."""
        return self.sizes.shape(self.sizes.axes[line])

    @cached_property
    def key(self) -> tuple[object, ...]:
        """Equal for cells whose steps have the same code."""
        text, sizes = self.cell.text, self.sizes if self.cell.text.has_axes else None
        shapes = tuple((name, weight.shape) for name, weight in text.weights.items())
        start = tuple(text.initial.items())
        return text.name, text.gates, shapes, start, tuple(self.lines.items()), repr(sizes)

    @cached_property
    def nodes(self) -> list[Node]:
        """Every node of the equations."""
        return [node for line in self.lines.values() for node in walk(line)]

    @cached_property
    def read(self) -> set[str]:
        """The names that the equations read: `x`, weights, states and lines."""
        names = (node for node in self.nodes if isinstance(node, Name))
        return {"x" if name.kind == "input" else name.name for name in names}

    @cached_property
    def names(self) -> dict[str, str]:
        """The names of weights, states and lines in a step."""
        return local_names((*self.weights, *self.states, *self.lines))

    def describe_states(self, before: str = "") -> str:
        """Return each state with its axes: `memory (heads, keys, values)`.  before: what precedes them."""
        axes = {state: before + ", ".join(self.sizes.axes[state] or ("1",)) for state in self.cell.states}
        return ", ".join(f"{self.names[state]} ({names})" for state, names in axes.items())

    def global_name(self, name: str) -> str:
        """Return the name of a weight or a state outside a step, without the suffix."""
        if name in ("kernel", "recurrent_kernel", "bias", "hidden", "cell"):
            return name
        return f"{'weight' if name in self.weights else 'state'}_{self.names[name]}"

    def full_name(self, name: str) -> str:
        """Return the name of a weight or a state outside a step."""
        return f"{self.global_name(name)}{self.suffix}"

    def starts_at(self, name: str) -> Array | None:
        """Return the initial state; None for zeros that are not supplied."""
        array = self.states[name]
        return array if self.has_initial_states or array.any() else None


@dataclass(frozen=True, eq=False)
class ExportLoop:
    """One direction of a layer: its cells run over time, each on the previous cell's output.

    backwards: whether it starts at the last time step.
    zeroes_masked: whether masked steps output zeros rather than the previous output.
    """

    suffix: str
    layer: RecurrentLayer
    cells: tuple[ExportCell, ...]
    backwards: bool
    zeroes_masked: bool


@dataclass(frozen=True, eq=False)
class ExportLayer:
    """One layer; a target that writes only options gets only its name and its spec.

    name: in a saved model of several layers, with what a terminal would obey escaped; otherwise "".
    suffix: of its names in a script, `_0`; "" for a single layer.
    loops: one or, in Bidirectional, two; none for a layer that is not recurrent.
    mask: the suffix of its mask in a script, which a Masking layer or the input has; None for no mask.
    outputs: the tensors that are shown, which it returns.
    """

    name: str
    spec: Spec
    suffix: str = ""
    input_shape: tuple[int, ...] = ()
    weights: Mapping[str, Array] = dataclasses.field(default_factory=dict)
    loops: tuple[ExportLoop, ...] = ()
    mask: str | None = None
    outputs: tuple[TensorInfo, ...] = ()

    @property
    def sequences(self) -> bool:
        """Whether a recurrent layer returns every time step."""
        return self.loops[0].layer.sequences

    @property
    def merge_mode(self) -> str | None:
        """How two directions are merged."""
        return self.spec.config["merge_mode"]  # type: ignore[no-any-return]

    @property
    def is_unmerged(self) -> bool:
        """Whether it returns one output per direction."""
        return len(self.loops) == 2 and self.merge_mode is None


@dataclass(frozen=True, eq=False)
class ExportCase:
    """Layers, each of which gets the previous layer's output, with everything that they need.

    suffix: of the input and its mask in a script; "" for a single case.
    dtype: the dtype of the computation.
    cells: all cells of the layers.
    left_out: what the model has besides its recurrent layers, if only these are written.
    """

    case: Case
    layers: tuple[ExportLayer, ...]
    suffix: str
    dtype: str
    cells: tuple[ExportCell, ...]
    left_out: tuple[str, ...] = ()


def build_export(
    case: Case, names: Names | None = None, *, options_only: bool = False, left_out: tuple[str, ...] = ()
) -> ExportCase:
    """Return `case` in the form that the targets write.

    names: the names of the layers in a saved model.  The tensors of all layers are shown, under these
        names; without names, only the tensors of the last layer.
    options_only: for a target without numbers; otherwise every layer must have a step in rnncli.
    left_out: see ExportCase.
    """
    stack, dtype, count = case.stack, str(case.inputs.dtype), len(case.stack)
    if options_only:
        pairs = zip(names or [""] * count, case.stack, strict=True)
        return ExportCase(case, tuple(ExportLayer(*pair) for pair in pairs), "", dtype, (), left_out)
    drawn, seeds = compute.weights_and_seeds(case, stack, "numpy")
    weights = {path: drawn[path] for path in stack.weight_shapes(case.inputs.shape)}
    titles, suffixes = [""] * count, [f"_{index}" if count > 1 else "" for index in range(count)]
    if names:
        titles, suffixes = [visible(name) for name in names], list(names.values())  # scripts print them
    start, recorder = suffixes[0] if names else "", _CallRecorder(case, weights, seeds)
    returned = stack.call(recorder, case.inputs, case.mask, case.initial_state, weights)
    masks = [(case.mask, start)]  # most layers return the mask that they got, so the first suffix counts
    masks += [(output.mask, suffix) for output, suffix in zip(returned, suffixes, strict=True)]
    layers = []
    for index, (layer, shape) in enumerate(stack.input_shapes(case.inputs.shape)):
        title, suffix = titles[index], suffixes[index]
        calls = [(loop, call, state) for loop, call, state in recorder.calls if call.place.layer == index]
        mask = calls[0][1].mask if calls else None
        mask_suffix = None if mask is None else next(name for known, name in masks if known is mask)
        shown = layer.outputs(shape) if names or index + 1 == count else ()
        layers.append(
            ExportLayer(
                title,
                layer.spec,
                suffix,
                sizes(shape),
                within(weights, str(index)) if count > 1 else weights,
                tuple(_loop(suffix, loop, call, state) for loop, call, state in calls),
                mask_suffix,
                tuple(info.with_place(layer=title or None) for info in shown),
            )
        )
    cells = tuple(cell for exported in layers for loop in exported.loops for cell in loop.cells)
    return ExportCase(case, tuple(layers), start, dtype, cells, left_out)


class _CallRecorder(LayerRunner):
    """Records each call of a loop with its first state, in place of running it; the outputs are zeros."""

    def __init__(self, case: Case, weights: Mapping[str, Array], seeds: Mapping[str, int]) -> None:
        super().__init__(case, weights, seeds)
        self.calls: list[tuple[RecurrentLayer, LayerCall, State]] = []

    def steps_of(self, layer: RecurrentLayer, call: LayerCall, state: State) -> tuple[Array, State]:
        import numpy as np

        self.calls.append((layer, call, state))
        shape = (*call.inputs.shape[: 2 if layer.sequences else 1], layer.cell.units)
        return np.zeros(shape, call.inputs.dtype), state


def _loop(suffix: str, layer: RecurrentLayer, call: LayerCall, state: State) -> ExportLoop:
    suffix = f"{suffix}_{call.place.direction}" if call.place.direction else suffix
    features, given, cells = call.inputs.shape[-1], call.initial_state is not None, []
    for index, cell in layer.cell.by_index.items():
        weights = call.weights if index is None else within(call.weights, str(index))
        cell_suffix = suffix if index is None else f"{suffix}_cell_{index}"
        shaped = (
            array.reshape(len(array), *sizes(shape))
            for array, (_, shape) in zip(
                state if index is None else state[index], cell.state_shapes(features).values(), strict=True
            )
        )
        states = dict(zip(cell.states, shaped, strict=True))
        cells.append(ExportCell(cell_suffix, cell, features, weights, states, given))
        features = cell.units
    backwards, zeroes = (bool(layer.config[name]) for name in ("go_backwards", "zero_output_for_mask"))
    return ExportLoop(suffix, layer, tuple(cells), backwards, zeroes)


def equations_of(exports: Sequence[ExportCase]) -> list[Cell]:
    """Return the cells of all layers whose step is known, in every direction; for targets without numbers."""
    made = [layers.make(layer.spec) for export in exports for layer in export.layers]
    loops = [loop for layer in made if layer.without_keras for loop in layer.loops.values()]
    return [cell for loop in loops for cell in loop.cell.by_index.values()]  # type: ignore[attr-defined]


def functions_of(exports: Sequence[ExportCase]) -> list[str]:
    """Return the functions of all cells, and the activations of Dense layers, each once."""
    cells = [name for export in exports for cell in export.cells for name in functions_in(cell.lines)]
    layers = [layer.spec for export in exports for layer in export.layers]
    dense = [spec.config["activation"] for spec in layers if spec.class_name == "Dense"]
    return list(dict.fromkeys([*cells, *dense]))


Named = dict[tuple[object, ...], tuple[str, ExportCell]]
"""By `key`, the name of each step that differs from the others, and a cell with this step."""


def name_cells(
    exports: Sequence[ExportCase], name: Callable[[ExportCell], str], taken: Sequence[str] = ()
) -> Named:
    """Return the different cells with different names, `lstm_step` and `lstm_step_2`."""
    named: Named = {}
    for cell in (cell for export in exports for cell in export.cells):
        if cell.key not in named:
            used = {*taken, *(other for other, _ in named.values())}
            named[cell.key] = _number(name(cell), used), cell
    return named


def _number(start: str, used: Container[str]) -> str:
    numbered = (f"{start}_{number}" if number > 1 else start for number in count(1))
    return next(name for name in numbered if name not in used)


def without_initializers(spec: Spec, change: Callable[[Spec], Spec] = lambda spec: spec) -> Spec:
    """Return `spec` with the default initializers, because the weights are written out.

    change: applied to each spec, to inner specs first.
    """

    def plain(value: Any) -> Any:
        if isinstance(value, Spec):
            return without_initializers(value, change)
        return tuple(map(plain, value)) if isinstance(value, (tuple, list)) else value

    config = {name: value for name, value in spec.config.items() if not name.endswith("_initializer")}
    config = {name: plain(value) for name, value in config.items()}
    return change(dataclasses.replace(spec, config=config))


def join_layers(parts: Sequence[LayerUse]) -> Iterator[tuple[Case, Names]]:
    """Yield layers of a saved model as Cases: a stack of one module is one Case, any other layer its own.

    A layer joins the layer before it if it reads that layer's sequence, and would get the same in a stack.
    """
    suffixes = name_layers([part.layer for part in parts])
    chains: list[list[LayerUse]] = []
    for part in parts:
        before = chains[-1][-1] if chains else part
        stack = before.case.stack
        follows = part.before == before.layer and stack.dtype == part.case.stack.dtype
        given = [use.case.initial_state is not None for use in (before, part)]
        # In a stack of Keras, a layer with an initial state gets no mask from the layer before.
        follows = follows and given[0] == given[1] and not (given[0] and part.case.mask is not None)
        if follows and stack.outputs(before.case.inputs.shape)[0].label.sequence:
            chains[-1].append(part)
        else:
            chains.append([part])
    for chain in chains:
        names = {part.layer: suffixes[part.layer] for part in chain}
        first = chain[0].case
        if len(chain) > 1:
            weights = {
                f"{index}/{path}": array
                for index, part in enumerate(chain)
                for path, array in (part.case.weights or {}).items()
            }
            stack = Stack(spec for part in chain for spec in part.case.stack)
            states = [part.case.initial_state for part in chain]
            start = tuple(state for given in states for state in given or ()) or None
            first = Case(stack, first.inputs, first.mask, start, weights, seed=None)
        yield first, names


def name_layers(names: Sequence[str]) -> dict[str, str]:
    """Return a different suffix for each name, of letters and digits that C allows too.

    No suffix ends in `_forward` or `_cell_0`: the parts of a layer `a` are `_a_forward` and `_a_cell_0`.
    """
    suffixes: dict[str, str] = {}
    for name in names:
        plain = "_" + re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
        plain = re.sub(r"_(forward|backward|cell_\d+)$", r"\g<0>_layer", plain)
        suffixes[name] = _number(plain, {"_", *suffixes.values()})
    return suffixes


RESERVED = frozenset({
    *dir(builtins), *keyword.kwlist, *keyword.softkwlist, *FUNCTIONS, "hard_sigmoid_keras2",
    "np", "math", "torch", "keras", "self", "x", "state", "states", "training", "real", "main", "dot", "j",
    "k", "auto", "case", "char", "const", "default", "do", "double", "enum", "extern", "goto", "inline",
    "long", "register", "restrict", "short", "signed", "sizeof", "static", "struct", "switch", "typedef",
    "union", "unsigned", "void", "volatile", "complex", "imaginary", "stdin", "stdout", "stderr", "memcpy",
    "power", "I", "thread_local", "asm", "typeof", "bool", "true", "false", "nullptr", "constexpr",
    "alignas", "alignof", "static_assert", "math_errhandling", "linux", "unix",
})  # fmt: skip
"""Names that mean something in a step of Python or C."""

_BEGINNING = re.compile(r"_|[WUb]_|b2_|weight_|[LMP]_|[A-Z][A-Z0-9_]+$")
_END = re.compile(r"^t\d+$|_(step|forward|backward|cell|\d+)$")
"""Beginnings and endings of names of scripts, `W_forget`, `lstm_step`, `hidden_0_forward`, or macros of C."""
_C_MATH = re.compile(
    r"c?(a?(cos|sin|tan)h?|atan2|exp(2|10|m1)?|log(2|10|1p|b)?|pow|sqrt|cbrt|hypot|erfc?|[lt]?gamma|f?abs|"
    r"f(dim|ma|max|min|mod)|ceil|floor|trunc|l{0,2}(rint|round)|nearbyint|remainder|remquo|drem|copysign|"
    r"next(after|toward|up|down)|frexp|ldexp|modf|ilogb|scalb(l?n)?|significand|[jy][01n]|finite|is(nan|inf)|"
    r"nan|arg|imag|real|proj|conj)([fl]|[fd]\d+x?)?(_r)?"
)
"""Functions of <tgmath.h> in each of their types: a call of `tanh` becomes `tanhf`, `tanhl`, `ctanhf`, ..."""


def lines_of(cell: Cell, features: int) -> dict[str, Node]:
    """Return the equations as a script computes them: each activation by Keras's name, constants as numbers.

    A sum never begins with a sum, because `(a + b) + c` is computed as `a + b + c`.
    """
    constants: dict[str, Number] = {}

    def change(node: Node) -> Node:
        match rebuild(node, change):
            case Name(name) if name in constants:
                return constants[name]
            case Function("clip", (Number(value), Number(low), high)) if not isinstance(high, Number):
                return Function("minimum", (Number(max(value, low)), high))
            case Function(function, arguments):
                known = function in FUNCTIONS
                name = function if known else activations.canonical_name(cell.function(function))
                if all(isinstance(argument, Number) for argument in arguments):
                    given = [argument.value for argument in arguments if isinstance(argument, Number)]
                    return Number(activations.compute_constant(name, given))
                return arguments[0] if name == "linear" else Function(name, arguments)
            case Sum(((1, Sum(first)), *others)):
                return fold(without_zeros(Sum((*first, *others))))
            case Sum() as total:
                return fold(without_zeros(total))
            case Reshape() as view:
                return move_inside(view)
            case changed:
                return fold(changed)

    columns: dict[Node, Name] = {}  # the parts of the input, which are lines, too
    for name, axes in cell.text.inputs.items():
        part, shape = Name(name, "input"), cell.sizes(features).shape(axes)
        columns[part if len(shape) < 2 else Reshape(part, (prod(shape),), (0,), shape)] = Name(name, "free")

    def read(node: Node) -> Node:
        return columns[node] if node in columns else rebuild(node, read)

    lines: dict[str, Node] = {name.name: node for node, name in columns.items()}
    for line, node in cell.lowered(features).items():
        new = change(read(node))
        if isinstance(new, Number) and line not in cell.states:
            constants[line] = new
        else:
            lines[line] = new
    return lines


def functions_in(lines: Mapping[str, Node]) -> dict[str, None]:
    """Return the functions that are called, each once."""
    nodes = (node for line in lines.values() for node in walk(line))
    return dict.fromkeys(node.function for node in nodes if isinstance(node, Function))


def local_names(names: Iterable[str]) -> dict[str, str]:
    """Return for each name a name that a step can use, the same if possible."""
    local: dict[str, str] = {}
    for name in (given := dict.fromkeys(names)):
        new = f"own_{name.lstrip('_')}" if _BEGINNING.match(name) else name
        taken = RESERVED | {*local.values(), *(given if new != name else ())}
        while new in taken or _C_MATH.fullmatch(new) or _END.search(new):
            new += "_"
        local[name] = new
    return local
