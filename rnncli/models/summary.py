"""What a model has, layer by layer, without computing: plain values that each kind of model makes once.

No number of a layer is computed.  A shape that cannot be derived is None.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

from rnncli.errors import Message, RnncliError, Text, UsageError, did_you_mean, join
from rnncli.layers.stack import Stack
from rnncli.models.graph import Node
from rnncli.values import Shape, Spec, known_sizes

STARTS, THROUGH, USED = "starts here", "used, passed on", "used"
PASSED, STOPS, UNKNOWN = "passed on", "stops here", "unknown"
"""What happens to a mask at a layer."""


class TensorRow(NamedTuple):
    """A tensor.  shape: None if it is unknown; so is an axis.  dtype: "" if it is unknown."""

    name: str
    shape: Shape | None
    dtype: str = ""


class WeightRow(NamedTuple):
    """A weight of a layer.  parameters: 0 for a weight that an earlier layer counts.

    frozen: whether training does not change it.
    """

    name: str
    shape: tuple[int, ...]
    parameters: int
    frozen: bool = False


class ModuleRow(NamedTuple):
    """A recurrent module of PyTorch, with all its layers.  returns: `output`, `h_n` and `c_n`, in order."""

    name: str
    returns: tuple[TensorRow, ...]


@dataclass(frozen=True)
class LayerRow:
    """One use of a layer.

    class_name: with the layer or cells inside, `Bidirectional(GRU)`; the operator of a node of ONNX.
    inputs: the layers, or inputs of the model, that it reads from; None if the file does not say.
    mask: what happens to a mask here, `starts here`; "" if none comes.
    spec, input_shape: of a recurrent layer, if rnncli knows its cell; else None.
    attributes, taken: of a node of ONNX: its attributes, and all tensors that it takes.
    note: why rnncli does not compute the layer; "" if it does, or if only a run would show it.
    calls: how often a module was called; None if that is not known.
    """

    name: str
    class_name: str
    inputs: tuple[str, ...] | None
    outputs: tuple[TensorRow, ...]
    weights: tuple[WeightRow, ...] = ()
    mask: str = ""
    recurrent: bool = False
    spec: Spec | None = None
    input_shape: Shape | None = None
    attributes: Mapping[str, Any] | None = None
    taken: tuple[TensorRow, ...] = ()
    note: Text = ""
    calls: int | None = None

    @property
    def parameters(self) -> int:
        """The number of parameters that no earlier layer has."""
        return sum(weight.parameters for weight in self.weights)

    @property
    def trainable(self) -> int:
        """The number of these parameters that training changes."""
        return sum(weight.parameters for weight in self.weights if not weight.frozen)

    @property
    def is_repeated(self) -> bool:
        """Whether a module was called more than once."""
        return self.calls is not None and self.calls > 1

    @property
    def has_more(self) -> bool:
        """Whether the file has more numbers for a recurrent layer than the layer in Keras: two biases."""
        if self.spec is None or self.input_shape is None:
            return False
        sizes = [known_sizes(shape) for shape in Stack((self.spec,)).weight_shapes(self.input_shape).values()]
        return None not in sizes and self.parameters > sum(prod(size) for size in sizes if size is not None)

    @cached_property
    def states(self) -> tuple[TensorRow, ...]:
        """The states that a recurrent layer keeps from step to step, `forward/hidden`."""
        if self.spec is None or self.input_shape is None:
            return ()
        return tuple(
            TensorRow("/".join(filter(None, (info.label.direction, str(info.label.in_loop)))), info.shape)
            for info in Stack((self.spec,)).states(self.input_shape)
        )

    @cached_property
    def gates(self) -> tuple[str, ...]:
        """The gates of a recurrent layer, the same in each direction; of a cell in a list `cell_0/forget`."""
        loops: Any = Stack((self.spec,)).layers[0].loops.values() if self.spec else ()
        cells: Mapping[Any, Any] = next((loop.cell.by_index for loop in loops if hasattr(loop, "cell")), {})
        return tuple(
            f"{'' if index is None else f'cell_{index}/'}{gate}"
            for index, cell in cells.items()
            for gate in cell.gates
        )


@dataclass(frozen=True)
class Summary:
    """A whole model, or some of its layers, in order.

    file: "" for a live object.  inputs, outputs: of the model; outputs is None if nothing says them.
    name: of the model, or of the class of a live object.
    optimizer_parameters: the number of the numbers that the optimizer keeps; 0 without an optimizer.
    """

    file: str
    origin: str
    inputs: tuple[TensorRow, ...]
    layers: tuple[LayerRow, ...]
    outputs: tuple[TensorRow, ...] | None
    notes: tuple[Text, ...] = ()
    name: str = ""
    optimizer_parameters: int = 0
    modules: tuple[ModuleRow, ...] = ()

    @property
    def remarks(self) -> tuple[Text, ...]:
        """The notes, with the name of the file in front."""
        return tuple(join((self.file, note), ": ") if self.file else note for note in self.notes)

    @property
    def parameters(self) -> int:
        """The number of all parameters, as the framework of the model counts them."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def trainable_parameters(self) -> int:
        """The number of parameters that training changes."""
        return sum(layer.trainable for layer in self.layers)

    @property
    def recurrent_parameters(self) -> int:
        """The number of parameters of the recurrent layers."""
        return sum(layer.parameters for layer in self.layers if layer.recurrent)

    def choose(self, names: Sequence[str]) -> Summary:
        """Return the layers with these names: every use of a layer, every layer of a module.

        Without names, all layers.  Raises UsageError for a name that no layer has.
        """
        aliases = {row.name: {row.name, re.sub(r"@\d+|_l\d+$", "", row.name)} for row in self.layers}
        for name in names:
            if not any(name in group for group in aliases.values()):
                what = Message("{file}: there is no layer {name!r}.", file=self.file, name=name)
                raise UsageError(what, did_you_mean(name, list(aliases)))
        if not names:
            return self
        chosen = tuple(row for row in self.layers if aliases[row.name] & {*names})
        left = {name for row in self.layers if row not in chosen for name in aliases[row.name]}
        modules = tuple(row for row in self.modules if row.name not in left)
        return replace(self, layers=chosen, optimizer_parameters=0, modules=modules)


