"""The contract of an operation: what a layer gets and returns, and how it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.errors import LayerError

if TYPE_CHECKING:
    from rnncli.case import Array

FLOATS = ("float32", "float64")

KERAS_2 = "Keras 2"
"""Layers that join let a step count where all that have a mask say so."""
KERAS_3_0 = "Keras 3.0 to 3.3"
"""Layers that join drop masks: github.com/keras-team/keras/pull/19685."""
TODAY = "today's Keras"
"""Layers that join let a step count where any says so, and drop the mask where one has none."""


class UnknownLayerError(LayerError):
    """A layer, or an option of it, that is not computed here; its framework may know it.

    layer: the node's name in the graph.
    """

    def __init__(self, layer: str, what: str, advice: str = "") -> None:
        super().__init__(what, advice)
        self.layer = layer


class OperationCall(NamedTuple):
    """What a layer gets when it is called.

    config, weights: as in model.Node; class_name, layer: for messages.
    inputs: the first argument: an array, or a list of arrays for the layers that join.
    mask: what the layer's own `call` gets: an array, a list of them, or None.
    previous: what its `compute_mask` gets.
    args, kwargs: the other arguments, without the mask.
    rules: whose rules about masks hold: KERAS_2, KERAS_3_0 or TODAY.
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
        """The only input, which has to be of floats, as Keras wants it too."""
        if getattr(self.inputs, "dtype", None) is None or self.inputs.dtype.kind != "f":
            raise self.refuse("gets integers, and supports only floats")
        return self.inputs

    def refuse(self, what: str) -> UnknownLayerError:
        """The error that says which layer does what is not computed here: `uses groups`."""
        return UnknownLayerError(self.layer, f"the layer {self.layer} ({self.class_name}) {what}.")


OperationOutput = tuple[Any, Any]
"""The output, an array or a tuple of arrays, and its mask: an array or None."""


def axis_of(config: Mapping[str, Any]) -> int:
    """The one axis that a config names, as a number or in a list of one; Keras 2 writes lists."""
    axis = config.get("axis", -1)
    return int(axis[0]) if isinstance(axis, (list, tuple)) and len(axis) == 1 else int(axis)


def axes_of(config: Mapping[str, Any]) -> tuple[int, ...]:
    """All axes that a config names."""
    axis = config.get("axis", -1)
    return tuple(map(int, axis)) if isinstance(axis, (list, tuple)) else (int(axis),)


def sizes_of(value: Any, rank: int) -> tuple[int, ...]:
    """`3` or `[3, 2]` as one number for each axis of space."""
    if isinstance(value, (list, tuple)):
        return tuple(map(int, value)) * (rank if len(value) == 1 else 1)
    return (int(value),) * rank


def channels_first(config: Mapping[str, Any]) -> bool:
    """Whether the channels stand before the axes of space."""
    return bool(config.get("data_format") == "channels_first")


def dtype_of(call_dtype: Any) -> str | None:
    """The dtype that a layer's config asks for, where it is computed here; None where it is not."""
    if isinstance(call_dtype, Mapping):
        if call_dtype.get("class_name") not in ("DTypePolicy", "Policy", "FloatDTypePolicy"):
            return None
        call_dtype = (call_dtype.get("config") or {}).get("name")
    if call_dtype is None:
        return "float32"
    return call_dtype if call_dtype in FLOATS else None
