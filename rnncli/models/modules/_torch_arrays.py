"""Recurrent layers by PyTorch's names of their tensors: `rnn.weight_ih_l0`, `rnn.bias_hh_l0_reverse`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rnncli.errors import Message, Text
from rnncli.frameworks import infer_class, torch
from rnncli.models.graph import Module
from rnncli.models.modules._nodes import BARE, node_of

if TYPE_CHECKING:
    from rnncli.case import Array

    Roles = Mapping[str, Any]
    """The tensors of one direction of one layer, by `weight_ih`."""
    Cell = tuple[str, dict[str, Array]]
    """The class and Keras's weights of one direction of one layer."""

NAME = re.compile(
    r"(?:(?P<path>.*)\.)?(?P<role>weight|bias|w|b)_(?P<which>ih|hh|hr)(?:_l(?P<layer>\d{1,6}))?(?P<back>_reverse)?",
    re.IGNORECASE | re.DOTALL,
)


def find_modules(tensors: Mapping[str, Any]) -> Iterator[tuple[list[str], Module]]:
    """Yield each module with the names of its tensors."""
    by_path: dict[str, list[re.Match[str]]] = {}
    for name in tensors:
        if match := NAME.fullmatch(name):
            by_path.setdefault(match["path"] or "", []).append(match)
    for path, matches in by_path.items():
        layers: dict[int | None, dict[bool, dict[str, Any]]] = {}
        for match in matches:
            role = "weight" if match["role"].lower() in ("weight", "w") else "bias"
            cells = layers.setdefault(None if match["layer"] is None else int(match["layer"]), {})
            cells.setdefault(bool(match["back"]), {})[f"{role}_{match['which'].lower()}"] = tensors[
                match.string
            ]
        module = _make_module(path, layers)
        if module is None:
            continue
        if not module.refusal and any(match["role"].lower() == "w" for match in matches):
            module = _refuse_ambiguous_axes(module)
        yield [match.string for match in matches], module


def _make_module(path: str, layers: Mapping[int | None, Mapping[bool, Roles]]) -> Module | None:
    """Return one module; None if its tensors are not those of a recurrent layer.

    layers: by number, None for a cell, which has none; each with its directions by whether they go backward.
    """
    layers = {number: layers[number] for number in sorted(layers, key=lambda one: -1 if one is None else one)}
    cells = {
        number: {back: _convert_cell(roles) for back, roles in both.items()}
        for number, both in layers.items()
    }
    known = [cell for both in cells.values() for cell in both.values() if cell is not None]
    whole = [number for number, both in cells.items() if False in both and None not in both.values()]
    if not whole:
        return None
    name = path or BARE[known[0][0]]
    titles = [name if len(layers) == 1 else f"{name}_l{number}" for number in whole]
    nodes = [
        node_of(title, cells[number], "torch.nn", **_hidden_size(layers[number][False]))
        for title, number in zip(titles, whole, strict=True)
    ]
    stored = tuple(_collect_tensors(layers[number]) for number in whole)
    projects = any("weight_hr" in roles for both in layers.values() for roles in both.values())
    way_out = Message("build the layer without proj_size") if projects else ""
    return Module(name, tuple(nodes), _explain_refusal(layers, cells), way_out, stored)


def _hidden_size(roles: Roles) -> dict[str, int]:
    """Return the units of a layer whose state is projected to fewer (proj_size); {} for a plain one."""
    projection = roles.get("weight_hr")
    return {} if projection is None else {"units": projection.shape[-1]}


def _collect_tensors(cells: Mapping[bool, Mapping[str, Any]]) -> dict[str, Array]:
    """Return the tensors of both directions as PyTorch has them."""
    found: dict[str, Array] = {}
    for back, roles in cells.items():
        upright = dict(roles)
        kernels = _make_upright(roles["weight_ih"], roles["weight_hh"], roles.get("weight_hr"))
        upright["weight_ih"], upright["weight_hh"] = kernels
        found |= {f"{role}{'_reverse' if back else ''}": array for role, array in upright.items()}
    return found


