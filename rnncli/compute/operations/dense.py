"""Dense: activation(x W + b) along the last axis."""

from __future__ import annotations

import numpy as np

from rnncli.compute.operations._activation_config import activate
from rnncli.compute.operations._operation import OperationCall, OperationOutput

NAMES = ("Dense",)


def compute(call: OperationCall) -> OperationOutput:
    """(..., features) -> (..., units); the mask is passed on."""
    kernel, x = call.weights["kernel"], np.asarray(call.inputs)
    x = x.astype(kernel.dtype) if x.dtype.kind != "f" else x
    product = x.reshape(-1, x.shape[-1]).dot(kernel).reshape(*x.shape[:-1], kernel.shape[-1])
    if call.config.get("use_bias", True):
        product += call.weights["bias"]
    return activate(call, product, call.config.get("activation")), call.previous
