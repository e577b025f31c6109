"""What to advise where a model cannot be run: the command that runs one of its layers, with its own input."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from rnncli.errors import Message, Text
from rnncli.layers import plain
from rnncli.layers.plain import UnknownLayerError
from rnncli.models.graph import Graph, Node
from rnncli.models.layer_cases import spec_of
from rnncli.specs import describe
from rnncli.values import format_shape

HALF = ("float16", "bfloat16")
"""Dtypes in which a described layer computes what Keras computes, and a model is not run."""
CELL_FILE = "@cell.toml"
CELLS = ("LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells", "ConvLSTMCell", "ConvLSTM2DCell")
"""Keras's cells."""
OPTIONS = ("return_sequences", "return_state", "go_backwards", "stateful", "zero_output_for_mask")
"""The options of RNN that a layer of a cell file has."""


def advise_alone(graph: Graph, node: Node) -> Text:
    """Return the command that runs a recurrent layer alone; "" for a layer that no expression describes."""
    name = own_cell_name(node)
    try:
        spec = spec_of(_plain(node))
    except UnknownLayerError:
        return ""
    layer = describe(spec)
    if name:
        layer = layer.replace("SimpleRNN(", f"{CELL_FILE}(")
    dtype = half_dtype(node)
    file = f"{graph.file}#{node.layer.rpartition('/')[2]}"  # in a model inside the model
    words = [
        "rnncli",
        "run",
        "INPUT",
        "--weights",
        file,
        "--layer",
        layer,
        *(["--dtype", dtype] if dtype else []),
    ]
    kernels = (array for path, array in node.weights.items() if path.rpartition("/")[2] == "kernel")
    features = next((array.shape[0] for array in kernels if array.ndim == 2), "features")
    shape = format_shape(("batch", "timesteps", features))
    fields = {"command": shlex.join(words), "shape": shape, "name": name}
    if name:
        return Message(
            "Give its class with {--custom-objects FILE.py} to see what it returns. To see its gates, write "
            "the equations of {name} in cell.toml (rnncli samples mgu > cell.toml is an example), its "
            "weights in the order of get_weights(), and give the layer its own input, {shape}: {command}",
            **fields,
        )
    if any(other.makes_mask for other in graph.nodes):
        return Message(
            "To run this layer alone, give its own input, {shape}, and its mask with {--mask}: {command}",
            **fields,
        )
    return Message("To run this layer alone, give its own input, {shape}: {command}", **fields)


def own_cell_name(node: Node) -> str:
    """Return the class of a cell that is not Keras's, which the layer runs; else ""."""
    cell = node.core_config.get("cell")
    if not isinstance(cell, Mapping):
        return ""
    name = str(cell.get("class_name"))  # a class of a script or a notebook has no module in the file
    is_known = name in CELLS and plain.keras_may_know(name, cell.get("module"))
    return "" if is_known else name.rpartition(">")[2]


def half_dtype(node: Node) -> str:
    """Return the half precision in which the layer computes, also of a mixed policy; else ""."""
    for config in (node.core_config, node.config):
        policy = config.get("dtype")
        if isinstance(policy, Mapping):
            policy = (policy.get("config") or {}).get("name")
        dtype = str(policy).removeprefix("mixed_")
        if dtype in HALF:
            return dtype
    return ""


def _plain(node: Node) -> Node:
    from dataclasses import replace

    units = (node.core_config.get("cell") or {}).get("config", {}).get("units")

    def rewrite(tree: Any) -> Any:
        if isinstance(tree, Mapping):
            if tree.get("class_name") == "RNN" and own_cell_name(node):
                kept = {name: tree["config"][name] for name in OPTIONS if name in tree["config"]}
                return {"class_name": "SimpleRNN", "config": {"units": units, **kept}}
            return {key: rewrite(value) for key, value in tree.items() if key != "dtype"}
        return [rewrite(value) for value in tree] if isinstance(tree, (list, tuple)) else tree

    whole = rewrite({"class_name": node.class_name, "config": node.config})
    return replace(node, class_name=whole["class_name"], config=whole["config"])
