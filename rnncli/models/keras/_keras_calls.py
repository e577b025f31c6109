"""The calls of the layers of one model: parses the lists of Keras 2 and the arguments of Keras 3."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rnncli.errors import InputError, Message
from rnncli.models.graph import Ref
from rnncli.models.keras._keras_classes import MODELS, OPERATIONS
from rnncli.models.trees import leaves, map_leaves

ADVICE = Message("Save the model again with model.save('model.keras').")

LayerEntry = Mapping[str, Any]
Outputs = dict[tuple[str, int], Ref | tuple[Ref, ...]]
"""The outputs of every call: the first tensor of a layer, every tensor of a model."""

_CONSTANT = "_CONSTANT_VALUE"


@dataclass(frozen=True, slots=True)
class Link:
    """One output of one call of a layer, as configs name it; `call` counts from 0."""

    layer: str
    call: int
    tensor: int


class CallArguments(NamedTuple):
    """The arguments of one call of a layer: Links, which may be nested, and constants."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Plan:
    """The calls of the layers of one model, and the order in which they can be made."""

    def __init__(self, layers: Mapping[str, LayerEntry]) -> None:
        self.layers = layers
        self.raw = {name: list(entry.get("inbound_nodes") or ()) for name, entry in layers.items()}
        self.shift = self._shifts()
        self.calls = {
            name: [self._call(layers[name], node) for node in nodes if node]
            for name, nodes in self.raw.items()
        }

    def link(self, item: Any) -> Link:
        """Return the Link of `["inside", 1, 0]`; Keras 2 and outputs count the calls of a model from 1."""
        layer, call, tensor = item[0], item[1], item[2]
        self._require_layer(layer)
        return Link(layer, call - self.shift.get(layer, 0), tensor)

    def _require_layer(self, name: str) -> None:
        """Raise InputError if the config has no layer with this name."""
        if name not in self.layers:
            raise InputError(
                "the model's config names a layer {name!r} that is not in it.", ADVICE, name=name
            )

    def _shifts(self) -> dict[str, int]:
        """Return, for each model, the number from which Keras counts its calls."""
        models = {name: entry for name, entry in self.layers.items() if entry["class_name"] in MODELS}
        used: dict[str, set[int]] = {name: set() for name in models}
        for nodes in self.raw.values():
            for item in _links_in(nodes, models):
                used[item[0]].add(item[1])
        return {name: _first_number(entry, self.raw[name], used[name]) for name, entry in models.items()}

    def _call(self, entry: LayerEntry, node: Any) -> CallArguments:
        if _is_grouped(node):
            args = tuple(self._decode(item) for item in node.get("args", ()))
            return CallArguments(
                args, {key: self._decode(item) for key, item in node.get("kwargs", {}).items()}
            )
        kwargs: dict[str, Any] = {}
        first = self._parse_list(node, kwargs)
        single = isinstance(first, list) and len(first) == 1
        if single and entry["class_name"] not in OPERATIONS:
            first = first[0]
        return CallArguments((first,), {key: self._in_kwargs(item) for key, item in kwargs.items()})

    def _parse_list(self, node: Any, kwargs: dict[str, Any]) -> Any:
        """Parse Keras 2's form: `["lstm", 0, 0, {...}]`, also nested; adds its arguments to `kwargs`."""
        if isinstance(node, Mapping):
            return {key: self._parse_list(item, kwargs) for key, item in node.items()}
        if not isinstance(node, (list, tuple)):
            raise InputError("the inbound_nodes of a layer in the model's config cannot be read.", ADVICE)
        if not _is_link(node):
            return [self._parse_list(item, kwargs) for item in node]
        if len(node) > 3 and isinstance(node[3], Mapping):
            kwargs.update(node[3])
        return node[2] if node[0] == _CONSTANT else self.link(node)

    def _in_kwargs(self, value: Any) -> Any:
        if _is_link(value) and value[0] == _CONSTANT:
            return value[2]
        if _is_link(value) and value[0] in self.layers:
            return self.link(value)
        if isinstance(value, list):
            return _index([self._in_kwargs(item) for item in value])
        if isinstance(value, Mapping):
            if value.keys() == {"start", "stop", "step"}:
                return slice(*(self._in_kwargs(value[key]) for key in ("start", "stop", "step")))
            return {key: self._in_kwargs(item) for key, item in value.items()}
        return value

    def _decode(self, value: Any) -> Any:
        """Parse Keras 3's form of a tensor, a constant or a slice."""
        if isinstance(value, list):
            return _index([self._decode(item) for item in value])
        if not isinstance(value, Mapping):
            return value
        kind, config = value.get("class_name"), value.get("config")
        if kind == "__keras_tensor__" and isinstance(config, Mapping):
            link = Link(*config["keras_history"])
            self._require_layer(link.layer)
            return link
        if kind in ("__tensor__", "__numpy__") and isinstance(config, Mapping):
            return np.asarray(config["value"], config.get("dtype"))
        if kind == "__slice__" and isinstance(config, Mapping):
            return slice(*(self._decode(config.get(key)) for key in ("start", "stop", "step")))
        if kind == "__ellipsis__":
            return Ellipsis
        if kind == "__tuple__" and isinstance(config, Mapping):
            return tuple(self._decode(item) for item in config["value"])
        return {key: self._decode(item) for key, item in value.items()}

    def order(self, known: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
        """Yield every call after those that it depends on, else in the order of the config."""
        done = set(known)
        for name, calls in self.calls.items():
            for index in range(len(calls)):
                yield from self._sort_dependencies((name, index), done)

    def _sort_dependencies(
        self, last: tuple[str, int], done: set[tuple[str, int]]
    ) -> Iterator[tuple[str, int]]:
        """Yield `last` after everything that it depends on, depth first without recursion."""
        waiting, open_calls = [last], set()
        while waiting:
            name, index = waiting[-1]
            if (name, index) in done:
                waiting.pop()
                continue
            if not 0 <= index < len(self.calls[name]):
                raise InputError(
                    "{name}: the model's config has no call {index} of this layer.",
                    ADVICE,
                    name=name,
                    index=index,
                )
            parts = leaves(tuple(self.calls[name][index]))
            needed = [(link.layer, link.call) for link in parts if isinstance(link, Link)]
            missing = [call for call in needed if call not in done]
            if not missing:
                done.add((name, index))
                yield waiting.pop()
            elif (name, index) in open_calls:
                raise InputError(
                    "{name}: the input of this layer depends on its own output.", ADVICE, name=name
                )
            else:
                open_calls.add((name, index))
                waiting += reversed(missing)


def _first_number(entry: LayerEntry, nodes: Sequence[Any], used: Container[int]) -> int:
    """Return the number, 0 or 1, of the first call of a model.  used: the numbers that the config names."""
    if nodes and _is_grouped(nodes[0]):  # Keras 3 counts from 1 only in the outputs of the outer model
        return int(entry["class_name"] == "Functional")
    if 0 in used:
        return 0
    if len(nodes) in used:  # counted from 0, the last call would have the number before it
        return 1
    return int(_begins_with_input(entry))


def _begins_with_input(entry: LayerEntry) -> bool:
    layers = entry["config"].get("layers") or [{}]
    return bool(entry["class_name"] == "Functional" or layers[0].get("class_name") == "InputLayer")


def flat(structure: Any) -> list[Any]:
    """Return every `[name, call, tensor]` in nested lists and objects; of an object by sorted keys."""
    if _is_link(structure):
        return [structure]
    if isinstance(structure, Mapping):
        return [item for key in sorted(structure) for item in flat(structure[key])]
    if not isinstance(structure, (list, tuple)):
        raise InputError("the lists of inputs and outputs in the model's config cannot be read.", ADVICE)
    return [item for part in structure for item in flat(part)]


def _is_link(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and len(value) in (3, 4)
        and isinstance(value[0], str)
        and all(type(number) is int for number in value[1 : 2 if value[0] == _CONSTANT else 3])
    )


def _is_grouped(node: Any) -> bool:
    """Return whether a call is in Keras 3's form, `{"args": [...], "kwargs": {...}}`."""
    return isinstance(node, Mapping) and "args" in node and isinstance(node["args"], (list, tuple))


def _links_in(value: Any, names: Mapping[str, Any]) -> Iterator[Any]:
    """Yield every raw link to a layer of `names`."""
    if _is_link(value):
        if value[0] in names:
            yield value
        yield from _links_in(value[3:], names)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _links_in(item, names)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _links_in(item, names)


def resolve_call(call: CallArguments, outputs: Outputs) -> CallArguments:
    """Return the call with Refs in place of links."""

    def to_ref(leaf: Any) -> Any:
        return resolve(leaf, outputs) if isinstance(leaf, Link) else leaf

    return CallArguments(*map_leaves(to_ref, tuple(call)))


def resolve(link: Link, outputs: Outputs) -> Ref:
    """Return the Ref of a link.  A model has one for each output, a layer only the first of its node."""
    found = outputs.get((link.layer, link.call))
    if found is None:
        raise InputError(
            "{layer}: the model's config has no call {call} of this layer.",
            ADVICE,
            layer=link.layer,
            call=link.call,
        )
    known = type(link.tensor) is int and link.tensor >= 0
    if known and isinstance(found, Ref):
        return Ref(found.node, link.tensor)
    if not known or isinstance(found, Ref) or link.tensor >= len(found):
        raise InputError(
            "{layer}: the model's config has no output {tensor} of it.",
            ADVICE,
            layer=link.layer,
            tensor=link.tensor,
        )
    return found[link.tensor]


def _index(items: list[Any]) -> Any:
    """Convert a list with a slice to a tuple: JSON keeps the index `[:, -1, :]` as a list."""
    return tuple(items) if any(isinstance(item, slice) or item is Ellipsis for item in items) else items
