"""Readers: bytes of one format -> Document.  One file a format, found by its stem.

A reader file has
    SUFFIXES: tuple[str, ...]                              the suffixes of its files, with the dot
    read(source: Source, options: ReadOptions) -> Document
and, where a file of its format can carry more than inputs,
    load(source: Source) -> Any                            all that it holds: arrays by name, one array, lists

Bad input is an InputError that begins with the source's name.
"""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple

from rnncli.case import Array, Document, SavedLayer
from rnncli.errors import InputError, did_you_mean
from rnncli.readers.packages import needed

WHITESPACE = b" \t\r\n\x0b\x0c"


class Source(NamedTuple):
    """Where bytes come from: held in `data`, or in the file at `path`.

    name: what errors call it: `notes.json`, `standard input`, `the command line`.
    """

    name: str
    data: bytes | None = None
    path: Path | None = None

    def content(self, advice: str = "Give nested lists as JSON, or rows as CSV.") -> bytes:
        """All of it; InputError where it cannot be read, or is empty: then `advice` says what to give."""
        found = _bytes_of(self.file(), self.name) if self.data is None else self.data
        if not found or found.isspace():
            raise InputError(f"{self.name}: it is empty.", advice)
        return found

    def file(self) -> Path:
        """The path, which is known to be a file."""
        if self.path is None:
            raise InputError(f"{self.name}: there is nothing to read.")
        try:
            found, folder = self.path.exists(), self.path.is_dir()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "that is no name of a file"
            raise InputError(f"{self.name}: it cannot be read: {why}.", "Check the path.") from None
        if not found and self.path.is_symlink():
            raise InputError(f"{self.name}: this link leads to no file.", "Check where it leads.")
        if not found:
            raise InputError(f"{self.name}: there is no such file.", _near(self.path))
        if folder:
            raise InputError(f"{self.name}: it is a folder.", "Name a file in it.")
        return self.path


class ReadOptions(NamedTuple):
    """What the command line says about a text format.

    delimiter: between two cells of a CSV row, a character or its name (`tab`, `comma`); None to find it.
    decimal: the decimal sign of its numbers, `.` or `,`; None to find it.
    batch_column: the CSV column whose value says to which sequence a row belongs.
    """

    delimiter: str | None = None
    decimal: str | None = None
    batch_column: str | None = None


@cache
def formats() -> tuple[str, ...]:
    """The names of all formats: the stems of this folder."""
    found = pkgutil.iter_modules(__path__)
    return tuple(sorted(info.name for info in found if info.name[0] != "_" and not info.ispkg))


def format_of(path: Path) -> str:
    """The format of a file by its suffix: `notes.jsonl` -> `ndjson`."""
    suffix = path.suffix.lower()
    if suffix[1:] in formats():  # most formats are called like their suffix; the others need not load
        return suffix[1:]
    by_suffix = _by_suffix()
    if suffix in by_suffix:
        return by_suffix[suffix]
    came = f"the suffix {suffix} is not known" if suffix else "it has no suffix"
    near = did_you_mean(suffix, by_suffix)
    raise InputError(
        f"{path}: {came}; known are {', '.join(by_suffix)}.",
        f"{near if near.startswith('Did') else ''} Say the format with --input-format.".strip(),
    )


def sniff(data: bytes) -> Literal["json", "csv"]:
    """What standard input is: JSON unless its first character cannot start JSON, else CSV.

    Digits, minus, quotes and words can start either: JSON is then what is one JSON value as a whole.
    """
    text = data.removeprefix(b"\xef\xbb\xbf").lstrip(WHITESPACE)
    if not text or text[:1] in b"[{":
        return "json"
    if text[:1] not in b'"-0123456789tfn':
        return "csv"
    orjson = needed("orjson", "JSON")
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return "csv"
    return "json"


def read(source: Source, format: str | None = None, options: ReadOptions | None = None) -> Document:
    """The inputs, and all that the source says beside them.

    format: a name of `formats()` or a suffix without its dot; None to take the path's suffix, or to
        sniff where there is no path.
    """
    document: Document = _reader(source, format).read(source, options or ReadOptions())
    return document


