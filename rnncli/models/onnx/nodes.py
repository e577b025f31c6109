"""The nodes of an ONNX graph, and a recurrent node as a layer: a Spec, and weights in Keras's layout."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from rnncli.cells.activations import ParametricActivation
from rnncli.errors import LayerError
from rnncli.frameworks import onnx
from rnncli.frameworks.onnx import PEEPHOLE_LSTM, PEEPHOLES
from rnncli.models.graph import StateLoop
from rnncli.specs.build import build
from rnncli.values import Array, Spec, format_shape

CLASSES = {operator: class_name for class_name, operator in onnx.OPERATORS.items()}
"""Keras's class of each operator."""

MOVING = (
    "Cast", "Concat", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze",
)  # fmt: skip
"""Operators that only move numbers."""

_DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
_OPTIONS = {
    "LSTM": ("recurrent_activation", "activation", "cell_activation"),
    "GRU": ("recurrent_activation", "activation"),
    "RNN": ("activation",),
}
"""Keras's options for the activations of an operator, in ONNX's order."""

_PLAIN = frozenset({"relu", "tanh", "sigmoid", "softsign", "softplus"})
_NUMBERS: Mapping[str, tuple[str, tuple[float | None, ...]]] = {
    "affine": ("affine", (None, None)),
    "elu": ("elu", (1.0,)),
    "hardsigmoid": ("hard_sigmoid", (0.2, 0.5)),
    "leakyrelu": ("leaky_relu", (0.01,)),
    "scaledtanh": ("scaled_tanh", (None, None)),
    "thresholdedrelu": ("thresholded_relu", (None,)),
}
"""Activations with alpha, or alpha and beta: rnncli's name and the defaults, None where frameworks differ."""

_SAME = {
    ParametricActivation("affine", 1.0, 0.0): "linear",
    ParametricActivation("elu", 1.0): "elu",
    ParametricActivation("hard_sigmoid", 0.2, 0.5): "hard_sigmoid_keras2",
}
"""The activations that Keras has too, with Keras's names."""


def inner_graphs(node: Any) -> list[Any]:
    """Return the graphs in a node: the branches of an If, the body of a Loop or Scan."""
    return [
        graph
        for attribute in node.attribute
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs)
    ]


def is_recurrent(node: Any) -> bool:
    """Return whether the node is an LSTM, GRU or RNN of ONNX."""
    return node.op_type in CLASSES and node.domain in ("", "ai.onnx")


def nodes_in(graph: Any) -> Iterator[Any]:
    """Yield every node; the nodes of an inner graph follow the node that holds it."""
    for node in graph.node:
        yield node
        for inner in inner_graphs(node):
            yield from nodes_in(inner)


def inputs_of(node: Any) -> list[str]:
    """Return X, W, R, B, sequence_lens, initial_h, initial_c, P; "" for an input that is missing."""
    return [*node.input, *[""] * (8 - len(node.input))]


@dataclass(frozen=True)
class RecurrentNode:
    """A recurrent node.

    operator: LSTM, GRU or RNN.  attributes: as in the file, by ONNX's names.
    has_bias, has_peepholes: whether it has the inputs B and P.
    sequences: whether it returns Y.  state: whether it returns Y_h or Y_c.
    """

    operator: str
    units: int
    attributes: Mapping[str, Any] = field(default_factory=dict)
    has_bias: bool = True
    has_peepholes: bool = False
    sequences: bool = True
    state: bool = True

    @property
    def directions(self) -> tuple[bool, ...]:
        """One entry for each direction: whether it goes backwards."""
        direction = self.attributes.get("direction", "forward")
        known = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
        if direction not in known:
            what = "its direction is {direction!r}"
            raise LayerError(what, "It must be one of {known}.", direction=direction, known=", ".join(known))
        return known[direction]

    @property
    def reset_after(self) -> bool:
        """Whether a GRU applies the reset gate after the recurrent product."""
        return bool(self.attributes.get("linear_before_reset", 0))

    @property
    def is_coupled(self) -> bool:
        """Whether the forget gate of an LSTM is 1 minus the input gate."""
        return self.operator == "LSTM" and bool(self.attributes.get("input_forget", 0))

    @property
    def equations(self) -> str:
        """The file of the cell, if Keras has no such LSTM; else ""."""
        if not (self.has_peepholes or self.is_coupled):
            return ""
        text = PEEPHOLE_LSTM
        if self.is_coupled:
            text = re.sub('\nforget_peephole = .*|"forget", ', "", text)
            text = re.sub("\nforget = .*", '\nforget = "1 - input"', text)
        if not self.has_peepholes:
            text = re.sub(r"\n\[weights\]|\n\w+_peephole = .*| \+ \w+_peephole \* cell", "", text)
        words = ("Coupled" if self.is_coupled else "", "Peephole" if self.has_peepholes else "")
        return text.replace("Peephole", "".join(words))