def _refuse_ambiguous_axes(module: Module) -> Module:
    """Return the module; refuse it if the shapes of weights called `w_ih` do not tell their axes."""
    for stored in module.tensors:
        shapes = {array.shape for name, array in stored.items() if name.startswith("weight_")}
        if len(shapes) == 1 and all(len(set(shape)) == 1 for shape in shapes):
            way_out = Message(
                "call them weight_ih and weight_hh if they are (units, features) as in PyTorch, kernel and "
                "recurrent_kernel if they are as in Keras"
            )
            return replace(
                module, refusal=Message("its square w_ih and w_hh may be transposed"), way_out=way_out
            )
    return module


def _explain_refusal(
    layers: Mapping[int | None, Mapping[bool, Roles]], cells: Mapping[int | None, Mapping[bool, Cell | None]]
) -> Text:
    """Return why the module cannot be computed, with the tensor at fault; "" if it can."""
    for number, both in cells.items():
        suffix = "" if number is None else f"_l{number}"
        if any("weight_hr" in roles for roles in layers[number].values()):
            return Message("it projects its state (weight_hr{suffix}), which is not supported", suffix=suffix)
        if any(cell is None for cell in both.values()) or False not in both:
            return Message(
                "the weights of layer {layer} are incomplete or do not fit together",
                layer=suffix.lstrip("_") or "0",
            )
    if len(layers) > 1 and list(layers) != list(range(len(layers))):
        return Message(
            "its layers are {layers}: some are missing", layers=", ".join(f"_l{number}" for number in layers)
        )
    known = [{back: cell for back, cell in both.items() if cell} for both in cells.values()]
    if len({class_name for both in known for class_name, _ in both.values()}) > 1:
        return Message("its layers are of different classes")
    if len(set(map(len, known))) > 1:
        return Message("only some of its layers have two directions")
    return _find_misfit([[weights for _, weights in both.values()] for both in known])


def _find_misfit(layers: Sequence[Sequence[Mapping[str, Array]]]) -> Text:
    """Return which layer does not fit the output of the layer before it; "" if all fit."""
    width = None
    for number, cells in enumerate(layers):
        wanted = {len(weights["kernel"]) for weights in cells}
        if len(wanted) > 1 or (width is not None and wanted != {width}):
            return Message(
                "layer {number} takes {wanted} features, but gets {width}",
                number=number,
                wanted=", ".join(map(str, sorted(wanted))),
                width=width,
            )
        width = sum(len(weights["recurrent_kernel"]) for weights in cells)
    return ""


def _convert_cell(roles: Roles) -> Cell | None:
    """Return the class and Keras's weights of one direction of one layer; None if it is not a cell."""
    kernel, recurrent = roles.get("weight_ih"), roles.get("weight_hh")
    if kernel is None or recurrent is None or kernel.ndim != 2 or recurrent.ndim != 2:
        return None
    kernel, recurrent = _make_upright(kernel, recurrent, roles.get("weight_hr"))
    units, (wide, state) = recurrent.shape[1], recurrent.shape
    if "weight_hr" in roles:  # the state is narrower than the gates
        units = roles["weight_hr"].shape[-1]
    class_name = infer_class(units, wide)
    if class_name is None or not state or len(kernel) != wide:
        return None
    biases = {name: roles[name] for name in ("bias_ih", "bias_hh") if roles.get(name) is not None}
    if any(bias.shape != (wide,) for bias in biases.values()):
        return None
    return class_name, torch.to_keras(class_name, {"weight_ih": kernel, "weight_hh": recurrent, **biases})


def _make_upright(kernel: Array, recurrent: Array, projection: Array | None) -> tuple[Array, Array]:
    """Return the kernels as (gates, features) and (gates, units); some files store `w_ih` transposed."""
    wide, units = recurrent.shape
    lying = units > wide and projection is None
    square = units == wide and kernel.shape[0] != wide and kernel.shape[1] == wide
    return (kernel.T, recurrent.T) if lying or square else (kernel, recurrent)
