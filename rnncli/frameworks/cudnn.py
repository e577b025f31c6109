"""cuDNN's layout, as Keras 2 stored CuDNNLSTM and CuDNNGRU: Keras's names, different numbers.

Each gate's kernel is stored in rows where Keras has columns, each recurrent kernel transposed, and the
bias is the input bias followed by the recurrent bias.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rnncli.errors import Message, Text
from rnncli.frameworks import GATES as GATES
from rnncli.frameworks import Chain, LayerWeights, adds_bias, infer_class, two_biases
from rnncli.frameworks.keras import ROLES, dump_legacy, group_by_path, name_paths
from rnncli.values import Array

FRAMEWORK = "cuDNN"
SUFFIXES = (".h5", ".hdf5")
CLASSES = ("LSTM", "GRU")


def from_keras(class_name: str, weights: Mapping[str, Array]) -> dict[str, Array]:
    """Return kernel, recurrent_kernel and bias, (2 * gates * units,)."""
    gates = len(GATES[class_name])
    return {
        "kernel": _each(weights["kernel"], gates, lambda gate: gate.reshape(gate.shape[::-1], order="F").T),
        "recurrent_kernel": _each(weights["recurrent_kernel"], gates, lambda gate: gate.T),
        "bias": np.concatenate(two_biases(weights["bias"])),
    }


def to_keras(class_name: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the weights of LSTM(...) or GRU(..., reset_after=True).

    The two biases of an LSTM add up; a GRU keeps two rows.
    """
    gates = len(GATES[class_name])
    bias = arrays["bias"].reshape(2, -1)
    return {
        "kernel": _each(arrays["kernel"], gates, lambda gate: gate.T.reshape(gate.shape, order="F")),
        "recurrent_kernel": _each(arrays["recurrent_kernel"], gates, lambda gate: gate.T),
        "bias": bias if class_name == "GRU" else bias[0] + bias[1],
    }


def refusal(layer: LayerWeights) -> Text | None:
    """Return why no CuDNNLSTM or CuDNNGRU has these weights or this computation; None if a layer has."""
    for cell in layer.cells:
        config = cell.config
        if cell.class_name not in CLASSES:
            return Message("it has only LSTM and GRU, not {class_name}", class_name=cell.class_name)
        if "bias" not in cell.weights:
            return Message("it has no layers with use_bias=False")
        if cell.class_name == "GRU" and not config.get("reset_after", True):
            return Message("it has no GRU with reset_after=False")
        activations = {"activation": "tanh", "recurrent_activation": "sigmoid", "cell_activation": "tanh"}
        for option, only in activations.items():
            if config.get(option, only) != only:
                return Message(
                    "cuDNN has {option}={only}, not {config}", option=option, only=only, config=config[option]
                )
    return None


def notes(chain: Chain) -> Iterator[Text]:
    """Yield a note on a bias that became two."""
    if adds_bias(chain):
        yield Message(
            "cuDNN sums two biases: a single Keras bias is stored in the first half, the second is zero"
        )


def name_arrays(chain: Chain) -> dict[str, Array]:
    """Return every array by Keras's path."""
    return name_paths(chain, from_keras)


def dump(chains: Sequence[Chain], suffix: str) -> bytes:
    """Return an HDF5 file of Keras 2."""
    return dump_legacy(chains, from_keras)


def to_plain_layout(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Return weights by Keras's names in Keras's layout; cells in cuDNN's layout are converted."""
    plain = dict(weights)
    for names in group_by_path(weights).values():
        arrays = {role: weights[name] for role, name in names.items()}
        if class_name := _recognize_class(*map(arrays.get, ROLES)):
            plain |= {names[role]: array for role, array in to_keras(class_name, arrays).items()}
    return plain


def _recognize_class(kernel: Any, recurrent: Any, bias: Any) -> str | None:
    """Return the class of a cell in cuDNN's layout, whose bias is (2 * gates * units,); None for others."""
    shapes = [None if array is None else array.shape for array in (kernel, recurrent, bias)]
    match shapes:
        case [(_, columns), (units, width), (size,)] if columns == width and size == 2 * width:
            class_name = infer_class(units, width)
            return class_name if class_name in CLASSES else None
    return None


def to_plain_layer(weights: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return the weights of a layer, of one direction or two, in Keras's layout and order."""
    size = len(ROLES)
    if len(weights) not in (size, 2 * size):
        return weights
    parts = [
        dict(zip(ROLES, weights[start : start + size], strict=True)) for start in range(0, len(weights), size)
    ]
    return tuple(array for part in parts for array in to_plain_layout(part).values())


def _each(kernel: Array, gates: int, change: Callable[[Array], Array]) -> Array:
    return np.hstack([change(gate) for gate in np.hsplit(kernel, gates)])
