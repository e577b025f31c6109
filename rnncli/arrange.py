"""Arrange: what a reader found -> the (batch, timesteps, features) that a layer takes, and its mask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rnncli import memory, nested
from rnncli.errors import InputError, UsageError, did_you_mean
from rnncli.shapes import format_shape

if TYPE_CHECKING:
    from rnncli.case import Array, Document

AXES = ("batch", "time", "features")
AXIS_NAMES = {
    "batch": "batch",
    "batch_size": "batch",
    "sample": "batch",
    "samples": "batch",
    "time": "time",
    "timestep": "time",
    "timesteps": "time",
    "feature": "features",
    "features": "features",
}
"""Every name of an axis that --input-axes takes, and the axis."""

FILLS = ("normal", "uniform", "zeros", "ones", "arange")
WANTED = "A recurrent layer wants (batch, timesteps, features)."


class ArrangeOptions(NamedTuple):
    """How the inputs are to be understood.

    axes: names of the axes that the inputs have, in their order, 1 to 3 of AXIS_NAMES.
    pad: where shorter sequences get `pad_value`, and False in the mask.
    mask: (batch, timesteps), raw; takes the place of the document's, as `mask_value` and padding do.
    mask_value: a step is masked where every feature equals it.
    dtype: of the result; bfloat16 is left to the engine and is float32 here.
    ndim: of the result; 4 to 6 for the convolutional layers.
    where, mask_where: what an error about the document, and about `mask`, begins with: `notes.json: `.
    """

    axes: tuple[str, ...] | None = None
    pad: Literal["pre", "post"] | None = None
    pad_value: float = 0.0
    mask: Any = None
    mask_value: float | None = None
    dtype: str = "float32"
    ndim: int = 3
    where: str = ""
    mask_where: str = ""


class Arranged(NamedTuple):
    """inputs: of `ndim` axes and `dtype`.  mask: (batch, timesteps) of bool, True where a step counts."""

    inputs: Array
    mask: Array | None = None
    remarks: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()


def arrange(document: Document, options: ArrangeOptions | None = None) -> Arranged:
    """Pad, put the axes in order, cast, and join the masks; a step counts where all masks say so.

    A mask that the options ask for takes the place of the document's.
    """
    options = options or ArrangeOptions()
    with _said_of(options.where):
        inputs, padding, remarks = _in_order(document, options)
    given: Array | None = None
    if options.mask is not None:
        with _said_of(options.mask_where):
            given = _given_mask(options.mask, inputs)
    elif document.mask is not None and not _masked_by_flags(document, options):
        with _said_of(options.where):
            given = _given_mask(document.mask, inputs)
    mask = _all_of(padding, given, _value_mask(inputs, options.mask_value))
    names = document.feature_names if len(document.feature_names) == inputs.shape[-1] else ()
    return Arranged(inputs, mask, tuple(remarks), names)


def _masked_by_flags(document: Document, options: ArrangeOptions) -> bool:
    """A mask that is asked for, of a value or of padding, takes the place of the document's."""
    padded = options.pad is not None and isinstance(document.inputs, tuple)
    return options.mask_value is not None or padded


@contextmanager
def _said_of(where: str) -> Iterator[None]:
    """What is wrong with an input is said of its source."""
    try:
        yield
    except InputError as error:
        what = error.what.removeprefix(where)  # a file that is read here names itself
        raise InputError(f"{where}{what}", error.advice) from None


def _in_order(document: Document, options: ArrangeOptions) -> tuple[Array, Array | None, list[str]]:
    """(inputs, the mask of the padding, remarks)."""
    if document.inputs is None:
        raise InputError("there are no inputs.", "Give a file, or --input-shape 2,10,8.")
    padding: Array | None = None
    remarks: list[str] = list(document.remarks)
    if isinstance(document.inputs, tuple):
        array, padding = _padded(document.inputs, options)
    else:
        array = document.inputs
    if options.axes is not None and not isinstance(document.inputs, tuple):
        array = _moved(array, _axes(options.axes), options.ndim)
    array = _with_batch(array, options.ndim, remarks)
    return _cast(array, options.dtype, remarks), padding, remarks


