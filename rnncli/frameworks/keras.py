"""Keras's own layout: `lstm/kernel`, `bi/backward/bias`.

A .h5 file is what `model.load_weights` reads; a .weights.h5 file is Keras 3's form of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rnncli.case import Array
from rnncli.frameworks import Chain, LayerWeights
from rnncli.frameworks._hdf5 import dump_legacy, dump_weights
from rnncli.frameworks._paths import convert_chain

FRAMEWORK = "Keras"
SUFFIXES = (".weights.h5", ".h5", ".hdf5")


def from_keras(class_name: str, weights: Mapping[str, Array]) -> dict[str, Array]:
    """Return the weights unchanged."""
    return dict(weights)


def to_keras(class_name: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays unchanged."""
    return dict(arrays)


def refusal(layer: LayerWeights) -> str | None:
    """Return None: Keras's layout holds every layer."""
    return None


def notes(chain: Chain) -> Iterator[str]:
    """Yield nothing."""
    return iter(())


def name_arrays(chain: Chain) -> dict[str, Array]:
    """Return every weight by its path."""
    return convert_chain(chain, from_keras)


def dump(chains: Sequence[Chain], suffix: str) -> bytes:
    """Return an HDF5 file."""
    layers = [layer for chain in chains for layer in chain.layers]
    return dump_weights(layers) if suffix == ".weights.h5" else dump_legacy(layers, from_keras)
