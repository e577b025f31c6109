"""The loop over time: rnncli's engines, Keras in three ways, ONNX Runtime and PyTorch used directly.

And the matrix products alone.  Layers are made, compiled and called once before timing starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
from figures import Section, Sections, in_turn

from rnncli import compute, specs
from rnncli.compute import engines
from rnncli.layers.case import Case

GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}


class Size(NamedTuple):
    """Sizes of one measured case."""

    batch: int
    timesteps: int
    features: int
    units: int

    def within(self, steps: int) -> Size:
        return self._replace(timesteps=min(self.timesteps, steps))


SIZES = (
    Size(1, 4, 5, 3), Size(1, 1000, 5, 3), Size(1, 100_000, 8, 16), Size(32, 200, 256, 512),
    Size(128, 50, 512, 1024),
)  # fmt: skip
ENOUGH = {"Keras eager": 200, "Keras tf.function": 10_000}
"""Maximum number of steps to measure; times of longer runs are extrapolated from these."""

Call = Callable[[], object]


def sections() -> Sections:
    """Yield seconds per call; ratios are relative to the engine that `auto` chooses."""
    for size in SIZES:
        for kind in GATES:
            case = _case(kind, size)
            rows = {}
            for name, seconds in in_turn(dict(_contestants(kind, size, case)), 3).items():
                measured = size.within(ENOUGH.get(name, size.timesteps)).timesteps
                mark = f" (of {measured} steps)" if measured < size.timesteps else ""
                rows[name + mark] = seconds * size.timesteps / measured
            yield Section(f"{kind} {tuple(size)}", "seconds", f"rnncli {engines.choose(case)}", rows)


def _contestants(kind: str, size: Size, case: Case) -> Iterator[tuple[str, Call]]:
    yield "rnncli numpy", _rnncli(case, "numpy")
    if find_spec("onnxruntime") and find_spec("onnx"):
        yield "rnncli onnx", _rnncli(case, "onnx")
        yield "ONNX Runtime directly", _onnxruntime(kind, size)
    if find_spec("keras") and find_spec("tensorflow"):
        yield "Keras eager", _keras(kind, size.within(ENOUGH["Keras eager"]), None)
        yield "Keras tf.function", _keras(kind, size.within(ENOUGH["Keras tf.function"]), compiled=False)
        yield "Keras XLA", _keras(kind, size, compiled=True)
    if find_spec("torch"):
        yield "PyTorch directly", _torch(kind, size)
    yield "matrix products alone", _products(kind, size)


def _inputs(size: Size) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(size[:3]).astype(np.float32)


def _case(kind: str, size: Size) -> Case:
    layers = specs.from_flags([f"{kind}({size.units}, return_sequences=True, return_state=True)"], {})
    return Case(layers, _inputs(size))


def _rnncli(case: Case, engine: str) -> Call:
    answer = compute.prepare(case, engine)
    return lambda: answer(case)


def _keras(kind: str, size: Size, compiled: bool | None) -> Call:
    """compiled: None for eager, False for tf.function, True for XLA."""
    import keras
    import tensorflow as tf

    layer = getattr(keras.layers, kind)(size.units, return_sequences=True, return_state=True)
    inputs = tf.constant(_inputs(size))
    call = layer if compiled is None else tf.function(layer, jit_compile=compiled)
    return lambda: [tensor.numpy() for tensor in call(inputs)]


def _onnxruntime(kind: str, size: Size) -> Call:
    """One node with a bias, as in the layers; its input is time-major, as it requires."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    rng, width = np.random.default_rng(0), GATES[kind] * size.units
    shapes = {"W": (1, width, size.features), "R": (1, width, size.units), "B": (1, 2 * width)}
    weights = [
        numpy_helper.from_array((rng.standard_normal(shape) / 30).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    outputs = ["Y", "Y_h", "Y_c"][: 3 if kind == "LSTM" else 2]
    operator = "RNN" if kind == "SimpleRNN" else kind
    node = helper.make_node(operator, ["X", *shapes], outputs, hidden_size=size.units)
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ["X", *outputs]]
    graph = helper.make_graph([node], kind, values[:1], values[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {"X": np.ascontiguousarray(_inputs(size).transpose(1, 0, 2))}
    return lambda: session.run(None, feeds)


def _torch(kind: str, size: Size) -> Call:
    import torch

    layer = getattr(torch.nn, "RNN" if kind == "SimpleRNN" else kind)(
        size.features, size.units, batch_first=True
    )
    inputs = torch.from_numpy(_inputs(size))

    def call() -> object:
        with torch.inference_mode():
            return layer(inputs)

    return call


def _products(kind: str, size: Size) -> Call:
    """Multiply all inputs by the kernel at once, then a state by the recurrent kernel at every step."""
    rng, width = np.random.default_rng(0), GATES[kind] * size.units
    inputs = _inputs(size).reshape(-1, size.features)
    kernel = rng.standard_normal((size.features, width)).astype(np.float32)
    recurrent = rng.standard_normal((size.units, width)).astype(np.float32)
    state = rng.standard_normal((size.batch, size.units)).astype(np.float32)
    projected, gates = np.empty((len(inputs), width), np.float32), np.empty((size.batch, width), np.float32)

    def call() -> None:
        np.matmul(inputs, kernel, out=projected)
        for _ in range(size.timesteps):
            np.matmul(state, recurrent, out=gates)

    return call