def made(shape: tuple[int, ...], fill: str = "normal", seed: int = 0, dtype: str = "float32") -> Array:
    """An input of `shape`: drawn by NumPy's default_rng(seed), or 0, 1, or 0, 1/n, 2/n, ... below 1."""
    import numpy as np

    if fill not in FILLS:
        raise UsageError(f"there is no filling {fill!r}.", did_you_mean(fill, FILLS))
    size = 1
    for length in shape:
        size *= length
    if size > 2**31:
        raise UsageError(f"an input of {format_shape(shape)} is {size} numbers.", "Make it smaller.")
    memory.refuse_beyond(size * (8 + 8 * (fill != "zeros")), f"an input of {format_shape(shape)}")
    random = np.random.default_rng(seed)
    if fill == "normal":
        array = random.standard_normal(shape)
    elif fill == "uniform":
        array = random.random(shape)
    elif fill == "arange":
        array = (np.arange(size) / size).reshape(shape)
    else:
        array = np.full(shape, 1.0 if fill == "ones" else 0.0)
    return array.astype(_dtype(dtype))


def _padded(sequences: tuple[Array, ...], options: ArrangeOptions) -> tuple[Array, Array]:
    """(batch, longest, features), and the mask of what was there before."""
    import numpy as np

    lengths = [len(sequence) for sequence in sequences]
    if options.ndim != len(AXES):
        raise InputError("sequences differ in length.", f"A layer of {options.ndim} axes takes no padding.")
    if options.axes is not None and _axes(options.axes) != AXES:
        raise InputError(
            "sequences that differ in length are (batch, time, features) already.", "Leave --input-axes out."
        )
    if options.pad is None:
        other = next((index for index, length in enumerate(lengths) if length != lengths[0]), 0)
        steps = "1 time step" if lengths[0] == 1 else f"{lengths[0]} time steps"
        raise InputError(
            f"sequences differ in length: [0] has {steps}, [{other}] has {lengths[other]}.",
            f"{WANTED} Pad and mask the shorter ones with --pad post.",
        )
    longest = max(lengths)
    array = np.full((len(sequences), longest, sequences[0].shape[1]), options.pad_value, dtype=np.float64)
    mask = np.zeros((len(sequences), longest), dtype=bool)
    for row, sequence in enumerate(sequences):
        there = slice(longest - len(sequence), longest) if options.pad == "pre" else slice(len(sequence))
        array[row, there] = sequence
        mask[row, there] = True
    return array, mask


def _axes(names: tuple[str, ...]) -> tuple[str, ...]:
    """Any of AXIS_NAMES -> AXES names, each at most once."""
    found: list[str] = []
    for name in names:
        axis = AXIS_NAMES.get(name.strip().casefold())
        if axis is None:
            raise UsageError(f"there is no axis {name!r}.", did_you_mean(name, AXIS_NAMES))
        if axis in found:
            raise UsageError(f"the axis {axis} is named twice in --input-axes.", "Name each axis once.")
        found.append(axis)
    return tuple(found)


def _moved(array: Array, axes: tuple[str, ...], ndim: int) -> Array:
    """Axes in the order of AXES; those that were not named get size 1."""
    import numpy as np

    from rnncli import mapped

    if ndim != len(AXES):
        raise UsageError(f"--input-axes names three axes, and this layer takes {ndim}.", "Leave it out.")
    if array.ndim != len(axes):
        raise InputError(
            f"the input is {array.ndim}-D, {format_shape(array.shape)}, and --input-axes names {len(axes)}: "
            f"{', '.join(axes)}.",
            "Name every axis of the input, in its order.",
        )
    order = [axes.index(axis) for axis in AXES if axis in axes]
    missing = [place for place, axis in enumerate(AXES) if axis not in axes]
    moved: Array = mapped.seen(array, lambda view: np.expand_dims(np.transpose(view, order), missing))
    return moved


