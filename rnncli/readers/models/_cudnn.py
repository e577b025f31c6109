"""Weights of CuDNNLSTM and CuDNNGRU in Keras's plain layout, as Keras 2 converted them when it loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rnncli.case import Array

GATES = {"LSTM": 4, "GRU": 3}


def is_cudnn(class_name: str, weights: Mapping[str, Array]) -> bool:
    """Whether the bias of an LSTM or a GRU is cuDNN's: two numbers for every unit and gate, in one row.

    weights: kernel, recurrent_kernel and bias of one layer.
    """
    bias, recurrent = weights.get("bias"), weights.get("recurrent_kernel")
    if class_name not in GATES or bias is None or recurrent is None:
        return False
    return bias.ndim == 1 and bias.size == 2 * GATES[class_name] * recurrent.shape[0]


def converted(class_name: str, weights: Mapping[str, Array]) -> dict[str, Array]:
    """The same layer's weights as LSTM(...) or GRU(..., reset_after=True) holds them.

    Each gate's kernel is read again in Fortran order, its recurrent kernel transposed.  The two
    biases of an LSTM add up; those of a GRU stay two rows.
    """
    gates = GATES[class_name]
    bias = weights["bias"].reshape(2, -1)
    return {
        "kernel": _each(weights["kernel"], gates, lambda gate: gate.T.reshape(gate.shape, order="F")),
        "recurrent_kernel": _each(weights["recurrent_kernel"], gates, lambda gate: gate.T),
        "bias": bias if class_name == "GRU" else bias[0] + bias[1],
    }


def _each(kernel: Array, gates: int, change: Callable[[Array], Array]) -> Array:
    return np.hstack([change(gate) for gate in np.hsplit(kernel, gates)])
