"""Dropout: sets some of the inputs to 0 in training, and changes nothing otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rnncli.case import Option, Shape, Spec
from rnncli.layers._equations import LayerInput, Sum, times
from rnncli.layers._layer import Call, Draw, Layer, LayerOutput, LoopRunner, axis_names
from rnncli.result import Label, TensorInfo


class Dropout(Layer):
    """Returns the inputs unchanged.  In training, only Keras can draw which of them become 0."""

    input_rank = 0
    takes_sequence = False
    takes_mask = False
    options: ClassVar[Mapping[str, Option]] = {
        "rate": Option("rate", required=True),
        "noise_shape": Option("choice", None, choices=(None,)),
        "seed": Option("seed"),
        "dtype": Option("dtype", "float32"),
    }

    def __init__(self, spec: Spec) -> None:
        super().__init__(spec)
        self.trains_without_keras = not self.config["rate"]

    def outputs(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        """Return `output`, with the shape of the inputs."""
        axes = axis_names(input_shape, "features")
        return (TensorInfo(Label("output", "timesteps" in axes), axes, input_shape),)

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        """Return one seed, if rate is above 0 and no seed is given."""
        return {"dropout": draw()} if self.config["rate"] and self.config["seed"] is None else {}

    def equation(self, label: Label, index: tuple[int, ...], input_shape: tuple[int, ...]) -> Sum:
        """Return the input itself."""
        return Sum((times(LayerInput()),))

    def call(self, runner: LoopRunner, call: Call) -> LayerOutput:
        """Return the inputs and their mask, unchanged; not for training."""
        return LayerOutput((call.inputs,), call.mask)
