"""Weights as HDF5 files that Keras loads."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rnncli.case import Array
from rnncli.errors import EngineError, LayerError
from rnncli.frameworks._paths import Convert, default_name, directions, make_unique

if TYPE_CHECKING:
    from rnncli.frameworks import LayerWeights


def dump_legacy(layers: Sequence[LayerWeights], convert: Convert) -> bytes:
    """Return a .h5 file as Keras 2 wrote it and Keras 3 reads it: a group per layer, and their order.

    convert: of one direction.
    """
    content = io.BytesIO()
    with _library().File(content, "w") as file:
        file.attrs["layer_names"] = [_name(layer).encode() for layer in layers]
        for layer in layers:
            group, paths = file.create_group(_name(layer)), []
            for prefix, cell in directions(layer):
                for name, array in convert(cell.class_name, cell.weights).items():
                    paths.append(f"{prefix}{name}:0")
                    group.create_dataset(paths[-1], data=array)
            group.attrs["weight_names"] = [path.encode() for path in paths]
    return content.getvalue()


def dump_weights(layers: Sequence[LayerWeights]) -> bytes:
    """Return a .weights.h5 file of Keras 3, whose groups are called after the classes of the layers."""
    content, groups = io.BytesIO(), _groups(layers)
    with _library().File(content, "w") as file:
        for layer, group in zip(layers, groups, strict=True):
            for path, arrays in _cells(layer):
                variables = file.create_group(f"layers/{group}/{path}/vars")
                for number, array in enumerate(arrays):
                    variables[str(number)] = array
            file.require_group(f"layers/{group}/vars").attrs["name"] = _name(layer)
    return content.getvalue()


def _cells(layer: LayerWeights) -> Iterator[tuple[str, Sequence[Array]]]:
    """Yield the group of each cell below the layer's, and its weights in Keras's order.

    Raises LayerError for a layer of several parts.
    """
    for prefix, cell in directions(layer):
        if any("/" in name for name in cell.weights):
            raise LayerError(
                "{title}: .weights.h5 names the parts inside {class_name} by their classes, which are not "
                "known here.",
                "Write a .h5 file.",
                title=layer.title,
                class_name=cell.class_name,
            )
        yield f"{prefix.rstrip('/')}_layer/cell" if prefix else "cell", list(cell.weights.values())


def _groups(layers: Sequence[LayerWeights]) -> list[str]:
    """Return Keras's names of the groups: `lstm`, `lstm_1`, `bidirectional`."""
    return make_unique(
        default_name("Bidirectional" if len(layer.cells) > 1 else layer.cells[0].class_name)
        for layer in layers
    )


def _name(layer: LayerWeights) -> str:
    return layer.name or default_name(layer.title)


def _library() -> Any:
    try:
        import h5py
    except ImportError:
        raise EngineError(
            "h5py is not installed; it is needed to write .h5 files.", "pip install h5py"
        ) from None
    return h5py
