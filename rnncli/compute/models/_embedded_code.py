"""Refuses models with code of their own in the file: bytecode of a Lambda, or names of functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnncli.compute import operations
from rnncli.compute.operations import tensorflow_ops
from rnncli.errors import Message, Text
from rnncli.model import Graph
from rnncli.specs import trees


def find_unsafe_code(graph: Graph) -> Text:
    """Return why loading this model in tf_keras could run code that is not Keras's; "" if it could not."""
    for node in graph.nodes:
        if node.inner is not None and (found := find_unsafe_code(node.inner)):
            return found
        whole = {"class_name": node.class_name, "module": node.module, "config": node.config}
        if any(map(_is_unsafe, trees.mappings(whole))):
            return Message(
                "the layer {name} ({class_name}) contains or names its own code, which rnncli does not run.",
                name=node.name,
                class_name=node.class_name,
            )
    return ""


def _is_unsafe(entry: Mapping[str, Any]) -> bool:
    if "class_name" not in entry:
        return False
    name, config = str(entry["class_name"]), entry.get("config")
    if name in tensorflow_ops.NAMES:
        return not (isinstance(config, Mapping) and tensorflow_ops.is_known(str(config.get("function"))))
    module = entry.get("module")
    return name in ("Lambda", "TensorFlowOpLayer") or not operations.from_keras(module and str(module))
