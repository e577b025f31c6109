"""Dense, Embedding, Masking, and Dropout with the other layers that change nothing outside of training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rnncli.cells.tree import Function, Name, Operation, Sum
from rnncli.errors import InputError
from rnncli.layers.layer import Draw, LayerEquation
from rnncli.layers.plain import KerasCall, PlainLayer, PlainOutput, activate
from rnncli.layers.recurrent import take_seeds
from rnncli.result import Label, TensorInfo
from rnncli.values import Array, Option, Shape, Spec


def dense(call: KerasCall) -> PlainOutput:
    """activation(x W + b) along the last axis: (..., features) -> (..., units); the mask is passed on."""
    import numpy as np

    kernel, x = call.weights["kernel"], np.asarray(call.inputs)
    product = (x if x.dtype.kind == "f" else x.astype(kernel.dtype)) @ kernel
    if call.config.get("use_bias", True):
        product += call.weights["bias"]
    return activate(call, product, call.config.get("activation")), call.previous


def embedding(call: KerasCall) -> PlainOutput:
    """Look token ids up in a table: (...) -> (..., output_dim); with mask_zero the id 0 is masked.

    Raises InputError for an id that is not in the table.
    """
    import numpy as np

    table, ids = call.weights["embeddings"], np.asarray(call.inputs)
    whole = ids.astype(np.int64)
    outside = (whole < 0) | (whole >= len(table)) | ~np.isfinite(ids)
    if outside.any():
        index = tuple(map(int, np.argwhere(outside)[0]))
        what = "the layer {layer} (Embedding) takes token ids 0 to {highest}; the id at [{index}] is {id}."
        advice, at = "Use the vocabulary that the model was trained with.", ", ".join(map(str, index))
        raise InputError(what, advice, layer=call.layer, highest=len(table) - 1, index=at, id=ids[index])
    return table[whole], (ids != 0 if call.config.get("mask_zero") else None)


def masking(call: KerasCall) -> PlainOutput:
    """Mask the steps whose features all equal mask_value, and set them to 0."""
    import numpy as np

    x = call.inputs
    mask: Any = _mask_of(x, call.config.get("mask_value", 0.0))
    return np.where(mask[..., None], x, x.dtype.type(0)), mask


def _mask_of(x: Array, value: Any) -> Array:
    mask: Array = (x != value).any(axis=-1)
    return mask


def identity(call: KerasCall) -> PlainOutput:
    """Return the inputs and their mask: so does Dropout outside of training."""
    return call.inputs, call.previous


class Dense(PlainLayer):
    """activation(x W + b) along the last axis."""

    compute = staticmethod(dense)
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
        return _output((*input_shape[:-1], self.config["units"]), "units")

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        return take_seeds(self.initializers(), self.config, draw)

    def pull_back(self, vectors: Any, inputs: Array, weights: Mapping[str, Array]) -> Any:
        from rnncli.cells import activations, reverse

        name = self.config["activation"]
        argument = inputs @ weights["kernel"] + weights.get("bias", 0)
        pulled = reverse.pull_of(name)(vectors, activations.get(name)(argument), argument)
        return pulled @ weights["kernel"].T

    def equation(self, label: Label, index: tuple[int, ...], input_shape: tuple[int, ...]) -> LayerEquation:
        bias = ((1, Name("bias")),) if self.config["use_bias"] else ()
        total = Sum(((1, Operation("@", Name("x"), Name("kernel"))), *bias))
        return LayerEquation(Function("activation", (total,)))


class Dropout(PlainLayer):
    """Returns the inputs unchanged.  In training, only Keras can draw which of them become 0."""

    compute = staticmethod(identity)
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
        return _output(input_shape, "features")

    def take_seeds(self, draw: Draw) -> dict[str, int]:
        return {"dropout": draw()} if self.config["rate"] and self.config["seed"] is None else {}

    def pull_back(self, vectors: Any, inputs: Array, weights: Mapping[str, Array]) -> Any:
        return vectors

    def equation(self, label: Label, index: tuple[int, ...], input_shape: tuple[int, ...]) -> LayerEquation:
        return LayerEquation(Name("x"))


class Masking(PlainLayer):
    """Masks each step whose features all equal mask_value, and sets its features to 0."""

    compute = staticmethod(masking)
    makes_mask, takes_mask = True, False
    options: ClassVar[Mapping[str, Option]] = {
        "mask_value": Option("number", 0.0),
        "dtype": Option("dtype", "float32"),
    }

    def outputs(self, input_shape: Shape) -> tuple[TensorInfo, ...]:
        return _output(input_shape, "features")

    def pull_back(self, vectors: Any, inputs: Array, weights: Mapping[str, Array]) -> Any:
        return vectors * _mask_of(inputs, self.config["mask_value"])[..., None]

    def equation(self, label: Label, index: tuple[int, ...], input_shape: tuple[int, ...]) -> LayerEquation:
        """Return the input itself; at a masked step the output is 0 instead, as its value shows."""
        return LayerEquation(Name("x"))

    def next_mask(self, inputs: Array | None, mask: Array | None) -> Array | None:
        return None if inputs is None else _mask_of(inputs, self.config["mask_value"])


def _output(shape: Shape, last: str) -> tuple[TensorInfo, ...]:
    """Return `output`; its axes are `batch`, then `timesteps` or `axis_1`, ..., then `last`."""
    between = [f"axis_{axis}" for axis in range(1, len(shape) - 1)]
    timed = len(between) == 1
    axes = ("batch", *(["timesteps"] if timed else between), last)
    return (TensorInfo(Label("output", timed), axes, shape),)
