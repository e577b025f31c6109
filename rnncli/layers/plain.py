"""The layers that often stand around recurrent ones: Dense, Dropout, Masking, TimeDistributed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rnncli import layers
from rnncli.case import Array, Option, Shape, Spec
from rnncli.cells import activations
from rnncli.cells.tree import Function, Name, Operation, Sum
from rnncli.errors import LayerError
from rnncli.layers.layer import Call, Draw, Layer, LayerEquation, LayerOutput, LoopRunner
from rnncli.layers.recurrent import take_seeds
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
        return _output((*input_shape[:-1], self.config["units"]), "units")

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        return take_seeds(self.initializers(), self.config, draw)

    def equation(self, label: Label, index: tuple[int, ...], input_shape: tuple[int, ...]) -> LayerEquation:
        """Return activation(x W + b), for one unit."""
        bias = ((1, Name("bias")),) if self.config["use_bias"] else ()
        total = Sum(((1, Operation("@", Name("x"), Name("kernel"))), *bias))
        return LayerEquation(Function("activation", (total,)))

    def call(self, runner: LoopRunner, call: Call) -> LayerOutput:
        """Return activation(x W + b), and the mask unchanged."""
        product = call.inputs @ call.weights["kernel"]
        if self.config["use_bias"]:
            product = product + call.weights["bias"]
        return LayerOutput((activations.get(self.config["activation"])(product),), call.mask)


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
        return _output(input_shape, "features")

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        """Return one seed, if rate is above 0 and no seed is given."""
        return {"dropout": draw()} if self.config["rate"] and self.config["seed"] is None else {}

    def equation(self, label: Label, index: tuple[int, ...], input_shape: tuple[int, ...]) -> LayerEquation:
        """Return the input itself."""
        return LayerEquation(Name("x"))

    def call(self, runner: LoopRunner, call: Call) -> LayerOutput:
        """Return the inputs and their mask, unchanged; not for training."""
        return LayerOutput((call.inputs,), call.mask)


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
        return _output(input_shape, "features")

    def equation(self, label: Label, index: tuple[int, ...], input_shape: tuple[int, ...]) -> LayerEquation:
        """Return the input itself; at a masked step the output is 0 instead, as its value shows."""
        return LayerEquation(Name("x"))

    def next_mask(self, inputs: Array | None, mask: Array | None) -> Array | None:
        """Return its own mask, without the axis of features."""
        return None if inputs is None else (inputs != self.config["mask_value"]).any(axis=-1)

    def call(self, runner: LoopRunner, call: Call) -> LayerOutput:
        """Return the inputs, with masked steps set to 0, and the mask."""
        import numpy as np

        mask: Any = self.next_mask(call.inputs, None)
        return LayerOutput((np.where(mask[..., None], call.inputs, 0).astype(call.inputs.dtype),), mask)


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


def _output(shape: Shape, last: str) -> tuple[TensorInfo, ...]:
    """Return `output`; its axes are `batch`, then `timesteps` or `axis_1`, ..., then `last`."""
    between = [f"axis_{axis}" for axis in range(1, len(shape) - 1)]
    timed = len(between) == 1
    axes = ("batch", *(["timesteps"] if timed else between), last)
    return (TensorInfo(Label("output", timed), axes, shape),)


def _step_shape(shape: Shape) -> Shape:
    return (shape[0], *shape[2:])
