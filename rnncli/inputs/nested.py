"""Convert nested lists, as in JSON, to arrays.  Errors give the index path of the first invalid entry."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection
from typing import Any, NamedTuple

from rnncli.errors import InputError, Message, Path, Text, count, format_path, shorten, with_path_prefix
from rnncli.values import Array, format_shape

MAX_DEPTH = 32
"""Maximum number of axes of an array in NumPy 1."""

MOST_NESTED = 64
"""Maximum nesting depth of lists and objects: above any config's, far below Python's recursion limit."""

TIME_AXIS = 1
PLAIN_NUMBER = r"(?a)\s*-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?\s*"
SPELLED = ("NaN", "Infinity", "-Infinity")
"""Numbers that JSON does not have, written as strings."""


def is_prose(text: str) -> bool:
    """Return whether a text has several words."""
    return re.search(r"[^\W\d]\s+\w", text) is not None


def advise_text(text: str) -> Message:
    """Return what to do with a text, which no layer reads."""
    return Message(
        "A layer reads numbers, not text. A model that reads text takes it beside {--model FILE}: {text}",
        text=shlex.quote(json.dumps([text], ensure_ascii=False)),
    )


class Kind(NamedTuple):
    """What nested lists should contain.

    types: the Python types allowed for an entry.  accepts_strings: whether SPELLED is allowed too.
    noun, singular, plural: names of an entry in error messages.  example: how to write such lists.
    """

    types: frozenset[type]
    accepts_strings: bool
    noun: Text
    singular: str
    plural: str
    example: Text


INPUTS = Kind(
    frozenset({int, float}),
    True,
    Message("a number"),
    "number",
    "numbers",
    Message("Write one list per sequence, and in it one list per time step: [[[0.1, 4.2], [1.0, 3.1]]]."),
)
TENSOR = INPUTS._replace(
    example=Message("Write its numbers in lists: a vector [0.1, 4.2], a matrix [[0.1], [4.2]].")
)
FLAGS = Kind(
    frozenset({bool, int, float}),
    False,
    Message("true or false"),
    "entry",
    "entries",
    Message("Write true for a step to process, else false, in one list per sequence: [[true, true, false]]."),
)
TEXTS = Kind(
    frozenset({str}),
    False,
    Message("a text"),
    "text",
    "texts",
    Message('Write one text per sequence: ["the cat sat", "a dog ran"].'),
)


def to_array(value: Any, kind: Kind = INPUTS) -> Array:
    """Convert nested lists of numbers to a float64 array of the same rank.

    Raises InputError, with the index path, if a list is empty, lengths or depths differ, or an entry does not
    match `kind`.
    """
    _check(value, (), _outline(value, kind), kind)
    return _cast(value)


def to_texts(value: Any) -> Array:
    """Convert nested lists of text to an array; an array stays as it is.  Raises InputError as `to_array`."""
    import numpy as np

    if not hasattr(value, "dtype"):
        _check(value, (), _outline(value, TEXTS), TEXTS)
        return np.array(value, object)
    return np.asarray(value)


def to_sequences(value: Any, ranks: Collection[int] = (3,)) -> Array | tuple[Array, ...]:
    """Convert nested lists as `to_array` does; the sequences of a batch may have different lengths.

    If they do, returns one (timesteps, features) array per sequence.
    value: may also be an array.
    ranks: numbers of axes for which the lengths may differ; 2 is for sequences of ids.
    """
    if hasattr(value, "dtype"):
        return _cast(value)
    lengths = _outline(value, INPUTS)
    is_ragged = _check(value, (), lengths, INPUTS, TIME_AXIS if len(lengths) in ranks else None)
    return tuple(map(_cast, value)) if is_ragged else _cast(value)


def to_tensor(value: Any, *path: str | int, kinds: str = "fiu") -> Array:
    """Return an array, or nested lists, as an array of real numbers.

    path: where the value stands in its source.  kinds: see `require_real`.
    """
    with with_path_prefix(*path):
        return require_real(value, kinds) if hasattr(value, "dtype") else to_array(value, TENSOR)


def require_real(array: Array, kinds: str = "fiu") -> Array:
    """Return the array unchanged.  Raises InputError if it does not hold real numbers.

    kinds: NumPy's letters for the kinds of dtypes that are taken.
    """
    if array.dtype.kind not in kinds and array.dtype.name != "bfloat16":
        raise InputError(
            "{place} has dtype {dtype}, not numbers.", "Save real numbers.", (), dtype=array.dtype
        )
    return array


def require_numbers(array: Array) -> Array:
    """Return the array unchanged.  Raises InputError if it is empty or does not hold real numbers."""
    require_real(array)
    if not array.size:
        what = "{place} is empty, with shape {shape}."
        raise InputError(what, "No axis may have size 0.", (), shape=format_shape(array.shape))
    return array


def is_too_deep(value: Any, most: int = MOST_NESTED) -> bool:
    """Return whether lists and objects are nested more than `most` deep.  Does not recurse."""
    level = [value]
    for _ in range(most):
        nodes = (node for node in level if type(node) in _CONTAINERS)
        inner = (node.values() if isinstance(node, dict) else node for node in nodes)
        level = [item for items in inner if not _CONTAINERS.isdisjoint(map(type, items)) for item in items]
        if not level:
            return False
    return not _CONTAINERS.isdisjoint(map(type, level))


_CONTAINERS = frozenset({list, dict})


def describe(value: Any) -> Text:
    """Return a short description of a JSON value: `null`, `the text "abc"`, `a list of 3`, `an object`."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return Message('the text "{text}"', text=shorten(value, 30))
    if isinstance(value, list) or hasattr(value, "dtype"):
        return Message("a list of {count}", count=len(value))
    return Message("an object") if isinstance(value, dict) else Message("the number {value}", value=value)


