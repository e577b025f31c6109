"""Initial states that are given to the layers of a file without a graph."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rnncli.errors import InputError, Message, count, format_names, inside
from rnncli.inputs.arrange import contradicts
from rnncli.layers.shape_checks import check_states
from rnncli.layers.stack import Stack
from rnncli.models import ModelRequest
from rnncli.models.graph import Module, Node
from rnncli.models.layer_cases import spec_of
from rnncli.values import Array, format_shape

PYTORCH_STATE = re.compile(r"([hc])_?[0n]")
"""PyTorch's names of states: `h_0` for a state that a layer takes, `h_n` for a state that it returns."""


def by_layer(modules: Sequence[Module], request: ModelRequest) -> dict[str, tuple[Array, ...]]:
    """Return the initial states of each layer, in Keras's order; {} if none are given.

    The given states are one of three:

    - a list in the order of the layers;
    - an object with the names `last_hidden_state`, and for several layers `gru_l0/last_hidden_state`;
    - PyTorch's h_0 and c_0, (layers * directions, batch, units), or of a cell (batch, units).

    Raises InputError if they do not fit.
    """
    raw, where = request.states
    shape = next(iter(request.inputs.values())).shape
    if raw is None:
        return {}
    with inside(where):
        converted = _from_pytorch(modules, raw)
        by_name = dict(converted if converted is not None else _split(modules, shape, raw))
        groups = (arrays.values() if isinstance(arrays, Mapping) else arrays for arrays in by_name.values())
        sizes = {len(array) for arrays in groups for array in arrays if array.ndim == 2}
        if sizes == {shape[1]} != {shape[0]}:
            what = Message(
                "the initial states are those of {sequences}", sequences=count(sizes.pop(), "sequence")
            )
            if error := contradicts(shape, request.order if request.has_batch else None, what):
                raise error
    states = {}
    for node in _nodes(modules):
        stack = Stack((spec_of(node),))
        states[node.name] = check_states(by_name[node.name], stack, (*shape[:2], None), where) or ()
    return states


def _nodes(modules: Sequence[Module]) -> list[Node]:
    return [node for module in modules for node in module.nodes]


def _split(modules: Sequence[Module], shape: tuple[int, ...], raw: Any) -> Iterator[tuple[str, Any]]:
    nodes = _nodes(modules)
    names = {node.name: [info.name for info in Stack((spec_of(node),)).states(shape)] for node in nodes}
    if len(nodes) == 1:
        only = nodes[0].name
        by_name = isinstance(raw, Mapping)
        yield only, {name.removeprefix(f"{only}/"): raw[name] for name in raw} if by_name else raw
        return
    if isinstance(raw, Mapping):
        known = [f"{layer}/{name}" for layer, states in names.items() for name in states]
        unknown = [name for name in raw if name not in known]
        if unknown or len(raw) < len(known):
            raise InputError(
                "there is no state {name!r}." if unknown else "{name} is missing.",
                "Give {names}.",
                name=unknown[0] if unknown else next(name for name in known if name not in raw),
                names=", ".join(known),
            )
        for layer, states in names.items():
            yield layer, {name: raw[f"{layer}/{name}"] for name in states}
        return
    if len(raw) != sum(map(len, names.values())):
        known = [f"{layer}/{name}" for layer, states in names.items() for name in states]
        raise InputError(
            "it has {given}, but {layers} need {count}: {names}.",
            "Give one of each, in this order.",
            given=count(len(raw), "state"),
            layers=count(len(names), "layer"),
            count=len(known),
            names=", ".join(known),
        )
    rest = iter(raw)
    for layer, states in names.items():
        yield layer, [next(rest) for _ in states]


def _from_pytorch(modules: Sequence[Module], raw: Any) -> dict[str, list[Array]] | None:
    """Return the states by layer if they are PyTorch's h_0 and c_0; None for any other states."""
    if isinstance(raw, Mapping):
        kinds = {match[1]: array for name, array in raw.items() if (match := PYTORCH_STATE.fullmatch(name))}
        if not kinds or len(kinds) < len(raw):
            return None
    else:
        kinds = dict(zip("hc", raw, strict=False))
        if not raw or len(raw) > len(kinds) or any(array.ndim != 3 for array in raw):
            return None
    if len(modules) > 1 or not modules[0].tensors:
        what = "h_0 and c_0 are the states of one module of PyTorch."
        raise InputError(what, "Give the states by layer, or choose a module: {--model FILE#MODULE}.")
    nodes = modules[0].nodes
    wanted = "hc" if nodes[0].core_class == "LSTM" else "h"
    directions = 2 if nodes[0].class_name == "Bidirectional" else 1
    least = len(nodes) * directions
    if least == 1:  # a cell of PyTorch takes (batch, units)
        kinds = {kind: array[None] if array.ndim == 2 else array for kind, array in kinds.items()}
    if sorted(kinds) != sorted(wanted) or any(
        len(array) < least or array.ndim != 3 for array in kinds.values()
    ):
        given = [f"{kind}_0 {format_shape(array.shape)}" for kind, array in kinds.items()]
        raise InputError(
            "it has {given}.",
            "Give {wanted}, each (layers * directions, batch, units), here ({least}, batch, units).",
            given=format_names(given),
            wanted=format_names([f"{kind}_0" for kind in wanted]),
            least=least,
        )
    return {
        node.name: [kinds[kind][index * directions + way] for way in range(directions) for kind in wanted]
        for index, node in enumerate(nodes)
    }
