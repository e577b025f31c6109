"""Check and convert the values of arguments."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from os import PathLike
from typing import Any, Literal

import numpy as np

from rnncli.api._options import Options
from rnncli.case import Array, format_shape
from rnncli.cli.files import expand_user
from rnncli.errors import InputError, UsageError, did_you_mean, inside
from rnncli.inputs.formats import ReadOptions, Source


def file(path: str | PathLike[str], what: str) -> Source:
    """Return the source of a path.  Raises UsageError for an empty one, or if there is no such user."""
    if not str(path).strip():
        raise UsageError("{what}: the file name is empty.", "Give the path of a file.", what=what)
    return Source(f"{what}: {path}", path=expand_user(str(path)))


def array(value: Any, name: str) -> Array:
    """Convert to an array of numbers.  Raises InputError, with `name` in the message, if that fails."""
    with inside(name):
        try:
            found = np.asarray(value)
        except ValueError as error:
            what = str(error).rstrip(".")
            raise InputError("{what}.", "Give an array, or lists of equal length.", what=what) from None
        if found.dtype.kind not in "fiu" or not found.ndim:
            raise InputError(
                "it is {dtype}, {ndim}-D.", "Give an array of numbers.", dtype=found.dtype, ndim=found.ndim
            )
        if not found.size:
            raise InputError(
                "it is empty, with shape {shape}.",
                "No axis may have size 0.",
                shape=format_shape(found.shape),
            )
    return found


def sequences(inputs: Any, name: str) -> Array | tuple[Array, ...]:
    """Return one array, or one array per sequence if their lengths differ.

    Raises InputError, with `name` in the message, for anything else.
    """
    try:
        return array(inputs, name)
    except InputError:
        if not isinstance(inputs, (list, tuple)) or len({np.ndim(one) for one in _arrays(inputs)}) != 1:
            raise
    several = tuple(array(one, name) for one in inputs)
    if several[0].ndim != 2 or len({one.shape[1] for one in several}) != 1:
        raise InputError(
            "{name}: its sequences do not fit together.", "Give each (timesteps, features).", name=name
        )
    return several


def _arrays(inputs: Sequence[Any]) -> list[Any]:
    try:
        return [np.asarray(one) for one in inputs]
    except ValueError:
        return []


def require_pad(options: Options) -> Literal["pre", "post"] | None:
    """Return the option pad.  Raises UsageError for another value, and for a pad_value without it."""
    pad = options.get("pad")
    if pad not in (None, "pre", "post"):
        raise UsageError("pad is {pad!r}.", did_you_mean(str(pad), ("post", "pre")), pad=pad)
    if pad is None and options.get("pad_value") is not None:
        raise UsageError("pad_value needs pad.", "Add pad='post'.")
    return pad


def require_texts(name: str, value: Any, advice: str) -> None:
    """Raise UsageError if the value is given and neither text nor a list of texts."""
    if value is None or isinstance(value, str):
        return
    if not isinstance(value, Collection) or not all(isinstance(one, str) for one in value):
        raise UsageError("{name} is {value!r}.", advice, name=name, value=value)


def require_integer(name: str, value: Any, lowest: int, highest: int) -> None:
    """Raise InputError if the value is given and not a whole number in these bounds."""
    if value is None:
        return
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
    if not (whole and lowest <= value <= highest):
        raise InputError(
            "{name} is {value!r}.",
            "It must be a whole number from {lowest} to {highest}.",
            name=name,
            value=value,
            lowest=lowest,
            highest=highest,
        )


def read_options(options: Options) -> ReadOptions:
    """Return the options on how a file is read."""
    every: dict[str, Any] = dict(options)
    return ReadOptions(**{name: every.get(name) for name in ReadOptions._fields})


def require_no_file_options(options: Options) -> None:
    """Raise UsageError for an option on how a file is read, where the inputs are arrays."""
    every: dict[str, Any] = dict(options)
    given = [name for name in ("input_format", *ReadOptions._fields) if every.get(name) is not None]
    if given:
        raise UsageError(
            "{given} applies only to a file, and the inputs are arrays.",
            "Leave out {given}, or give the path of a file.",
            given=given[0],
        )
