"""Layouts: how a framework packs the weights of recurrent layers.  One file per framework.

A layout's file has
    FRAMEWORK                           its name, as its users write it
    SUFFIXES                            the files that only this layout has, beside arrays by name
    from_keras(class_name, weights)     the arrays of one direction of one layer, from Keras's
    to_keras(class_name, arrays)        Keras's weights, bit for bit those that from_keras was given
    refusal(layer)                      why the layout cannot hold the layer, or None
    notes(chain)                        settings that the arrays do not contain
    name_arrays(chain)                  all arrays of a chain of layers, by their names in a file
    dump(chains)                        the content of a file of one of SUFFIXES; only if there are any

Keras's layout is the common one: kernel (features, gates * units), recurrent_kernel (units, gates * units),
and bias, (gates * units,) or for a GRU with reset_after (2, 3 * units).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from types import ModuleType

from rnncli.case import Array
from rnncli.errors import LayerError
from rnncli.frameworks._chain import CellWeights as CellWeights
from rnncli.frameworks._chain import Chain as Chain
from rnncli.frameworks._chain import LayerWeights as LayerWeights
from rnncli.frameworks._gates import GATES as GATES
from rnncli.frameworks._gates import infer_class as infer_class
from rnncli.frameworks._paths import default_name as default_name
from rnncli.frameworks._paths import make_unique as make_unique

LAYOUTS = {
    "cudnn": "rnncli.frameworks.cudnn",
    "keras": "rnncli.frameworks.keras",
    "onnx": "rnncli.frameworks.onnx",
    "torch": "rnncli.frameworks.torch",
}


def names() -> tuple[str, ...]:
    """Return the names of all layouts."""
    return tuple(LAYOUTS)


def get(name: str) -> ModuleType:
    """Return the module of a layout, one of `names()`."""
    return import_module(LAYOUTS[name])


def convert(name: str, chains: Sequence[Chain]) -> dict[str, Array]:
    """Return the arrays of all layers in a layout, by their names in a file.

    Raises LayerError for the first layer that the layout cannot hold, and if two arrays would get one name.
    """
    layout = get(name)
    require(name, (layer for chain in chains for layer in chain.layers))
    found: dict[str, Array] = {}
    for chain in chains:
        for key, array in layout.name_arrays(chain).items():
            if key in found:
                raise LayerError(
                    "two layers would be called {key} in {framework}'s layout.",
                    "Convert them one at a time.",
                    key=key,
                    framework=layout.FRAMEWORK,
                )
            found[key] = array
    return found


def require(name: str, layers: Iterable[LayerWeights]) -> None:
    """Raise LayerError for the first layer that a layout cannot hold."""
    layout = get(name)
    for layer in layers:
        reason = layout.refusal(layer)
        if reason:
            raise LayerError(
                "{title} cannot be converted to {framework}'s layout: {reason}.",
                "Leave this layer out, or convert to another layout; keras holds every layer.",
                title=layer.title,
                framework=layout.FRAMEWORK,
                reason=reason,
            )
