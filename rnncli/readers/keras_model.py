"""Keras's own files, .keras, .weights.h5 and .h5, read without TensorFlow: weights, and layer configs."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from rnncli import nested
from rnncli.case import SavedLayer
from rnncli.errors import InputError, did_you_mean
from rnncli.layers import recurrent
from rnncli.readers._packages import needed

if TYPE_CHECKING:
    from rnncli.case import Array, Document
    from rnncli.readers import ReadOptions, Source

SUFFIXES = (".keras", ".h5", ".hdf5")
ADVICE = "Write it with model.save or model.save_weights."
PARTS = frozenset({"vars", "cell", "cells", "layer", "forward_layer", "backward_layer"})
"""The groups of which one layer consists."""

SEEDS = frozenset({"seed_generator", "generator"})
PLAIN = {1: "SimpleRNN", 3: "GRU", 4: "LSTM"}


def read(source: Source, options: ReadOptions) -> Document:  # noqa: ARG001 - the contract of readers
    """Always an error: a model has no inputs."""
    raise InputError(
        f"{source.name}: a saved model has weights and no inputs.", f"Use --weights {source.name}."
    )


def load(source: Source) -> tuple[SavedLayer, ...]:
    """Every layer that has weights, in the model's order; of models inside it too."""
    with _opened(source) as (file, text):
        configs = {_name(config): config for config in _leaves(_config(source, file, text))}
        legacy = file.get("model_weights", file)
        held = _legacy(legacy, configs) if "layer_names" in legacy.attrs else _current(file)
        found = tuple(SavedLayer(name, _title(configs.get(name), arrays), arrays) for name, arrays in held)
    if not found:
        raise InputError(
            f"{source.name}: no layer with weights is in it.", "Build the model, and save it again."
        )
    return found


def layers(source: Source, names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The Keras configs of the layers called so, else of the recurrent ones, in the model's order."""
    with _opened(source) as (file, text):
        config = _config(source, file, text)
    if config is None:
        raise InputError(f"{source.name}: it holds weights and no config.", "Save the model as .keras.")
    known = {_name(leaf): leaf for leaf in _leaves(config)}
    for name in names:
        if name not in known:
            raise InputError(f"{source.name}: there is no layer {name!r} in it.", did_you_mean(name, known))
    if names:
        return [leaf for name, leaf in known.items() if name in names]
    return [leaf for leaf in known.values() if leaf.get("class_name") in recurrent()]


def left_out(source: Source) -> list[str]:
    """What `layers` leaves out where none are named: the others that compute something, `Dense(1)`."""
    with _opened(source) as (file, text):
        leaves = list(_leaves(_config(source, file, text)))
    kept = (*recurrent(), "InputLayer")
    return [_title(leaf, ()).removesuffix("()") for leaf in leaves if leaf.get("class_name") not in kept]


def _config(source: Source, file: Any, text: bytes | None) -> Any:
    """The model's config, of config.json or of the older form's attribute; None where there is none."""
    text = text or file.attrs.get("model_config")
    orjson = needed("orjson", "JSON")
    try:
        config = None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError as error:
        fault = "nested too deep" if "depth" in error.msg else "not JSON"
        raise InputError(f"{source.name}: its config is {fault}.", "Save the model again.") from None
    if nested.is_too_deep(config):
        raise InputError(f"{source.name}: its config is nested too deep.", "Save the model again.")
    return config


def _leaves(config: Any) -> Iterator[dict[str, Any]]:
    """The configs of all layers that are no models themselves."""
    if not isinstance(config, dict):
        return
    inner = config.get("config")
    held = inner.get("layers") if isinstance(inner, dict) else inner
    if not isinstance(held, list):
        yield config
        return
    for layer in held:
        yield from _leaves(layer)


def _name(config: dict[str, Any]) -> str:
    inner = config.get("config")
    return str(inner.get("name") if isinstance(inner, dict) else config.get("name"))


def _title(config: Any, arrays: tuple[Array, ...]) -> str:
    """`Bidirectional(GRU(2))`; without a config a plain recurrent layer shows by its square of gates."""
    if isinstance(config, dict) and isinstance(config.get("config"), dict):
        inner = config["config"]
        held = [inner[key] for key in ("layer", "cell") if isinstance(inner.get(key), dict)]
        held += inner.get("cells") or ()
        sizes = [inner[key] for key in ("units", "filters", "output_dim") if key in inner]
        inside = [_title(part, ()) for part in held] or list(map(str, sizes))
        return f"{config.get('class_name')}({', '.join(inside)})"
    if len(arrays) in (2, 3) and arrays[0].ndim == arrays[1].ndim == 2:
        units, wide = arrays[1].shape
        if wide in {units * gates for gates in PLAIN}:
            return f"{PLAIN[wide // units]}({units})"
    return " ".join(str(array.shape) for array in arrays)


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


def _current(file: Any) -> list[tuple[str, tuple[Array, ...]]]:
    """Keras 3: `layers/lstm/cell/vars/0`.  Names are sorted there; addresses are in the model's order."""
    found = ((_shown_name(group), tuple(_arrays(group))) for group in _layer_groups(file))
    return [(name, arrays) for name, arrays in found if arrays]


def _layer_groups(group: Any) -> Iterator[Any]:
    """The groups of one layer each; a group with other parts than a layer's is a model."""
    children = _children(group)
    if "layers" in children:
        children = {"layers": children["layers"]}
    inside = [name for name in children if name not in PARTS | SEEDS | {"optimizer"}]
    if not inside:
        yield group
    for name in inside:
        yield from _layer_groups(children[name])


def _arrays(group: Any) -> Iterator[Array]:
    """The weights in Keras's order: its own, then its parts', forward before backward."""
    children = _children(group)
    own = children.pop("vars", {})
    yield from (np.asarray(own[number]) for number in sorted(own, key=int))
    for name in sorted(children, key="backward_layer".__eq__):
        if name not in SEEDS:
            yield from _arrays(children[name])


def _children(group: Any) -> dict[str, Any]:
    """The groups in a group, in the order in which they were written."""
    h5py = needed("h5py", "Keras's files")
    found = {name: child for name, child in group.items() if isinstance(child, h5py.Group)}
    return dict(sorted(found.items(), key=lambda item: int(h5py.h5o.get_info(item[1].id).addr)))


def _shown_name(group: Any) -> str:
    """As the script says it; older files have only the class, `lstm_1`."""
    own = group.get("vars")
    name = None if own is None else own.attrs.get("name")
    return str(group.name).rpartition("/")[2] if name is None else _text(name)


def _legacy(root: Any, configs: dict[str, Any]) -> list[tuple[str, tuple[Array, ...]]]:
    """The older HDF5 form: `lstm/lstm/lstm_cell/kernel:0`, with the order of layers in an attribute."""
    found: dict[str, list[Array]] = {}
    for group in map(_text, root.attrs["layer_names"]):
        for path in map(_text, root[group].attrs["weight_names"]):
            if not SEEDS & set(path.split("/")):
                found.setdefault(_owner(group, path, configs), []).append(np.asarray(root[group][path]))
    return [(name, tuple(arrays)) for name, arrays in found.items()]


def _owner(group: str, path: str, configs: dict[str, Any]) -> str:
    """The layer that a weight belongs to: the group, or where that is a model the layer inside it."""
    return group if group in configs else next((part for part in path.split("/") if part in configs), group)


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
