"""Weights that PyTorch's weight_norm saves as a length `g` and a direction `v`: w = g v / ||v||."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from rnncli.errors import Message, Text

_OLD = re.compile(r"(?P<base>.*(?:weight|bias)_.+)_(?P<part>[gv])")
_NEW = re.compile(r"(?P<path>.*\.|)parametrizations\.(?P<leaf>(?:weight|bias)_.+)\.original(?P<number>[01])")


def _split(name: str) -> tuple[str, bool] | None:
    """Return the name of the weight and whether this part is its length; None for any other name.

    The end is looked at first: matching a long name with another end would take long.
    """
    if name.endswith(("_g", "_v")) and (found := _OLD.fullmatch(name)):
        return found["base"], found["part"] == "g"
    if name.endswith((".original0", ".original1")) and (found := _NEW.fullmatch(name)):
        return f"{found['path']}{found['leaf']}", found["number"] == "0"
    return None


def find_base_name(name: str) -> str:
    """Return `rnn.weight_hh_l0` for the names of its two parts; any other name unchanged."""
    found = _split(name)
    return name if found is None else found[0]


def restore_normalized(tensors: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[Text, ...]]:
    """Return the tensors with whole weights instead of their two parts, and a note on them."""
    pairs: dict[str, dict[bool, str]] = {}
    for name in tensors:
        if found := _split(name):
            weight_name, is_length = found
            pairs.setdefault(weight_name, {})[is_length] = name
    whole, used = dict(tensors), []
    for name, parts in pairs.items():
        weight = None if len(parts) < 2 else _weight(tensors[parts[True]], tensors[parts[False]])
        if weight is not None and name not in tensors:
            for part in parts.values():
                del whole[part]
            whole[name] = weight
            used.append(name)
    note = Message(
        "weights with weight normalization were computed from their length and direction: {used}.",
        used=", ".join(used),
    )
    return whole, (note,) if used else ()


def _weight(length: Any, direction: Any) -> Any:
    """Return g v / ||v|| (Salimans and Kingma, 2016); None if these are not the two parts of a weight."""
    if not isinstance(length, np.ndarray) or not isinstance(direction, np.ndarray):
        return None
    axes = tuple(range(direction.ndim))
    if length.ndim:
        fits = length.ndim == direction.ndim and all(
            one in (1, whole) for one, whole in zip(length.shape, direction.shape, strict=True)
        )
        if not fits:
            return None
        axes = tuple(axis for axis in axes if length.shape[axis] == 1)
    precise = direction.astype(np.float64)
    weight = precise * (length / np.sqrt((precise**2).sum(axis=axes, keepdims=True)))
    return weight.astype(direction.dtype)
