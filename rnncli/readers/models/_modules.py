"""Recurrent layers of files without a graph: recognised by the names and shapes of their weights."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from rnncli.errors import format_names
from rnncli.layouts import class_of, cudnn, torch
from rnncli.model import Module, Modules
from rnncli.readers.models import _drops, _onnx_arrays, _weight_norm
from rnncli.readers.models._nodes import BARE, node_of

if TYPE_CHECKING:
    from rnncli.case import Array

FRAMEWORKS = {"torch.nn": "PyTorch", "keras.layers": "Keras", "onnx": "ONNX"}
"""The framework that saved a layer, by the module of its node."""

_TORCH = re.compile(
    r"(?:(?P<path>.*)\.)?(?P<role>weight|bias|w|b)_(?P<which>ih|hh|hr)(?:_l(?P<layer>\d{1,6}))?(?P<back>_reverse)?",
    re.IGNORECASE,
)
_KERAS = re.compile(r"(?:(?P<path>.*)/)?(?P<role>kernel|recurrent_kernel|bias)(?::\d+)?")
_DIRECTION = re.compile(r"(?P<layer>.+)/(?P<direction>forward|backward)(?P<rest>_.+)")


def is_recurrent(name: str) -> bool:
    """Return whether a tensor with this name may belong to a recurrent layer."""
    name = _weight_norm.base_name(name.removesuffix(_drops.RAW))
    return bool(_TORCH.fullmatch(name) or _KERAS.fullmatch(name) or _onnx_arrays.NAME.fullmatch(name))


def modules(file: str, tensors: Mapping[str, Any]) -> Modules:
    """Return the recurrent layers of a file, and the shapes of its other tensors.

    tensors: by name; arrays, or other objects with a shape.
    """
    tensors, notes = _drops.restore_dropped(tensors)
    tensors, more = _weight_norm.restore_normalized(tensors)
    numbers = {name: _numbers(one) for name, one in tensors.items() if is_recurrent(name)}
    known = {name: array for name, array in numbers.items() if array is not None}
    found = [*_torch_modules(known), *_keras_modules(known), *_onnx_arrays.modules(known, tensors)]
    own = {name for names, _ in found for name in names}
    others = {name: tuple(map(int, one.shape)) for name, one in tensors.items() if name not in own}
    layers = tuple(_refuse_unknown_weights(module, names, others) for names, module in found)
    if is_numbered(layers):
        layers = tuple(sorted(layers, key=lambda module: int(module.name)))
    packages = {module.nodes[0].module: module for module in layers if module.nodes}
    known_titles = (title for package, title in FRAMEWORKS.items() if package in packages)
    origin = next(known_titles, "Keras" if layers else "PyTorch")
    by_onnx = [module for module in layers if module.nodes and module.nodes[0].module == "onnx"]
    return Modules(file, origin, layers, others, (*notes, *more, *_onnx_arrays.notes(by_onnx)))


def _refuse_unknown_weights(module: Module, names: Sequence[str], others: Iterable[str]) -> Module:
    """Return the module; refuse it if it has more weights than a plain layer.

    A layer that normalizes its gates has the weights of an LSTM and others, and returns other numbers.
    """
    found = re.fullmatch(rf"{re.escape(module.name)}[./]", names[0][: len(module.name) + 1])
    own = [name for name in others if found and name.startswith(found[0])]
    if module.refused or not own:
        return module
    more = (
        f"it has more weights than such a layer of {FRAMEWORKS[module.nodes[0].module]}: {format_names(own)}"
    )
    return replace(module, refused=more)


def is_numbered(modules: Sequence[Module]) -> bool:
    """Return whether the modules are called 0, 1, ..., like the layers of a stack."""
    return all(re.fullmatch("[0-9]{1,6}", module.name) for module in modules)


def _numbers(value: Any) -> Array | None:
    """Return floats as they are, half precision as float32 without loss; None for others."""
    if not isinstance(value, np.ndarray):
        return None
    if value.dtype == np.float16 or value.dtype.name == "bfloat16":
        return value.astype(np.float32)
    return value if value.dtype in (np.float32, np.float64) else None


def _torch_modules(tensors: Mapping[str, Any]) -> Iterator[tuple[list[str], Module]]:
    """Yield each module with the names of its tensors."""
    paths: dict[str, dict[int | None, dict[bool, dict[str, str]]]] = {}
    loose: set[str] = set()
    for name in tensors:
        if match := _TORCH.fullmatch(name):
            layer = None if match["layer"] is None else int(match["layer"])
            role = (
                f"{'weight' if match['role'].lower() in ('weight', 'w') else 'bias'}_{match['which'].lower()}"
            )
            if match["role"].lower() == "w":
                loose.add(match["path"] or "")
            cells = paths.setdefault(match["path"] or "", {}).setdefault(layer, {})
            cells.setdefault(bool(match["back"]), {})[role] = name
    for path, layers in paths.items():
        names = [name for cells in layers.values() for roles in cells.values() for name in roles.values()]
        numbers = sorted(layers, key=lambda number: -1 if number is None else number)
        cells_of_layers = [
            {back: {role: tensors[name] for role, name in roles.items()} for back, roles in own.items()}
            for own in map(layers.__getitem__, numbers)
        ]
        module = _torch_module(path, numbers, cells_of_layers)
        if module is not None and path in loose and not module.refused:
            module = replace(module, refused=_explain_ambiguous_axes(module))
        if module is not None:
            yield names, module


def _torch_module(
    path: str, numbers: Sequence[int | None], layers: Sequence[Mapping[bool, Mapping[str, Any]]]
) -> Module | None:
    """Return one module; None if its tensors are not those of a recurrent layer."""
    converted = [{back: _torch_cell(roles) for back, roles in cells.items()} for cells in layers]
    known = [cell for cells in converted for cell in cells.values() if cell is not None]
    if not known:
        return None
    name = path or BARE[known[0][0]]
    refused = _refusal(numbers, layers, converted)
    whole = [
        (name if len(numbers) == 1 else f"{name}_l{number}", cells, own)
        for number, cells, own in zip(numbers, converted, layers, strict=True)
        if all(cell is not None for cell in cells.values()) and False in cells
    ]
    nodes = tuple(node_of(one, cells, "torch.nn") for one, cells, _ in whole)
    return (
        Module(name, nodes, refused, tuple(map(_collect_tensors, (own for *_, own in whole))))
        if nodes
        else None
    )


def _collect_tensors(cells: Mapping[bool, Mapping[str, Any]]) -> dict[str, Array]:
    """Return the tensors of both directions as PyTorch has them."""
    found: dict[str, Array] = {}
    for back, roles in cells.items():
        upright = dict(roles)
        kernels = _upright(roles["weight_ih"], roles["weight_hh"], roles.get("weight_hr"))
        upright["weight_ih"], upright["weight_hh"] = kernels
        found |= {f"{role}{'_reverse' if back else ''}": array for role, array in upright.items()}
    return found


def _explain_ambiguous_axes(module: Module) -> str:
    """Return why the axes of weights called `w_ih` are ambiguous; "" if their shapes tell."""
    for stored in module.stored:
        shapes = {array.shape for name, array in stored.items() if name.startswith("weight_")}
        if len(shapes) == 1 and all(len(set(shape)) == 1 for shape in shapes):
            return (
                "its square w_ih and w_hh may be transposed; call them weight_ih and weight_hh if they are "
                "(units, features) as in PyTorch, kernel and recurrent_kernel if they are as in Keras"
            )
    return ""


def _refusal(
    numbers: Sequence[int | None],
    layers: Sequence[Mapping[bool, Mapping[str, Any]]],
    converted: Sequence[Mapping[bool, tuple[str, dict[str, Array]] | None]],
) -> str:
    """Return why the module cannot be computed, with the tensor at fault; "" if it can."""
    for number, cells, made_cells in zip(numbers, layers, converted, strict=True):
        suffix = "" if number is None else f"_l{number}"
        if any("weight_hr" in roles for roles in cells.values()):
            return f"it projects its state (weight_hr{suffix}), which is not supported"
        if any(cell is None for cell in made_cells.values()) or False not in cells:
            return f"the weights of layer {suffix.lstrip('_') or '0'} are incomplete or do not fit together"
    if len(numbers) > 1 and list(numbers) != list(range(len(numbers))):
        return f"its layers are {', '.join(f'_l{number}' for number in numbers)}: some are missing"
    if len({cell[0] for made_cells in converted for cell in made_cells.values() if cell}) > 1:
        return "its layers are of different classes"
    if len({len(cells) for cells in layers}) > 1:
        return "only some of its layers have two directions"
    return _misfit([{back: cell[1] for back, cell in made_cells.items() if cell} for made_cells in converted])


def _misfit(layers: Sequence[Mapping[bool, Mapping[str, Array]]]) -> str:
    """Return what does not fit where each layer gets the output of the layer before."""
    width = None
    for number, cells in enumerate(layers):
        wanted = {len(cell["kernel"]) for cell in cells.values()}
        if len(wanted) > 1 or (width is not None and wanted != {width}):
            return f"layer {number} takes {', '.join(map(str, sorted(wanted)))} features, but gets {width}"
        width = sum(len(cell["recurrent_kernel"]) for cell in cells.values())
    return ""


def _torch_cell(roles: Mapping[str, Any]) -> tuple[str, dict[str, Array]] | None:
    """Return the class and Keras's weights of one direction of one layer; None if it is not a cell."""
    kernel, recurrent = roles.get("weight_ih"), roles.get("weight_hh")
    if kernel is None or recurrent is None or kernel.ndim != 2 or recurrent.ndim != 2:
        return None
    kernel, recurrent = _upright(kernel, recurrent, roles.get("weight_hr"))
    units, (wide, state) = recurrent.shape[1], recurrent.shape
    if "weight_hr" in roles:  # the state is narrower than the gates
        units = roles["weight_hr"].shape[-1]
    class_name = class_of(units, wide)
    if class_name is None or not state or len(kernel) != wide:
        return None
    biases = {name: roles[name] for name in ("bias_ih", "bias_hh") if roles.get(name) is not None}
    if any(bias.shape != (wide,) for bias in biases.values()):
        return None
    return class_name, torch.to_keras(class_name, {"weight_ih": kernel, "weight_hh": recurrent, **biases})