def recurrence_of(node: Any, units: int) -> RecurrentNode:
    """Read a recurrent node.

    A node with Y returns the sequence.  Without Y, Y_h is the output, and only Y_c adds the state.
    """
    attributes = {attribute.name: attribute_value(attribute) for attribute in node.attribute}
    inputs = inputs_of(node)
    sequence, _, *cells = [*map(bool, node.output), False, False]
    return RecurrentNode(
        node.op_type,
        units or int(attributes.get("hidden_size", 0)),
        attributes,
        has_bias=bool(inputs[3]),
        has_peepholes=node.op_type == "LSTM" and bool(inputs[7]),
        sequences=sequence,
        state=any(node.output[1:] if sequence else cells),
    )


def attribute_value(attribute: Any) -> Any:
    """Return the value of an attribute, of the types that recurrent nodes have."""
    if attribute.type == 3:
        return attribute.s.decode("utf-8", "replace")
    texts = [text.decode("utf-8", "replace") for text in attribute.strings]
    floats = [_shorten_float(number) for number in attribute.floats]
    values = {1: _shorten_float(attribute.f), 2: attribute.i, 6: floats, 7: list(attribute.ints), 8: texts}
    return values.get(attribute.type)


def _shorten_float(number: float) -> float:
    """Return the shortest number that is the same in float32: 0.2, not 0.20000000298023224."""
    import numpy as np

    return float(str(np.float32(number)))


def layer_of(node: RecurrentNode, *, masked: bool = False) -> Spec:
    """Return the layer that computes the node.

    masked: whether sequences differ in length.
    Raises LayerError, without a full stop, for a node that cannot be computed.
    """
    cells = [_cell(node, backwards, names, masked=masked) for backwards, names in _functions(node)]
    if len(cells) == 1:
        return cells[0]
    forward, backward = cells
    same = {**forward.config, "go_backwards": True} == dict(backward.config)
    layers = {"layer": forward} if same else {"layer": forward, "backward_layer": backward}
    return build({"class_name": "Bidirectional", "config": {**layers, "dtype": "float32"}})


def _cell(node: RecurrentNode, backwards: bool, names: Sequence[str], *, masked: bool) -> Spec:
    options = dict(zip(_OPTIONS[node.operator], names, strict=True))
    both = len(node.directions) > 1
    size: dict[str, Any] = {"units": node.units, "use_bias": node.has_bias, "dtype": "float32"}
    loop: dict[str, Any] = {
        "return_sequences": node.sequences,
        "return_state": node.state,
        "go_backwards": backwards,
        "dtype": "float32",
    }
    if masked:
        loop["zero_output_for_mask"] = node.sequences
    order: dict[str, Any] = {"input_order": backwards} if not both and (backwards or masked) else {}
    if node.equations:
        options["hidden_activation"] = options.pop("cell_activation")
        inner = {"class_name": "", "config": {"equations": node.equations, **size}}
        spec = build({"class_name": "RNN", "config": {"cell": inner, **loop}})
        cell: Spec = spec.config["cell"]
        order["cell"] = replace(cell, config={**cell.config, **options})
        return replace(spec, config={**spec.config, **order}, deferred=True)
    if node.operator == "GRU":
        size["reset_after"] = node.reset_after
    spec = build({"class_name": CLASSES[node.operator], "config": {**size, **loop}})
    if options.get("cell_activation") == options["activation"]:
        del options["cell_activation"]
    return replace(spec, config={**spec.config, **options, **order}, deferred=True)


def _functions(node: RecurrentNode) -> list[tuple[bool, list[str]]]:
    """Gates and the candidate get clipped preactivations, the activation of the cell state does not."""
    directions, roles = node.directions, _OPTIONS[node.operator]
    given = list(node.attributes.get("activations", _DEFAULTS[node.operator] * len(directions)))
    if len(given) != len(roles) * len(directions):
        raise LayerError(
            "it names {given} activations, not {count}", given=len(given), count=len(roles) * len(directions)
        )
    numbers = [list(node.attributes.get(f"activation_{name}", ())) for name in ("alpha", "beta")]
    clip = node.attributes.get("clip")
    if clip is not None and not clip > 0:
        raise LayerError("its clip is {clip}, not a positive number", clip=clip)
    names = []
    for name, role in zip(given, roles * len(directions), strict=True):
        activation = _activation(name, *numbers)
        if activation in _SAME:
            activation = ParametricActivation(_SAME[activation])
        names.append(str(activation._replace(clip=None if role == "cell_activation" else clip)))
    each = len(roles)
    return [(back, names[each * index : each * (index + 1)]) for index, back in enumerate(directions)]


def _activation(name: str, alphas: list[float], betas: list[float]) -> ParametricActivation:
    folded = name.replace("_", "").casefold()
    if folded in _PLAIN:
        return ParametricActivation(folded)
    if folded not in _NUMBERS:
        raise LayerError("its activation {name} is not one of ONNX's", name=name)
    ours, defaults = _NUMBERS[folded]
    parameters = [
        numbers.pop(0) if numbers else default
        for numbers, default in zip((alphas, betas), defaults, strict=False)
    ]
    if None in parameters:
        raise LayerError(
            "its activation {name} lacks alpha or beta, whose defaults differ between programs", name=name
        )
    return ParametricActivation(ours, *parameters)


