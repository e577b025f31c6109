"""Layers that were recognized by their weights, as nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rnncli.case import Array
from rnncli.models.graph import Node

BARE = {"SimpleRNN": "rnn", "GRU": "gru", "LSTM": "lstm"}
"""Names of layers whose weights have no path."""


def node_of(name: str, cells: Mapping[bool, Any], module: str, **options: Any) -> Node:
    """Return a layer with one direction, or with two.

    cells: class and weights, by whether it reads backwards.  options: of the layer, beside those that its
    weights show.
    """
    class_name, weights = cells[False]
    layer = {"class_name": class_name, "config": {**_config(class_name, weights), **options}}
    if True not in cells:
        return Node(name, name, class_name, module, layer["config"], weights, (), {})
    both = {f"forward/{key}": array for key, array in weights.items()}
    both.update({f"backward/{key}": array for key, array in cells[True][1].items()})
    config = {"layer": layer, "merge_mode": "concat", "dtype": layer["config"]["dtype"]}
    return Node(name, name, "Bidirectional", module, config, both, (), {})


def _config(class_name: str, weights: Mapping[str, Array]) -> dict[str, Any]:
    bias, recurrent = weights.get("bias"), weights["recurrent_kernel"]
    config: dict[str, Any] = {
        "units": len(recurrent),
        "use_bias": bias is not None,
        "return_sequences": True,
        "dtype": "float64" if recurrent.dtype == np.float64 else "float32",
    }
    if class_name == "GRU":
        config["reset_after"] = bias is None or bias.ndim == 2
    return config
