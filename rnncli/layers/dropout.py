"""Dropout: while it trains, a part of the numbers becomes 0; else it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rnncli.case import Shape
from rnncli.layers._equations import Given, Sum, times
from rnncli.layers._layer import Call, Draw, Layer, Option, Returned, Run
from rnncli.result import Label, TensorInfo


class Dropout(Layer):
    """The inputs themselves; only Keras draws which of them become 0 while it trains."""

    input_rank = 0
    takes_sequence = False
    takes_mask = False
    options: ClassVar[Mapping[str, Option]] = {
        "rate": Option("rate", required=True),
        "noise_shape": Option("choice", None, choices=(None,)),
        "seed": Option("seed"),
        "dtype": Option("dtype"),
    }

    @property
    def trains_without_keras(self) -> bool:  # type: ignore[override]
        """Where nothing is to be drawn."""
        return not self.config["rate"]

    def weight_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """None."""
        return {}

    def outputs(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        """output: the inputs' own shape."""
        between = [f"axis_{axis}" for axis in range(1, len(input_shape) - 1)]
        axes = ("batch", *(["timesteps"] if len(between) == 1 else between), "features")
        return (TensorInfo(Label("output", "timesteps" in axes), axes, input_shape),)

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        """One, where there is something to draw and no seed is given."""
        return {"dropout": draw()} if self.config["rate"] and self.config["seed"] is None else {}

    def equation(self, name: str, index: tuple[int, ...], input_shape: tuple[int, ...]) -> Sum:
        """The input itself."""
        return Sum((times(Given()),))

    def call(self, run: Run, call: Call) -> Returned:
        """The inputs and their mask; not while training."""
        return Returned((call.inputs,), call.mask)


LAYERS: dict[str, type[Layer]] = {"Dropout": Dropout}
