"""Readers of formats: bytes -> Document.

A module in FORMATS has
    read(source: Source, options: ReadOptions) -> Document
or, if a file may also hold a mask, weights or states,
    load(source: Source) -> Any                            all contents: arrays by name, one array, or lists
or both; without `read`, the contents are arrays by name.

For bad input a reader raises InputError.  The functions here put the source's name in front of its message.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from rnncli.errors import InputError, Message, Text, did_you_mean, inside, nearest
from rnncli.inputs.source import NEVER_INPUTS, UTF8_MARK, InputFlagError
from rnncli.inputs.source import Source as Source
from rnncli.process.packages import import_package
from rnncli.values import Array, Document

FORMATS = {
    "csv": "rnncli.inputs.formats.csv",
    "h5": "rnncli.inputs.formats.h5",
    "json": "rnncli.inputs.formats.json",
    "ndjson": "rnncli.inputs.formats.ndjson",
    "npy": "rnncli.inputs.formats.npy",
    "npz": "rnncli.inputs.formats.npz",
    "safetensors": "rnncli.inputs.formats.safetensors",
}
"""The module that reads each format."""
SUFFIXES = {
    **dict.fromkeys((".csv", ".tsv"), "csv"),
    **dict.fromkeys((".h5", ".hdf5", ".keras"), "h5"),
    ".json": "json",
    **dict.fromkeys((".ndjson", ".jsonl"), "ndjson"),
    ".npy": "npy",
    ".npz": "npz",
    ".safetensors": "safetensors",
}
"""The format of a file with each suffix."""
ONE_ARRAY = ("csv", "h5", "npy")
"""Formats that never hold several inputs."""
SPREADSHEETS = (".xlsx", ".xls", ".ods")
GIVEN = Message("Give the format with {--input-format}.")
RENAMED = Message("Rename the file, or save it in one of these formats.")
CELL_BYTES = 2**16
"""The section [step] of a cell's file is among its first bytes."""
WHITESPACE = b" \t\r\n\x0b\x0c"


class ReadOptions(NamedTuple):
    """Command-line options for text formats.

    delimiter: separator of CSV cells, as a character or its name (`tab`, `comma`); None to detect it.
    decimal: decimal sign of CSV numbers, `.` or `,`; None to detect it.
    batch_column: CSV column whose value identifies the sequence of a row.
    columns, drop: CSV columns to read, in this order, and to leave out; None for all, and for none.
    """

    delimiter: str | None = None
    decimal: str | None = None
    batch_column: str | None = None
    columns: Sequence[str] | None = None
    drop: Sequence[str] | None = None


def read(source: Source, input_format: str | None = None, options: ReadOptions | None = None) -> Document:
    """Read the inputs, and everything else that the source contains.

    input_format: see `detect_format`.  Raises InputError if the source cannot be read.
    """
    reader = import_module(FORMATS[detect_format(source, input_format)])
    with inside(source.name):
        if hasattr(reader, "read"):
            document: Document = reader.read(source, options or ReadOptions())
            return document
        from rnncli.inputs import named_arrays

        return named_arrays.to_inputs(reader.load(source))


def read_raw(
    source: Source,
    input_format: str | None = None,
    options: ReadOptions | None = None,
    texts: Collection[str] = (),
) -> Document:
    """Read the inputs of a saved model: an array, or arrays by name.

    A tuple of arrays where sequences differ in length.  An object may have the arrays under `inputs`.
    texts: the inputs that are text.
    """
    name = detect_format(source, input_format)
    if texts and name in ("csv", "npy"):
        reader = import_module(FORMATS[name])
        with inside(source.name):
            if name == "npy":
                return Document(reader.load(source))
            inputs, remarks = reader.read_texts(source, options or ReadOptions(), texts)
            return Document(inputs, remarks=remarks)
    if name not in ONE_ARRAY:
        from rnncli.inputs import named_arrays

        with inside(source.name):
            contents = import_module(FORMATS[name]).load(source)
            if isinstance(contents, (dict, list)) and not (
                isinstance(contents, dict) and "schema" in contents
            ):
                return Document(named_arrays.to_model_inputs(contents, texts))
    return read(source, name, options)


