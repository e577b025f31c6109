"""A call of a layer: its arguments, its output, and the error for what is not supported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from rnncli.case import Array
from rnncli.errors import LayerError, Message, Text

FLOATS = ("float32", "float64")

KERAS_2 = "Keras 2"
"""In merging layers, a step is kept if all masks keep it."""
KERAS_3_0 = "Keras 3.0 to 3.3"
"""Merging layers drop masks: github.com/keras-team/keras/pull/19685."""
TODAY = "today's Keras"
"""In merging layers, a step is kept if any mask keeps it; there is no mask unless all arrays have one."""


class UnknownLayerError(LayerError):
    """A layer, or an option of it, that is not computed here; its framework may know it.

    layer: the node's name in the graph.
    """

    def __init__(self, layer: str, what: Text, advice: Text = "") -> None:
        super().__init__(what, advice)
        self.layer = layer


class OperationCall(NamedTuple):
    """One call of a layer.

    config, weights: as in model.Node; class_name, layer: for messages.
    inputs: the first argument: an array, or a list of arrays for merging layers.
    mask: argument of the layer's own `call`: an array, a list of them, or None.
    previous: argument of its `compute_mask`.
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
            raise self.refuse(Message("gets integers, and supports only floats"))
        return self.inputs

    def refuse(self, what: Text) -> UnknownLayerError:
        """Return the error for an unsupported option.  what: completes a sentence, `uses groups`."""
        return UnknownLayerError(
            self.layer,
            Message(
                "the layer {layer} ({class_name}) {what}.",
                layer=self.layer,
                class_name=self.class_name,
                what=what,
            ),
        )


OperationOutput = tuple[Any, Any]
"""The output, an array or a tuple of arrays, and its mask: an array or None."""


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
