"""An ONNX model, (batch, timesteps, features) to the tensors that the last layer returns, by their names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rnncli import __version__
from rnncli.case import Array
from rnncli.commands.export import refusals
from rnncli.commands.export.export_case import ExportCase, ExportLayer, ExportLoop
from rnncli.compute.engines.onnx import attributes_of
from rnncli.compute.engines.onnx import refusal as engine_refusal
from rnncli.errors import EngineError, Message, Text
from rnncli.frameworks.onnx import IR, OPERATORS, OPSET, from_keras

SUFFIX = ".onnx"
BINARY = True

ACTIVATIONS = {"tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu", "softmax": "Softmax", "elu": "Elu"}
"""Operators of Dense's activations by Keras's name."""

MERGES = {"sum": "Sum", "mul": "Mul", "ave": "Mean"}


@refusals.of_each
def refusal(export: ExportCase) -> Text | None:
    """Return why ONNX cannot express it, or None."""
    for layer in refusals.dense(export):
        if layer.spec.config["activation"] not in ("linear", *ACTIVATIONS):
            activation = layer.spec.config["activation"]
            return Message("it has no operator for the activation {activation}", activation=activation)
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
    graphs = [GraphBuilder(export) for export in exports]
    for graph in graphs:
        graph.build()
    nodes = [node for graph in graphs for node in graph.nodes]
    arrays = {name: array for graph in graphs for name, array in graph.arrays.items()}
    shown = [info for export in exports for info in export.outputs]
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node(kind, ins, outs, **attributes) for kind, ins, outs, attributes in nodes],
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


class GraphBuilder:
    """Collects the nodes and the arrays of one export.

    input: the name of its input in the graph.
    """

    def __init__(self, export: ExportCase) -> None:
        self.export = export
        name = export.layers[0].name
        self.input = f"{name}/input" if name else "input"
        self.nodes: list[tuple[str, list[str], list[str], dict[str, Any]]] = []
        self.arrays: dict[str, Array] = {}

    def build(self) -> None:
        """Add every layer, and name the outputs."""
        x = self.input
        for layer in self.export.layers:
            results = list(self._layer(layer, x))
            x = results[0]
            for info, name in zip(layer.outputs, results, strict=False):
                self.nodes.append(("Identity", [name], [info.name], {}))

    @property
    def sizes(self) -> tuple[int | str, ...]:
        """Shape of the input; the sizes that the mask and the initial states have are fixed."""
        case = self.export.case
        batch, steps, features = case.inputs.shape
        masked, given = case.mask is not None, any(cell.has_initial_states for cell in self.export.cells)
        return (batch if given or masked else "batch", steps if masked else "timesteps", features)

    def add(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Add a node with one output; return the output's name."""
        self.nodes.append((kind, list(inputs), [name], attributes))
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
            outputs = [output for output, _ in parts]
            yield from self._merge(layer, outputs)
            for _, states in parts:
                yield from states

    def _dense(self, layer: ExportLayer, x: str) -> str:
        own, activation = layer.suffix, layer.spec.config["activation"]
        kernel = self._array(f"kernel{own}", layer.weights["kernel"])
        x = self.add("MatMul", [x, kernel], f"product{own}")
        if "bias" in layer.weights:
            x = self.add("Add", [x, self._array(f"bias{own}", layer.weights["bias"])], f"sum{own}")
        if activation == "linear":
            return x
        axis = {"axis": -1} if activation == "softmax" else {}
        return self.add(ACTIVATIONS[activation], [x], f"activation{own}", **axis)

    def _loop(self, loop: ExportLoop, layer: ExportLayer, x: str) -> tuple[str, list[str]]:
        """Add one recurrent node; return its output, and its last states.

        The sequence is in the order in which the forward direction processes it.
        """
        suffix, (cell,) = loop.suffix, loop.cells
        x = self.add("Transpose", [x], f"X{suffix}", perm=[1, 0, 2])
        weights = from_keras(cell.class_name, cell.weights)
        names = [self._array(f"{name}{suffix}", array[None]) for name, array in weights.items()]
        names += [""] * (3 - len(names))
        initial: list[str] = []
        if cell.has_initial_states:
            initial = [
                self._array(f"initial_{part}{suffix}", array[None]) for part, array in cell.states.items()
            ]
        masked = layer.mask is not None
        lengths = self._array(f"lengths{self.export.suffix}", self.lengths) if masked else ""
        ends = [f"Y{suffix}", *(f"Y_{part}{suffix}" for part in cell.states)]
        attributes = attributes_of(loop.layer)
        if layer.name:
            attributes["name"] = _node_name(layer, loop)
        self.nodes.append((OPERATORS[cell.class_name], [x, *names, lengths, *initial], ends, attributes))
        axis = self._array("first_axis", np.array([0]))
        states = [self.add("Squeeze", [end, axis], f"{end}_squeezed") for end in ends[1:]]
        if not layer.sequences:
            return (self._hide(loop, states[0]) if masked else states[0]), states
        direction = self._array("direction_axis", np.array([1]))
        y = self.add("Squeeze", [ends[0], direction], f"Y{suffix}_squeezed")
        if masked and not (loop.zeroes_masked or loop.backwards):
            y = self.add("Where", [self._counts(), y, states[0]], f"Y{suffix}_held")
        if layer.loops[0].backwards:
            y = self._reverse(y)
        return self.add("Transpose", [y], f"sequence{suffix}", perm=[1, 0, 2]), states

    @property
    def lengths(self) -> Array:
        """Number of steps to process, (batch,)."""
        mask: Any = self.export.case.mask
        return mask.sum(axis=1, dtype=np.int32)  # type: ignore[no-any-return]

    def _counts(self) -> str:
        """Add an array that is true for the steps to process, (timesteps, batch, 1)."""
        mask: Any = self.export.case.mask
        return self._array(f"counts{self.export.suffix}", mask.T[..., None])

    def _hide(self, loop: ExportLoop, output: str) -> str:
        """Replace the last output by zeros where Keras does: where the last step is padding."""
        if loop.backwards or not loop.zeroes_masked:
            return output
        whole = self._array(
            f"whole{self.export.suffix}", (self.lengths == self.export.case.inputs.shape[1])[:, None]
        )
        zero = self._array("zero", np.zeros((), np.float32))
        return self.add("Where", [whole, output, zero], f"{output}_zeroed")

    def _reverse(self, name: str) -> str:
        """Reverse the first axis."""
        bounds = [
            self._array("from_last", np.array([-1])),
            self._array("to_first", np.array([np.iinfo(np.int64).min + 1])),
            self._array("first_axis", np.array([0])),
            self._array("backwards", np.array([-1])),
        ]
        return self.add("Slice", [name, *bounds], f"{name}_reversed")

    def _merge(self, layer: ExportLayer, outputs: list[str]) -> list[str]:
        if len(outputs) == 1 or layer.merge_mode is None:
            return outputs
        name = f"merged{layer.suffix}"
        if layer.merge_mode == "concat":
            return [self.add("Concat", outputs, name, axis=-1)]
        return [self.add(MERGES[layer.merge_mode], outputs, name)]


def _node_name(layer: ExportLayer, loop: ExportLoop) -> str:
    """Return the layer's name in the model; with the direction where there is a node for each."""
    return layer.name if len(layer.loops) == 1 else f"{layer.name}{loop.suffix.removeprefix(layer.suffix)}"
