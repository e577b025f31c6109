"""What a child process finds, sent back: JSON with arrays in it, or an error."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from rnncli.errors import EngineError, InputError, LayerError, Message, RnncliError
from rnncli.process.child_process import IncompleteOutputError, WorkOutput, write_array, write_text
from rnncli.process.memory import format_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEXT = 2**28
"""Maximum length of everything but arrays, in bytes."""
KINDS = "biufc"
"""The kinds of NumPy's dtypes that are sent."""
ARRAY = ""
"""The only key of an object that stands for an array, with its number."""


@dataclass(frozen=True)
class LazyArray:
    """An array that is loaded when it is sent."""

    dtype: str
    shape: Sequence[int]
    load: Callable[[], NDArray[Any]]


def send(file: BinaryIO, find: Callable[[], Any]) -> None:
    """Write, in the child, what `find` returns, or the error of rnncli that it raises.

    find: returns what JSON can hold, with arrays and LazyArray in it.
    """
    arrays: list[LazyArray] = []

    def place(value: NDArray[Any] | LazyArray) -> dict[str, int]:
        if not isinstance(value, LazyArray):
            value = LazyArray(value.dtype.str, value.shape, partial(np.asarray, value))
        arrays.append(value)
        return {ARRAY: len(arrays) - 1}

    try:
        text = json.dumps({"found": find()}, default=place).encode()
        if len(text) > TEXT:
            raise InputError("its names are too long.")
    except RnncliError as error:
        arrays.clear()
        packed = map(_pack_message, (error.detail, error.advice))
        text = json.dumps({"error": [type(error).__name__, *packed]}).encode()
    write_text(file, json.dumps([(array.dtype, array.shape) for array in arrays]).encode())
    write_text(file, text)
    for array in arrays:
        write_array(file, np.ascontiguousarray(array.load()))


def receive(answer: WorkOutput, most: int, *errors: type[RnncliError]) -> Any:
    """Return what `send` wrote, or raise the error; tuples come back as lists.

    most: bytes that the arrays may take.  errors: the classes that may be raised, besides rnncli's own.
    Raises IncompleteOutputError if the arrays are larger, or of another kind.
    """
    shapes = [(np.dtype(dtype), shape) for dtype, shape in json.loads(answer.take_text(TEXT))]
    text = answer.take_text(TEXT)
    # An axis of 0 counts as 1, because NumPy limits the other axes too.
    size = sum(dtype.itemsize * prod(max(1, axis) for axis in shape) for dtype, shape in shapes)
    if size > most or any(dtype.kind not in KINDS for dtype, _ in shapes):
        raise IncompleteOutputError(
            Message(
                "its numbers take {size}, more than the limit of {most}",
                size=format_size(size),
                most=format_size(most),
            )
        )
    arrays = [answer.take_array(shape, dtype.str) for dtype, shape in shapes]

    def restore(entry: dict[str, Any]) -> Any:
        return arrays[entry[ARRAY]] if entry.keys() == {ARRAY} else entry

    head = json.loads(text, object_hook=restore)
    if "error" in head:
        name, (detail, fields), (advice, others) = head["error"]
        kinds: tuple[type[RnncliError], ...] = (InputError, LayerError, EngineError, *errors)
        kind = next((known for known in kinds if known.__name__ == name), EngineError)
        raise kind(Message(detail, **fields), Message(advice, **others))
    return head["found"]


def _pack_message(message: Message) -> tuple[str, dict[str, Any]]:
    """Return the template and the fields as JSON can hold them."""
    fields = message.fields.items()
    return message.template, {name: value if isinstance(value, int) else str(value) for name, value in fields}
