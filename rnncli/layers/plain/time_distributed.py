"""TimeDistributed: calls the same layer on each time step separately."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rnncli import layers
from rnncli.errors import LayerError, Message, Text
from rnncli.layers.layer import RATES, Draw, Layer, LayerCall, LayerOutput, LoopRunner
from rnncli.layers.plain import KERAS_2, MASK_MAKERS, MASK_USERS, KerasCall, PlainOutput, compute, dtype_of
from rnncli.result import TensorInfo
from rnncli.values import Array, Option, Shape, Spec, format_shape, walk


def time_distributed(call: KerasCall) -> PlainOutput:
    """Apply the layer: (batch, timesteps, ...) -> (batch, timesteps, ...); for the mask see `mask_after`."""
    inner = call.config["layer"]
    if call.rules == KERAS_2 and inner.get("class_name") in MASK_MAKERS:
        raise call.refuse("holds {value}, whose masks Keras 2 combined", value=inner.get("class_name"))
    if dtype_of(_config(inner).get("dtype")) is None:
        raise call.refuse("holds a layer of another dtype")
    mask = entries(call.mask)
    if mask is not None and mask.ndim < 2 and inner.get("class_name") in (*MASK_USERS, "TimeDistributed"):
        what, shape = "gives a mask of {shape} to {value}", format_shape(call.mask.shape)
        raise call.refuse(what, shape=shape, value=inner.get("class_name"))
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

    is_opaque = True
    options: ClassVar[Mapping[str, Option]] = {
        "layer": Option("layer", required=True),
        "dtype": Option("dtype", "float32"),
    }

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        inner = self.layer = layers.make(spec.config["layer"])
        self.is_stateful = any(part.config.get("stateful") for part in walk([inner.spec]))
        self.draws = any(part.config.get(rate) for part in walk([inner.spec]) for rate in RATES)
        self.without_keras = inner.without_keras and not self.is_stateful
        self.trains_without_keras = inner.trains_without_keras and not self.draws
        self.input_rank = inner.input_rank and inner.input_rank + 1
        # A layer that takes a mask gets that of its own step; others let masks of any axes pass.
        self.mask_ranks = tuple(rank + 1 for rank in inner.mask_ranks) if inner.takes_mask else (2, 3)
        if inner.config.get("merge_mode", "") is None:
            what = "TimeDistributed: its layer returns two outputs, but only one tensor can be stacked."
            raise LayerError(what, "Merge them: merge_mode concat, sum, mul or ave.")
        if inner.spec.inner.config.get("return_state"):
            what = "TimeDistributed: its layer also returns states, but only one tensor can be stacked."
            raise LayerError(what, "Leave return_state out of the inner layer.")

    def reason_for_keras(self, training: bool) -> Text | None:
        """Keras calls the inner layer step by step: a state passes on, dropout draws again."""
        if reason := self.layer.reason_for_keras(training):
            return reason
        if self.is_stateful:
            return Message("only Keras passes the state of a layer in TimeDistributed from step to step")
        return super().reason_for_keras(training)

    def weight_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        return self.layer.weight_shapes(_step_shape(input_shape))

    def outputs(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        info = self.layer.outputs(_step_shape(input_shape))[0]
        inner = tuple("inner_timesteps" if axis == "timesteps" else axis for axis in info.axes[1:])
        label = info.label._replace(sequence=True)
        return (TensorInfo(label, ("batch", "timesteps", *inner), (*input_shape[:2], *info.shape[1:])),)

    def initializers(self) -> dict[str, Any]:
        return self.layer.initializers()

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        return self.layer.take_seeds(draw)

    def call(self, runner: LoopRunner, call: LayerCall) -> LayerOutput:
        entry = call._replace(inputs=entries(call.inputs), mask=entries(call.mask))
        output = self.layer.call(runner, entry).tensors[0]
        return LayerOutput((steps(output, call.inputs),), call.mask)


def _step_shape(shape: Shape) -> Shape:
    if len(shape) < 3:
        raise LayerError(
            "TimeDistributed needs an input of at least 3 axes, (batch, timesteps, features), but gets "
            "{shape}.",
            "Give the recurrent layer before it return_sequences=True, or leave TimeDistributed out.",
            shape=format_shape(shape),
        )
    return (shape[0], *shape[2:])
