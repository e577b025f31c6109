"""ONNX Runtime: runs the loop over time as one graph node, which is much faster for many steps.

rnncli.frameworks.onnx packs the weights.  The outputs of padded steps are zeros.
Its functions turn NaN and infinity into ordinary numbers, so neither may occur in its inputs or results.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from rnncli.cells import activations
from rnncli.compute.engines import STEPS, InexactError, LayerRunner, mask_outputs, refusal_of_library
from rnncli.errors import EngineError, Message, Text, first_nonblank_line
from rnncli.layers import beyond_keras, runs_a_cell
from rnncli.layers.case import Case
from rnncli.layers.layer import LayerCall
from rnncli.layers.recurrent import RecurrentLayer
from rnncli.process import progress
from rnncli.process.packages import import_engine
from rnncli.values import Array, walk

PACKAGES = ("onnx", "onnxruntime")
NOTE = Message("for large float32 inputs; ONNX Runtime computes them")
INEXACT = ("softplus", "hard_sigmoid_keras2")
"""ONNX Runtime's softplus is infinite above 88; Keras 3 has no hard_sigmoid_keras2 to compare with."""
GATES = ("sigmoid", "hard_sigmoid")
"""With other gate activations, small differences in a GRU grow beyond 1e-6 within a few steps."""

WIDEST = 4
"""Most gates of a cell."""
_SAFE_LIMIT = 1e18
"""Products of numbers below this limit stay far from infinity."""


def refusal(case: Case) -> Text | None:
    """Return why onnx cannot express the case, or not exactly; None if it gives Keras's numbers."""
    from rnncli.frameworks.onnx import ACTIVATIONS, OPERATORS

    known = ACTIVATIONS.keys() - set(INEXACT)
    for spec in walk(case.stack):
        config = spec.config
        if spec.class_name == "RNN":
            written = next((cell.class_name for cell in walk([spec]) if cell.equations is not None), None)
            if written:
                return Message("it has no node for {class_name}", class_name=written)
            return Message("it has no node for RNN of cells")
        if spec.class_name not in OPERATORS and runs_a_cell(spec):
            return Message("it has no node for {class_name}", class_name=spec.class_name)
        if config.get("dtype", "float32") != "float32":
            text = "its recurrent nodes are float32 only, and {class_name} is {config}"
            return Message(text, class_name=spec.class_name, config=config["dtype"])
        if spec.class_name in OPERATORS and config["activation"] not in known:
            return Message("it has no activation {config}", config=config["activation"])
        if spec.class_name in OPERATORS and config.get("recurrent_activation", "sigmoid") not in GATES:
            text = "it is exact only for gates with {gates}, not with {config}"
            return Message(text, gates=" or ".join(GATES), config=config["recurrent_activation"])
        if beyond := beyond_keras(spec):
            return beyond
    return refusal_of_library(case)


@cache
def _packages() -> list[Any]:
    return import_engine("onnx", *PACKAGES)


class Layers(LayerRunner):
    """Keeps one session per recurrent layer, with and without a mask, created when it is first needed.

    Raises EngineError if a package is missing; a call raises it for numbers that ONNX Runtime mishandles.
    """

    def __init__(self, case: Case, weights: Mapping[str, Array], seeds: Mapping[str, int]) -> None:
        super().__init__(case, weights, seeds)
        _packages()
        self.sessions: dict[tuple[str, bool], Any] = {}

    def steps_of(self, layer: RecurrentLayer, call: LayerCall, state: Any) -> tuple[Array, Any]:
        import numpy as np

        _require_safe(call.inputs, *state)
        feeds = {"X": np.ascontiguousarray(call.inputs.transpose(1, 0, 2))}
        for part, value in zip(layer.cell.states, state, strict=True):
            feeds[f"initial_{part[0]}"] = value[None]
        lengths = None
        if call.mask is not None:
            lengths = feeds["sequence_lens"] = call.mask.sum(axis=1, dtype=np.int32)
        session = self._session(layer, call)
        tensors = session.run(None, feeds) if lengths is not None else _run_blocks(session, feeds, layer)
        _require_safe(*tensors)
        after = layer.cell.pack(tuple(part[0] for part in tensors[-len(state) :]))
        outputs = tensors[0][:, 0].transpose(1, 0, 2) if layer.sequences else tensors[0]
        last = layer.cell.output(after)
        return mask_outputs(layer, outputs, lengths, last, call.inputs.shape[1]), after

    def _session(self, layer: RecurrentLayer, call: LayerCall) -> Any:
        key = call.place.path, call.mask is not None
        if key not in self.sessions:
            _require_safe(*call.weights.values())
            _, onnxruntime = _packages()
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 4
            try:
                model = _model(layer, call.weights, padded=call.mask is not None).SerializeToString()
                providers = ["CPUExecutionProvider"]
                self.sessions[key] = onnxruntime.InferenceSession(model, options, providers=providers)
            except Exception as error:  # protobuf's own class: more than 2 GiB, or too little memory
                advice, what = "Use another engine: {--engine numpy}", first_nonblank_line(error).rstrip(".")
                raise EngineError("ONNX Runtime refused the graph: {what}.", advice, what=what) from error
        return self.sessions[key]


