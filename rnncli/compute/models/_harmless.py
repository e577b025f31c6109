"""Models whose file names code of its own: a Lambda's bytecode, or a function to look up and call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rnncli.compute import operations
from rnncli.compute.operations import lambda_op
from rnncli.model import Graph


def harm_in(graph: Graph) -> str:
    """Why loading this model in tf_keras could run code that is neither Keras's nor known here; or ""."""
    for node in graph.nodes:
        if node.inner is not None and (found := harm_in(node.inner)):
            return found
        whole = {"class_name": node.class_name, "module": node.module, "config": node.config}
        if any(map(_is_harmful, _objects(whole))):
            return (
                f"the layer {node.name} ({node.class_name}) holds or names code of its own, which is not run."
            )
    return ""


def _objects(config: Any) -> Iterator[Mapping[str, Any]]:
    """Every object in a config that names its class."""
    if isinstance(config, Mapping):
        if "class_name" in config:
            yield config
        for value in config.values():
            yield from _objects(value)
    elif isinstance(config, (list, tuple)):
        for item in config:
            yield from _objects(item)


def _is_harmful(described: Mapping[str, Any]) -> bool:
    name, own = str(described["class_name"]), described.get("config")
    if name in lambda_op.NAMES:
        return not (isinstance(own, Mapping) and lambda_op.is_known(str(own.get("function"))))
    module = described.get("module")
    return name in ("Lambda", "TensorFlowOpLayer") or not operations.from_keras(module and str(module))
