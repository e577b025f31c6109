"""The memory that the tensors of a model take, limited by its weights and inputs.

A file of a few kilobytes may describe layers whose outputs, together, fill the memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from rnncli.case import Array
from rnncli.models.graph import Graph
from rnncli.process.memory import limit_growth


class TensorMemory:
    """The bytes of the tensors computed so far, and how many more are allowed.

    size: bytes of the weights and inputs.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.used: dict[int, int] = {}

    @classmethod
    def of_model(cls, graph: Graph, inputs: Mapping[str, Array]) -> TensorMemory:
        """Return the memory of a model that has not computed anything."""
        return cls(_weight_bytes(graph) + sum(array.nbytes for array in inputs.values()))

    def add(self, tensors: Iterable[Any]) -> None:
        """Count these tensors; one that shares its memory with another is counted once."""
        for tensor in tensors:
            while getattr(tensor, "base", None) is not None:
                tensor = tensor.base
            self.used[id(tensor)] = getattr(tensor, "nbytes", 0)

    def copy(self) -> TensorMemory:
        """Return a copy for a model inside this one, whose tensors are freed after it."""
        inside = TensorMemory(self.size)
        inside.used.update(self.used)
        return inside

    def limit(self) -> AbstractContextManager[None]:
        """In the block, let allocations fail beyond what is left; see `limit_growth`."""
        return limit_growth(self.size, sum(self.used.values()))


def _weight_bytes(graph: Graph) -> int:
    own = (array.nbytes for node in graph.nodes for array in node.weights.values())
    return sum(own) + sum(_weight_bytes(node.inner) for node in graph.nodes if node.inner is not None)
