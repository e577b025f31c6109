"""What stands in a .keras or an HDF5 file: the model's config, its version, and its arrays."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from rnncli.errors import InputError, format_names
from rnncli.readers import hdf5, zips
from rnncli.readers.formats import Source
from rnncli.readers.packages import import_package
from rnncli.readers.refusal import RefusedError
from rnncli.specs import nested

if TYPE_CHECKING:
    from rnncli.case import Array

SUFFIXES = (".keras", ".h5", ".hdf5")
ADVICE = "Save the whole model with model.save('model.keras')."
MOST_NESTED = 400
"""Models in models nest deeper than layers do; still far below Python's recursion limit."""


@dataclass
class Group:
    """One group of a .keras file: what one layer, or a part of it, keeps.

    name: the layer's own name, where the file says it (Keras 3.6 and later).
    arrays: by their numbers.
    """

    name: str | None = None
    arrays: list[tuple[str, Array]] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict)


class KerasFile(NamedTuple):
    """All that a reader needs of a file.

    config: of the model; None where the file holds only weights.
    version, backend: of Keras as the file says it; "" where it does not.
    root: the groups of a .keras file.
    layers: by the names of layers, and in the order of Keras, in a legacy HDF5 file; else None.
    """

    config: Any
    version: str
    backend: str
    root: Group
    layers: Mapping[str, list[tuple[str, Array]]] | None


def read_stored(source: Source) -> KerasFile:
    """Read everything in the file.  Raises InputError."""
    data, text, version = _content(source), None, ""
    if data.startswith(b"PK"):
        version = _metadata(source, data)
        text, data = _unpack(data, source.name)
    held = hdf5.read_all(data, source.name, ADVICE)
    config = _parse_config(source, held.config if text is None else text)
    version, backend = held.notes["version"] or version, held.notes["backend"]
    if not held.notes["legacy"]:
        return KerasFile(config, version, backend, _tree(held), None)
    layers: dict[str, list[tuple[str, Array]]] = {}
    for weight in held.weights:
        layers.setdefault(weight.layer, []).append((weight.path, weight.array))
    return KerasFile(config, version, backend, Group(), layers)


def read_config(source: Source) -> tuple[Any, str]:
    """Return the config and the version of Keras, without reading the arrays.  Raises InputError."""
    data = _content(source)
    if data.startswith(b"PK"):
        version = _metadata(source, data)
        return _parse_config(source, _unpack(data, source.name)[0]), version
    held = hdf5.read_config(data, source.name, ADVICE)
    return _parse_config(source, held.config), held.notes["version"]


def read_arrays_by_layer(source: Source, advice: str) -> list[tuple[str, tuple[Array, ...]]]:
    """Return each layer's name and arrays, for a file whose graph is not followed.  Raises InputError.

    advice: on a file that cannot be read.
    """
    data, text = _content(source, advice), None
    if data.startswith(b"PK"):
        text, data = _unpack(data, source.name)
        advice = ADVICE
    held = hdf5.read(data, source.name, advice)
    return held.layers(set(_names(_parse_config(source, held.config if text is None else text))))


def _names(config: Any) -> Iterator[str]:
    """Yield the names of all layers that are not models themselves."""
    inner = config.get("config") if isinstance(config, dict) else None
    layers = inner.get("layers") if isinstance(inner, dict) else inner
    if isinstance(layers, list):
        for layer in layers:
            yield from _names(layer)
    elif isinstance(inner, dict):
        yield str(inner.get("name"))


def _parse_config(source: Source, text: str | bytes | None) -> Any:
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
        fault = "nested too deeply" if nested.is_too_deep(config, MOST_NESTED) else None
    except ValueError:
        fault = "not JSON"
    except RecursionError:
        fault = "nested too deeply"
    if fault:
        raise InputError(f"{source.name}: its config is {fault}.", "Save the model again.")
    return config


