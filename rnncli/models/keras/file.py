"""The contents of a .keras or an HDF5 file: the model's config, its version, and its arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

from rnncli.errors import InputError, Message, Text, format_names, inside
from rnncli.inputs import nested, zips
from rnncli.inputs.source import KERAS_SUFFIXES, Source
from rnncli.models.keras import hdf5
from rnncli.models.keras.hdf5 import FileContents
from rnncli.process.packages import import_package
from rnncli.values import Array

ADVICE = Message("Save the whole model with model.save('model.keras').")
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
"""The files in a .keras file."""
OTHERS = {
    "data.pkl": Message("it is a PyTorch file"),
    ".npy": Message("it is an .npz file, which holds weights and no graph"),
    "saved_model.pb": Message("it is a zip file with a TensorFlow SavedModel in it"),
}
"""Other kinds of zip files, by a suffix of the files in them."""
TOO_DEEP = Message("its config is nested too deeply")
MOST_NESTED = 400
"""Models in models nest deeper than layers do; still far below Python's recursion limit."""


def read_stored(source: Source) -> FileContents:
    """Return everything in the file, the config parsed.  Raises InputError."""
    return _read(source, ADVICE, "numbers")


def read_config(source: Source) -> tuple[Any, str]:
    """Return the config and the version of Keras; the arrays are not read.  Raises InputError."""
    stored = _read(source, ADVICE, "none")
    return stored.config, stored.version


def read_arrays_by_layer(source: Source, advice: Text) -> list[tuple[str, tuple[Array, ...]]]:
    """Return each layer's name and arrays in the model's order; the graph is not followed.

    advice: what to do if the file cannot be read.  Raises InputError, also for weights that are not numbers.
    """
    stored = _read(source, advice, "all")
    if stored.layers is None:
        cells_by_layer = ((name, cells) for _, name, cells in stored.root.layers() if cells)
        return [(name, tuple(chain.from_iterable(cells.values()))) for name, cells in cells_by_layer]
    names = set(_iterate_names(stored.config))
    by_layer: dict[str, list[Array]] = {}
    for group, arrays in stored.layers.items():
        for path, array in arrays:
            parts = (part for part in path.split("/") if part in names)
            by_layer.setdefault(group if group in names else next(parts, group), []).append(array)
    return [(name, tuple(arrays)) for name, arrays in by_layer.items()]


def _read(source: Source, advice: Text, datasets: hdf5.Datasets) -> FileContents:
    data, text, version = _read_content(source, advice), None, ""
    with inside(source.name):
        if data.startswith(b"PK"):
            text, version, data = _unpack(source.name, data)
            advice = ADVICE
            if datasets == "none":
                return FileContents(_parse_config(text), version, "", hdf5.Group(), None)
        stored = hdf5.read(data, advice, datasets=datasets)
        config = _parse_config(stored.config if text is None else text)
    return stored._replace(config=config, version=stored.version or version)


def _iterate_names(config: Any) -> Iterator[str]:
    inner = config.get("config") if isinstance(config, dict) else None
    layers = inner.get("layers") if isinstance(inner, dict) else inner
    if isinstance(layers, list):
        for layer in layers:
            yield from _iterate_names(layer)
    elif isinstance(inner, dict):
        yield str(inner.get("name"))


def _parse_config(text: str | bytes | None) -> Any:
    """Parse the config; Keras writes NaN and Infinity, which JSON does not have, for such arguments."""
    if text is None:
        return None
    import json

    orjson = import_package("orjson", "JSON")
    try:
        try:
            config = orjson.loads(text)
        except orjson.JSONDecodeError:
            config = json.loads(text)
        fault = TOO_DEEP if nested.is_too_deep(config, MOST_NESTED) else None
    except ValueError:
        fault = Message("its config is not JSON")
    except RecursionError:
        fault = TOO_DEEP
    if fault:
        raise InputError("{fault}.", "Save the model again.", fault=fault)
    return config


def _unpack(file: Text, data: bytes) -> tuple[bytes, str, bytes]:
    broken = Message("it is not a Keras file, or it is damaged")
    with zips.open_archive(data, broken, ADVICE) as archive:
        names = archive.namelist()
        if not {CONFIG, WEIGHTS} <= set(names):
            raise InputError("{other}.", _advise_inner(file, names) or ADVICE, other=_describe_other(names))
        zips.require_room(archive, len(data), ADVICE, (CONFIG, WEIGHTS))
        return archive.read(CONFIG), _read_version(archive), archive.read(WEIGHTS)


def _read_version(archive: zipfile.ZipFile) -> str:
    with suppress(Exception):  # zipfile and zlib raise many types of exception for broken files
        zips.require_room(archive, 0, ADVICE, ["metadata.json"])
        metadata = import_package("orjson", "JSON").loads(archive.read("metadata.json"))
        return str(metadata.get("keras_version") or "")
    return ""


def _read_content(source: Source, advice: Text) -> bytes:
    """Return the bytes of the file, or of a file inside a zip: `outer.zip!inner.keras`."""
    path = source.path
    if source.data is not None or path is None or path.exists() or "!" not in str(path):
        return source.content(advice)
    outer, _, inner = str(path).partition("!")
    data = Source(outer, path=type(path)(outer)).content(ADVICE)
    with (
        inside(outer),
        zips.open_archive(data, Message("it is not a zip file, or damaged"), ADVICE) as archive,
    ):
        names = archive.namelist()
        if inner not in names:
            raise InputError("there is no file {inner} in it.", _advise_inner(outer, names), inner=inner)
        zips.require_room(archive, len(data), ADVICE, [inner])
        return archive.read(inner)


def _describe_other(names: list[str]) -> Text:
    for suffix, description in OTHERS.items():
        if any(name.endswith(suffix) for name in names):
            return description
    if missing := [name for name in (CONFIG, WEIGHTS) if {CONFIG, WEIGHTS} & {*names} and name not in names]:
        return Message("there is no {missing} in it", missing=missing[0])
    return Message("it is a zip file, but not a Keras model")


def _advise_inner(file: Text, names: list[str]) -> Text:
    weights = [name for name in names if name.endswith(WEIGHTS)]
    models = [name for name in names if name.endswith(KERAS_SUFFIXES) and not name.endswith(".weights.h5")]
    if models:
        text = "It holds {models}; give {--model} '{file}!{first}', or unpack it."
        return Message(text, models=format_names(models), file=file, first=models[0])
    if folders := [folder for name in weights if (folder := name.rpartition("/")[0])]:
        folder = min(folders)
        return Message(
            "{folder} in it is an unpacked .keras file; zip what is in that folder.", folder=folder
        )
    return ""
