"""NDJSON: one JSON value per line; the lines are the sequences of one batch."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from rnncli.errors import InputError, Message, inside
from rnncli.inputs import nested
from rnncli.inputs.formats import ReadOptions
from rnncli.inputs.formats.json import parse, to_document
from rnncli.inputs.source import UTF8_MARK, Source, read_utf8
from rnncli.values import Array, Document, format_shape


def read(source: Source, options: ReadOptions) -> Document:
    """Read a single object as JSON does; otherwise join the sequences of all lines into one batch.

    Each line is (timesteps, features) or (batch, timesteps, features).
    Raises InputError if an object is one of several lines, or if the numbers of features differ.
    """
    lines = _split_lines(source)
    sequences: list[Array] = []
    for number, text in lines:  # all values as Python lists would take eight times the text's memory
        value = parse(text, line=number)
        if isinstance(value, dict) and len(lines) > 1:
            what = Message(
                "line {number} is an object, but there are {count} lines.", number=number, count=len(lines)
            )
            raise InputError(what, "With {--stream} each line is its own record.")
        with inside(Message("line {number}", number=number)):
            if isinstance(value, dict):
                return to_document(value)
            sequences += _to_sequences(value)
    features = sequences[0].shape[1]
    for index, array in enumerate(sequences):
        if array.shape[1] != features:
            raise InputError(
                "sequence [0] has {first} features, [{index}] has {shape}.",
                "All sequences of a batch must have the same number of features.",
                first=features,
                index=index,
                shape=array.shape[1],
            )
    if len({array.shape for array in sequences}) == 1:
        return Document(inputs=np.stack(sequences))
    return Document(inputs=tuple(sequences))


def record(line: bytes, number: int) -> Document:
    """Read one line of a stream as its own Document."""
    value = parse(line, line=number)
    with inside(Message("line {number}", number=number)):
        return to_document(value)


def model_record(line: bytes, number: int, texts: Collection[str] = ()) -> Document:
    """Read one line of a stream as the inputs of a saved model: an array, or arrays by name.

    texts: the inputs that are text.
    """
    value = parse(line, line=number)
    with inside(Message("line {number}", number=number)):
        if isinstance(value, list) or (isinstance(value, dict) and "schema" not in value):
            from rnncli.inputs import named_arrays

            return Document(named_arrays.to_model_inputs(value, texts))
        document = to_document(value)
    return Document(document.inputs, remarks=document.remarks)


def load(source: Source) -> Any:
    """Return the only value, or a list of all values."""
    values = [parse(text, line=number) for number, text in _split_lines(source)]
    return values[0] if len(values) == 1 else values


def _split_lines(source: Source) -> list[tuple[int, bytes]]:
    lines = enumerate(read_utf8(source).split(b"\n"), start=1)
    texts = ((number, line.removeprefix(UTF8_MARK)) for number, line in lines)
    filled = [(number, text) for number, text in texts if text.strip()]
    if not filled:
        raise InputError("it is empty.", "Write one sequence per line.")
    return filled


def _to_sequences(value: Any) -> list[Array]:
    batch = nested.to_sequences(value)
    if isinstance(batch, tuple):
        return list(batch)
    if batch.ndim in (2, 3):
        return list(batch) if batch.ndim == 3 else [batch]
    what = "it is {ndim}-D, shape {shape}."
    advice = "Each line is one sequence, (timesteps, features): [[0.1, 4.2], [1.0, 3.1]]."
    raise InputError(what, advice, ndim=batch.ndim, shape=format_shape(batch.shape))
