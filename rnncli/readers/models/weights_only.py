"""Keras's files by the names and shapes of their weights: without a graph, or where it cannot be followed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.model import Modules
from rnncli.readers.formats import keras_model
from rnncli.readers.models import _modules

if TYPE_CHECKING:
    from rnncli.readers.formats import Source

SUFFIXES = (".weights.h5",)


def read(source: Source) -> Modules:
    """The recurrent layers in the file, and the shapes of its other weights.  Errors: InputError."""
    found, others = [], {}
    for number, layer in enumerate(keras_model.load(source)):
        module = _modules.layer_of(layer.name, layer.weights)
        if module is not None:
            found.append(module)
        else:
            known = f"{layer.name}/" if layer.name else f"{number}/"
            others.update({f"{known}{place}": array.shape for place, array in enumerate(layer.weights)})
    return Modules(source.name, "Keras", tuple(found), others)