def read_tensor(source: Source, input_format: str | None = None) -> Any:
    """Read one raw tensor for --mask: nested lists or an array; from several arrays, the one named `mask`."""
    from rnncli.inputs import named_arrays

    with inside(source.name):
        return named_arrays.to_tensor(load(source, input_format))


def read_states(source: Source, input_format: str | None = None) -> list[Array] | dict[str, Array]:
    """Read initial states, in Keras's order or by result name (such as `last_hidden_state`)."""
    from rnncli.inputs import named_arrays

    with inside(source.name):
        return named_arrays.to_states(load(source, input_format))


def load(source: Source, input_format: str | None = None, expected: Message | None = None) -> Any:
    """Return all contents of a file of a mask, weights, states or layers; from CSV, its numbers.

    expected: advice for a text of another format; says what the file should contain.
    Raises InputError if the source cannot be read.
    """
    reader = import_module(FORMATS[detect_format(source, input_format, RENAMED)])
    with inside(source.name):
        try:
            if hasattr(reader, "load"):
                return reader.load(source)
            return reader.read(source, ReadOptions()).inputs
        except InputFlagError as error:
            error.advice = expected or error.otherwise
            raise


def detect_format(source: Source, input_format: str | None = None, advice: Text = GIVEN) -> str:
    """Return the name of the source's format.

    input_format: a name from FORMATS or a suffix without the dot; None to use the path's suffix, or to
        detect the format if there is no path.
    advice: what to do if the suffix is unknown.  Raises InputError if the format is unknown.
    """
    if input_format is None:
        return format_of(source.file(), advice) if source.path else _sniff(source)
    name = input_format.lower().lstrip(".").replace("-", "_")
    name = name if name in FORMATS else SUFFIXES.get(f".{name}", name)
    if name not in FORMATS:
        what = "there is no input format {input_format!r}."
        raise InputError(what, did_you_mean(input_format, FORMATS), input_format=input_format)
    return name


def format_of(path: Path, advice: Text = GIVEN) -> str:
    """Return the format for a file's suffix, such as `ndjson` for `notes.jsonl`.

    advice: what to do if the suffix is unknown, which raises InputError.
    """
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return SUFFIXES[suffix]
    with inside(str(path)):
        if suffix in NEVER_INPUTS:
            raise InputError(
                "it is a saved model.",
                "Run the model as it was saved: rnncli run INPUT --model {word}",
                word=shlex.quote(str(path)),
            )
        if suffix == ".toml":
            advice = "Run it as a layer: rnncli run --layer {word}"
            raise InputError("a .toml file holds a cell, not an input.", advice, word=shlex.quote(f"@{path}"))
        if suffix in SPREADSHEETS:
            raise InputError("it is a spreadsheet.", "Save it as CSV, and give that file.")
        if path.is_file():
            from rnncli.inputs import foreign

            foreign.refuse_pickle(path)
        near = nearest(suffix, SUFFIXES)
        raise InputError(
            "{came}; known suffixes: {known}.",
            Message("Did you mean {near}? {advice}", near=near, advice=advice) if near else advice,
            came=Message("unknown suffix {suffix}", suffix=suffix) if suffix else Message("it has no suffix"),
            known=", ".join(SUFFIXES),
        )


def _sniff(source: Source) -> str:
    """A number, a quote or a word can start JSON and CSV: it is JSON only if all is one JSON value."""
    data = source.content()
    if b"\n[step]" in data[:CELL_BYTES]:
        with inside(source.name):
            what = "it is a cell written as equations, not an input."
            raise InputError(what, "Save it, and run it as a layer: rnncli run --layer @FILE.toml")
    text = data.removeprefix(UTF8_MARK).lstrip(WHITESPACE)
    if not text or text[:1] in b"[{":
        return "json"
    if text[:1] not in b'"-0123456789tfn':
        return "csv"
    orjson = import_package("orjson", "JSON")
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return "csv"
    return "json"