def read_raw(
    source: Source, format: str | None = None, options: ReadOptions | None = None
) -> tuple[Any, tuple[str, ...]]:
    """What a model's inputs are given, and remarks: an array, or arrays by name.

    A tuple of arrays where sequences differ in length.  An object may have the arrays under `inputs`.
    """
    from rnncli.specs import nested

    reader = _reader(source, format)
    found = reader.load(source) if hasattr(reader, "load") else None
    if not isinstance(found, (dict, list)) or (isinstance(found, dict) and "schema" in found):
        document = reader.read(source, options or ReadOptions())
        return document.inputs, document.remarks
    where = f"{source.name}: "
    if isinstance(found, dict):
        given = found["inputs"] if set(found) == {"inputs"} else found
        if isinstance(given, dict):
            return {
                name: nested.to_sequences(item, f"{where}{name}", (2, 3)) for name, item in given.items()
            }, ()
        found, where = given, f"{where}inputs"
    return nested.to_sequences(found, where, (2, 3)), ()


def read_weights(source: Source, format: str | None = None) -> dict[str, Array] | tuple[SavedLayer, ...]:
    """Weights by their path, `forward/kernel`; objects in objects are joined by a slash.

    Of a saved model its layers, or those that are named behind a #: `model.keras#lstm_1,dense`.
    """
    from rnncli.readers.formats import _named_arrays

    source, names = _chosen(source)
    found = _load(source, format)
    if isinstance(found, tuple):
        return _named_arrays.chosen(found, names, f"{source.name}: ")
    return _named_arrays.weights(found, f"{source.name}: ")


def _chosen(source: Source) -> tuple[Source, tuple[str, ...]]:
    """The file, and the names behind a # that is no part of the file's own name."""
    path = source.path
    if path is None or "#" not in path.name or path.exists():
        return source, ()
    file, _, names = path.name.rpartition("#")
    known = source.name.removesuffix(f"#{names}")
    return Source(known, path=path.with_name(file)), tuple(map(str.strip, names.split(",")))


def read_tensor(source: Source, format: str | None = None) -> Any:
    """One raw tensor, for --mask: nested lists or an array; of several arrays the one named `mask`."""
    from rnncli.readers.formats import _named_arrays

    return _named_arrays.tensor(_load(source, format), f"{source.name}: ")


def read_states(source: Source, format: str | None = None) -> list[Array] | dict[str, Array]:
    """Initial states: in Keras's order, or by their result names (`last_hidden_state`)."""
    from rnncli.readers.formats import _named_arrays

    return _named_arrays.states(_load(source, format), f"{source.name}: ")


def read_layers(source: Source) -> list[dict[str, Any]]:
    """The Keras configs of the recurrent layers in a saved model, in the model's order; or of those named."""
    source, names = _chosen(source)
    layers: list[dict[str, Any]] = import_module("rnncli.readers.models._keras_saved").layers(source, names)
    return layers


def left_out(source: Source) -> list[str]:
    """The layers of a saved model that `read_layers` does not take, unless those to take are named."""
    source, names = _chosen(source)
    left: list[str] = [] if names else import_module("rnncli.readers.models._keras_saved").left_out(source)
    return left


def _load(source: Source, format: str | None) -> Any:
    reader = _reader(source, format)
    if hasattr(reader, "load"):
        return reader.load(source)
    return reader.read(source, ReadOptions()).inputs


def format_name(source: Source, format: str | None = None) -> str:
    """The format in which `source` is read, a name of `formats()`: what is said, else found as in `read`."""
    if format is None:
        return format_of(source.path) if source.path else sniff(source.content())
    name = format.lower().lstrip(".").replace("-", "_")
    if name not in formats():
        name = _by_suffix().get(f".{name}", name)
    if name not in formats():
        raise InputError(f"there is no input format {format!r}.", did_you_mean(format, formats()))
    return name


def _reader(source: Source, format: str | None) -> Any:
    """The reader file; its module is imported here and not before."""
    return import_module(f"{__name__}.{format_name(source, format)}")


@cache
def _by_suffix() -> dict[str, str]:
    readers = {name: import_module(f"{__name__}.{name}") for name in formats()}
    return {suffix: name for name, reader in readers.items() for suffix in reader.SUFFIXES}


def _bytes_of(path: Path, name: str) -> bytes:
    from rnncli.specs import memory

    try:
        if path.stat().st_size > memory.total():
            raise MemoryError
        return path.read_bytes()
    except MemoryError:
        raise InputError(f"{name}: it does not fit in memory.", "Read a part of it, as a file.") from None
    except PermissionError:
        raise InputError(f"{name}: there is no permission to read it.", "Check its mode and owner.") from None
    except OSError as error:
        raise InputError(f"{name}: it cannot be read: {error.strerror or error}.") from None


def _near(path: Path) -> str:
    """A file of the same folder with a name like it."""
    try:
        names = sorted(entry.name for entry in path.parent.iterdir() if entry.is_file())
    except OSError:
        return f"There is no folder {path.parent} either."
    hint = did_you_mean(path.name, names)
    return hint if hint.startswith("Did") else "Check the path."
