"""JSON: nested lists of numbers, a case document, or rnncli's own output.

A syntax error gives the line and column, and shows the text there.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from rnncli.errors import InputError, Message, did_you_mean, inside, shorten, with_path_prefix
from rnncli.inputs import nested
from rnncli.inputs.formats import ReadOptions
from rnncli.inputs.source import InputFlagError, Source, read_utf8, too_large
from rnncli.options import entries
from rnncli.process import memory
from rnncli.process.packages import import_package
from rnncli.values import Document, format_shape

TABLE = {entry.name: entry for entry in entries("run") if entry.name in Document._fields}
"""The keys of a case document that are options of run, too."""
BARE = r"(?i)-?(?:nan|inf(?:inity)?)\b"
NUMBER = r"-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?"
KEY_END = re.compile(rb'"\s*:')
"""Matches the end of every key; it is rare inside strings."""
BRACKETS = r'(?s)"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[\]{}]'
"""Matches whole strings as well as brackets, so that brackets inside strings are not counted."""
LARGE = 2**22
"""A text of fewer bytes fits in any memory."""
VALUE = 96
"""Bytes that a value takes at most, with its place in a list and an array, per comma, bracket or quote."""
LINES = Message("Each line must be one JSON value.")
WORDS = Message('Write the text "NaN", "Infinity" or "-Infinity", with the quotes.')
PYTHON = Message('Write true and false in small letters, and "NaN", with the quotes, for a missing number.')


def read(source: Source, options: ReadOptions) -> Document:
    """Read nested lists of numbers as inputs, or an object as a case document."""
    return to_document(parse(read_utf8(source)))


class MalformedError(InputError):
    """An error in the text of JSON; its sentence begins with the line and the column."""


def load(source: Source) -> Any:
    """Return the parsed JSON value."""
    return parse(read_utf8(source, Message("Write JSON into it.")))


def parse(data: bytes, *, line: int | None = None) -> Any:
    """Parse one JSON value.

    data: UTF-8 without a byte order mark.
    line: line number in the file, if `data` is one line rather than the whole file.
    Raises InputError if the text is invalid, is nested too deeply, repeats a key or does not fit in memory.
    """
    if len(data) >= LARGE and VALUE * sum(map(data.count, b',[{"')) > memory.total():
        raise too_large()
    orjson = import_package("orjson", "JSON")
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        if "depth" in error.msg:
            raise _explain_depth(data, line or 1) from None
        raise _explain(error.msg, data.decode("utf-8", errors="replace"), error.pos, line) from None
    # Counting in the text costs little; most lines of a stream need no walk through their values.
    if data.count(b"[") + data.count(b"{") > nested.MOST_NESTED and nested.is_too_deep(value):
        raise _explain_depth(data, line or 1)
    keys = len(KEY_END.findall(data))
    if keys and _count_keys(value) < keys:
        _refuse_duplicates(data, line)
    return value


def _explain_depth(data: bytes, first_line: int) -> InputError:
    text, depth, position = data.decode("utf-8", errors="replace"), 0, 0
    for token in re.finditer(BRACKETS, text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > nested.MOST_NESTED:
            position = token.start()
            break
    return MalformedError(
        "{position}: {fault}.",
        "Use fewer levels; inputs have three levels of lists: [[[0.1, 4.2], [1.0, 3.1]]].",
        position=_format_place(text, position, first_line),
        fault=Message("it is nested more than {most_nested} levels deep", most_nested=nested.MOST_NESTED),
    )


def _count_keys(value: Any) -> int:
    """Count the keys of objects; lists that do not start with an object are skipped, to save time."""
    if isinstance(value, dict):
        return len(value) + sum(map(_count_keys, value.values()))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return sum(map(_count_keys, value))
    return 0


def _refuse_duplicates(data: bytes, line: int | None) -> None:
    """Raise InputError if an object repeats a key; orjson silently keeps the last.  Slow but exact."""
    from json import loads

    def once(pairs: list[tuple[str, Any]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                with inside("" if line is None else Message("line {number}", number=line)):
                    raise InputError(
                        "the key {key!r} appears twice in one object.", "Leave one of them out.", key=key
                    )
            seen.add(key)

    with suppress(ValueError, RecursionError):  # orjson has already parsed what json cannot
        loads(data, object_pairs_hook=once)


def _explain(message: str, text: str, position: int, line: int | None) -> InputError:
    """line: line number in the file, if the text is one line of it."""
    end, advice, is_other_format = len(text.rstrip()), LINES, False
    bare = re.compile(BARE).match(text, position - (text[position - 1 : position] == "-"))
    python = re.compile(r"(?:True|False|None)\b").match(text, position)
    number = re.compile(NUMBER).match(text, position)
    if "UTF-8" in message:
        position, advice = max(text.find("\ufffd"), 0), Message("Save it as UTF-8.")
        what = Message("this is not UTF-8 text")
    elif bare:
        position, advice = bare.start(), WORDS
        what = Message("JSON has no {group}", group=bare.group())
    elif python:
        advice = PYTHON
        what = Message("JSON has no {group}", group=python.group())
    elif number and "infinity" in message:
        advice = WORDS
        what = Message("{group} is too large a number", group=shorten(number.group()))
    elif position >= end:
        position, advice = end, LINES if line else Message("Is the input truncated?")
        what = Message("unexpected end of input")
    else:
        excerpt = shorten(text[position : position + 21].split("\n")[0].rstrip())
        if (
            message == "no digit after sign"
            and text[position - 1 : position + 1] != "-."
            and excerpt[:1] == "."
        ):
            message = "no digit before decimal point"
        what = Message("{message}, found `{found}`", message=message, found=excerpt)
        is_other_format = line is None
        between = text[:position][len(text[:position].rstrip()) :]
        if is_other_format and "after document" in message and "\n" in between:
            advice = Message("An input of several values, one per line, needs {--input-format ndjson}.")
        elif is_other_format:
            advice = Message("It must be JSON; an input in another format needs {--input-format}.")
    where = _format_place(text, position, line or 1)
    what = Message("{position}: {fault}.", position=where, fault=what)
    if is_other_format:
        suffix = Message("It must be one JSON value; a file in another format needs another suffix.")
        return InputFlagError(what, advice, suffix)
    return MalformedError(what, advice)


def _format_place(text: str, position: int, first_line: int) -> Message:
    line = text.count("\n", 0, position) + first_line
    column = position - text.rfind("\n", 0, position)
    return Message("line {line}, column {column}", line=line, column=column)


def to_document(value: Any) -> Document:
    """Convert a parsed JSON value to a Document.  Raises InputError if the value is invalid."""
    if isinstance(value, dict):
        return _take_output(value) if "schema" in value else _read_case(value)
    return Document(inputs=nested.to_sequences(value))


def _take_output(value: dict[str, Any]) -> Document:
    from rnncli.inputs import named_arrays

    named_arrays.require_schema(value, named_arrays.ONLY_JSON)
    tensor, values = next(iter(named_arrays.read_outputs(value).items()))
    with with_path_prefix(tensor):
        array = nested.to_array(values)
    remark = Message(
        "took {tensor} {shape} from rnncli's own output", tensor=tensor, shape=format_shape(array.shape)
    )
    return Document(inputs=array, remarks=(remark,))


def _read_case(value: dict[str, Any]) -> Document:
    from rnncli.inputs import named_arrays, names

    keys = ("inputs", *TABLE, *names.KEYS)
    for key in value:
        if key not in keys:
            raise InputError("there is no key {key!r} in a case document.", did_you_mean(key, keys), key=key)
    if value.get("inputs") is None:
        raise InputError(
            "the case document has no inputs.", 'The minimum is {{"inputs": [[[0.1, 4.2], [1.0, 3.1]]]}}.'
        )
    said, inputs = names.read_names(value), value["inputs"]
    has_texts = (
        bool(said.words) and isinstance(inputs, list) and any(isinstance(item, str) for item in inputs)
    )
    if has_texts:
        with with_path_prefix("inputs"):
            inputs, said = names.read_sentences(inputs, said)
    readers = {
        "layer": _read_layer,
        "mask": lambda mask: mask,  # read with the inputs, whose shape it has
        "initial_state": named_arrays.to_states,
        "weights": named_arrays.to_weights,
    }
    fields: dict[str, Any] = {}
    for key in (key for key in TABLE if value.get(key) is not None):
        with with_path_prefix(key):
            if key in readers:
                fields[key] = readers[key](value[key])
            elif advice := TABLE[key].advise(value[key]):
                raise nested.wrong(value[key], advice)
            else:
                fields[key] = value[key]
    if not has_texts:
        with with_path_prefix("inputs"):
            inputs = _read_inputs(inputs)
    return Document(inputs, **fields, names=said, pad="post" if has_texts else None)


def _read_inputs(value: Any) -> Any:
    """Return an array, a tuple where sequences differ in length, or these by name."""
    if not isinstance(value, dict) or not value:
        return nested.to_sequences(value)
    arrays = {}
    for name, item in value.items():
        with with_path_prefix(name):
            arrays[name] = nested.to_sequences(item, range(2, nested.MAX_DEPTH))
    return arrays


def _read_layer(value: Any) -> Any:
    if not isinstance(value, (str, dict, list)):
        raise nested.wrong(value, Message('Write an expression, "LSTM(3)", or a Keras config.'))
    return value
