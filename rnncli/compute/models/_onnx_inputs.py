"""Check the inputs given to an ONNX model, and convert them to its types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.case import Dimension, format_shape
from rnncli.compute.models._inputs import demand_whole, numbers_of
from rnncli.errors import InputError, did_you_mean
from rnncli.model import Port

if TYPE_CHECKING:
    from rnncli.case import Array

BATCH = ("batch", "n", "b")
"""Names of an axis that is the batch begin with the first of these, or are one of the others."""


class ModelInput(NamedTuple):
    """An input.  shape: None where any rank goes.  dtype: NumPy's name; "" where NumPy has none."""

    name: str
    shape: tuple[Dimension, ...] | None
    dtype: str
    needed: bool

    def __str__(self) -> str:
        shape = "any shape" if self.shape is None else format_shape(self.shape)
        return f"{self.name}: {shape}, {self.dtype or 'not numbers'}"


def values_of(graph: Any) -> dict[str, ModelInput]:
    """Return the inputs of a graph by name; those that have a value in the file are optional."""
    given = {tensor.name for tensor in graph.initializer}
    return {value.name: _value(value, value.name not in given) for value in graph.input}


def _value(value: Any, needed: bool) -> ModelInput:
    from onnx import helper

    kind = value.type.tensor_type
    shape = tuple(map(_dimension, kind.shape.dim)) if kind.HasField("shape") else None
    dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type) if kind.elem_type else None
    numeric = dtype is not None and dtype.kind in "iufb"
    return ModelInput(value.name, shape, str(dtype) if numeric else "", needed)


def _dimension(axis: Any) -> Dimension:
    return axis.dim_value if axis.HasField("dim_value") else (axis.dim_param or None)


def fit(
    file: str, wanted: Mapping[str, ModelInput], states: Mapping[str, str], given: Any
) -> dict[str, Array]:
    """Return every given input by name, in its dtype.

    states: inputs that may be left out.
    Raises InputError, which says what an input expects and what was given.
    """
    named = _name_inputs(file, wanted, states, given)
    return {name: _fit_value(wanted[name], array) for name, array in named.items()}


def _name_inputs(
    file: str, wanted: Mapping[str, ModelInput], states: Mapping[str, str], given: Any
) -> Mapping[str, Any]:
    every = "; ".join(map(str, wanted.values()))
    must = [name for name, value in wanted.items() if value.needed and name not in states]
    if not isinstance(given, Mapping):
        if len(must) != 1:
            raise InputError(
                f"{file}: the model has {len(must)} inputs; got one without a name.",
                f'Give them by name, {{"inputs": {{"NAME": ...}}}}: {every}.',
            )
        return {must[0]: given}
    for name in given:
        if name not in wanted:
            what = f"{file}: the model has no input {name!r}. {did_you_mean(name, wanted)}"
            raise InputError(what, f"Its inputs are {every}.")
    missing = [name for name in must if name not in given]
    if missing:
        what = f"{file}: missing input{'s' if len(missing) > 1 else ''}: {', '.join(missing)}."
        raise InputError(what, f"The model expects {every}.")
    return given


def _fit_value(value: ModelInput, given: Any) -> Array:
    import numpy as np

    array = numbers_of(value.name, str(value).removeprefix(f"{value.name}: "), given)
    if not value.dtype:
        raise InputError(
            f"{value.name}: the model expects values that are not numbers, which rnncli does not support.",
            "Save the model with an input of numbers.",
        )
    if value.shape is not None:
        if _lacks_batch(value.shape, array.shape):
            array = array[None]
        if not _fits(value.shape, array.shape):
            raise InputError(
                f"{value.name}: the model expects {str(value).partition(': ')[2]}; "
                f"got shape {format_shape(array.shape)}.",
                f"Give an array of {len(value.shape)} axes with these sizes; a named axis takes any size.",
            )
    if np.dtype(value.dtype).kind in "iub":
        demand_whole(Port(value.name, (), value.dtype), array)
    return array.astype(value.dtype)


def _fits(wanted: tuple[Dimension, ...], shape: tuple[int, ...]) -> bool:
    return len(wanted) == len(shape) and all(
        not isinstance(want, int) or want == size for want, size in zip(wanted, shape, strict=True)
    )


def _lacks_batch(wanted: tuple[Dimension, ...], shape: tuple[int, ...]) -> bool:
    """Return whether only the first axis is missing, and it is called batch or has size 1."""
    if not wanted or not _fits(wanted[1:], shape):
        return False
    first = wanted[0]
    name = first.casefold() if isinstance(first, str) else ""
    return first == 1 or name.startswith(BATCH[0]) or name in BATCH


def zeros_for(
    value: ModelInput, wanted: Mapping[str, ModelInput], given: Mapping[str, Array]
) -> Array | None:
    """Return a state of zeros, its axes sized by the given inputs; None if a size is unknown."""
    import numpy as np

    sizes: dict[Dimension, int] = {
        axis: size
        for name, array in given.items()
        for axis, size in zip(wanted[name].shape or (), array.shape, strict=False)
        if isinstance(axis, str)
    }
    shape = [axis if isinstance(axis, int) else sizes.get(axis) for axis in value.shape or (None,)]
    return None if None in shape else np.zeros([size or 0 for size in shape], value.dtype)