def _upright(kernel: Array, recurrent: Array, projection: Array | None) -> tuple[Array, Array]:
    """Return the kernels as (gates, features) and (gates, units); some files store `w_ih` transposed."""
    wide, units = recurrent.shape
    lying = units > wide and projection is None
    square = units == wide and kernel.shape[0] != wide and kernel.shape[1] == wide
    return (kernel.T, recurrent.T) if lying or square else (kernel, recurrent)


def _keras_modules(tensors: Mapping[str, Any]) -> Iterator[tuple[list[str], Module]]:
    """Yield the layers whose weights have the names of Keras's variables, `bi/forward/kernel`."""
    cells: dict[str, dict[str, str]] = {}
    for name in tensors:
        if match := _KERAS.fullmatch(name):
            cells.setdefault(match["path"] or "", {})[match["role"]] = name
    layers: dict[str, dict[bool, Any]] = {}
    names: dict[str, list[str]] = {}
    for path, roles in cells.items():
        cell = keras_cell({role: tensors[name] for role, name in roles.items()})
        if cell is not None:
            layer, backward = _split_direction(path, cells)
            layers.setdefault(layer, {})[backward] = cell
            names.setdefault(layer, []).extend(roles.values())
    for layer, both in layers.items():
        if False in both:
            name = layer or BARE[both[False][0]]
            yield names[layer], layer_of_cells(name, *(both[back] for back in sorted(both)))


