"""TimeDistributed: applies a layer to each time step separately."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rnncli import layers
from rnncli.case import Option, Shape, Spec
from rnncli.errors import LayerError
from rnncli.layers._layer import Layer
from rnncli.result import TensorInfo


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