def _unpack(data: bytes, name: str) -> tuple[bytes, bytes]:
    """Return config.json and the HDF5 file of a .keras file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            zips.demand_room(archive, len(data), ("config.json", "model.weights.h5"))
            return archive.read("config.json"), archive.read("model.weights.h5")
    except RefusedError as error:
        raise InputError(f"{name}: {error}.", ADVICE) from None
    except KeyError:
        raise InputError(f"{name}: it is a zip file, but not a Keras model.", ADVICE) from None
    except Exception:  # zipfile and zlib raise many kinds for broken files
        raise InputError(f"{name}: it is not a Keras file, or it is damaged.", ADVICE) from None


def _tree(held: hdf5.FileContents) -> Group:
    """Return the nested groups."""
    root = Group()
    for path, name in held.notes["names"].items():
        _at(root, path).name = name
    for weight in held.weights:
        _at(root, weight.layer).arrays.append((weight.path, weight.array))
    return root


def _at(root: Group, path: str) -> Group:
    for name in filter(None, path.split("/")):
        root = root.groups.setdefault(name, Group())
    return root


def _content(source: Source, advice: str = ADVICE) -> bytes:
    """Return the bytes of the file, or of a file inside a zip: `outer.zip!inner.keras`."""
    path = source.path
    if path is not None and path.is_dir() and (path / "saved_model.pb").exists():
        raise InputError(f"{source.name}: it is a TensorFlow SavedModel, a folder.", ADVICE)
    if source.data is not None or path is None or path.exists() or "!" not in str(path):
        return source.content(advice)
    outer, _, inner = str(path).partition("!")
    held = Source(outer, path=type(path)(outer)).content(ADVICE)
    try:
        with zipfile.ZipFile(io.BytesIO(held)) as archive:
            zips.demand_room(archive, len(held), [inner])
            return archive.read(inner)
    except RefusedError as error:
        raise InputError(f"{outer}: {error}.", ADVICE) from None
    except KeyError:
        raise InputError(f"{outer}: there is no file {inner} in it.", _inside(outer, held)) from None
    except Exception:  # zipfile and zlib raise many kinds for broken files
        raise InputError(f"{outer}: it is not a zip file, or damaged.", ADVICE) from None


def _metadata(source: Source, data: bytes) -> str:
    """Return the version that saved a .keras file.  Raises InputError for another zip file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if "config.json" not in names or "model.weights.h5" not in names:
                _raise_other(source, data, names)
            zips.demand_room(archive, 0, ["metadata.json"])
            found = import_package("orjson", "JSON").loads(archive.read("metadata.json"))
    except InputError:
        raise
    except Exception:  # zipfile and zlib raise many kinds for broken files
        return ""
    return str(found.get("keras_version") or "") if isinstance(found, dict) else ""


def _raise_other(source: Source, data: bytes, names: list[str]) -> NoReturn:
    if any(name.endswith("data.pkl") for name in names):
        what = "it is a PyTorch file"
    elif any(name.endswith((".npy",)) for name in names):
        what = "it is an .npz file, which holds weights and no graph"
    elif any(name.endswith("saved_model.pb") for name in names):
        what = "it is a zip file with a TensorFlow SavedModel in it"
    else:
        what = "it is a zip file, but not a Keras model"
    raise InputError(f"{source.name}: {what}.", _inside(source.name, data) or ADVICE)


def _inside(name: str, data: bytes) -> str:
    """Return advice on how to name the models in a zip file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        found = [item for item in archive.namelist() if item.endswith(SUFFIXES)]
    folders = {item.rpartition("/")[0] for item in found if item.endswith("model.weights.h5")}
    found = [item for item in found if not item.endswith(".weights.h5")]
    if found:
        return f"It holds {format_names(found)}; give --model '{name}!{found[0]}', or unpack it."
    if folders:
        return f"{sorted(folders)[0]} in it is an unpacked .keras file; zip what is in that folder."
    return ""
