"""Dense: no recurrence, but often what stands on a recurrent layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from rnncli import activations, initializers
from rnncli.case import Shape, Spec
from rnncli.layers._layer import Call, Draw, Layer, Option, Returned, Run
from rnncli.result import TensorInfo

if TYPE_CHECKING:
    from rnncli.case import Array


class Dense(Layer):
    """activation(x W + b) along the last axis."""

    input_rank = 0
    options: ClassVar[Mapping[str, Option]] = {
        "units": Option("size", required=True),
        "activation": Option("activation"),
        "use_bias": Option("flag", True),
        "kernel_initializer": Option("initializer", "glorot_uniform"),
        "bias_initializer": Option("initializer", "zeros"),
        "dtype": Option("dtype"),
    }

    def weight_shapes(self, input_shape: Shape) -> dict[str, Shape]:
        """kernel (features, units), bias (units,)."""
        units = self.config["units"]
        shapes: dict[str, Shape] = {"kernel": (input_shape[-1], units)}
        return {**shapes, "bias": (units,)} if self.config["use_bias"] else shapes

    def outputs(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        """output: the inputs' shape, the last axis units wide."""
        axes = ("batch", "timesteps")[: len(input_shape) - 1] + ("units",)
        if len(input_shape) > 3:
            axes = ("batch", *(f"axis_{i}" for i in range(1, len(input_shape) - 1)), "units")
        return (TensorInfo("output", axes, (*input_shape[:-1], self.config["units"])),)

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        """One a random initializer, those made before the layer in the order they were written."""
        values = {name: self.config[f"{name}_initializer"] for name in ("kernel", "bias")}
        random = [name for name, value in values.items() if initializers.takes_seed(value)]
        written = [name.removesuffix("_initializer") for name in self.config]
        before = [
            n for n in written if n in random and isinstance(values[n], Spec) and not values[n].deferred
        ]
        return {name: draw() for name in before + [name for name in random if name not in before]}

    def draw_weights(self, input_shape: Shape, seeds: Mapping[str, int], dtype: str) -> dict[str, Array]:
        """Both."""
        return {
            name: initializers.make(
                self.config[f"{name}_initializer"],
                tuple(map(int, shape)),
                dtype,
                seeds.get(name),  # type: ignore[arg-type]
            )
            for name, shape in self.weight_shapes(input_shape).items()
        }

    def call(self, run: Run, call: Call) -> Returned:
        """The product, the bias, the function."""
        product = call.inputs @ call.weights["kernel"]
        if self.config["use_bias"]:
            product = product + call.weights["bias"]
        return Returned((activations.get(self.config["activation"])(product),), call.mask)


LAYERS: dict[str, type[Layer]] = {"Dense": Dense}
