"""ONNX's layout: W, R, B and P of the operators LSTM, GRU and RNN, with the directions along the first axis.

W (directions, gates * units, features), R (directions, gates * units, units), B (directions, 2 * gates *
units): the input bias and the recurrent bias.  An LSTM has the gates i, o, f, c; a GRU has z, r, h.  P
(directions, 3 * units) are the peepholes of an LSTM, which Keras lacks: it is a layer of equations here.
Attributes of a node are not arrays; only linear_before_reset of a GRU is kept beside them, because B means
something else without it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rnncli.errors import Message, Text
from rnncli.frameworks import (
    BARE,
    CellWeights,
    Chain,
    FoundChain,
    LayerWeights,
    adds_bias,
    cell_of,
    explain_uneven,
    from_rows,
    infer_class,
    to_rows,
)
from rnncli.values import Array

FRAMEWORK = "ONNX"
PACKAGE = "onnx"
SUFFIXES: tuple[str, ...] = ()

OPSET, IR = 14, 8
"""Old enough for any ONNX Runtime still in use; the recurrent operators have not changed since."""

OPERATORS = {"SimpleRNN": "RNN", "LSTM": "LSTM", "GRU": "GRU"}
GATES: Mapping[str, tuple[str, ...]] = {
    "SimpleRNN": ("candidate",),
    "LSTM": ("input", "output", "forget", "candidate"),
    "GRU": ("update", "reset", "candidate"),
}
ATTRIBUTE = "linear_before_reset"
NAME = re.compile(rf"(?s)(?:(?P<path>.*)/)?(?P<role>[WRBP]|{ATTRIBUTE})")
PEEPHOLES = ("input_peephole", "output_peephole", "forget_peephole")
"""The weights in P, in its order."""
PEEPHOLE_LSTM = """\
name = "PeepholeLSTM"
states = ["hidden", "cell"]
gates = ["input", "forget", "candidate", "output"]
[options]
activation = "tanh"
recurrent_activation = "sigmoid"
hidden_activation = "tanh"
[weights]
input_peephole = { shape = ["units"] }
output_peephole = { shape = ["units"] }
forget_peephole = { shape = ["units"] }
[step]
input = "recurrent_activation(x @ kernel + hidden @ recurrent_kernel + bias + input_peephole * cell)"
forget = "recurrent_activation(x @ kernel + hidden @ recurrent_kernel + bias + forget_peephole * cell)"
candidate = "activation(x @ kernel + hidden @ recurrent_kernel + bias)"
cell = "forget * cell + input * candidate"
output = "recurrent_activation(x @ kernel + hidden @ recurrent_kernel + bias + output_peephole * cell)"
hidden = "output * hidden_activation(cell)"
"""
"""The LSTM with P, as the file of a cell.  The third activation of a node stands in the last line."""
ACTIVATIONS: Mapping[str, tuple[str, tuple[float, ...]]] = {
    "tanh": ("Tanh", ()),
    "sigmoid": ("Sigmoid", ()),
    "relu": ("Relu", ()),
    "softsign": ("Softsign", ()),
    "softplus": ("Softplus", ()),
    "hard_sigmoid": ("HardSigmoid", (1 / 6, 0.5)),
    "hard_sigmoid_keras2": ("HardSigmoid", (0.2, 0.5)),
    "elu": ("Elu", (1.0,)),
    "leaky_relu": ("LeakyRelu", (0.2,)),
    "linear": ("Affine", (1.0, 0.0)),
}
"""Activations that a node can have, by Keras's names: ONNX's name, and alpha and beta if it has them."""


def as_lstm(cell: CellWeights) -> CellWeights:
    """Return an LSTM with peepholes as an LSTM with three more weights; any other cell unchanged."""
    config = (cell.config.get("cell") or {}).get("config") or {}
    if config.get("equations") != PEEPHOLE_LSTM:
        return cell
    options = {name: config[name] for name in ("activation", "recurrent_activation") if name in config}
    hidden = config.get("hidden_activation")
    options["cell_activation"] = None if hidden == config.get("activation") else hidden
    return CellWeights("LSTM", {**cell.config, **options}, cell.weights)


def peephole_cell(lstm: CellWeights, peepholes: Array) -> CellWeights:
    """Return the LSTM with peepholes as a layer of equations.  peepholes: P of one direction."""
    options = {name: lstm.config[name] for name in ("units", "use_bias", "dtype")}
    cell = {"class_name": "PeepholeLSTM", "config": {"equations": PEEPHOLE_LSTM, **options}}
    config = {"cell": cell, **{name: lstm.config[name] for name in ("return_sequences", "dtype")}}
    parts = zip(PEEPHOLES, np.split(peepholes, len(PEEPHOLES)), strict=True)
    return CellWeights("RNN", config, {**lstm.weights, **dict(parts)})


def from_keras(class_name: str, weights: Mapping[str, Array]) -> dict[str, Array]:
    """Return W (gates * units, features), R (gates * units, units) and, if the layer has them, B and P."""
    kernel, recurrent, *biases = to_rows(class_name, weights, GATES[class_name])
    arrays = {"W": kernel, "R": recurrent}
    if biases:
        arrays["B"] = np.concatenate(biases)
    if PEEPHOLES[0] in weights:
        arrays["P"] = np.concatenate([weights[name] for name in PEEPHOLES])
    return arrays


def to_keras(class_name: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return Keras's weights of one direction.

    arrays: may have linear_before_reset, 0 or 1.  With 1, the two biases of a GRU stay two rows.
    """
    biases = np.split(arrays["B"], 2) if "B" in arrays else ()
    apart = class_name == "GRU" and is_after_product(arrays)
    return from_rows(class_name, [arrays["W"], arrays["R"]], biases, GATES[class_name], apart=apart)


