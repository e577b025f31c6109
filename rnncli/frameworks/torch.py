"""PyTorch's layout: `lstm.weight_ih_l0`, `bias_hh_l1_reverse`, as in a state dict of nn.LSTM, nn.GRU, nn.RNN.

weight_ih (gates * units, features), weight_hh (gates * units, units), bias_ih and bias_hh (gates * units,).
An LSTM has the gates i, f, g, o; a GRU has r, z, n.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rnncli.errors import EngineError, Message, Text
from rnncli.frameworks import (
    BARE,
    CellWeights,
    Chain,
    FoundChain,
    LayerWeights,
    adds_bias,
    cell_of,
    convert,
    explain_uneven,
    from_rows,
    infer_class,
    to_rows,
)
from rnncli.frameworks import GATES as KERAS
from rnncli.values import Array

Roles = Mapping[str, Any]
"""The tensors of one direction of a layer, by role: `weight_ih`."""

FRAMEWORK = "PyTorch"
PACKAGE = "torch.nn"
SUFFIXES = (".pt", ".pth")

STATE = re.compile(r"([hc])_?[0n]")
"""The names of states: `h_0` for a state that a layer takes, `h_n` for a state that it returns."""
NAME = re.compile(
    r"(?:(?P<path>.*)\.)?(?P<role>weight|bias|w|b)_(?P<which>ih|hh|hr)(?:_l(?P<layer>\d{1,6}))?(?P<back>_reverse)?",
    re.IGNORECASE | re.DOTALL,
)
MODULES = {"SimpleRNN": "RNN", "LSTM": "LSTM", "GRU": "GRU"}
GATES: Mapping[str, tuple[str, ...]] = {**KERAS, "GRU": ("reset", "update", "candidate")}


def from_keras(class_name: str, weights: Mapping[str, Array]) -> dict[str, Array]:
    """Return weight_ih, weight_hh and, if there is a bias, bias_ih and bias_hh."""
    arrays = to_rows(class_name, weights, GATES[class_name])
    return dict(zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), arrays, strict=False))


def to_keras(class_name: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return Keras's weights of one direction.

    arrays: one of the biases, or both, may be missing.
    """
    apart = class_name == "GRU"
    biases = [arrays.get("bias_ih"), arrays.get("bias_hh")]
    given = [bias for bias in biases if bias is not None]
    if apart and len(given) == 1:  # a GRU keeps both
        given = [np.zeros_like(given[0]) if bias is None else bias for bias in biases]
    kernels = [arrays["weight_ih"], arrays["weight_hh"]]
    return from_rows(class_name, kernels, given, GATES[class_name], apart=apart)


def refusal(layer: LayerWeights) -> Text | None:
    """Return why no nn.LSTM, nn.GRU or nn.RNN computes what the layer does, or None."""
    for cell in layer.cells:
        if reason := explain_unsupported(cell.class_name, cell.config):
            return reason
    first, last = layer.cells[0].config, layer.cells[-1].config
    if len(layer.cells) == 1 and first.get("go_backwards"):
        return Message("it has no module that only runs backwards (go_backwards)")
    if first.get("activation", "tanh") != last.get("activation", "tanh"):
        return Message("its directions have different activations")
    return explain_uneven(layer)


def explain_unsupported(class_name: str, config: Mapping[str, Any]) -> Text | None:
    """Return why no module of PyTorch computes one step of this class with these options, or None."""
    if class_name not in MODULES:
        return Message("it has no module for {class_name}", class_name=class_name)
    activations = ("tanh", "relu") if class_name == "SimpleRNN" else ("tanh",)
    if config.get("activation", "tanh") not in activations:
        text = "PyTorch has only the activation {activations}, not {config}"
        return Message(text, activations=" or ".join(activations), config=config["activation"])
    if config.get("recurrent_activation", "sigmoid") != "sigmoid":
        text = "PyTorch has only the activation sigmoid for gates, not {config}"
        return Message(text, config=config["recurrent_activation"])
    if config.get("cell_activation"):
        text = "PyTorch has only the activation tanh for the cell state, not {config}"
        return Message(text, config=config["cell_activation"])
    if class_name == "GRU" and not config.get("reset_after", True):
        return Message("it has no GRU with reset_after=False")
    return None


def notes(chain: Chain) -> Iterator[Text]:
    """Yield the modules that load the arrays, and settings that the arrays do not contain."""
    for path, layers in _modules(chain):
        call = _call(layers)
        yield (
            Message("{place}: load into a module whose {place} is {call}", place=path, call=call)
            if path
            else Message("load into {call}", call=call)
        )
        merged = [layer for layer in layers if len(layer.cells) > 1 and layer.merge_mode != "concat"]
        for layer in merged:
            merge = f"merge_mode={layer.merge_mode!r}"
            text = "{title}: PyTorch concatenates the directions; apply {merge} yourself"
            yield Message(text, title=layer.title, merge=merge)
    if adds_bias(chain):
        yield Message(
            "PyTorch sums two biases: a single Keras bias is stored in bias_ih, and bias_hh is zero"
        )


