"""The cases of the kit: models of one RNN, GRU or LSTM node of ONNX, in which every weight differs.

`cases.toml` lists them; here they get their numbers.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from rnncli.values import Array

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


@cache
def list_cases() -> tuple[KitCase, ...]:
    """Return every case, by attribute, then by operator; the same numbers each time."""
    rows = tomllib.loads(Path(__file__).with_name("cases.toml").read_text(encoding="utf-8"))
    return tuple(
        _build(attribute, operator, **row)
        for attribute, group in rows.items()
        for row in group
        for operator in row.pop("of", GATES)
    )


def _build(
    attribute: str,
    operator: str,
    *,
    name: str,
    steps: int = 5,
    batch: int = 3,
    features: int = 2,
    units: int = 4,
    bias: bool = True,
    peepholes: bool = False,
    lens: Sequence[int] = (),
    states: Sequence[str] = (),
    fed: Sequence[str] = (),
    outputs: Sequence[str] = (),
    dtype: str = "float32",
    opset: int = 14,
    ir_version: int = 7,
    is_open: bool = False,
    **attributes: Any,
) -> KitCase:
    """Return a case; no two of its weights are equal, and no two of its other numbers.

    The parameters are the keys of `cases.toml`; states that the operator lacks are left out.
    """
    name = f"{operator.lower()}_{name}"
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
        outputs=tuple(outputs) or OUTPUTS[operator],
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
