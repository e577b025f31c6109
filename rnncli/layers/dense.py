"""Dense: not recurrent, but often used on top of a recurrent layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rnncli.case import Option, Shape
from rnncli.layers import _activations
from rnncli.layers._cell import take_seeds
from rnncli.layers._equations import Bias, DotProduct, Sum
from rnncli.layers._layer import Call, Draw, Layer, LayerOutput, LoopRunner, axis_names
from rnncli.result import Label, TensorInfo


class Dense(Layer):
    """activation(x W + b) along the last axis."""

    input_rank = 0
    takes_sequence = False
    takes_mask = False
    options: ClassVar[Mapping[str, Option]] = {
        "units": Option("size", required=True),
        "activation": Option("activation", "linear"),
        "use_bias": Option("flag", True),
        "kernel_initializer": Option("initializer", "glorot_uniform"),
        "bias_initializer": Option("initializer", "zeros"),
        "dtype": Option("dtype", "float32"),
    }

    def weight_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """Return kernel (features, units) and bias (units,)."""
        units = self.config["units"]
        shapes: dict[str, Shape] = {"kernel": (input_shape[-1], units)}
        return {**shapes, "bias": (units,)} if self.config["use_bias"] else shapes

    def outputs(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        """Return `output`, with the shape of the inputs except for the last axis, which has length units."""
        axes, shape = axis_names(input_shape, "units"), (*input_shape[:-1], self.config["units"])
        return (TensorInfo(Label("output", "timesteps" in axes), axes, shape),)

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        return take_seeds(self.config, ("kernel", "bias"), draw)

    def equation(self, label: Label, index: tuple[int, ...], input_shape: tuple[int, ...]) -> Sum:
        """Return activation(x W + b), for one unit."""
        bias = (Bias(),) if self.config["use_bias"] else ()
        return Sum((DotProduct("inputs", "kernel"), *bias), "activation")

    def call(self, runner: LoopRunner, call: Call) -> LayerOutput:
        """Return activation(x W + b), and the mask unchanged."""
        product = call.inputs @ call.weights["kernel"]
        if self.config["use_bias"]:
            product = product + call.weights["bias"]
        return LayerOutput((_activations.get(self.config["activation"])(product),), call.mask)
