"""Recurrent layers by ONNX's names of their inputs: `lstm/W`, `lstm/R`, `lstm/B`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rnncli.case import Array
from rnncli.errors import Message, Text
from rnncli.frameworks import infer_class, onnx
from rnncli.models.graph import Module
from rnncli.models.modules._nodes import BARE, node_of

NAME = re.compile(rf"(?s)(?:(?P<path>.*)/)?(?P<role>[WRB]|{onnx.ATTRIBUTE})")


def find_modules(
    known: Mapping[str, Array], tensors: Mapping[str, Any]
) -> Iterator[tuple[list[str], Module]]:
    """Yield each layer with the names of its tensors.

    known: the arrays of floats.  tensors: all, among them linear_before_reset, which is an integer.
    """
    layers: dict[str, dict[str, Any]] = {}
    for name in tensors:
        match = NAME.fullmatch(name)
        if match and (name in known or match["role"] == onnx.ATTRIBUTE):
            layers.setdefault(match["path"] or "", {})[match["role"]] = tensors[name]
    for path, roles in layers.items():
        class_name = _recognize_class(roles)
        if class_name is None:
            continue
        cells = [onnx.to_keras(class_name, one) for one in _split_directions(roles)]
        name = path or BARE[class_name]
        named = {bool(place): (class_name, cell) for place, cell in enumerate(cells)}
        options = {"reset_after": onnx.is_after_product(roles)} if class_name == "GRU" else {}
        node = node_of(name, named, "onnx", **options)
        yield [f"{path}/{role}".lstrip("/") for role in roles], Module(name, (node,))


def _recognize_class(roles: Mapping[str, Any]) -> str | None:
    """Return the class; None if the arrays are not those of a recurrent operator."""
    kernel, recurrent, bias = (roles.get(role) for role in "WRB")
    if kernel is None or recurrent is None or kernel.ndim != 3 or recurrent.ndim != 3:
        return None
    directions, width, units = recurrent.shape
    if kernel.shape[:2] != (directions, width) or directions not in (1, 2):
        return None
    if bias is not None and bias.shape != (directions, 2 * width):
        return None
    attribute = roles.get(onnx.ATTRIBUTE)
    if attribute is not None and not (isinstance(attribute, np.ndarray) and attribute.size == 1):
        return None
    return infer_class(units, width)


def _split_directions(roles: Mapping[str, Array]) -> Iterator[dict[str, Array]]:
    """Yield the arrays of each direction."""
    for place in range(len(roles["R"])):
        yield {role: array if role == onnx.ATTRIBUTE else array[place] for role, array in roles.items()}


def note_assumptions(found: Sequence[Module]) -> Iterator[Text]:
    """Yield a note on what is assumed, because the arrays do not record it."""
    if found:
        yield Message(
            "ONNX arrays do not record the direction; assumed: forward (both, if W has two "
            "directions), and {attribute}=0 unless the file stores it.",
            attribute=onnx.ATTRIBUTE,
        )
