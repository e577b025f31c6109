"""Keras's core layers: Dense, Embedding, Masking, and layers that change nothing outside of training."""

from __future__ import annotations

import numpy as np

from rnncli.errors import InputError
from rnncli.models.operations import OperationCall, OperationOutput, activate


def compute(call: OperationCall) -> OperationOutput:
    """Return the output and the mask of one of these layers."""
    return _LAYERS[call.class_name](call)


def _dense(call: OperationCall) -> OperationOutput:
    """activation(x W + b) along the last axis: (..., features) -> (..., units); the mask is passed on."""
    kernel, x = call.weights["kernel"], np.asarray(call.inputs)
    x = x.astype(kernel.dtype) if x.dtype.kind != "f" else x
    product = x.reshape(-1, x.shape[-1]).dot(kernel).reshape(*x.shape[:-1], kernel.shape[-1])
    if call.config.get("use_bias", True):
        product += call.weights["bias"]
    return activate(call, product, call.config.get("activation")), call.previous


def _embedding(call: OperationCall) -> OperationOutput:
    """Look token ids up in a table: (...) -> (..., output_dim); with mask_zero the id 0 is masked.

    Raises InputError for an id that is not in the table.
    """
    table, ids = call.weights["embeddings"], np.asarray(call.inputs)
    whole = ids.astype(np.int64)
    outside = (whole < 0) | (whole >= len(table)) | ~np.isfinite(ids)
    if outside.any():
        index = tuple(map(int, np.argwhere(outside)[0]))
        raise InputError(
            "the layer {layer} (Embedding) takes token ids 0 to {highest}; the id at [{index}] is {id}.",
            "Use the vocabulary that the model was trained with.",
            layer=call.layer,
            highest=len(table) - 1,
            index=", ".join(map(str, index)),
            id=ids[index],
        )
    return table[whole], (ids != 0 if call.config.get("mask_zero") else None)


def _masking(call: OperationCall) -> OperationOutput:
    """Mask the steps whose features all equal mask_value, and set them to 0."""
    x, value = call.inputs, call.config.get("mask_value", 0.0)
    mask = (x != (x.dtype.type(value) if x.dtype.kind == "f" else value)).any(axis=-1)
    return np.where(mask[..., None], x, x.dtype.type(0)), mask


def _pass_on(call: OperationCall) -> OperationOutput:
    """Return the inputs and their mask."""
    if call.kwargs.get("training"):
        raise call.refuse("is called with training=True, which draws random numbers")
    return call.inputs, call.previous


_LAYERS = {
    "Dense": _dense,
    "Embedding": _embedding,
    "Masking": _masking,
    **dict.fromkeys(
        (
            "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout",
            "GaussianDropout", "GaussianNoise", "ActivityRegularization", "Identity",
        ),
        _pass_on,
    ),
}  # fmt: skip

NAMES = tuple(_LAYERS)
