"""Masking: tells the layers after it which steps to skip."""

from __future__ import annotations

import numpy as np

from rnncli.compute.operations._operation import OperationCall, OperationOutput

NAMES = ("Masking",)


def compute(call: OperationCall) -> OperationOutput:
    """A step is masked where every feature equals mask_value; its features come out as 0."""
    x, value = call.inputs, call.config.get("mask_value", 0.0)
    mask = (x != (x.dtype.type(value) if x.dtype.kind == "f" else value)).any(axis=-1)
    return np.where(mask[..., None], x, x.dtype.type(0)), mask
