"""The layers that a Keras object holds, with the names that they have in answers."""

from __future__ import annotations

import inspect
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import FunctionType
from typing import Any, NamedTuple

from rnncli.frameworks import default_name
from rnncli.models.live.keras_layers import is_recurrent
from rnncli.models.live.recording import PLAIN, refuse_at, without_use

_TRACKED = ("_layers", "_functional", "_modules")
"""Attributes in which Keras keeps layers that have another attribute, too."""


class Held(NamedTuple):
    """A layer that an object holds.

    name: as in a saved model, `inside/deep`; the name of its attribute, if Keras numbered the layer.
    path: of its attribute, `block.encoder`; "" for the object itself.  owners: the layers around it.
    """

    layer: Any
    name: str
    path: str
    owners: tuple[Any, ...] = ()

    @property
    def is_outermost(self) -> bool:
        """Whether it is a recurrent layer, or a cell, outside of any other recurrent layer."""
        return is_recurrent(self.layer) and not any(map(is_recurrent, self.owners))

    @property
    def is_built(self) -> bool:
        """Whether the layer has its weights."""
        return bool(self.layer.built or self.layer.weights)


def find_layers(model: Any) -> list[Held]:
    """Return every layer that the object holds, itself first: by attributes, lists, dicts and closures.

    Layers with the same name are called by the paths of their attributes.
    """
    root = Held(model, _name(model, default_name(type(model).__name__)), "")
    layers, waiting, seen = [root], deque([root]), {id(model)}
    while waiting:
        above = waiting.popleft()
        for attribute, layer in _children(above.layer):
            if id(layer) not in seen:
                seen.add(id(layer))
                name, path = _name(layer, attribute), attribute
                if above is not root:
                    name, path = f"{above.name}/{name}", f"{above.path}.{path}"
                layers.append(Held(layer, name, path, (*above.owners, above.layer)))
                waiting.append(layers[-1])
    uses = Counter(layer.name for layer in layers)
    return [
        layer._replace(name=layer.path) if uses[layer.name] > 1 and layer.path else layer for layer in layers
    ]


def _name(layer: Any, attribute: str) -> str:
    """Return the name of a layer; the attribute's, if Keras numbered the layer."""
    automatic = rf"{re.escape(default_name(type(layer).__name__))}(_\d+)?"
    return attribute if re.fullmatch(automatic, layer.name) else str(layer.name)


def _children(layer: Any) -> Iterator[tuple[str, Any]]:
    import keras

    if isinstance(layer, (keras.Function, keras.Sequential)):
        yield from ((inner.name, inner) for inner in layer.layers)
    attributes = {**vars(layer), **vars(layer).get("_modules", {})}  # on PyTorch, layers stand in `_modules`
    for name, value in attributes.items():
        if name not in _TRACKED and not name.startswith("_self_"):
            yield from _layers_in(name, value)
    yield from ((inner.name, inner) for inner in vars(layer).get("_layers", ()))


def _layers_in(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    import keras

    items: Iterable[tuple[str, Any]] = ()
    if isinstance(value, keras.Layer):
        yield path, value
    elif isinstance(value, Mapping):
        items = ((f"{path}.{key}", item) for key, item in value.items())
    elif isinstance(value, (list, tuple, set, deque)):
        items = ((f"{path}.{index}", item) for index, item in enumerate(value))
    elif isinstance(value, FunctionType) and not value.__module__.startswith("keras."):
        variables = inspect.getclosurevars(value)
        items = {**variables.globals, **variables.nonlocals}.items()
        items = ((name, item) for name, item in items if isinstance(item, (keras.Layer, list, tuple, dict)))
    for name, item in items:
        if not isinstance(item, PLAIN):
            yield from _layers_in(name, item)


def choose_targets(layers: Sequence[Held], at: str | None) -> list[Held]:
    """Return the layers to record: all recurrent ones, or what `at` names.  Raises UsageError without one."""
    targets = [target for target in layers if is_recurrent(target.layer)]
    if at is None:
        return targets
    name = without_use(at)
    inside = [
        target
        for target in targets
        if f"{target.name}/".startswith(f"{name}/") or f"{target.path}.".startswith(f"{name}.")
    ]
    chosen = inside or [layer for layer in layers if name in (layer.name, layer.path)]
    if not chosen:
        names = [target.name for target in targets if target.is_outermost]
        raise refuse_at(layers[0].layer, at, [*names, *(layer.name for layer in layers[1:])])
    return chosen


def other_layers(model: Any) -> tuple[str, ...]:
    """Return the layers that are not recurrent, `head (Dense)`, and the `call` of the object itself."""
    import keras

    names = tuple(
        f"{held.name} ({type(held.layer).__name__})" for held in other_layers_in(find_layers(model))
    )
    has_graph = isinstance(model, (keras.Function, keras.Sequential)) or is_recurrent(model)
    return names if has_graph else (*names, f"{type(model).__name__}.call")


def other_layers_in(layers: Sequence[Held]) -> list[Held]:
    """Return the layers that are neither recurrent nor inside such a layer or a wrapper, nor the object."""
    import keras

    return [
        layer
        for layer in layers[1:]
        if not is_recurrent(layer.layer) and not isinstance(layer.layer, keras.layers.InputLayer)
        if not any(is_recurrent(owner) or isinstance(owner, keras.layers.Wrapper) for owner in layer.owners)
    ]