def weights_of(
    node: RecurrentNode, kernel: Array, recurrent: Array, bias: Array | None, peepholes: Array | None
) -> dict[str, Array]:
    """Return the weights in Keras's layout by Keras's names; two directions as `forward/` and `backward/`.

    kernel: W, (directions, gates * units, features).  recurrent: R, (directions, gates * units, units).
    bias: B, (directions, 2 * gates * units).  peepholes: P, (directions, 3 * units).
    Raises LayerError, without a full stop, if the shapes do not fit.
    """
    import numpy as np

    width = len(onnx.GATES[CLASSES[node.operator]]) * node.units
    directions = len(node.directions)
    given = {"W": kernel, "R": recurrent, "B": bias, "P": peepholes}
    arrays = {name: array for name, array in given.items() if array is not None}
    wanted = {
        "W": (directions, width, *kernel.shape[2:3]),
        "R": (directions, width, node.units),
        "B": (directions, 2 * width),
        "P": (directions, 3 * node.units),
    }
    for name, array in arrays.items():
        if array.shape != wanted[name] or array.ndim + (name in "BP") != 3:
            raise LayerError(
                "its {name} is {shape}, not {wanted}",
                name=name,
                shape=format_shape(array.shape),
                wanted=format_shape(wanted[name]),
            )
    named: dict[str, Array] = {}
    for index, prefix in enumerate(("",) if directions == 1 else ("forward/", "backward/")):
        packed = {name: array[index] for name, array in arrays.items()}
        packed[onnx.ATTRIBUTE] = np.array(node.reset_after)
        weights = onnx.to_keras(CLASSES[node.operator], packed)
        if node.is_coupled:  # the columns of the forget gate mean nothing
            forget = slice(node.units, 2 * node.units)
            weights = {name: np.delete(array, forget, axis=-1) for name, array in weights.items()}
        if peepholes is not None:
            each = zip(PEEPHOLES, np.split(packed["P"], len(PEEPHOLES)), strict=True)
            weights |= {name: array for name, array in each if name in node.equations}
        named.update({prefix + name: array for name, array in weights.items()})
    return named


BODY_STARTS = {"Loop": 2, "Scan": 0}
"""The operators, and how many inputs of the body come before the carried tensors: iteration and condition."""
FLOATS = (1, 10, 11, 16)
"""float32, float16, float64 and bfloat16 by ONNX's numbers; counters and conditions have other dtypes."""


def find_loops(graph: Any) -> Iterator[StateLoop]:
    """Yield every loop that carries a state, also in the branches of an If and in other loops."""
    known = {tensor.name: list(tensor.dims) for tensor in graph.initializer}
    for node in nodes_in(graph):
        if node.op_type not in BODY_STARTS or node.domain not in ("", "ai.onnx"):
            continue
        body = next((entry.g for entry in node.attribute if entry.name == "body"), None)
        states = [] if body is None else list(_states_of(node, body, known))
        if states:
            yield StateLoop(node.name, node.op_type, tuple(dict.fromkeys(filter(None, states))))


def _states_of(node: Any, body: Any, known: Mapping[str, list[int]]) -> Iterator[int | None]:
    """Yield the size of the last axis of each tensor of floats that one iteration passes on to the next.

    None where the file does not say the size; tensors that no iteration changes are left out.
    known: the shapes of the initializers of the model.
    """
    start = BODY_STARTS[node.op_type]
    if node.op_type == "Loop":
        first, count = start, len(node.input) - start
    else:
        scanned = next((entry.i for entry in node.attribute if entry.name == "num_scan_inputs"), 0)
        first, count = 0, len(node.input) - scanned
    before = body.input[start : start + count]
    after = body.output[min(start, 1) :][:count]
    sources = {copy.output[0]: copy.input[0] for copy in body.node if copy.op_type == "Identity"}
    for old, new, begun in zip(before, after, node.input[first:], strict=False):
        name = new.name
        while name in sources:
            name = sources.pop(name)
        kinds = {
            value.type.tensor_type.elem_type for value in (old, new) if value.type.HasField("tensor_type")
        }
        if name == old.name or not kinds.intersection(FLOATS):
            continue
        shapes = [_axes(old), _axes(new), known.get(begun)]
        yield next(
            (axes[-1] if axes else 1 for axes in shapes if axes is not None and (not axes or axes[-1])), None
        )


def _axes(value: Any) -> list[int] | None:
    """Return the sizes of the axes, 0 for an unknown one; None if the shape is unknown."""
    tensor = value.type.tensor_type
    return [axis.dim_value for axis in tensor.shape.dim] if tensor.HasField("shape") else None
