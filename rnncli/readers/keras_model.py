"""Keras's own files, .keras, .weights.h5 and .h5, read without TensorFlow: weights, and layer configs."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from rnncli.errors import InputError
from rnncli.readers._packages import needed

if TYPE_CHECKING:
    from rnncli.case import Array, Document
    from rnncli.readers import ReadOptions, Source

SUFFIXES = (".keras", ".h5", ".hdf5")
ADVICE = "Write it with model.save or model.save_weights."
RECURRENT = frozenset(
    {"SimpleRNN", "LSTM", "GRU", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"}
)
VARIABLES = ("kernel", "recurrent_kernel", "bias")
DIRECTIONS = ("forward", "backward")
CELL = "cell/vars"

Weights = dict[str, "Array"]


def read(source: Source, options: ReadOptions) -> Document:  # noqa: ARG001 - the contract of readers
    """Always an error: a model has no inputs."""
    raise InputError(
        f"{source.name}: a saved model has weights and no inputs.", f"Use --weights {source.name}."
    )


def load(source: Source) -> Weights:
    """The weights of the recurrent layers: `kernel`, `forward/kernel`; of several `0/kernel`, `1/kernel`."""
    with _opened(source) as (file, _):
        legacy = file.get("model_weights", file)
        found = _legacy(legacy) if "layer_names" in legacy.attrs else _current(file)
    if not found:
        raise InputError(
            f"{source.name}: no recurrent layer was found in it.", "Save a model with SimpleRNN, LSTM or GRU."
        )
    if len(found) == 1:
        return found[0]
    return {f"{index}/{path}": array for index, layer in enumerate(found) for path, array in layer.items()}


def layers(source: Source) -> list[dict[str, Any]]:
    """The Keras configs of the recurrent layers, in the model's order; of models inside it too."""
    orjson = needed("orjson", "JSON")
    with _opened(source) as (file, config):
        text = config or file.attrs.get("model_config")
    if text is None:
        raise InputError(f"{source.name}: it holds weights and no config.", "Save the model as .keras.")
    try:
        return list(_recurrent(orjson.loads(text)))
    except orjson.JSONDecodeError:
        raise InputError(f"{source.name}: its config is not JSON.", "Save the model again.") from None


def _recurrent(config: Any) -> Iterator[dict[str, Any]]:
    if not isinstance(config, dict):
        return
    if config.get("class_name") in RECURRENT:
        yield config
        return
    inner = config.get("config")
    held = inner.get("layers", ()) if isinstance(inner, dict) else inner
    for layer in held if isinstance(held, list) else ():
        yield from _recurrent(layer)


@contextmanager
def _opened(source: Source) -> Iterator[tuple[Any, bytes | None]]:
    """The HDF5 file, and config.json where there is one."""
    h5py = needed("h5py", "Keras's files")
    data, config = source.content(ADVICE), None
    try:
        if data.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                config = archive.read("config.json")
                data = archive.read("model.weights.h5")
        with h5py.File(io.BytesIO(data), "r") as file:
            yield file, config
    except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        _raise_broken(source, error)


def _raise_broken(source: Source, error: Exception) -> NoReturn:
    missing = isinstance(error, KeyError) and "archive" in str(error)
    reason = "it is a zip file, but no Keras model" if missing else "it is no Keras file, or cut short"
    raise InputError(f"{source.name}: {reason}.", ADVICE) from None


def _current(file: Any) -> list[Weights]:
    """Keras 3: `layers/lstm/cell/vars/0`.  Names are sorted there; addresses are in the model's order."""
    import h5py

    cells: list[str] = []
    file.visit(lambda path: cells.append(path) if path == CELL or path.endswith(f"/{CELL}") else None)
    found: dict[str, Weights] = {}
    for path in sorted(cells, key=lambda path: _address(h5py, file[path])):
        owner, direction = _owner(path.removesuffix(CELL).rstrip("/"))
        group = file[path]
        for name, number in zip(VARIABLES, ("0", "1", "2"), strict=True):
            if number in group:
                found.setdefault(owner, {})[f"{direction}{name}"] = np.asarray(group[number])
    return [_forward_first(layer) for layer in found.values()]


def _address(h5py: Any, group: Any) -> int:
    return int(h5py.h5o.get_info(group.id).addr)


def _owner(path: str) -> tuple[str, str]:
    """`layers/bidirectional/forward_layer` -> (`layers/bidirectional`, `forward/`)."""
    parent, _, last = path.rpartition("/")
    for direction in DIRECTIONS:
        if last == f"{direction}_layer":
            return parent, f"{direction}/"
    return path, ""


def _forward_first(layer: Weights) -> Weights:
    return {path: layer[path] for path in sorted(layer, key=lambda path: path.startswith("backward/"))}


def _legacy(root: Any) -> list[Weights]:
    """The older HDF5 form: `lstm/lstm/lstm_cell/kernel:0`, with the order of layers in an attribute."""
    found: list[Weights] = []
    for layer in map(_text, root.attrs["layer_names"]):
        paths = [_text(path) for path in root[layer].attrs["weight_names"]]
        cells: dict[str, Weights] = {}
        for path in paths:
            cell, _, name = path.rpartition("/")
            if name.split(":")[0] in VARIABLES:
                cells.setdefault(cell, {})[name.split(":")[0]] = np.asarray(root[layer][path])
        recurrent = {cell: arrays for cell, arrays in cells.items() if "recurrent_kernel" in arrays}
        found += _paired(recurrent)
    return found


def _paired(cells: dict[str, Weights]) -> list[Weights]:
    """`.../forward_lstm/lstm_cell` and `.../backward_lstm/lstm_cell` are one Bidirectional."""
    found: list[Weights] = []
    for cell, arrays in cells.items():
        other = _swapped(cell, "forward_", "backward_")
        if other in cells:
            both = zip(DIRECTIONS, (arrays, cells[other]), strict=True)
            found.append({f"{side}/{name}": array for side, part in both for name, array in part.items()})
        elif _swapped(cell, "backward_", "forward_") not in cells:
            found.append(arrays)
    return found


def _swapped(cell: str, old: str, new: str) -> str:
    head, found, tail = cell.rpartition(f"/{old}")
    return f"{head}/{new}{tail}" if found else ""


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
