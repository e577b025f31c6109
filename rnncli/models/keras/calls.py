"""The calls of the layers of one model, in one form for the lists of Keras 2 and the arguments of Keras 3."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rnncli.errors import InputError, Message
from rnncli.models.graph import leaves
from rnncli.models.keras.versions import MODELS, OPERATIONS, name_of

ADVICE = Message("Save the model again with model.save('model.keras').")

LayerEntry = Mapping[str, Any]

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
    """The layers of one model by name, their calls, and the model's inputs and outputs.

    entry: the entry of the model; a Sequential has an InputLayer.
    shapes: the shapes of tensors as far as the config has them.
    """

    def __init__(self, entry: LayerEntry) -> None:
        config = entry["config"]
        self.layers = _group_by_name(config["layers"])
        self.shapes: dict[Link, Any] = {}
        self.inputs: list[Link]
        self.outputs: list[Link]
        self.calls: dict[str, list[CallArguments]]
        if entry["class_name"] == "Sequential":
            names = list(self.layers)
            chain = [Link(name, 0, 0) for name in names]
            self.inputs, self.outputs = chain[:1], chain[-1:]
            before = list(zip(names[1:], chain, strict=False))
            self.calls = {names[0]: [], **{name: [CallArguments((link,), {})] for name, link in before}}
            self.shapes = {link: self.layers[name].get("input_shape") for name, link in before}
            return
        for key in ("input_layers", "output_layers"):
            if key not in config:
                raise InputError(
                    "{of}: the config of this model has no {key}.", ADVICE, of=name_of(entry), key=key
                )
        self._nodes = {name: list(layer.get("inbound_nodes") or ()) for name, layer in self.layers.items()}
        models = {name: layer for name, layer in self.layers.items() if layer["class_name"] in MODELS}
        used: dict[str, set[int]] = {name: set() for name in models}
        for item in _links_in(list(self._nodes.values()), models):
            used[item[0]].add(item[1])
        self._shift = {  # the number from which Keras counts the calls of each model in this one
            name: _first_number(layer, self._nodes[name], used[name]) for name, layer in models.items()
        }
        self.calls = {
            name: [self._call(self.layers[name], node) for node in nodes if node]
            for name, nodes in self._nodes.items()
        }
        self.inputs = [self._link(item) for item in flat(config["input_layers"])]
        self.outputs = [self._link(item) for item in flat(config["output_layers"])]

    def _link(self, item: Any) -> Link:
        """Return the Link of `["inside", 1, 0]`; Keras 2 and outputs count the calls of a model from 1."""
        self._require_layer(item[0])
        return Link(item[0], item[1] - self._shift.get(item[0], 0), item[2])

    def _require_layer(self, name: str) -> None:
        if name not in self.layers:
            raise InputError(
                "the model's config names a layer {name!r} that is not in it.", ADVICE, name=name
            )

    def _call(self, entry: LayerEntry, node: Any) -> CallArguments:
        if _is_grouped(node):
            args = tuple(self._decode(item) for item in node.get("args", ()))
            kwargs = {key: self._decode(item) for key, item in node.get("kwargs", {}).items()}
            return CallArguments(args, kwargs)
        given: dict[str, Any] = {}
        first = self._parse_list(node, given)
        if isinstance(first, list) and len(first) == 1 and entry["class_name"] not in OPERATIONS:
            first = first[0]
        return CallArguments((first,), {key: self._in_kwargs(item) for key, item in given.items()})

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
        return node[2] if node[0] == _CONSTANT else self._link(node)

    def _in_kwargs(self, value: Any) -> Any:
        if _is_link(value) and value[0] == _CONSTANT:
            return value[2]
        if _is_link(value) and value[0] in self.layers:
            return self._link(value)
        if isinstance(value, list):
            return _index([self._in_kwargs(item) for item in value])
        if isinstance(value, Mapping):
            if value.keys() == {"start", "stop", "step"}:
                return slice(*(self._in_kwargs(value[key]) for key in ("start", "stop", "step")))
            if value.get("class_name") == "__ellipsis__":
                return Ellipsis
            return {key: self._in_kwargs(item) for key, item in value.items()}
        return value

    def _decode(self, value: Any) -> Any:
        if isinstance(value, list):
            return _index([self._decode(item) for item in value])
        if not isinstance(value, Mapping):
            return value
        kind, config = value.get("class_name"), value.get("config")
        if kind == "__ellipsis__":
            return Ellipsis
        if isinstance(config, Mapping):
            if kind == "__keras_tensor__":
                link = Link(*config["keras_history"])
                self._require_layer(link.layer)
                self.shapes[link] = config.get("shape")
                return link
            if kind in ("__tensor__", "__numpy__"):
                return np.asarray(config["value"], config.get("dtype"))
            if kind == "__slice__":
                return slice(*(self._decode(config.get(key)) for key in ("start", "stop", "step")))
            if kind == "__tuple__":
                return tuple(self._decode(item) for item in config["value"])
        return {key: self._decode(item) for key, item in value.items()}

    def order(self, known: Iterable[tuple[str, int]]) -> Iterator[tuple[str, int]]:
        """Yield every call after the calls that it depends on, else in the order of the config."""
        done = set(known)
        for name, calls in self.calls.items():
            for index in range(len(calls)):
                yield from self._sort_dependencies((name, index), done)

    def _sort_dependencies(
        self, last: tuple[str, int], done: set[tuple[str, int]]
    ) -> Iterator[tuple[str, int]]:
        waiting, open_calls = [last], set()
        while waiting:
            name, index = waiting[-1]
            if (name, index) in done:
                waiting.pop()
                continue
            if not 0 <= index < len(self.calls[name]):
                raise no_call(name, index)
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


def no_call(layer: str, index: Any) -> InputError:
    """Return the error for a call of a layer that the config does not have."""
    return InputError(
        "{name}: the model's config has no call {index} of this layer.", ADVICE, name=layer, index=index
    )


def flat(structure: Any) -> list[Any]:
    """Return every `[name, call, tensor]` in nested lists and objects; of an object by sorted keys."""
    if _is_link(structure):
        return [structure]
    if isinstance(structure, Mapping):
        return [item for key in sorted(structure) for item in flat(structure[key])]
    if not isinstance(structure, (list, tuple)):
        raise InputError("the lists of inputs and outputs in the model's config cannot be read.", ADVICE)
    return [item for part in structure for item in flat(part)]


def _group_by_name(entries: Iterable[LayerEntry]) -> dict[str, LayerEntry]:
    by_name: dict[str, LayerEntry] = {}
    for entry in entries:
        name = name_of(entry)
        if name in by_name:
            raise InputError("the model has two layers called {name!r}.", ADVICE, name=name)
        by_name[name] = entry
    return by_name


def _first_number(entry: LayerEntry, nodes: Sequence[Any], used: Container[int]) -> int:
    """Return the number, 0 or 1, of the first call of a model.  used: the numbers that the config names."""
    functional = entry["class_name"] == "Functional"
    if nodes and _is_grouped(nodes[0]):  # Keras 3 counts from 1 only in the outputs of the outer model
        return int(functional)
    if 0 in used:
        return 0
    if len(nodes) in used:  # counted from 0, the last call would have the number before it
        return 1
    layers = entry["config"].get("layers") or [{}]
    return int(functional or layers[0].get("class_name") == "InputLayer")


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


def _links_in(value: Any, names: Container[str]) -> Iterator[Any]:
    items: Iterable[Any] = ()
    if _is_link(value):
        if value[0] in names:
            yield value
        items = value[3:]
    elif isinstance(value, Mapping):
        items = value.values()
    elif isinstance(value, (list, tuple)):
        items = value
    for item in items:
        yield from _links_in(item, names)


def _index(items: list[Any]) -> Any:
    """Convert a list with a slice to a tuple: JSON keeps the index `[:, -1, :]` as a list."""
    return tuple(items) if any(isinstance(item, slice) or item is Ellipsis for item in items) else items
