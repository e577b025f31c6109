"""Masking: tells the layers after it which steps to skip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rnncli.case import Option, Shape
from rnncli.layers._equations import LayerInput, Sum, times
from rnncli.layers._layer import Call, Layer, LayerOutput, LoopRunner, axis_names
from rnncli.result import Label, TensorInfo


class Masking(Layer):
    """Masks each step whose features all equal mask_value, and sets its features to 0."""

    input_rank = 0
    makes_mask, takes_mask = True, False
    options: ClassVar[Mapping[str, Option]] = {
        "mask_value": Option("number", 0.0),
        "dtype": Option("dtype", "float32"),
    }

    def outputs(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        """Return `output`, with the shape of the inputs."""
        axes = axis_names(input_shape, "features")
        return (TensorInfo(Label("output", "timesteps" in axes), axes, input_shape),)

    def equation(self, label: Label, index: tuple[int, ...], input_shape: tuple[int, ...]) -> Sum:
        """Return the input itself; at a masked step the output is 0 instead, as its value shows."""
        return Sum((times(LayerInput()),))

    def call(self, runner: LoopRunner, call: Call) -> LayerOutput:
        """Return the inputs, with masked steps set to 0, and the mask, without the axis of features."""
        import numpy as np

        mask = (call.inputs != self.config["mask_value"]).any(axis=-1)
        return LayerOutput((np.where(mask[..., None], call.inputs, 0).astype(call.inputs.dtype),), mask)
