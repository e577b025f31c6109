"""The cases of the kit: models of one RNN, GRU or LSTM node of ONNX, in which every weight differs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from rnncli.case import Array

GATES = {"RNN": "i", "GRU": "zrh", "LSTM": "iofc"}
"""The gates of each operator, in the order in which W, R and B hold them."""
OUTPUTS = {"RNN": ("Y", "Y_h"), "GRU": ("Y", "Y_h"), "LSTM": ("Y", "Y_h", "Y_c")}
INPUTS = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")
"""The inputs of a node, in its order; only an LSTM has the last two."""
WEIGHTS = ("W", "R", "B", "P")
TOLERANCES = {"float32": 2e-5, "float16": 8e-3, "float64": 1e-12}
"""How far an output may be off, absolute and relative, by its type."""


class KitCase(NamedTuple):
    """One model of one recurrent node, with its inputs.

    name: `lstm_reverse_lens`.  operator: RNN, GRU or LSTM.  attribute: the row of the matrix that the case
    belongs to, `sequence_lens`.  attributes: of the node, without those that are left out.
    inputs: by the operator's names (X, W, R, B, sequence_lens, initial_h, initial_c, P), those given.
    graph_inputs: the names of the inputs that the graph takes; the others are initializers.
    outputs: the names of the outputs that the node has, in the graph's order.  dtype: float32, float64 or
    float16.  is_open: whether the operator's text leaves the answer open.
    """

    name: str
    operator: str
    attribute: str
    attributes: Mapping[str, Any]
    inputs: Mapping[str, Array]
    graph_inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dtype: str
    opset: int
    ir_version: int
    is_open: bool


class _Row(NamedTuple):
    """Cases that differ only in their operator.

    suffix: of the case's name.  fields: attributes of the node by their names, and parameters of `_build`.
    """

    attribute: str
    operators: tuple[str, ...]
    suffix: str
    fields: Mapping[str, Any]


ALL = ("RNN", "GRU", "LSTM")
BOTH, REVERSE = {"direction": "bidirectional"}, {"direction": "reverse"}
H, C, STATES = {"states": ("initial_h",)}, {"states": ("initial_c",)}, {"states": ("initial_h", "initial_c")}
SHORT, ALL_SHORT, ZERO = {"lens": (2, 5, 3)}, {"lens": (3, 1, 4)}, {"lens": (4, 0, 5)}


def _row(attribute: str, operators: str, suffix: str, *given: Mapping[str, Any], **fields: Any) -> _Row:
    """Return a row; operators: their names, or `all`."""
    names = ALL if operators == "all" else tuple(operators.split())
    return _Row(
        attribute, names, suffix, {key: value for part in given for key, value in part.items()} | fields
    )


ROWS = (
    _row("basic", "all", "forward"),
    _row("basic", "all", "one_sequence", batch=1),
    _row("basic", "all", "wide", features=6),
    _row("basic", "all", "opset7", opset=7, ir_version=4),
    _row("basic", "all", "opset22", opset=22, ir_version=10),
    _row("bias", "all", "no_bias", bias=False),
    _row("one_step", "all", "one_step", steps=1),
    _row("one_step", "all", "one_step_bidirectional", BOTH, steps=1),
    _row("weights_as_inputs", "all", "fed_weights", fed=WEIGHTS),
    _row("weights_as_inputs", "all", "fed_weights_bidirectional", BOTH, fed=WEIGHTS),
    _row("initial_state", "all", "initial_h", H),
    _row("initial_state", "LSTM", "initial_c", C),
    _row("initial_state", "LSTM", "initial_h_c", STATES),
    _row("initial_state", "all", "initial_bidirectional", BOTH, STATES),
    _row("outputs", "all", "only_y", outputs=("Y",)),
    _row("outputs", "all", "only_y_h", outputs=("Y_h",)),
    _row("outputs", "LSTM", "only_y_c", outputs=("Y_c",)),
    _row("outputs", "LSTM", "y_y_h", outputs=("Y", "Y_h")),
    _row("outputs", "LSTM", "y_y_c", outputs=("Y", "Y_c")),
    _row("outputs", "LSTM", "y_h_y_c", outputs=("Y_h", "Y_c")),
    _row("outputs", "GRU LSTM", "bidirectional_only_y_h", BOTH, outputs=("Y_h",)),
    _row("reverse", "all", "reverse", REVERSE),
    _row("reverse", "all", "reverse_initial", REVERSE, STATES),
    _row("bidirectional", "all", "bidirectional", BOTH),
    _row("bidirectional", "all", "bidirectional_no_bias", BOTH, bias=False),
    _row("bidirectional", "all", "bidirectional_one_sequence", BOTH, batch=1),
    _row("linear_before_reset", "GRU", "after", linear_before_reset=1),
    _row("linear_before_reset", "GRU", "after_no_bias", linear_before_reset=1, bias=False),
    _row("linear_before_reset", "GRU", "after_reverse", REVERSE, linear_before_reset=1),
    _row("linear_before_reset", "GRU", "after_bidirectional", BOTH, linear_before_reset=1),
    _row("linear_before_reset", "GRU", "after_initial", H, linear_before_reset=1),
    _row("linear_before_reset", "GRU", "after_lens", SHORT, linear_before_reset=1),
    _row("linear_before_reset", "GRU", "after_one_step", H, steps=1, linear_before_reset=1),
    _row("linear_before_reset", "GRU", "after_layout", layout=1, linear_before_reset=1),
    _row("linear_before_reset", "GRU", "after_float64", dtype="float64", linear_before_reset=1),
    _row("sequence_lens", "all", "full_lens", lens=(5, 5, 5)),
    _row("sequence_lens", "all", "lens", SHORT),
    _row("sequence_lens", "all", "all_short_lens", ALL_SHORT),
    _row("sequence_lens", "all", "initial_lens", STATES, SHORT),
    _row("sequence_lens", "all", "reverse_lens", REVERSE, SHORT),
    _row("sequence_lens", "all", "bidirectional_lens", BOTH, SHORT),
    _row("sequence_lens", "all", "bidirectional_initial_lens", BOTH, STATES, ALL_SHORT),
    _row("length_0", "all", "length_0", ZERO),
    _row("length_0", "all", "length_0_initial", ZERO, STATES, is_open=True),
    _row("layout", "all", "layout", layout=1),
    _row("layout", "all", "layout_initial", STATES, layout=1),
    _row("layout", "all", "layout_bidirectional", BOTH, layout=1),
    _row("layout", "all", "layout_initial_lens", STATES, SHORT, layout=1),
    _row("activations", "RNN", "relu", activations=["Relu"]),
    _row("activations", "RNN", "sigmoid", activations=["Sigmoid"]),
    _row("activations", "RNN", "softsign", activations=["Softsign"]),
    _row("activations", "RNN", "softplus", activations=["Softplus"]),
    _row("activations", "RNN", "relu_softsign", BOTH, activations=["Relu", "Softsign"]),
    _row("activations", "GRU", "tanh_sigmoid", activations=["Tanh", "Sigmoid"]),
    _row("activations", "GRU", "softsign_relu", activations=["Softsign", "Relu"]),
    _row("activations", "GRU", "four", BOTH, activations=["Sigmoid", "Softsign", "Softsign", "Relu"]),
    _row("activations", "LSTM", "f_softsign", activations=["Softsign", "Tanh", "Tanh"]),
    _row("activations", "LSTM", "g_relu", activations=["Sigmoid", "Relu", "Tanh"]),
    _row("activations", "LSTM", "h_softsign", activations=["Sigmoid", "Tanh", "Softsign"]),
    _row("activations", "LSTM", "six", BOTH,
         activations=["Sigmoid", "Tanh", "Softsign", "Softsign", "Relu", "Sigmoid"]),
    _row("activations", "RNN", "lower_case", activations=["relu"]),
    _row("activations", "GRU", "lower_case", activations=["sigmoid", "softsign"]),
    _row("activations", "LSTM", "upper_case", activations=["SIGMOID", "TANH", "RELU"]),
    _row("alpha_beta", "RNN", "leaky_relu", activations=["LeakyRelu"], activation_alpha=[0.25]),
    _row("alpha_beta", "RNN", "default_leaky_relu", activations=["LeakyRelu"]),
    _row("alpha_beta", "RNN", "thresholded_relu", activations=["ThresholdedRelu"],
         activation_alpha=[0.375]),
    _row("alpha_beta", "RNN", "elu", activations=["Elu"], activation_alpha=[0.75]),
    _row("alpha_beta", "RNN", "affine", activations=["Affine"], activation_alpha=[0.5],
         activation_beta=[0.125]),
    _row("alpha_beta", "RNN", "two_alphas", BOTH, activations=["LeakyRelu", "ScaledTanh"],
         activation_alpha=[0.25, 1.5], activation_beta=[0.75]),
    _row("alpha_beta", "GRU", "default_hard_sigmoid", activations=["HardSigmoid", "Tanh"]),
    _row("alpha_beta", "GRU", "hard_sigmoid_elu", activations=["HardSigmoid", "Elu"],
         activation_alpha=[0.375, 0.75], activation_beta=[0.625]),
    _row("alpha_beta", "LSTM", "hard_sigmoid", activations=["HardSigmoid", "Tanh", "Tanh"],
         activation_alpha=[0.375], activation_beta=[0.625]),
    _row("alpha_beta", "LSTM", "alpha_of_g", activations=["Sigmoid", "LeakyRelu", "Tanh"],
         activation_alpha=[0.25]),
    _row("alpha_beta", "LSTM", "three_alphas", activations=["HardSigmoid", "ScaledTanh", "Affine"],
         activation_alpha=[0.375, 1.25, 0.75], activation_beta=[0.625, 0.75, 0.125]),
    _row("clip", "all", "clip", steps=2, clip=0.75),  # in two steps, Ct stays below the bound
    _row("clip", "all", "clip_bidirectional", BOTH, steps=2, clip=0.75),
    _row("clip", "GRU", "after_clip", linear_before_reset=1, steps=2, clip=0.75),
    _row("clip", "LSTM", "clip_cell", STATES, clip=0.25, is_open=True),
    _row("input_forget", "LSTM", "input_forget", input_forget=1),
    _row("input_forget", "LSTM", "input_forget_peepholes", STATES, input_forget=1, peepholes=True),
    _row("peepholes", "LSTM", "peepholes", peepholes=True),
    _row("peepholes", "LSTM", "peepholes_initial", STATES, peepholes=True),
    _row("peepholes", "LSTM", "peepholes_reverse", REVERSE, peepholes=True),
    _row("peepholes", "LSTM", "peepholes_bidirectional", BOTH, peepholes=True),
    _row("peepholes", "LSTM", "peepholes_lens", STATES, SHORT, peepholes=True),
    _row("float16", "all", "float16", dtype="float16"),
    _row("float16", "all", "float16_bidirectional", BOTH, dtype="float16"),
    _row("float64", "all", "float64", dtype="float64"),
    _row("float64", "all", "float64_bidirectional", BOTH, STATES, dtype="float64"),
    _row("empty_batch", "all", "no_sequences", batch=0),
)  # fmt: skip
"""The cases, by the attribute or input that they are about."""


@cache
def list_cases() -> tuple[KitCase, ...]:
    """Return every case, by attribute, then by operator; the same numbers each time."""
    return tuple(
        _build(row.attribute, operator, f"{operator.lower()}_{row.suffix}", **row.fields)
        for row in ROWS
        for operator in row.operators
    )


def _build(
    attribute: str,
    operator: str,
    name: str,
    *,
    steps: int = 5,
    batch: int = 3,
    features: int = 2,
    units: int = 4,
    bias: bool = True,
    peepholes: bool = False,
    lens: tuple[int, ...] = (),
    states: tuple[str, ...] = (),
    fed: tuple[str, ...] = (),
    outputs: tuple[str, ...] = (),
    dtype: str = "float32",
    opset: int = 14,
    ir_version: int = 7,
    is_open: bool = False,
    **attributes: Any,
) -> KitCase:
    """Return a case; no two of its weights are equal, and no two of its other numbers.

    states, fed: names of inputs; those that the operator lacks are left out.
    """
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    rows = len(GATES[operator]) * units
    layout = attributes.get("layout", 0)
    state = (batch, directions, units) if layout else (directions, batch, units)
    weights: dict[str, tuple[int, ...]] = {"W": (directions, rows, features), "R": (directions, rows, units)}
    if bias:
        weights["B"] = (directions, 2 * rows)
    if peepholes:
        weights["P"] = (directions, 3 * units)
    x = (batch, steps, features) if layout else (steps, batch, features)
    present = [key for key in states if operator == "LSTM" or key == "initial_h"]
    inputs = _fill(f"{name} weights", weights, 512, dtype)
    inputs |= _fill(f"{name} inputs", {"X": x, **dict.fromkeys(present, state)}, 256, dtype)
    if lens:
        inputs["sequence_lens"] = np.array(lens, np.int32)
    for array in inputs.values():
        array.flags.writeable = False
    return KitCase(
        name=name,
        operator=operator,
        attribute=attribute,
        attributes={"hidden_size": units, **attributes},
        inputs={key: inputs[key] for key in INPUTS if key in inputs},
        graph_inputs=tuple(key for key in INPUTS if key in inputs and (key in fed or key not in WEIGHTS)),
        outputs=outputs or OUTPUTS[operator],
        dtype=dtype,
        opset=opset,
        ir_version=ir_version,
        is_open=is_open,
    )


def _fill(name: str, shapes: Mapping[str, tuple[int, ...]], divisor: int, dtype: str) -> dict[str, Array]:
    """Return arrays of multiples of 1/divisor, every one another, none zero; float16 holds each exactly."""
    grid = np.array([*range(-511, 0), *range(1, 512)])
    draw = np.random.RandomState(crc32(name.encode())).permutation(grid)  # whose numbers NumPy never changes
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes.values()])
    parts = np.split(draw[: ends[-1]], ends[:-1])
    return {
        key: (part.reshape(shape) / divisor).astype(dtype)
        for (key, shape), part in zip(shapes.items(), parts, strict=True)
    }