def name_arrays(chain: Chain) -> dict[str, Array]:
    """Return the state dict of a single module; if no module has all these layers, of a module per layer."""
    arrays: dict[str, Array] = {}
    for path, layers in _modules(chain):
        prefix = f"{path}." if path else ""
        for number, layer in enumerate(layers):
            for cell, direction in zip(layer.cells, ("", "_reverse"), strict=False):
                for name, array in from_keras(cell.class_name, cell.weights).items():
                    arrays[f"{prefix}{name}_l{number}{direction}"] = array
    return arrays


def dump(chains: Sequence[Chain], suffix: str) -> bytes:
    """Return a file for `torch.load`.  Raises EngineError if PyTorch is missing."""
    return dump_arrays(convert("torch", chains))


def dump_arrays(arrays: Mapping[str, Array]) -> bytes:
    """Return a file of these arrays for `torch.load`.  Raises EngineError if PyTorch is missing."""
    try:
        import torch
    except ImportError:
        raise EngineError(
            "PyTorch is not installed; it is needed to write .pt files.", "pip install torch"
        ) from None
    content = io.BytesIO()
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    torch.save(tensors, content)
    return content.getvalue()


def _modules(chain: Chain) -> Iterator[tuple[str, tuple[LayerWeights, ...]]]:
    """Yield the path and the layers of each module.

    A path begins without the slash of the nodes that PyTorch exports to ONNX.
    """
    whole = len(chain.layers) == 1 or _is_one_module(chain.layers)
    parts = [(chain.name, chain.layers)] if whole else [(layer.name, (layer,)) for layer in chain.layers]
    return ((name.strip("/").replace("/", "."), layers) for name, layers in parts)


def _is_one_module(layers: Sequence[LayerWeights]) -> bool:
    """Return whether a module can hold the layers: they are alike, and each is as wide as the next needs."""
    kinds, width = set(), layers[0].cells[0].features
    for layer in layers:
        cell, directions = layer.cells[0], len(layer.cells)
        if cell.features != width or (directions > 1 and layer.merge_mode != "concat"):
            return False
        width = directions * cell.units
        activation, dtype = cell.config.get("activation", "tanh"), cell.weights["kernel"].dtype
        kinds.add((cell.class_name, cell.units, directions, "bias" in cell.weights, activation, dtype))
    return len(kinds) == 1


def _call(layers: Sequence[LayerWeights]) -> str:
    """Return `torch.nn.LSTM(5, 3, batch_first=True)`."""
    cell = layers[0].cells[0]
    options = {
        "num_layers": len(layers) if len(layers) > 1 else None,
        "nonlinearity": "'relu'" if cell.config.get("activation") == "relu" else None,
        "bias": None if "bias" in cell.weights else False,
        "batch_first": True,
        "bidirectional": True if len(layers[0].cells) > 1 else None,
    }
    given = [f"{name}={value}" for name, value in options.items() if value is not None]
    return f"torch.nn.{MODULES[cell.class_name]}({', '.join([str(cell.features), str(cell.units), *given])})"


def find_chains(tensors: Mapping[str, Any]) -> Iterator[FoundChain]:
    """Yield each module whose tensors have PyTorch's names, `rnn.weight_ih_l0`, `rnn.bias_hh_l0_reverse`."""
    by_path: dict[str, list[re.Match[str]]] = {}
    for name in tensors:
        if match := NAME.fullmatch(name):
            by_path.setdefault(match["path"] or "", []).append(match)
    for path, matches in by_path.items():
        layers: dict[int | None, dict[bool, dict[str, Any]]] = {}
        for match in sorted(matches, key=lambda match: int(match["layer"] or -1)):
            role = "weight" if match["role"].lower() in ("weight", "w") else "bias"
            cells = layers.setdefault(None if match["layer"] is None else int(match["layer"]), {})
            roles = cells.setdefault(bool(match["back"]), {})
            roles[f"{role}_{match['which'].lower()}"] = tensors[match.string]
        for cells in layers.values():
            for roles in cells.values():
                _turn_upright(roles)
        module = _read_module(path, layers)
        if module is None:
            continue
        if not module.refusal and any(match["role"].lower() == "w" for match in matches):
            module = _refuse_ambiguous_axes(module)
        yield module._replace(names=[match.string for match in matches])


