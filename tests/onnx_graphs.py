"""ONNX models for tests: one node, or a few, with random weights."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.random import Generator
from onnx import TensorProto, helper, numpy_helper

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
FUNCTIONS = {"LSTM": 3, "GRU": 2, "RNN": 1}
PARAMETERS = {"Affine": 2, "Elu": 1, "HardSigmoid": 2, "LeakyRelu": 1, "ScaledTanh": 2, "ThresholdedRelu": 1}
PLAIN = ("Relu", "Sigmoid", "Softplus", "Softsign", "Tanh")

Arrays = dict[str, Any]


def weights(
    random: Generator, operator: str, features: int, units: int, directions: int = 1, scale: float = 0.5
) -> Arrays:
    """W, R and B of a node."""
    wide = GATES[operator] * units
    shapes = {"W": (wide, features), "R": (wide, units), "B": (2 * wide,)}
    return {
        name: (scale * random.normal(size=(directions, *shape))).astype(np.float32)
        for name, shape in shapes.items()
    }


def node(operator: str, taken: Arrays, *, name: str = "rnn", outputs: Any = None, **attributes: Any) -> Any:
    """A node that takes those of X, W, R, B, lens, h, c and P that there are."""
    names = ["X", "W", "R", "B", "lens", "h", *(["c", "P"] if operator == "LSTM" else [])]
    outputs = outputs or ["Y", "Y_h", "Y_c"][: 3 if operator == "LSTM" else 2]
    units = taken["R"].shape[-1]
    inputs = [name if taken.get(name) is not None else "" for name in names]
    return helper.make_node(operator, inputs, outputs, name=name, hidden_size=units, **attributes)


def model(nodes: Any, feeds: Arrays, constants: Arrays, outputs: Any, *, opset: int = 14) -> Any:
    """A model that takes `feeds`; its axes have no sizes."""
    kinds = {np.dtype(np.int32): TensorProto.INT32, np.dtype(bool): TensorProto.BOOL}
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [
            helper.make_tensor_value_info(
                name,
                kinds.get(array.dtype, TensorProto.FLOAT),
                [f"{name}{axis}" for axis in range(array.ndim)],
            )
            for name, array in feeds.items()
        ],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def single(operator: str, arrays: Arrays, **attributes: Any) -> tuple[Any, Arrays]:
    """A model of one node, and what it is fed: X, lens and the states."""
    constants = {name: arrays[name] for name in "WRBP" if arrays.get(name) is not None}
    feeds = {name: array for name, array in arrays.items() if name not in "WRBP" and array is not None}
    made = node(operator, arrays, **attributes)
    return model([made], feeds, constants, made.output), feeds


def random_single(seed: int, *, own_cell: bool = False) -> tuple[Any, Arrays]:
    """A model of one random node: any operator, direction, activations, clip, lengths and states.

    own_cell: an LSTM with peepholes, input_forget, or both.
    """
    random = np.random.default_rng(seed)
    operator = "LSTM" if own_cell else str(random.choice(list(GATES)))
    direction = str(random.choice(["forward", "reverse", "bidirectional"]))
    ways = 2 if direction == "bidirectional" else 1
    steps, batch, features, units = (int(random.integers(1, most)) for most in (8, 4, 4, 5))
    attributes: dict[str, Any] = {"direction": direction}
    if random.random() < 0.5:
        attributes |= random_activations(random, FUNCTIONS[operator] * ways)
    if random.random() < 0.4:
        attributes["clip"] = float(random.uniform(0.2, 1))
    if operator == "GRU" and random.random() < 0.5:
        attributes["linear_before_reset"] = 1
    arrays = weights(random, operator, features, units, ways)
    if random.random() < 0.3:
        del arrays["B"]
    if own_cell and seed % 3:
        arrays["P"] = random.normal(size=(ways, 3 * units)).astype(np.float32)
    if own_cell and seed % 3 < 2:
        attributes["input_forget"] = 1
    batch_first = random.random() < 0.3
    arrays["X"] = random.normal(size=(steps, batch, features)).astype(np.float32)
    for name in ("h", "c")[: 2 if operator == "LSTM" else 1]:
        if random.random() < 0.5:
            arrays[name] = random.normal(size=(ways, batch, units)).astype(np.float32)
    if random.random() < 0.5:
        arrays["lens"] = random.integers(0, steps + 1, batch).astype(np.int32)
    if batch_first:
        attributes["layout"] = 1
        arrays |= {name: arrays[name].swapaxes(0, 1) for name in ("X", "h", "c") if name in arrays}
    return single(operator, arrays, **attributes)


def random_activations(random: Generator, count: int) -> dict[str, Any]:
    """Attributes that name as many activations, with the numbers that these need."""
    names = [str(name) for name in random.choice([*PLAIN, *PARAMETERS], count)]
    attributes: dict[str, Any] = {"activations": names}
    for least, attribute in ((1, "activation_alpha"), (2, "activation_beta")):
        numbers = [float(random.uniform(0.1, 0.9)) for name in names if PARAMETERS.get(name, 0) >= least]
        if numbers:
            attributes[attribute] = numbers
    return attributes


def save(folder: Path, made: Any, feeds: Arrays | None = None) -> tuple[str, str]:
    """Writes the model and its inputs; returns both paths."""
    onnx.save(made, folder / "model.onnx")
    np.savez(folder / "x.npz", **(feeds or {}))
    return str(folder / "model.onnx"), str(folder / "x.npz")
