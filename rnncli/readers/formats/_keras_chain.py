"""Check that the layers of a saved model form a chain, so that some of them can be run as a stack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rnncli.readers.refusal import RefusedError

ENTRY = "InputLayer"
DEPTH = 32
"""Maximum nesting of models."""


def demand_stack(model: Any, recurrent: Sequence[str], names: Sequence[str]) -> None:
    """Raises RefusedError if the named layers, or else all recurrent layers, cannot be run as a stack.

    A single named layer is always accepted.  Otherwise the model must be a chain and the layers must be
    consecutive; without names, they must also be the first layers of the chain.
    """
    if len(names) == 1:
        return
    chain = [layer for layer in _chain(model, 0) if layer.get("class_name") != ENTRY]
    if names:
        places = [place for place, layer in enumerate(chain) if name_of(layer) in names]
    else:
        places = [place for place, layer in enumerate(chain) if layer.get("class_name") in recurrent]
    if not places:
        return
    between = range(places[0] if names else 0, places[-1])
    for place in between:
        if place not in places:
            skipped, last = chain[place], chain[places[-1]]
            raise RefusedError(
                f"the layer {name_of(skipped)} ({skipped.get('class_name')}) comes before {name_of(last)}, "
                "which cannot be run without it"
            )


def name_of(layer: Any) -> str:
    """Return the name of a layer; older files store it only in the config."""
    inner = layer.get("config")
    return str(inner.get("name") if isinstance(inner, dict) else layer.get("name"))


def _chain(model: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Yield the layers that are not models themselves, in order from the input."""
    layers = layers_of(model)
    if layers is None:
        if isinstance(model, dict):
            yield model
        return
    if depth > DEPTH:
        raise RefusedError(f"its models are nested more than {DEPTH} deep")
    before: str | None = None
    for layer in layers:
        if not isinstance(layer, dict):
            raise RefusedError("a layer in its config is not an object")
        if "inbound_nodes" in layer:
            _demand_link(layer, before)
        before = name_of(layer) if layer.get("name") is None else str(layer["name"])
        yield from _chain(layer, depth + 1)


def layers_of(model: Any) -> list[Any] | None:
    """Return the layer configs in a model's config; None for a layer that is not a model."""
    inner = model.get("config") if isinstance(model, dict) else None
    held = inner.get("layers") if isinstance(inner, dict) else inner
    return held if isinstance(held, list) else None


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _demand_link(layer: dict[str, Any], before: str | None) -> None:
    """Raises RefusedError if a layer's only input is not the output of the layer before it.

    Applies to layers of functional models.
    """
    calls = layer["inbound_nodes"] if isinstance(layer["inbound_nodes"], list) else ()
    entered = [name for call in calls for name in _parents(call)]
    wanted = [] if before is None else [before]
    if entered != wanted or len(calls) > 1:
        raise RefusedError(f"its layers are not a chain: {name_of(layer)} has other inputs, or several uses")


def _parents(node: Any) -> Iterator[str]:
    """Yield the layers whose outputs a call takes, in Keras 3 (`keras_history`) or older files.

    Older files store `[name, 0, 0, {}]`.
    """
    if isinstance(node, dict):
        history = node.get("keras_history")
        if isinstance(history, list) and history:
            yield str(history[0])
            return
        for value in node.values():
            yield from _parents(value)
    elif isinstance(node, list):
        if len(node) >= 3 and isinstance(node[0], str) and all(isinstance(one, int) for one in node[1:3]):
            yield node[0]
            node = node[3:]
        for value in node:
            yield from _parents(value)