def wrong(value: Any, advice: Text) -> InputError:
    """Return the error for a value that is not what its place needs."""
    return InputError("{place} is {value}.", advice, (), value=describe(value))


def _check(
    node: list[Any], path: Path, lengths: list[int], kind: Kind, loose_axis: int | None = None
) -> bool:
    """Return whether lists of `loose_axis` differ in length.  lengths: the length of each axis."""
    axis, innermost = len(path), len(path) == len(lengths) - 1
    is_ragged = len(node) != lengths[axis]
    if is_ragged and (not node or axis != loose_axis):
        raise _empty(path) if not node else _explain_length(node, path, lengths, kind)
    types = set(map(type, node))
    if innermost and not types <= kind.types:
        for index, item in enumerate(node):
            spelled = kind.accepts_strings and isinstance(item, str) and item in SPELLED
            if type(item) not in kind.types and not spelled:
                raise _not_one(item, (*path, index), kind)
    if not innermost and types != {list}:
        index, item = next((index, item) for index, item in enumerate(node) if not isinstance(item, list))
        if type(item) not in kind.types:
            raise _not_one(item, (*path, index), kind)
        raise InputError(
            "{place} is {item}, where {other} is a list of {length}.",
            "All of them must be at the same depth.",
            (*path, index),
            item=describe(item),
            other=format_path((0,) * (axis + 1)),
            length=lengths[axis + 1],
        )
    if not innermost:
        for index, item in enumerate(node):
            is_ragged |= _check(item, (*path, index), lengths, kind, loose_axis)
    return is_ragged


def _explain_length(node: list[Any], path: Path, lengths: list[int], kind: Kind) -> InputError:
    axis = len(path)
    nouns = (kind.singular, kind.plural) if axis == len(lengths) - 1 else ("list", "lists")
    advice = Message("All lists of one axis must have the same length.")
    if kind is INPUTS and len(lengths) == 2:
        advice = Message(
            "A row is a time step, and its numbers are the features. "
            "Two sequences of different lengths are {sequences} with {--pad post}.",
            sequences="'[[[1],[2]],[[3]]]'",
        )
    elif kind is INPUTS:
        advice = Message(
            "All lists of one axis must have the same length; "
            "only the time steps of whole sequences may differ."
        )
    return InputError(
        "{place} has {entries}, {other} has {length}.",
        advice,
        (0,) * axis,
        entries=count(lengths[axis], *nouns),
        other=format_path(path),
        length=len(node),
    )


def _outline(value: Any, kind: Kind) -> list[int]:
    """Return the length of each axis, taken from the first list at each depth."""
    if not isinstance(value, list):
        what = "{place} is {value}, not nested lists of {plural}."
        raise InputError(what, kind.example, (), value=describe(value), plural=kind.plural)
    lengths: list[int] = []
    while isinstance(value, list):
        if not value:
            raise _empty((0,) * len(lengths))
        if len(lengths) == MAX_DEPTH:
            what = "{place} is nested deeper than {max_depth} lists."
            advice = "A recurrent layer needs (batch, timesteps, features): three."
            raise InputError(what, advice, (), max_depth=MAX_DEPTH)
        lengths.append(len(value))
        value = value[0]
    return lengths


def _empty(path: Path) -> InputError:
    return InputError("{place} is an empty list.", "No axis may have size 0.", path)


def _not_one(item: Any, path: Path, kind: Kind) -> InputError:
    advice: Text = Message("Write {noun}.", noun=kind.noun)
    if kind in (FLAGS, TEXTS):
        advice = kind.example
    elif isinstance(item, bool):
        advice = Message("Booleans are not numbers: write 1 or 0.")
    elif isinstance(item, str) and re.fullmatch(PLAIN_NUMBER, item):
        advice = Message("Write {item} without quotes.", item=item.strip())
    elif isinstance(item, dict) and kind is INPUTS and len(path) == 1:
        advice = Message("Write each time step as a list of numbers, such as [0.1, 4.2].")
    elif isinstance(item, str) and is_prose(item):
        advice = advise_text(item)
    elif item is None or isinstance(item, str):
        advice = Message('Write a missing number as "NaN"; "Infinity" and "-Infinity" are allowed too.')
    elif isinstance(item, list):
        advice = Message("All of them must be at the same depth.")
    return InputError("{place} is {item}, not {noun}.", advice, path, item=describe(item), noun=kind.noun)


def _cast(value: Any) -> Array:
    import numpy as np

    return np.asarray(value, dtype=np.float64)
