"""TimeDistributed: applies the same layer to each time step separately."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnncli.case import Array, format_shape
from rnncli.models.operations import KERAS_2, OperationCall, OperationOutput, compute, dtype_of

_MASK_MAKERS = ("Masking", "Embedding")
"""Layers that make a mask: Keras 2 concatenated these masks, Keras 3 drops them."""

_MASK_USERS = ("Softmax", "GlobalAveragePooling1D", "TimeDistributed", "Attention", "AdditiveAttention")


def _distribute(call: OperationCall) -> OperationOutput:
    """Apply the layer: (batch, timesteps, ...) -> (batch, timesteps, ...); for the mask see `mask_after`."""
    inner = call.config["layer"]
    if call.rules == KERAS_2 and inner.get("class_name") in _MASK_MAKERS:
        raise call.refuse("holds {value}, whose masks Keras 2 combined", value=inner.get("class_name"))
    if dtype_of(_config(inner).get("dtype")) is None:
        raise call.refuse("holds a layer of another dtype")
    mask = entries(call.mask)
    if mask is not None and mask.ndim < 2 and inner.get("class_name") in _MASK_USERS:
        raise call.refuse(
            "gives a mask of {shape} to {value}",
            shape=format_shape(call.mask.shape),
            value=inner.get("class_name"),
        )
    one = OperationCall(
        config=_config(inner),
        weights={name.removeprefix("layer/"): array for name, array in call.weights.items()},
        inputs=entries(call.inputs),
        mask=mask,
        previous=entries(call.previous),
        rules=call.rules,
        class_name=str(inner.get("class_name")),
        layer=call.layer,
    )
    output, after = compute(one, str(inner.get("module") or ""))
    return steps(output, call.inputs), mask_after(call, after)


def entries(array: Any) -> Any:
    """Return (batch, timesteps, ...) as (batch * timesteps, ...): each step as its own entry of a batch."""
    return None if array is None else array.reshape(array.shape[0] * array.shape[1], *array.shape[2:])


def steps(output: Array, inputs: Array) -> Array:
    """Return (batch * timesteps, ...) as (batch, timesteps, ...), with the sizes of `inputs`."""
    return output.reshape(*inputs.shape[:2], *output.shape[1:])


def mask_after(call: OperationCall, after: Any) -> Any:
    """Return the mask of the output: in Keras 3 the input's mask, in Keras 2 the inner layer's.

    after: the mask of the inner layer's output, for all entries; if it is None, Keras 2 keeps a step in which
        anything is unmasked.
    """
    if call.rules != KERAS_2:
        return call.previous
    if after is not None:
        return after.reshape(*call.inputs.shape[:2], *after.shape[1:])
    if call.previous is None:
        return None
    return call.previous.any(axis=tuple(range(2, call.previous.ndim)))


def _config(inner: Mapping[str, Any]) -> Mapping[str, Any]:
    config: Mapping[str, Any] = inner.get("config") or {}
    return config


LAYERS = {"TimeDistributed": _distribute}
