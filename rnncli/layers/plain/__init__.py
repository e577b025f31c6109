"""Layers of Keras that are not recurrent, in NumPy: for `--layer`, and for the graphs of saved models.

`LAYERS` names the function that computes a layer: KerasCall -> output and mask, by the rules of a version of
Keras.  A layer that `--layer` knows is also a Layer, with options, shapes, seeds and an equation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

from rnncli.errors import LayerError, Message, Text
from rnncli.layers.layer import Layer, LayerCall, LayerOutput, LoopRunner
from rnncli.values import Array

LAYERS: Mapping[str, str] = {
    "Dense": "core.dense",
    "Embedding": "core.embedding",
    "Masking": "core.masking",
    **dict.fromkeys(
        (
            "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout",
            "GaussianDropout", "GaussianNoise", "ActivityRegularization", "Identity",
        ),
        "core.identity",
    ),
    "TimeDistributed": "time_distributed.time_distributed",
    "Activation": "activation.activation", "ReLU": "activation.relu", "LeakyReLU": "activation.leaky_relu",
    "ThresholdedReLU": "activation.thresholded_relu", "ELU": "activation.elu", "PReLU": "activation.prelu",
    "Softmax": "activation.softmax",
    "Add": "merging.add", "Subtract": "merging.subtract", "Multiply": "merging.multiply",
    "Average": "merging.average", "Maximum": "merging.maximum", "Minimum": "merging.minimum",
    "Concatenate": "merging.concatenate", "Dot": "merging.dot",
    "Attention": "attention.attention", "AdditiveAttention": "attention.attention",
    "BatchNormalization": "normalization.batch_normalization",
    "LayerNormalization": "normalization.layer_normalization",
    "UnitNormalization": "normalization.unit_normalization",
    "RMSNormalization": "normalization.rms_normalization",
    "Normalization": "normalization.normalization", "Rescaling": "normalization.rescaling",
    "Reshape": "windows.reshape", "Permute": "windows.permute", "Flatten": "windows.flatten",
    "RepeatVector": "windows.repeat_vector",
    **{
        f"{name}{rank}D": f"windows.{function}"
        for name, function, ranks in (
            ("Conv", "convolution", 3),
            ("DepthwiseConv", "convolution", 2),
            ("SeparableConv", "convolution", 2),
            ("AveragePooling", "pooling", 3),
            ("MaxPooling", "pooling", 3),
            ("GlobalAveragePooling", "global_pooling", 3),
            ("GlobalMaxPooling", "global_pooling", 3),
            ("ZeroPadding", "zero_padding", 3),
            ("Cropping", "cropping", 3),
            ("UpSampling", "up_sampling", 3),
        )
        for rank in range(1, ranks + 1)
    },
}  # fmt: skip
"""The file and the function that compute a layer, by Keras's name; a file is loaded when it is needed."""

MERGING = tuple(name for name, path in LAYERS.items() if path.startswith("merging."))
"""Layers that merge several arrays, and their masks."""
MASK_MAKERS = ("Masking", "Embedding")
MASK_USERS = ("GlobalAveragePooling1D", "Softmax", "Attention", "AdditiveAttention")
"""Layers that compute with the mask of their inputs.  TimeDistributed does if the layer inside it does."""

UNKNOWN_CLASS = "is not a layer of Keras; {--custom-objects FILE.py} gives its class"

LAMBDAS = ("TFOpLambda", "SlicingOpLambda")
"""Layers of Keras 2 that hold a function of TensorFlow."""
OPERATIONS = "rnncli.layers.plain.operations"
"""The file that computes Keras 3's operations, and the functions that LAMBDAS hold."""
FLOATS = ("float32", "float64")

KERAS_2 = "Keras 2"
"""In merging layers, a step is kept if all masks keep it."""
KERAS_3_0 = "Keras 3.0 to 3.3"
"""Merging layers drop masks: github.com/keras-team/keras/pull/19685."""
TODAY = "today's Keras"
"""In merging layers, a step is kept if any mask keeps it; there is no mask unless all arrays have one."""


def rules_of(origin: str) -> str:
    """Return the rules about masks for a model saved by `origin`, such as `Keras 2.4.0`."""
    version = re.search(r"(\d+)(?:\.(\d+))?", origin)
    if not version:
        return KERAS_2  # as the reader assumes, and says
    major, minor = int(version[1]), int(version[2] or 0)
    if major < 3:
        return KERAS_2
    return KERAS_3_0 if (major, minor) < (3, 4) else TODAY


class UnknownLayerError(LayerError):
    """A layer, or an option of it, that is not computed here; its framework may know it.

    layer: the node's name in the graph.
    """

    def __init__(self, layer: str, what: Text, advice: Text = "") -> None:
        super().__init__(what, advice)
        self.layer = layer


def refuse(layer: str, class_name: str, what: Message) -> UnknownLayerError:
    """Return the error for a layer that is not computed.  what: completes a sentence."""
    template = "the layer {layer} ({class_name}) {what}."
    return UnknownLayerError(layer, Message(template, layer=layer, class_name=class_name, what=what))


