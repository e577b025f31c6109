"""Recurrent layers of a file without a graph, as weights for a --layer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from rnncli.case import Array, SavedLayer
from rnncli.errors import InputError, Message, Text, did_you_mean, format_names, inside
from rnncli.models.graph import Graph, Modules, Node
from rnncli.models.modules import _keras_arrays, _modules

_PATH = re.compile(r"(\d+/)*(forward/|backward/)?(\d+/)?(kernel|recurrent_kernel|bias)")
"""The path of a weight of a --layer, which has no name."""


def to_saved_layers(found: Graph | Modules, names: Sequence[str] = ()) -> tuple[SavedLayer, ...]:
    """Return the layers in order.

    names: of the layers that are needed; none for all.
    Raises InputError for a whole model, and for a needed layer that is refused.
    """
    with inside(found.file):
        if isinstance(found, Graph):
            raise InputError("it holds a whole model.", "Run it with {--model:file}.", file=found.file)
        return tuple(_iterate_layers(found, names))


def find_layers(
    file: Text, arrays: Mapping[str, Array], names: Sequence[str], *, ordered: bool
) -> tuple[SavedLayer, ...]:
    """Return the layers among named arrays; none where all of them have the paths of a --layer's weights.

    names: of the layers to return, in this order; none for all.  ordered: whether the arrays are in the
        order of the layers.
    Raises InputError if a name is unknown, and if the order of all layers is.
    """
    found = _modules.find_modules(file, arrays)
    used = [name for name in arrays if name not in found.other_shapes]
    if not names and all(_PATH.fullmatch(name) for name in used):
        return ()
    with inside(file):
        known = {layer.name: layer for layer in _iterate_layers(found, names)}
        for name in names:
            if name not in known:
                raise InputError("there is no layer {name!r} in it.", did_you_mean(name, known), name=name)
        if not names and not ordered and len(found.modules) > 1 and not _modules.is_numbered(found.modules):
            raise InputError(
                "its layers have no order: {known}.",
                "Name the layers to use after a #, first to last: {file}#{example}",
                known=format_names(sorted(known)),
                file=file,
                example=",".join(sorted(known)[:2]),
            )
    return tuple(known[name] for name in names or known)


def to_keras_layout(saved: SavedLayer) -> SavedLayer:
    """Return a layer of Keras with its weights converted from cuDNN's layout, if they are in it."""
    module = _keras_arrays.recognize_layer(saved.name, saved.weights)
    return saved if module is None else saved._replace(weights=tuple(module.nodes[0].weights.values()))


def _iterate_layers(found: Modules, names: Sequence[str]) -> Iterator[SavedLayer]:
    for module in found.modules:
        if module.refusal and names and module.name not in names:
            continue
        if module.refusal:
            others = [node.name for one in found.modules if not one.refusal for node in one.nodes]
            choice = (
                Message(
                    "Name the others after a #: {file}#{others}", file=found.file, others=",".join(others)
                )
                if others
                else ""
            )
            raise InputError(*module.explain_refusal(choice))
        for node in module.nodes:
            yield SavedLayer(node.name, _format_title(node), tuple(node.weights.values()))


def _format_title(node: Node) -> str:
    """Return `Bidirectional(LSTM(3))`."""
    core = f"{node.core_class}({node.core_config['units']})"
    return core if node.core_class == node.class_name else f"{node.class_name}({core})"