def is_after_product(arrays: Mapping[str, Array]) -> bool:
    """Return whether linear_before_reset is 1, Keras's reset_after; without the attribute, it is 0."""
    return ATTRIBUTE in arrays and bool(arrays[ATTRIBUTE].item())


def refusal(layer: LayerWeights) -> Text | None:
    """Return why no node of ONNX computes this layer; None if a node does."""
    layer = layer._replace(cells=tuple(map(as_lstm, layer.cells)))
    for cell in layer.cells:
        if cell.class_name not in OPERATORS:
            return Message("it has no operator for {class_name}", class_name=cell.class_name)
        for option in ("activation", "recurrent_activation", "cell_activation"):
            if (cell.config.get(option) or "tanh") not in ACTIVATIONS:
                return Message("it has no activation {config}", config=cell.config[option])
    if len(layer.cells) > 1:
        forward, backward = map(_has_reset_after, layer.cells)
        if forward != backward:
            return Message("only one of its directions has reset_after")
    return explain_uneven(layer)


def _has_reset_after(cell: CellWeights) -> bool:
    return cell.class_name == "GRU" and bool(cell.config.get("reset_after", True))


ACTIVATION_DEFAULTS = {"activation": "tanh", "recurrent_activation": "sigmoid", "cell_activation": None}


def notes(chain: Chain) -> Iterator[Text]:
    """Yield notes on the attributes that the nodes need, and on a bias that became two."""
    for layer in chain.layers:
        config = as_lstm(layer.cells[0]).config
        attributes = [
            f"{name}={config[name]}"
            for name, default in ACTIVATION_DEFAULTS.items()
            if config.get(name, default) != default
        ]
        if attributes:
            text = "{title}: set the attribute activations of the node for {attributes}"
            yield Message(text, title=layer.title, attributes=", ".join(attributes))
        if _has_reset_after(layer.cells[0]):
            yield Message(
                "{title}: set the attribute {attribute}=1 of the node", title=layer.title, attribute=ATTRIBUTE
            )
        if len(layer.cells) == 1 and config.get("go_backwards"):
            yield Message("{title}: set the attribute direction=reverse of the node", title=layer.title)
        if len(layer.cells) > 1 and layer.merge_mode != "concat":
            merge = f"merge_mode={layer.merge_mode!r}"
            text = "{title}: the node returns both directions; apply {merge} yourself"
            yield Message(text, title=layer.title, merge=merge)
    if adds_bias(chain):
        yield Message(
            "ONNX sums two biases: a single Keras bias is stored in B's first half, the second is zero"
        )


def name_arrays(chain: Chain) -> dict[str, Array]:
    """Return W, R, B and P of every layer, `lstm/W`."""
    arrays: dict[str, Array] = {}
    for layer in chain.layers:
        cells = [from_keras(cell.class_name, cell.weights) for cell in map(as_lstm, layer.cells)]
        prefix = f"{layer.name}/" if layer.name else ""
        arrays.update({f"{prefix}{name}": np.stack([cell[name] for cell in cells]) for name in cells[0]})
        if layer.cells[0].class_name == "GRU":
            arrays[prefix + ATTRIBUTE] = np.array([_has_reset_after(layer.cells[0])], np.int64)
    return arrays


def find_chains(arrays: Mapping[str, Any]) -> Iterator[FoundChain]:
    """Yield each layer whose arrays have ONNX's names of the inputs of a node, `lstm/W`."""
    layers: dict[str, dict[str, Any]] = {}
    for name, array in arrays.items():
        if match := NAME.fullmatch(name):
            layers.setdefault(match["path"] or "", {})[match["role"]] = array
    for path, roles in layers.items():
        class_name = _recognize_class(roles)
        if class_name is None:
            continue
        options = {"reset_after": is_after_product(roles)} if class_name == "GRU" else {}
        cells = []
        for direction in range(len(roles["R"])):
            part = {role: array if role == ATTRIBUTE else array[direction] for role, array in roles.items()}
            cell = cell_of(class_name, to_keras(class_name, part), **options)
            cells.append(peephole_cell(cell, part["P"]) if "P" in part else cell)
        name = path or BARE[class_name]
        names = [f"{path}/{role}".lstrip("/") for role in roles]
        yield FoundChain(Chain(name, (LayerWeights(name, tuple(cells)),)), names)


def _recognize_class(roles: Mapping[str, Any]) -> str | None:
    kernel, recurrent, bias = (roles.get(role) for role in "WRB")
    if kernel is None or recurrent is None or kernel.ndim != 3 or recurrent.ndim != 3:
        return None
    directions, width, units = recurrent.shape
    if kernel.shape[:2] != (directions, width) or directions not in (1, 2):
        return None
    if bias is not None and bias.shape != (directions, 2 * width):
        return None
    peepholes = roles.get("P")
    if peepholes is not None and (width != 4 * units or peepholes.shape != (directions, 3 * units)):
        return None
    attribute = roles.get(ATTRIBUTE)
    if attribute is not None and not (isinstance(attribute, np.ndarray) and attribute.size == 1):
        return None
    return infer_class(units, width)


ASSUMPTIONS = Message(
    "ONNX arrays do not record the direction; assumed: forward (both, if W has two "
    "directions), and {attribute}=0 unless the file stores it.",
    attribute=ATTRIBUTE,
)
"""What is assumed because the arrays do not record it."""