def _split_direction(path: str, paths: Collection[str]) -> tuple[str, bool]:
    """Return the layer that a cell belongs to, and whether it goes backward.

    Keras calls the cells of a Bidirectional `bi/forward_lstm/lstm_cell` and `bi/backward_lstm/lstm_cell`,
    rnncli `bi/forward` and `bi/backward`.  One without the other is a layer with such a name.
    """
    above, _, last = path.rpartition("/")
    if last in ("forward", "backward"):
        return above, last == "backward"
    if found := _DIRECTION.fullmatch(path):
        other = "forward" if found["direction"] == "backward" else "backward"
        if f"{found['layer']}/{other}{found['rest']}" in paths:
            return found["layer"], found["direction"] == "backward"
    return path, False


def keras_cell(weights: Mapping[str, Any]) -> tuple[str, dict[str, Array]] | None:
    """Return the class and the weights of one cell in Keras's layout; None for others."""
    kernel, recurrent, bias = (weights.get(name) for name in ("kernel", "recurrent_kernel", "bias"))
    if kernel is None or recurrent is None or kernel.ndim != 2 or recurrent.ndim != 2:
        return None
    units, wide = recurrent.shape
    class_name = class_of(units, wide)
    if class_name is None or kernel.shape[1] != wide:
        return None
    own = {"kernel": kernel, "recurrent_kernel": recurrent, **({} if bias is None else {"bias": bias})}
    if cudnn.is_cudnn(class_name, own):
        return class_name, cudnn.to_keras(class_name, own)
    fits = bias is None or bias.shape == (wide,) or (class_name == "GRU" and bias.shape == (2, wide))
    return (class_name, own) if fits else None


def layer_of_cells(name: str, *cells: tuple[str, dict[str, Array]]) -> Module:
    """Return a layer of Keras with one direction, or with two, the forward one first."""
    if len({(class_name, len(weights["kernel"])) for class_name, weights in cells}) > 1:
        return Module(name, (), "its two directions are of different classes, or take different inputs")
    return Module(name, (node_of(name, dict(zip((False, True), cells, strict=False)), "keras.layers"),))


def layer_of(name: str, weights: Sequence[Array]) -> Module | None:
    """Return a layer of Keras from its weights in their order; None if it is not a plain recurrent layer.

    Three, or two without bias; twice as many inside Bidirectional.
    """
    keys = ("kernel", "recurrent_kernel", "bias")
    for size in (3, 2):
        if len(weights) in (size, 2 * size):
            parts = [weights[start : start + size] for start in range(0, len(weights), size)]
            cells = [keras_cell(dict(zip(keys, part, strict=False))) for part in parts]
            known = [cell for cell in cells if cell is not None]
            if len(known) == len(cells):
                module = layer_of_cells(name, *known)
                return None if module.refused else module
    return None