class KerasCall(NamedTuple):
    """One call of a layer, with the arguments that Keras's `Layer.__call__` passes on.

    config: the layer's options, by Keras's names.  weights: by Keras 3's names of variables.
    class_name, layer: Keras's name of the class, and the layer's own name, for messages.
    inputs: the first argument: an array, or a list of arrays for merging layers.
    mask: what Keras passes to the layer's `call` as mask: an array, a list of arrays, or None.
    previous: the masks of the inputs, which Keras passes to the layer's `compute_mask`.
    args, kwargs: the other arguments, without the mask.
    rules: the version of Keras whose rules about masks apply: KERAS_2, KERAS_3_0 or TODAY.
    """

    config: Mapping[str, Any]
    weights: Mapping[str, Array]
    inputs: Any
    mask: Any = None
    previous: Any = None
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}
    rules: str = TODAY
    class_name: str = ""
    layer: str = ""

    def floats(self) -> Any:
        """Return the only input.  Raises UnknownLayerError if it is not of floats."""
        if getattr(self.inputs, "dtype", None) is None or self.inputs.dtype.kind != "f":
            raise self.refuse("gets integers, and supports only floats")
        return self.inputs

    def refuse(self, what: str, **fields: Any) -> UnknownLayerError:
        """Return the error for an unsupported option.  what: completes a sentence, `uses {number} groups`."""
        return refuse(self.layer, self.class_name, Message(what, **fields))


PlainOutput = tuple[Any, Any]
"""The output, an array or a tuple of arrays, and its mask: an array or None."""


def compute(call: KerasCall, module: str = "") -> PlainOutput:
    """Return the output and the mask.  Raises UnknownLayerError if the layer or its config is not known."""
    function = _find(call.class_name, module)
    if function is None:
        if not from_keras(module) or ">" in call.class_name:
            raise call.refuse(UNKNOWN_CLASS)
        raise call.refuse("is not supported")
    if not is_operation(module) and any(arg is not None for arg in call.args):
        raise call.refuse("is called with more arguments than are supported")
    output: PlainOutput = function(call)
    return (output[0], None) if module.startswith("keras.src.activations") else output


class PlainLayer(Layer):
    """A layer that `--layer` knows, computed by today's Keras's rules.  compute: its function in LAYERS."""

    input_rank = 0
    compute: ClassVar[staticmethod[[KerasCall], PlainOutput]]

    def call(self, runner: LoopRunner, call: LayerCall) -> LayerOutput:
        name, masks = self.spec.class_name, (call.mask, call.mask)
        given = KerasCall(self.config, call.weights, call.inputs, *masks, class_name=name, layer=name)
        output, mask = type(self).compute(given)
        return LayerOutput((output,), mask)


def activate(call: KerasCall, x: Array, activation: Any) -> Array:
    """Apply the option `activation` of a config: a name, or the config of a function or of a layer.

    Raises UnknownLayerError if it is not one of Keras's.
    """
    from rnncli.cells import activations

    if isinstance(activation, Mapping) and activation.get("class_name") != "function":
        config, name = activation.get("config") or {}, str(activation.get("class_name"))
        inner = call._replace(config=config, class_name=name, weights={}, inputs=x, mask=None)
        if name == "PReLU":
            raise call.refuse("has an activation with weights of its own")
        output: Array = compute(inner, str(activation.get("module") or ""))[0]
        return output
    try:
        return activations.get(activation)(x)
    except LayerError as error:
        raise call.refuse("has an activation that is not Keras's ({error})", error=error) from None


def is_known(class_name: str, module: str) -> bool:
    """Return whether a layer of this class is computed here; an option of it may still not be."""
    return _find(class_name, module) is not None


@cache
def _find(class_name: str, module: str) -> Any:
    if is_operation(module):
        return import_module(OPERATIONS).OPERATIONS.get(class_name)
    if not from_keras(module):
        return None
    if class_name in LAMBDAS:
        return import_module(OPERATIONS).compute_tensorflow
    file, _, function = LAYERS.get(class_name, "").partition(".")
    return getattr(import_module(f"{__name__}.{file}"), function) if file else None


def is_operation(module: str) -> bool:
    """Return whether a class of this module is one of Keras 3's operations, not a layer."""
    return module.startswith(("keras.src.ops", "keras.ops"))


def from_keras(module: str | None) -> bool:
    """Return whether a class of this module is Keras's own; a config may leave the module out."""
    return not module or module.split(".")[0] in ("keras", "tf_keras", "tensorflow", "builtins")


def keras_may_know(class_name: str, module: str | None) -> bool:
    """Return whether Keras could compute a layer that is not known here: not a custom one, nor a function."""
    is_function = class_name in ("Lambda", "TensorFlowOpLayer", *LAMBDAS)
    return from_keras(module) and not is_function and ">" not in class_name


def axis_of(config: Mapping[str, Any]) -> int:
    """Return the only axis in a config, which Keras 2 writes as a list of one number."""
    axis = config.get("axis", -1)
    return int(axis[0]) if isinstance(axis, (list, tuple)) and len(axis) == 1 else int(axis)


def axes_of(config: Mapping[str, Any]) -> tuple[int, ...]:
    """Return all axes in a config."""
    axis = config.get("axis", -1)
    return tuple(map(int, axis)) if isinstance(axis, (list, tuple)) else (int(axis),)


def sizes_of(value: Any, rank: int) -> tuple[int, ...]:
    """Return one number for each spatial axis: `3` or `[3, 2]`."""
    if isinstance(value, (list, tuple)):
        return tuple(map(int, value)) * (rank if len(value) == 1 else 1)
    return (int(value),) * rank


def channels_first(config: Mapping[str, Any]) -> bool:
    """Return whether the channels are before the spatial axes."""
    return bool(config.get("data_format") == "channels_first")


def dtype_of(dtype: Any) -> str | None:
    """Return the dtype of a layer's config; None if it is not one that is computed here.

    dtype: a name, or the config of a policy; None for the default.
    """
    if isinstance(dtype, Mapping):
        if dtype.get("class_name") not in ("DTypePolicy", "Policy", "FloatDTypePolicy"):
            return None
        dtype = (dtype.get("config") or {}).get("name")
    if dtype is None:
        return "float32"
    return dtype if dtype in FLOATS else None