def _turn_upright(roles: dict[str, Any]) -> None:
    """Make the kernels (gates, features) and (gates, units); some files store `w_ih` transposed."""
    kernel, recurrent = roles.get("weight_ih"), roles.get("weight_hh")
    if kernel is None or recurrent is None or kernel.ndim != 2 or recurrent.ndim != 2:
        return
    wide, units = recurrent.shape
    lying = units > wide and "weight_hr" not in roles
    square = units == wide and kernel.shape[0] != wide and kernel.shape[1] == wide
    if lying or square:
        roles |= {"weight_ih": kernel.T, "weight_hh": recurrent.T}


def _read_module(path: str, layers: Mapping[int | None, Mapping[bool, Roles]]) -> FoundChain | None:
    """Return a module; None if its tensors are not a recurrent layer.

    layers: the tensors by the number of the layer (None for a cell) and by whether they are of the backward
        direction.
    """
    cells = {
        number: {back: _read_cell(both[back]) for back in sorted(both)} for number, both in layers.items()
    }
    whole = {
        number: tuple(filter(None, both.values()))
        for number, both in cells.items()
        if False in both and None not in both.values()
    }
    if not whole:
        return None
    name = path or BARE[next(iter(whole.values()))[0].class_name]
    read = tuple(
        LayerWeights(name if len(layers) == 1 else f"{name}_l{number}", both)
        for number, both in whole.items()
    )
    stored = tuple(
        {
            f"{role}{'_reverse' if back else ''}": array
            for back, roles in layers[number].items()
            for role, array in roles.items()
        }
        for number in whole
    )
    projects = any("weight_hr" in roles for both in layers.values() for roles in both.values())
    way_out = Message("build the layer without proj_size") if projects else ""
    return FoundChain(Chain(name, read), (), _explain_refusal(layers, cells), way_out, stored)


def _read_cell(roles: Roles) -> CellWeights | None:
    """Return one direction of a layer in Keras's layout; None if these tensors are not the weights of a cell.

    If a layer projects its state (proj_size), its units are the size of the projected state.
    """
    kernel, recurrent = roles.get("weight_ih"), roles.get("weight_hh")
    if kernel is None or recurrent is None or kernel.ndim != 2 or recurrent.ndim != 2:
        return None
    wide, state = recurrent.shape
    units = roles["weight_hr"].shape[-1] if "weight_hr" in roles else state
    class_name = infer_class(units, wide)
    if class_name is None or not state or len(kernel) != wide:
        return None
    if any(bias.shape != (wide,) for name, bias in roles.items() if name.startswith("bias_")):
        return None
    return cell_of(class_name, to_keras(class_name, roles), units=units)


def _refuse_ambiguous_axes(module: FoundChain) -> FoundChain:
    """Return the module; refuse it if the shapes of weights called `w_ih` do not tell their axes."""
    for stored in module.tensors:
        shapes = {array.shape for name, array in stored.items() if name.startswith("weight_")}
        if len(shapes) == 1 and all(len(set(shape)) == 1 for shape in shapes):
            way_out = Message(
                "call them weight_ih and weight_hh if they are (units, features) as in PyTorch, kernel and "
                "recurrent_kernel if they are as in Keras"
            )
            why = Message("its square w_ih and w_hh may be transposed")
            return module._replace(refusal=why, way_out=way_out)
    return module


def _explain_refusal(
    layers: Mapping[int | None, Mapping[bool, Roles]],
    cells: Mapping[int | None, Mapping[bool, CellWeights | None]],
) -> Text:
    """Return why the module cannot be computed, with the tensor at fault; "" if it can be."""
    for number, both in cells.items():
        suffix = "" if number is None else f"_l{number}"
        if any("weight_hr" in roles for roles in layers[number].values()):
            return Message("it projects its state (weight_hr{suffix}), which is not supported", suffix=suffix)
        if None in both.values() or False not in both:
            text = "the weights of layer {layer} are incomplete or do not fit together"
            return Message(text, layer=suffix.lstrip("_") or "0")
    if len(layers) > 1 and list(layers) != list(range(len(layers))):
        return Message(
            "its layers are {layers}: some are missing", layers=", ".join(f"_l{number}" for number in layers)
        )
    known = [[cell for cell in both.values() if cell] for both in cells.values()]
    if len({cell.class_name for both in known for cell in both}) > 1:
        return Message("its layers are of different classes")
    if len(set(map(len, known))) > 1:
        return Message("only some of its layers have two directions")
    width = None
    for index, directions in enumerate(known):
        features = {cell.features for cell in directions}
        if len(features) > 1:
            return Message("its two directions are of different classes, or take different inputs")
        if width is not None and features != {width}:
            text = "layer {number} takes {wanted} features, but gets {width}"
            return Message(text, number=index, wanted=directions[0].features, width=width)
        width = sum(len(cell.weights["recurrent_kernel"]) for cell in directions)
    return ""