def _run_blocks(session: Any, feeds: Mapping[str, Array], layer: RecurrentLayer) -> list[Array]:
    """Run a node over blocks of time steps, each from the states after the block before; return its outputs.

    So a long sequence reports how far it is, can be interrupted, and needs little memory.
    """
    import numpy as np

    from rnncli import arrays

    inputs, parts = feeds["X"], [name for name in feeds if name != "X"]
    steps, batch = inputs.shape[:2]
    size = max(1, arrays.BLOCK // (batch * max(inputs.shape[2], WIDEST * layer.cell.units)))
    if size >= steps:
        return list(session.run(None, feeds))
    order = range(steps)[::-1] if layer.config["go_backwards"] else range(steps)
    outputs: Array | None = None
    for block in progress.blocks(STEPS, steps, size):
        first, last = sorted((order[block][0], order[block][-1]))
        tensors = session.run(None, {**feeds, "X": inputs[first : last + 1]})
        _require_safe(*tensors)
        feeds = {**feeds, **dict(zip(parts, tensors[-len(parts) :], strict=True))}
        if layer.sequences:
            if outputs is None:
                outputs = np.empty((steps, *tensors[0].shape[1:]), tensors[0].dtype)
            outputs[first : last + 1] = tensors[0]
    return [*([] if outputs is None else [outputs]), *(feeds[part] for part in parts)]


def _require_safe(*arrays: Array) -> None:
    """Raise InexactError if a number is NaN, infinite, or so large that it may become infinite."""
    import numpy as np

    for array in arrays:
        if np.vdot(array, array) < _SAFE_LIMIT**2:  # one pass, and false for NaN
            continue
        if not (array.min() > -_SAFE_LIMIT and array.max() < _SAFE_LIMIT):
            what = "the computation reached NaN, infinity or a number above 1e18; ONNX Runtime differs there."
            raise InexactError(what, "Leave {--engine} out, or use numpy.")


def _model(layer: RecurrentLayer, weights: Mapping[str, Array], *, padded: bool) -> Any:
    """Return a model of one node.

    Its inputs are X (timesteps, batch, features) and the states.  It returns the states, and the outputs
    if they are needed.
    padded: whether to add the input sequence_lens (batch,), the number of unmasked steps per sequence.
    """
    from rnncli.frameworks.onnx import IR, OPERATORS, OPSET, from_keras

    onnx, _ = _packages()
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    states = [part[0] for part in layer.cell.states]
    packed = from_keras(layer.spec.class_name, weights)
    arrays = {name: array[None] for name, array in packed.items()}  # one direction
    inputs = ["X", "W", "R", "B" if "B" in arrays else "", "sequence_lens" if padded else ""]
    inputs += [f"initial_{part}" for part in states]
    unbounded = activations.bounds(layer.config["activation"]) is None  # a step may be infinite
    outputs = ["Y" if layer.sequences or unbounded else "", *(f"Y_{part}" for part in states)]
    node = helper.make_node(OPERATORS[layer.spec.class_name], inputs, outputs, **attributes_of(layer))
    declared = [name for name in inputs if name and name not in arrays]
    types = {"sequence_lens": onnx.TensorProto.INT32}
    graph = helper.make_graph(
        [node],
        layer.spec.class_name,
        [helper.make_tensor_value_info(name, types.get(name, floats), None) for name in declared],
        [helper.make_tensor_value_info(name, floats, None) for name in outputs if name],
        [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


def attributes_of(layer: RecurrentLayer) -> dict[str, Any]:
    """Return the attributes of the node that runs a layer."""
    from rnncli.frameworks.onnx import ACTIVATIONS

    config, name = layer.config, layer.spec.class_name
    candidate, gates = config["activation"], config.get("recurrent_activation")
    used = {"SimpleRNN": [candidate], "GRU": [gates, candidate], "LSTM": [gates, candidate, candidate]}[name]
    functions = [ACTIVATIONS[activation] for activation in used]
    attributes = {
        "hidden_size": layer.cell.units,
        "direction": "reverse" if config["go_backwards"] else "forward",
        "activations": [function for function, _ in functions],
        # Each function takes as many values as it needs from the front of these lists, possibly none.
        "activation_alpha": [alpha for _, numbers in functions for alpha in numbers[:1]],
        "activation_beta": [beta for _, numbers in functions for beta in numbers[1:]],
        "linear_before_reset": int(config["reset_after"]) if name == "GRU" else None,
    }
    return {attribute: value for attribute, value in attributes.items() if value not in ([], None)}
