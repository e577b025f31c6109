"""Keras's files by the names and shapes of their weights: without a graph, or where it cannot be followed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rnncli.errors import listed
from rnncli.model import Module, Modules, Node
from rnncli.readers.models import _keras_file, _modules
from rnncli.readers.models._keras_config import Origin, origin_of

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.readers.formats import Source

SUFFIXES = (".weights.h5",)
HARD_BEFORE = (2, 3)
"""The version of Keras in which the gates of LSTM and GRU became sigmoid by default, not hard_sigmoid."""
HARD_BEFORE_TF = (2, 2, 4)
"""The same of the one in TensorFlow."""


def read(source: Source) -> Modules:
    """The recurrent layers in the file, and the shapes of its other weights.  Errors: InputError."""
    found: list[Module] = []
    others: dict[str, tuple[int, ...]] = {}
    origin, hard = origin_of(_keras_file.stored(source).version), []
    for number, (name, weights) in enumerate(_keras_file.by_layer(source)):
        module = _modules.layer_of(name, weights)
        if module is None:
            known = name or str(number)
            others.update({f"{known}/{place}": array.shape for place, array in enumerate(weights)})
            continue
        if _is_hard(origin, weights, module.nodes[0]):
            module = replace(module, nodes=tuple(map(_hard, module.nodes)))
            hard.append(module.name)
        found.append(module)
    text = origin.text if origin.version else "Keras"
    return Modules(source.name, text, tuple(found), others, tuple(_notes(found, hard, text)))


def _notes(found: Sequence[Module], hard: Sequence[str], text: str) -> Iterator[str]:
    """What the file does not say."""
    if found:
        gates = f", of {listed(hard)} clip(0.2 x + 0.5, 0, 1) as in {text}" if hard else ""
        yield f"assumed are Keras's defaults: activation tanh, gates sigmoid{gates}, directions concatenated."


def _is_hard(origin: Origin, weights: Sequence[Array], node: Node) -> bool:
    """Whether the gates were hard_sigmoid by default; cuDNN's never were."""
    before = HARD_BEFORE if origin.own_package else HARD_BEFORE_TF
    if not origin.version or origin.version >= before:
        return False
    bias = next((array for name, array in node.weights.items() if name.endswith("bias")), None)
    converted = bias is not None and len(weights) in (3, 6) and weights[2].shape != bias.shape
    two_biases = bias is not None and bias.ndim == 2  # CuDNNGRU's; GRU had no reset_after by default
    inner = node.config.get("layer") or {"class_name": node.class_name}
    return inner["class_name"] in ("LSTM", "GRU") and not converted and not two_biases


def _hard(node: Node) -> Node:
    gates = {"recurrent_activation": "hard_sigmoid_keras2"}
    if node.class_name != "Bidirectional":
        return replace(node, config={**node.config, **gates})
    layer: dict[str, Any] = node.config["layer"]
    layer = {**layer, "config": {**layer["config"], **gates}}
    return replace(node, config={**node.config, "layer": layer})
