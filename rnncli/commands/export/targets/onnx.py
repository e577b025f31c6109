"""An ONNX model, (batch, timesteps, features) to the tensors that the last layer returns, by their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rnncli.commands.export import refusals
from rnncli.commands.export.export_case import ExportCase, ExportLayer, ExportLoop
from rnncli.compute.engines.onnx import attributes_of
from rnncli.compute.engines.onnx import refusal as engine_refusal
from rnncli.errors import EngineError, Message, Text
from rnncli.frameworks.onnx import IR, OPERATORS, OPSET, from_keras
from rnncli.values import Array, __version__

SUFFIX = ".onnx"
BINARY = True

ACTIVATIONS = {"tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu", "softmax": "Softmax", "elu": "Elu"}
"""Operators of Dense's activations by Keras's name."""

MERGES = {"sum": "Sum", "mul": "Mul", "ave": "Mean"}


@refusals.of_each
def refusal(export: ExportCase) -> Text | None:
    """Return why ONNX cannot express it, or None."""
    for spec in export.case.stack:
        activation = spec.config["activation"] if spec.class_name == "Dense" else "linear"
        if activation not in ("linear", *ACTIVATIONS):
            return Message("it has no operator for the activation {activation}", activation=activation)
    for cell in export.cells:
        if cell.is_own:
            return Message("it has no node for {class_name}", class_name=cell.class_name)
    return refusals.of_layers(export) or engine_refusal(export.case)


def write(exports: Sequence[ExportCase]) -> bytes:
    """Return the serialized model.  Raises EngineError if onnx is missing."""
    try:
        import onnx
    except ImportError:
        raise EngineError(
            "onnx is not installed; it is needed to write .onnx files.", "pip install onnx"
        ) from None
    helper, floats = onnx.helper, onnx.TensorProto.FLOAT
    graphs = [_GraphBuilder(export) for export in exports]
    arrays = {name: array for graph in graphs for name, array in graph.arrays.items()}
    shown = [info for export in exports for layer in export.layers for info in layer.outputs]
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node(*given, **attributes) for graph in graphs for given, attributes in graph.nodes],
            "rnncli",
            [helper.make_tensor_value_info(graph.input, floats, graph.sizes) for graph in graphs],
            [helper.make_tensor_value_info(info.name, floats, [None] * len(info.shape)) for info in shown],
            [onnx.numpy_helper.from_array(array, name) for name, array in arrays.items()],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR,
        producer_name="rnncli",
        producer_version=__version__,
    )
    onnx.checker.check_model(model)
    return model.SerializeToString()  # type: ignore[no-any-return]


class _GraphBuilder:
    """Collects the nodes and the arrays of one export.

    input, sizes: the name and the shape of its input; the sizes that the mask and the states have are fixed.
    lengths: number of steps to process, (batch,); None without a mask.
    """

    def __init__(self, export: ExportCase) -> None:
        case, name = export.case, export.layers[0].name
        batch, self.steps, features = case.inputs.shape
        self.mask: Any = case.mask
        self.lengths: Any = None if self.mask is None else self.mask.sum(axis=1, dtype=np.int32)
        given = any(cell.has_initial_states for cell in export.cells)
        masked = self.mask is not None
        self.input, self.suffix = f"{name}/input" if name else "input", export.suffix
        self.sizes = batch if given or masked else "batch", self.steps if masked else "timesteps", features
        self.nodes: list[tuple[tuple[str, list[str], list[str]], dict[str, Any]]] = []
        self.arrays: dict[str, Array] = {}
        x = self.input
        for layer in export.layers:
            results = list(self._layer(layer, x))
            x = results[0]
            for info, result in zip(layer.outputs, results, strict=False):
                self._add("Identity", [result], info.name)

    def _add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Add a node with one output; return the output's name."""
        self.nodes.append(((kind, list(inputs), [name]), attributes))
        return name

    def _array(self, name: str, array: Array) -> str:
        self.arrays[name] = np.ascontiguousarray(array)
        return name

    def _layer(self, layer: ExportLayer, x: str) -> Iterator[str]:
        """Add one layer; yield the names of what it returns."""
        if layer.spec.class_name == "Dense":
            yield self._dense(layer, x)
        elif not layer.loops:
            yield x
        else:
            parts = [self._loop(loop, layer, x) for loop in layer.loops]
            outputs, name = [output for output, _ in parts], f"merged{layer.suffix}"
            if len(outputs) == 1 or layer.merge_mode is None:
                yield from outputs
            elif layer.merge_mode == "concat":
                yield self._add("Concat", outputs, name, axis=-1)
            else:
                yield self._add(MERGES[layer.merge_mode], outputs, name)
            for _, states in parts:
                yield from states

    def _dense(self, layer: ExportLayer, x: str) -> str:
        suffix, activation = layer.suffix, layer.spec.config["activation"]
        kernel = self._array(f"kernel{suffix}", layer.weights["kernel"])
        x = self._add("MatMul", [x, kernel], f"product{suffix}")
        if "bias" in layer.weights:
            x = self._add("Add", [x, self._array(f"bias{suffix}", layer.weights["bias"])], f"sum{suffix}")
        if activation == "linear":
            return x
        axis = {"axis": -1} if activation == "softmax" else {}
        return self._add(ACTIVATIONS[activation], [x], f"activation{suffix}", **axis)

    def _loop(self, loop: ExportLoop, layer: ExportLayer, x: str) -> tuple[str, list[str]]:
        """Add one recurrent node; return its output, and its last states.

        The sequence is in the order in which the forward direction processes it.
        """
        suffix, (cell,), masked = loop.suffix, loop.cells, layer.mask is not None
        x = self._add("Transpose", [x], f"X{suffix}", perm=[1, 0, 2])
        weights = from_keras(cell.class_name, cell.weights)
        names = [self._array(f"{name}{suffix}", array[None]) for name, array in weights.items()]
        names += [""] * (3 - len(names))
        initial = [
            self._array(f"initial_{part}{suffix}", array[None])
            for part, array in cell.states.items()
            if cell.has_initial_states
        ]
        lengths = self._array(f"lengths{self.suffix}", self.lengths) if masked else ""
        ends = [f"Y{suffix}", *(f"Y_{part}{suffix}" for part in cell.states)]
        attributes = attributes_of(loop.layer)
        if layer.name:  # in the model; with the direction where there is a node for each
            direction = loop.suffix.removeprefix(layer.suffix) if len(layer.loops) > 1 else ""
            attributes["name"] = f"{layer.name}{direction}"
        self.nodes.append(((OPERATORS[cell.class_name], [x, *names, lengths, *initial], ends), attributes))
        axis = self._array("first_axis", np.array([0]))
        states = [self._add("Squeeze", [end, axis], f"{end}_squeezed") for end in ends[1:]]
        if not layer.sequences and masked and loop.zeroes_masked and not loop.backwards:
            # Zeros where the last step is padding, as in Keras.
            whole = self._array(f"whole{self.suffix}", (self.lengths == self.steps)[:, None])
            zero = self._array("zero", np.zeros((), np.float32))
            return self._add("Where", [whole, states[0], zero], f"{states[0]}_zeroed"), states
        if not layer.sequences:
            return states[0], states
        direction = self._array("direction_axis", np.array([1]))
        y = self._add("Squeeze", [ends[0], direction], f"Y{suffix}_squeezed")
        if masked and not (loop.zeroes_masked or loop.backwards):
            # True for the steps to process, (timesteps, batch, 1).
            counts = self._array(f"counts{self.suffix}", self.mask.T[..., None])
            y = self._add("Where", [counts, y, states[0]], f"Y{suffix}_held")
        if layer.loops[0].backwards:  # y[-1 : to_first : -1]
            to_first = np.iinfo(np.int64).min + 1
            bounds = {"from_last": -1, "to_first": to_first, "first_axis": 0, "backwards": -1}
            names_of_bounds = [self._array(name, np.array([bound])) for name, bound in bounds.items()]
            y = self._add("Slice", [y, *names_of_bounds], f"{y}_reversed")
        return self._add("Transpose", [y], f"sequence{suffix}", perm=[1, 0, 2]), states