def class_text(class_name: str, config: Mapping[str, Any]) -> str:
    """Return `Bidirectional(GRU)`, `RNN(LSTMCell, GRUCell)`."""
    parts = [config[key] for key in ("layer", "cell") if isinstance(config.get(key), Mapping)]
    parts += config["cells"] if isinstance(config.get("cells"), list) else []
    inside = [class_text(str(part.get("class_name")), part.get("config") or {}) for part in parts]
    return f"{class_name}({', '.join(inside)})" if inside else class_name


class WeightCounter:
    """Counts each array once, in the layer that has it first."""

    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}  # the arrays are kept, so that no other gets the same id

    def rows(
        self, arrays: Iterable[tuple[str, Any]], parameters: int | None = None, *, frozen: Iterable[str] = ()
    ) -> tuple[WeightRow, ...]:
        """Return the weights of one use of a layer.

        parameters: how many numbers the file has for all of them, if it is not the sum of their sizes.
        frozen: the names of the weights that training does not change.
        """
        rows: list[WeightRow] = []
        for name, array in arrays:
            shape = tuple(array.shape)
            size = 0 if id(array) in self._seen else prod(shape)
            self._seen[id(array)] = array
            rows.append(WeightRow(name, shape, size, name in frozen))
        more = 0 if parameters is None else parameters - sum(prod(row.shape) for row in rows)
        if more and any(row.parameters for row in rows):  # two biases, of which the layer has the sum
            biases = [row for row in rows if row.name.rpartition("/")[2] == "bias"] or rows[-1:]
            rows = [
                row._replace(parameters=row.parameters + more // len(biases)) if row in biases else row
                for row in rows
            ]
        return tuple(rows)


def recurrent_outputs(spec: Spec, name: str, input_shape: Shape) -> tuple[TensorRow, ...]:
    """Return what a recurrent layer returns, `gru/hidden_states`."""
    return tuple(
        TensorRow(f"{name}/{info.name}", info.shape, str(spec.config["dtype"]))
        for info in Stack((spec,)).outputs(input_shape)
    )


def pytorch_returns(
    class_name: str,
    first: Shape,
    units: int,
    layers: int,
    directions: int,
    *,
    batch_first: bool,
    projected: int = 0,
) -> tuple[TensorRow, ...]:
    """Return what a module of PyTorch returns, in order: `output`, `h_n`, and of an LSTM `c_n`.

    first: the first two axes of its input, whose order is that of `output`; states are layers first.
    projected: proj_size, the size of the projected hidden state; 0 without a projection.
    """
    batch, hidden = first[0 if batch_first else 1], projected or units
    rows = (
        TensorRow("output", (*first, directions * hidden)),
        TensorRow("h_n", (layers * directions, batch, hidden)),
        TensorRow("c_n", (layers * directions, batch, units)),
    )
    return rows if class_name == "LSTM" else rows[:2]


def features_of(node: Node) -> int | None:
    """Return the number of features that a recurrent layer takes; None if its weights do not say."""
    kernels = (array for path, array in node.weights.items() if path.rpartition("/")[2] == "kernel")
    kernel = next(kernels, None)
    return None if kernel is None or len(kernel.shape) < 2 else int(kernel.shape[-2])


def known_spec(node: Node) -> Spec | None:
    """Return the Spec of a recurrent layer; None for a class that is not known here."""
    from rnncli.models.layer_cases import spec_of

    try:
        return spec_of(node)
    except (RnncliError, LookupError, ValueError, TypeError, AttributeError):
        return None
