"""Refuse operators that ONNX Runtime does not know, and recurrent nodes in half precision."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rnncli.errors import LayerError
from rnncli.models.onnx._onnx_nodes import inputs_of, is_recurrent

ONNX_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview.training", "ai.onnx.training")
"""Domains of ONNX itself; those of ONNX Runtime begin with MICROSOFT."""
MICROSOFT = "com.microsoft"
HALF = {10: "float16", 16: "bfloat16"}
"""Names of dtypes by their numbers in ONNX."""


def require_known(model: Any, nodes: Iterable[Any]) -> None:
    """Raise LayerError for a custom operator, and for a recurrent node in half precision.

    nodes: those that are needed.
    """
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    kinds |= {value.name: value.type.tensor_type.elem_type for value in model.graph.input}
    own = _functions(model)
    for node in nodes:
        if not _is_known(node, own):
            raise LayerError(
                "{name}: the operator {domain}.{op_type} is not one of ONNX's, and ONNX Runtime does "
                "not know it.",
                "Choose nodes that do not depend on it with #, or export the model without it.",
                name=node.name or node.op_type,
                domain=node.domain,
                op_type=node.op_type,
            )
        half = [HALF[kinds[name]] for name in inputs_of(node)[:4] if kinds.get(name) in HALF]
        if is_recurrent(node) and half:
            raise LayerError(
                "{name} ({op_type}) computes in {half}, which is not supported.",
                "Export the model in float32.",
                name=node.name,
                op_type=node.op_type,
                half=half[0],
            )


def find_dependents(model: Any) -> dict[str, str]:
    """Return the nodes that depend on a custom operator, each with the name of the operator."""
    own = _functions(model)
    causes: dict[str, str] = {}
    found: dict[str, str] = {}
    for node in model.graph.node:
        title = f"{node.domain}.{node.op_type}"
        above = next((causes[name] for name in node.input if name in causes), "")
        cause = above if _is_known(node, own) else title
        if cause:
            found[node.name] = cause
            causes |= dict.fromkeys(filter(None, node.output), cause)
    return found


def _functions(model: Any) -> set[tuple[str, str]]:
    """Return the operators that the model itself defines."""
    return {(one.domain, one.name) for one in model.functions}


def _is_known(node: Any, functions: set[tuple[str, str]]) -> bool:
    known = node.domain in ONNX_DOMAINS or node.domain.startswith(MICROSOFT)
    return known or (node.domain, node.op_type) in functions
