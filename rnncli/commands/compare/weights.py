"""The weights of two models side by side: of every layer, where names or shapes match."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

from rnncli.compute.compare import TensorDifference, TolerancePair, measure
from rnncli.models.weights import LayerWeights
from rnncli.result import Label, NamedTensor
from rnncli.values import Array

Key = TypeVar("Key")
Name = tuple[str, str]
"""A weight: its layer, and its name in the layer."""


class ComparedWeights(NamedTuple):
    """The pairs, the largest difference first, and the weights of each model that are in no pair."""

    differences: tuple[TensorDifference, ...] = ()
    unmatched: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())

    @property
    def agree(self) -> bool:
        """Whether every pair agrees."""
        return all(difference.agrees for difference in self.differences)


def compare_weights(
    ours: LayerWeights, theirs: LayerWeights, layers: Mapping[str, str], tolerances: TolerancePair
) -> ComparedWeights:
    """Compare the weights of two models; nothing if either has none.

    layers: the layers that are compared by what they return, of the first model with those of the second.
    """
    if not ours or not theirs:
        return ComparedWeights()
    pairs = pair_weights(ours, theirs, layers)
    differences = []
    for (layer, role), (other_layer, other_role) in pairs.items():
        array, name = ours[layer][role], _text((layer, role))
        axes = tuple(f"axis_{index}" for index in range(array.ndim))
        tensor = NamedTensor(Label(name, kind=""), axes, array)
        sides = (name, _text((other_layer, other_role)))
        differences.append(measure(tensor, theirs[other_layer][other_role], sides, *tolerances))
    differences.sort(key=lambda difference: (difference.agrees, -difference.absolute))
    left = [_text(name) for name in _list(ours) if name not in pairs]
    others = {*pairs.values()}
    left_there = [_text(name) for name in _list(theirs) if name not in others]
    return ComparedWeights(tuple(differences), (tuple(left), tuple(left_there)))


def pair_weights(ours: LayerWeights, theirs: LayerWeights, layers: Mapping[str, str]) -> dict[Name, Name]:
    """Return the weights that belong together.

    First the weights of layers that do: `layers`, then layers of one name, then layers that alone have these
    shapes.  Of what is left, weights that alone have their shape.
    """
    plain = {_once(mine): _once(other) for mine, other in layers.items()}
    partners = {mine: other for mine, other in plain.items() if mine in ours and other in theirs}
    taken = {*partners.values()}
    partners |= {name: name for name in ours if name in theirs and name not in {*partners, *taken}}
    partners |= _only_pairs(
        {name: _kind(weights) for name, weights in ours.items() if name not in partners},
        {name: _kind(weights) for name, weights in theirs.items() if name not in {*partners.values()}},
    )
    pairs: dict[Name, Name] = {}
    for mine, other in partners.items():
        roles = _pair_roles(ours[mine], theirs[other])
        pairs |= {(mine, role): (other, partner) for role, partner in roles.items()}
    used = {*pairs.values()}
    return pairs | _only_pairs(
        {name: ours[name[0]][name[1]].shape for name in _list(ours) if name not in pairs},
        {name: theirs[name[0]][name[1]].shape for name in _list(theirs) if name not in used},
    )


def _pair_roles(ours: Mapping[str, Array], theirs: Mapping[str, Array]) -> dict[str, str]:
    """Return the weights of one layer by the weights of the other: by name, in order, or by shape.

    Files of Keras 3 number the weights, in Keras's order.
    """
    shapes, other_shapes = ([array.shape for array in side.values()] for side in (ours, theirs))
    numbered = any(all(name.isdecimal() for name in side) for side in (ours, theirs))
    if numbered and shapes == other_shapes:
        return dict(zip(ours, theirs, strict=True))
    roles = {name: name for name in ours if name in theirs and ours[name].shape == theirs[name].shape}
    return roles | _only_pairs(
        {name: array.shape for name, array in ours.items() if name not in roles},
        {name: array.shape for name, array in theirs.items() if name not in roles},
    )


def _only_pairs(ours: Mapping[Key, Any], theirs: Mapping[Key, Any]) -> dict[Key, Key]:
    """Return the keys whose kind no other key of their side has, in pairs of one kind."""
    alone: dict[Any, list[Key]] = {}
    others: dict[Any, list[Key]] = {}
    for kinds, side in ((alone, ours), (others, theirs)):
        for key, kind in side.items():
            kinds.setdefault(kind, []).append(key)
    return {
        keys[0]: others[kind][0]
        for kind, keys in alone.items()
        if len(keys) == len(others.get(kind, ())) == 1
    }


def _kind(weights: Mapping[str, Array]) -> tuple[tuple[int, ...], ...]:
    return tuple(sorted(array.shape for array in weights.values()))


def _once(name: str) -> str:
    return re.sub(r"@\d+", "", name)


def _list(layers: LayerWeights) -> Iterator[Name]:
    return ((layer, role) for layer, weights in layers.items() for role in weights)


def _text(name: Name) -> str:
    return "/".join(filter(None, name))
