"""The nodes of ONNX's graphs, as its own messages; the package onnx is not needed to look at them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rnncli.models.onnx._recurrence import CLASSES, Recurrence


def inner_graphs(node: Any) -> list[Any]:
    """Return the graphs in a node: the branches of an If, the body of a Loop or Scan."""
    return [graph for attribute in node.attribute for graph in _graphs(attribute)]


def _graphs(attribute: Any) -> list[Any]:
    return [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]


def is_recurrent(node: Any) -> bool:
    """Return whether it is ONNX's own LSTM, GRU or RNN."""
    return node.op_type in CLASSES and node.domain in ("", "ai.onnx")


def nodes_in(graph: Any) -> Iterator[Any]:
    """Yield every node, those of inner graphs behind the node that holds them."""
    for node in graph.node:
        yield node
        for inner in inner_graphs(node):
            yield from nodes_in(inner)


def recurrence_of(node: Any, units: int) -> Recurrence:
    """Read a recurrent node.

    Y is the sequence; without it Y_h is the output, and only Y_c adds the state.
    """
    attributes = {one.name: _value(one) for one in node.attribute}
    inputs = inputs_of(node)
    beyond = ["peepholes"] if node.op_type == "LSTM" and inputs[7] else []
    beyond += ["input_forget"] if attributes.get("input_forget") else []
    sequence, _, *cells = [*map(bool, node.output), False, False]
    return Recurrence(
        node.op_type,
        units or int(attributes.get("hidden_size", 0)),
        attributes,
        has_bias=bool(inputs[3]),
        sequences=sequence,
        state=any(node.output[1:] if sequence else cells),
        unsupported=tuple(beyond),
    )


def inputs_of(node: Any) -> list[str]:
    """Return X, W, R, B, sequence_lens, initial_h, initial_c, P; "" for an input that is missing."""
    return [*node.input, *[""] * (8 - len(node.input))]


def _value(attribute: Any) -> Any:
    """Return the value of an attribute, of the types that recurrent nodes have."""
    if attribute.type == 3:
        return attribute.s.decode("utf-8", "replace")
    texts = [text.decode("utf-8", "replace") for text in attribute.strings]
    floats = [_shorten_float(number) for number in attribute.floats]
    values = {1: _shorten_float(attribute.f), 2: attribute.i, 6: floats, 7: list(attribute.ints), 8: texts}
    return values.get(attribute.type)


def _shorten_float(number: float) -> float:
    """Return the shortest number that is the same in float32: 0.2, not 0.20000000298023224."""
    import numpy as np

    return float(str(np.float32(number)))