def _with_batch(array: Array, ndim: int, remarks: list[str]) -> Array:
    """The array itself, or with a batch axis of 1 where just that one is missing."""
    shape = format_shape(array.shape)
    if array.ndim == ndim:
        return array
    if array.ndim == ndim - 1 and array.ndim > 1:
        from rnncli import mapped

        with_batch: Array = mapped.seen(array, lambda view: view[None])
        new = format_shape(with_batch.shape)
        remarks.append(f"one sequence: a batch axis of 1 was put in front, {shape} -> {new}")
        return with_batch
    if array.ndim == 1:
        raise InputError(
            f"the input is 1-D, {shape}.",
            f"{WANTED} A series of one feature is --input-axes time, one time step is --input-axes features.",
        )
    wanted = WANTED if ndim == len(AXES) else f"This layer wants {ndim} axes, (batch, timesteps, ...)."
    raise InputError(f"the input is {array.ndim}-D, {shape}.", wanted)


def _dtype(name: str) -> Any:
    import numpy as np

    return np.dtype("float32" if name == "bfloat16" else name)


def _cast(array: Array, dtype: str, remarks: list[str]) -> Array:
    """An array in a file is cast where it is read, and not here."""
    import numpy as np

    from rnncli import mapped

    target = _dtype(dtype)
    if array.dtype == target:
        return array if mapped.is_mapped(array) else np.ascontiguousarray(array)
    inputs: Any = mapped.Cast(array, target)
    if not mapped.is_mapped(array):
        inputs = np.ascontiguousarray(inputs)
    pairs = zip(mapped.blocks(inputs), mapped.blocks(array), strict=True)
    lost = sum(np.count_nonzero(np.isinf(cast) & np.isfinite(given)) for cast, given in pairs)
    if lost > 0:
        numbers = "1 number is" if lost == 1 else f"{lost} numbers are"
        remarks.append(f"{numbers} too large for {target}, and infinite there")
    return inputs  # type: ignore[no-any-return]


def _given_mask(raw: Any, inputs: Array) -> Array:
    """(batch, timesteps) of bool; (timesteps,) and (1, timesteps) go for every sequence."""
    import numpy as np

    mask = raw if isinstance(raw, np.ndarray) else nested.to_array(raw, "mask", nested.FLAGS)
    wanted = inputs.shape[:2]
    if mask.dtype.kind not in "bfiu":
        raise InputError(f"the mask is of dtype {mask.dtype}.", "Write true or false for every time step.")
    if mask.shape not in (wanted, wanted[1:], (1, wanted[1])):
        raise InputError(
            f"the mask is {format_shape(mask.shape)}, and the input is {format_shape(inputs.shape)}.",
            f"A mask is (batch, timesteps), here {format_shape(wanted)}.",
        )
    bad = np.argwhere((mask != 0) & (mask != 1))
    if len(bad):
        place = tuple(int(index) for index in bad[0])
        raise InputError(
            f"mask{nested.path_text(place)} is {mask[place]:g}.",
            "Write true or 1 for a step that counts, else false or 0.",
        )
    return np.array(np.broadcast_to(mask.astype(bool), wanted))


def _value_mask(inputs: Array, value: float | None) -> Array | None:
    """As Keras's Masking layer: a step counts where any feature differs from `value`."""
    import numpy as np

    if value is None:
        return None
    from rnncli import mapped

    with np.errstate(over="ignore"):
        masked, axes = inputs.dtype.type(value), tuple(range(2, inputs.ndim))
    return np.concatenate([np.any(block != masked, axis=axes) for block in mapped.blocks(inputs)])


def _all_of(*masks: Array | None) -> Array | None:
    found = [mask for mask in masks if mask is not None]
    return reduce(and_, found) if found else None
