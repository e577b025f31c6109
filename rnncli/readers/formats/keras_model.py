"""Keras files (.keras, .weights.h5 and .h5): weights and layer configs, read without TensorFlow."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rnncli.case import Array, Document, SavedLayer
from rnncli.errors import InputError, did_you_mean
from rnncli.layers import recurrent
from rnncli.readers import hdf5, zips
from rnncli.readers.formats import _keras_chain
from rnncli.readers.packages import import_package
from rnncli.readers.refusal import RefusedError
from rnncli.specs import nested

if TYPE_CHECKING:
    from rnncli.readers.formats import ReadOptions, Source

SUFFIXES = (".keras", ".h5", ".hdf5")
ADVICE = "Write it with model.save or model.save_weights."
PLAIN = {1: "SimpleRNN", 3: "GRU", 4: "LSTM"}


def read(source: Source, options: ReadOptions) -> Document:  # noqa: ARG001 - all readers take options
    """Always raises InputError, since a saved model contains no inputs."""
    raise InputError(
        f"{source.name}: a saved model contains weights, not inputs.", f"Use --weights {source.name}."
    )


def load(source: Source) -> tuple[SavedLayer, ...]:
    """Return every layer that has weights, including those of nested models, in the model's order.

    Raises InputError if there is none.
    """
    config, held = _read_contents(source, numbers=True)
    configs = {_name(leaf): leaf for leaf in _leaves(config)}
    found = tuple(
        SavedLayer(name, _title(configs.get(name), arrays), arrays)
        for name, arrays in _by_layer(held.weights, configs)
    )
    if not found:
        raise InputError(
            f"{source.name}: it contains no layer with weights.", "Build the model, and save it again."
        )
    return found


def layers(source: Source, names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the Keras configs of the named layers, or of all recurrent layers, in the model's order.

    Raises InputError if the file has no config, if a name is unknown, if there are no recurrent layers, or
    if the layers cannot be run as a stack.
    """
    config, _ = _read_contents(source, numbers=False)
    if config is None:
        raise InputError(f"{source.name}: it contains weights but no config.", "Save the model as .keras.")
    known = {_name(leaf): leaf for leaf in _leaves(config)}
    for name in names:
        if name not in known:
            raise InputError(f"{source.name}: there is no layer {name!r} in it.", did_you_mean(name, known))
    try:
        _keras_chain.demand_stack(config, recurrent(), names)
    except RefusedError as error:
        first = next((name for name, leaf in known.items() if _kind(leaf) in recurrent()), "LAYER")
        advice = f"Name one layer to be run alone behind a #: @{source.name}#{first}."
        raise InputError(f"{source.name}: {error}.", advice) from None
    if names:
        return [leaf for name, leaf in known.items() if name in names]
    found = [leaf for leaf in known.values() if _kind(leaf) in recurrent()]
    if not found:
        raise InputError(f"{source.name}: it contains no recurrent layer.", did_you_mean("", known))
    return found


def left_out(source: Source) -> list[str]:
    """Return the layers that `layers` skips if none are named, such as `Dense(1)`; InputLayer is omitted."""
    leaves = list(_leaves(_read_contents(source, numbers=False)[0]))
    kept = (*recurrent(), "InputLayer")
    return [_title(leaf, ()).removesuffix("()") for leaf in leaves if _kind(leaf) not in kept]


def config(source: Source, text: str | bytes | None) -> Any:
    """The model's config, of config.json or of the older form's attribute; None where there is none."""
    orjson = import_package("orjson", "JSON")
    try:
        config = None if text is None else orjson.loads(text)
    except orjson.JSONDecodeError as error:
        fault = "nested too deeply" if "depth" in error.msg else "not JSON"
        raise InputError(f"{source.name}: its config is {fault}.", "Save the model again.") from None
    if nested.is_too_deep(config):
        raise InputError(f"{source.name}: its config is nested too deeply.", "Save the model again.")
    return config


def _leaves(config: Any) -> Iterator[dict[str, Any]]:
    """Yield the configs of all layers that are not models themselves."""
    if not isinstance(config, dict):
        return
    held = _keras_chain.layers_of(config)
    if held is None:
        yield config
        return
    for layer in held:
        yield from _leaves(layer)


def _name(config: dict[str, Any]) -> str:
    return _keras_chain.name_of(config)


def _kind(config: dict[str, Any]) -> str:
    return str(config.get("class_name"))


def _title(config: Any, arrays: tuple[Array, ...]) -> str:
    """Return a title such as `Bidirectional(GRU(2))`.

    Without a config, a plain recurrent layer is recognized by the shape of its recurrent kernel; for any
    other layer the title lists the shapes of its weights.
    """
    if isinstance(config, dict) and isinstance(config.get("config"), dict):
        inner = config["config"]
        held = [inner[key] for key in ("layer", "cell") if isinstance(inner.get(key), dict)]
        held += inner["cells"] if isinstance(inner.get("cells"), list) else ()
        sizes = [inner[key] for key in ("units", "filters", "output_dim") if key in inner]
        inside = [_title(part, ()) for part in held] or list(map(str, sizes))
        return f"{config.get('class_name')}({', '.join(inside)})"
    if len(arrays) in (2, 3) and arrays[0].ndim == arrays[1].ndim == 2:
        units, wide = arrays[1].shape
        if wide in {units * gates for gates in PLAIN}:
            return f"{PLAIN[wide // units]}({units})"
    return " ".join(str(array.shape) for array in arrays)


def _read_contents(source: Source, *, numbers: bool) -> tuple[Any, hdf5.FileContents]:
    """Return the model's config (None if there is none) and the contents of the HDF5 file."""
    import_package("h5py", "Keras's files")
    data, text = source.content(ADVICE), None
    if data.startswith(b"PK"):
        text, data = unpack(data, source.name)
    if text is not None and not numbers:
        return config(source, text), hdf5.FileContents(None, ())
    held = hdf5.read(data, source.name, ADVICE, numbers=numbers)
    return config(source, held.config if text is None else text), held


def unpack(data: bytes, name: str) -> tuple[bytes, bytes]:
    """config.json and the HDF5 file of a .keras file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            zips.demand_room(archive, len(data), ("config.json", "model.weights.h5"))
            return archive.read("config.json"), archive.read("model.weights.h5")
    except RefusedError as error:
        raise InputError(f"{name}: {error}.", ADVICE) from None
    except KeyError:
        raise InputError(f"{name}: it is a zip file, but not a Keras model.", ADVICE) from None
    except Exception:  # zipfile and zlib raise many types of exception for broken files
        raise InputError(f"{name}: it is not a Keras file, or it is damaged.", ADVICE) from None


def _by_layer(weights: Sequence[hdf5.Weight], configs: dict[str, Any]) -> list[tuple[str, tuple[Array, ...]]]:
    """Group the weights by layer; return each layer's name and weights."""
    found: dict[tuple[int, str], list[Array]] = {}
    for place, layer, path, array in weights:
        found.setdefault((place, _owner(layer, path, configs)), []).append(array)
    return [(name, tuple(arrays)) for (_, name), arrays in found.items()]


def _owner(group: str, path: str, configs: dict[str, Any]) -> str:
    """Return the layer that a weight belongs to: its group, or the layer inside it if that is a model."""
    return group if group in configs else next((part for part in path.split("/") if part in configs), group)
