"""TimeDistributed: calls the same layer on each time step separately."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rnncli import layers
from rnncli.case import Array, Option, Shape, Spec, format_shape
from rnncli.errors import LayerError
from rnncli.layers.layer import Layer
from rnncli.layers.plain import KERAS_2, MASK_MAKERS, MASK_USERS, KerasCall, PlainOutput, compute, dtype_of
from rnncli.result import TensorInfo


def time_distributed(call: KerasCall) -> PlainOutput:
    """Apply the layer: (batch, timesteps, ...) -> (batch, timesteps, ...); for the mask see `mask_after`."""
    inner = call.config["layer"]
    if call.rules == KERAS_2 and inner.get("class_name") in MASK_MAKERS:
        raise call.refuse("holds {value}, whose masks Keras 2 combined", value=inner.get("class_name"))
    if dtype_of(_config(inner).get("dtype")) is None:
        raise call.refuse("holds a layer of another dtype")
    mask = entries(call.mask)
    if mask is not None and mask.ndim < 2 and inner.get("class_name") in (*MASK_USERS, "TimeDistributed"):
        raise call.refuse(
            "gives a mask of {shape} to {value}",
            shape=format_shape(call.mask.shape),
            value=inner.get("class_name"),
        )
    entry = KerasCall(
        config=_config(inner),
        weights={name.removeprefix("layer/"): array for name, array in call.weights.items()},
        inputs=entries(call.inputs),
        mask=mask,
        previous=entries(call.previous),
        rules=call.rules,
        class_name=str(inner.get("class_name")),
        layer=call.layer,
    )
    output, after = compute(entry, str(inner.get("module") or ""))
    return steps(output, call.inputs), mask_after(call, after)


def entries(array: Any) -> Any:
    """Return (batch, timesteps, ...) as (batch * timesteps, ...): each step as its own entry of a batch."""
    return None if array is None else array.reshape(array.shape[0] * array.shape[1], *array.shape[2:])


def steps(output: Array, inputs: Array) -> Array:
    """Return (batch * timesteps, ...) as (batch, timesteps, ...), with the sizes of `inputs`."""
    return output.reshape(*inputs.shape[:2], *output.shape[1:])


def mask_after(call: KerasCall, after: Any) -> Any:
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


class TimeDistributed(Layer):
    """Calls the inner layer on inputs (batch, ...) of one time step each, and stacks its outputs."""

    without_keras = False
    options: ClassVar[Mapping[str, Option]] = {
        "layer": Option("layer", required=True),
        "dtype": Option("dtype", "float32"),
    }

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.layer = layers.make(spec.config["layer"])
        self.input_rank = self.layer.input_rank and self.layer.input_rank + 1
        # Keras gives a recurrent layer the mask of its own steps, so there must be one per inner step.
        self.mask_ranks = (3,) if self.layer.recurrent else (2, 3)
        if self.layer.config.get("return_state"):
            raise LayerError(
                "TimeDistributed: its layer also returns states, but only one tensor can be stacked.",
                "Leave return_state out of the inner layer.",
            )

    def weight_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return self.layer.weight_shapes(_step_shape(input_shape))

    def outputs(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        """Return the output of the inner layer, with the time axis added."""
        info = self.layer.outputs(_step_shape(input_shape))[0]
        inner = tuple("inner_timesteps" if axis == "timesteps" else axis for axis in info.axes[1:])
        label = info.label._replace(sequence=True)
        return (TensorInfo(label, ("batch", "timesteps", *inner), (*input_shape[:2], *info.shape[1:])),)

    def initializers(self) -> dict[str, Any]:
        return self.layer.initializers()


def _step_shape(shape: Shape) -> Shape:
    return (shape[0], *shape[2:])
