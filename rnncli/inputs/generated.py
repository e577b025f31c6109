"""A generated input: its shape as it is typed, and its numbers."""

from __future__ import annotations

from math import prod
from typing import Any

from rnncli.errors import Message, Text, UsageError, did_you_mean
from rnncli.inputs.source import is_size, write_with_commas
from rnncli.process import memory, progress
from rnncli.values import FILLS, Array, Dimension, Shape, format_shape, known_sizes

LARGEST = 2**31
"""Maximum number of numbers to generate."""
BLOCK = 2**22
"""Numbers to draw at once."""
LARGE = 2**30
"""Bytes above which it is said how much memory an input and its layers need."""

SIZES = Message(
    "Write sizes with commas between them: 2,10,8; in rnncli shape, a size may be None or a name: batch,10,8."
)


def make_input(shape: tuple[int, ...], fill: str, seed: int, dtype: str, beside: int = 0) -> Array:
    """Return an input of `shape`; say before what a large one needs.

    beside: bytes that the layers need.
    fill: `normal` and `uniform` are drawn by NumPy's default_rng(seed); `zeros`; `ones`; `arange` is
        0, 1/n, 2/n, ... below 1, for n numbers.
    Raises UsageError if the fill is unknown or the input too large, InputError if it does not fit in memory.
    """
    import numpy as np

    if fill not in FILLS:
        raise UsageError("there is no fill {fill!r}.", did_you_mean(fill, FILLS), fill=fill)
    size = prod(shape)
    if size > LARGEST:
        raise UsageError(
            "an input of {shape} has {size:,} numbers; at most {largest:,} can be generated.",
            "Make it smaller.",
            shape=format_shape(shape),
            size=size,
            largest=LARGEST,
        )
    what = Message("an input of {shape}", shape=format_shape(shape))
    needed = size * 12  # in float64, and in the layers' float32
    memory.refuse_beyond(needed, what)
    if needed + beside >= LARGE:
        room = memory.format_size(needed + beside)
        progress.say(Message("{what} and its layers need {room} of memory.", what=what, room=room))
    random = np.random.default_rng(seed)
    if fill in ("normal", "uniform"):
        array = np.empty(shape)
        for block in progress.blocks(Message("random numbers"), size, BLOCK):
            part = array.reshape(-1)[block]
            random.standard_normal(out=part) if fill == "normal" else random.random(out=part)
    elif fill == "arange":
        array = np.arange(size, dtype=np.float64).reshape(shape)
        array /= size
    else:
        array = np.full(shape, 1.0 if fill == "ones" else 0.0)
    return array.astype("float32" if dtype == "bfloat16" else dtype, copy=False)


def parse_shape(text: str) -> Shape:
    """Convert `2,None,8` or `(batch, 10, 8)` to a shape.

    Raises UsageError if `text` is empty or a part of it is not a dimension.
    """
    inner = text.strip()
    if inner[:1] + inner[-1:] in ("()", "[]"):
        inner = inner[1:-1].strip().removesuffix(",")
    if not inner:
        raise UsageError("the input shape {text!r} is empty.", SIZES, text=text)
    return tuple(_dimension(part.strip(), text) for part in inner.split(","))


def _dimension(part: str, text: str) -> Dimension:
    if part.casefold() == "none":
        return None
    if is_size(part):
        return int(part)
    if part.isidentifier() and write_with_commas(part) is None:  # Nonex8 is an identifier, and two sizes
        return part
    named = repr(part) if part else Message("an empty part")
    commas = write_with_commas(text)
    what = "the input shape {text!r} has {named}, which is not a size above 0."
    advice = Message("Write {commas} instead.", commas=commas) if commas else SIZES
    raise UsageError(what, advice, text=text, named=named)


def concrete_sizes(shape: Shape) -> tuple[int, ...]:
    """Return the sizes of the shape.  Raises UsageError for one that is a name, or None."""
    sizes = known_sizes(shape)
    if sizes is None:
        raise UsageError(
            "{--input-shape:option}: {unknown} is not a number; run needs concrete sizes, None "
            "works only with shape.",
            "Give every size, or use rnncli shape, which accepts names.",
            option=_write(shape),
            unknown=next(size for size in shape if not isinstance(size, int)),
        )
    return sizes


def add_batch(shape: Shape, rank: int) -> tuple[Shape, tuple[Text, ...]]:
    """Add a batch axis to a shape, as `arrange` does to arrays; return it with a remark.

    Raises UsageError if that does not give `rank` axes.
    """
    if len(shape) == rank:
        return shape, ()
    if len(shape) == rank - 1:
        new = (1, *shape)
        changed: dict[str, Any] = {"before": format_shape(shape), "after": format_shape(new)}
        if rank != 3 or 1 in shape[1:]:
            return new, (Message("added a batch axis: {before} -> {after}", **changed),)
        single = (*shape, 1)
        note = Message(
            "added a batch axis: {before} -> {after}; for one feature in {shape}, write "
            "{--input-shape:option}",
            **changed,
            shape=format_shape(single),
            option=_write(single),
        )
        return new, (note,)
    axes = Message("1 axis") if len(shape) == 1 else Message("{count} axes", count=len(shape))
    what = "{--input-shape} {shape} has {axes}, but this layer needs {rank}."
    raise UsageError(what, _remedy(shape, rank), shape=format_shape(shape), axes=axes, rank=rank)


def _remedy(shape: Shape, rank: int) -> Text:
    if rank != 3:
        return Message("Give {rank} sizes, (batch, timesteps, ..., channels).", rank=rank)
    rule = Message("A recurrent layer needs (batch, timesteps, features)")
    if len(shape) == 1:
        steps, features = _write((1, *shape, 1)), _write((1, 1, *shape))
        text = "{wanted}: {steps} is a series of one feature, {features} one time step."
        return Message(text, wanted=rule, steps=steps, features=features)
    return Message("{wanted}, such as {option}.", wanted=rule, option=_write(shape[:3]))


def _write(shape: Shape) -> str:
    return ",".join(map(str, shape))
