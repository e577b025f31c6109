"""The tensors of a graph that do not depend on its inputs."""

from __future__ import annotations

from collections.abc import Iterator
from time import process_time
from typing import Any

from rnncli.case import Array
from rnncli.errors import InputError, Message
from rnncli.models.onnx._onnx_nodes import inner_graphs
from rnncli.process.child_process import advise_more, allow

EVALUATED = (
    "Cast", "Concat", "DequantizeLinear", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze",
    "Transpose", "Unsqueeze",
)  # fmt: skip
"""Operators with which exporters prepare weights; the package onnx evaluates them."""
FOLD = Message(
    "Write the model with constant folding, as torch.onnx.export does, so that it holds its weights."
)
SIZE = 2**26
"""Maximum size of a tensor that an evaluated node takes."""
STEPS = 64
SECONDS = 10.0
"""Limit on the time of all evaluations, plus one second per SPEED bytes of the model."""
SPEED = 2**20


class Constants:
    """Looks up tensors by name, in all graphs of a model; names are unique in it."""

    def __init__(self, model: Any) -> None:
        self._tensors: dict[str, Any] = {}
        self._makers: dict[str, Any] = {}
        self._opsets = {one.domain: one.version for one in model.opset_import}
        self._listed_names: set[str] = set()
        self._values: dict[str, Array | None] = {}
        self._seconds = allow(SECONDS + model.ByteSize() / SPEED)
        self._end = process_time() + self._seconds
        self._collect(model.graph)

    def _collect(self, graph: Any) -> None:
        self._tensors.update((tensor.name, tensor) for tensor in graph.initializer)
        for node in graph.node:
            for attribute in node.attribute:
                if node.op_type == "Constant" and attribute.name == "value":
                    self._tensors[node.output[0]] = attribute.t
            self._makers.update((name, node) for name in node.output if name)
            for inner in inner_graphs(node):
                self._collect(inner)

    def array(self, name: str, steps: int = 0) -> Array | None:
        """Return the tensor; None if it depends on inputs or on operators that are not evaluated here."""
        if name in self._tensors:
            return _array(self._tensors[name])
        if name not in self._values:
            self._values[name] = self._evaluate(name, steps)
        return self._values[name]

    def _evaluate(self, name: str, steps: int) -> Array | None:
        maker = self._makers.get(name)
        if maker is None or maker.op_type not in EVALUATED or maker.domain or steps > STEPS:
            return None
        if process_time() >= self._end:
            raise InputError(
                "computing its weights took too long ({more}).", FOLD, more=advise_more(self._seconds)
            )
        inputs = {one: self.array(one, steps + 1) for one in maker.input if one}
        if any(array is None or array.size > SIZE for array in inputs.values()):
            return None
        from onnx.reference import ReferenceEvaluator

        found = ReferenceEvaluator(maker, opsets=self._opsets).run(None, inputs)
        return dict(zip(maker.output, found, strict=True))[name]  # type: ignore[no-any-return]

    def shapes(self, node: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield the names and shapes of a node's own tensors, each at the first node that uses it."""
        for name in node.input:
            tensor = self._tensors.get(name)
            maker = self._makers.get(name)
            if tensor is not None and maker is None and name not in self._listed_names:
                self._listed_names.add(name)
                yield name, tuple(tensor.dims)


def _array(tensor: Any) -> Array:
    from onnx import numpy_helper

    found: Array = numpy_helper.to_array(tensor)
    return found
