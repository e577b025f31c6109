"""PyTorch's layout: `lstm.weight_ih_l0`, `bias_hh_l1_reverse`, as in a state dict of nn.LSTM, nn.GRU, nn.RNN.

weight_ih (gates * units, features), weight_hh (gates * units, units), bias_ih and bias_hh (gates * units,).
The gates of an LSTM are i, f, g, o, those of a GRU r, z, n.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from rnncli.case import Array
from rnncli.errors import EngineError, Message, Text
from rnncli.frameworks import Chain, LayerWeights, convert
from rnncli.frameworks._gates import GATES as KERAS
from rnncli.frameworks._gates import adds_bias, explain_uneven, one_bias, reorder, two_biases

FRAMEWORK = "PyTorch"
SUFFIXES = (".pt", ".pth")

MODULES = {"SimpleRNN": "RNN", "LSTM": "LSTM", "GRU": "GRU"}
GATES: Mapping[str, tuple[str, ...]] = {**KERAS, "GRU": ("reset", "update", "candidate")}


def from_keras(class_name: str, weights: Mapping[str, Array]) -> dict[str, Array]:
    """Return weight_ih, weight_hh and, if there is a bias, bias_ih and bias_hh."""
    before, after = KERAS[class_name], GATES[class_name]
    arrays = {
        "weight_ih": reorder(weights["kernel"], before, after).T,
        "weight_hh": reorder(weights["recurrent_kernel"], before, after).T,
    }
    if "bias" in weights:
        biases = (reorder(bias, before, after) for bias in two_biases(weights["bias"]))
        arrays.update(zip(("bias_ih", "bias_hh"), biases, strict=True))
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def to_keras(class_name: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return Keras's weights of one direction.

    arrays: one of the biases, or both, may be missing.
    """
    before, after = GATES[class_name], KERAS[class_name]
    weights = {
        "kernel": reorder(arrays["weight_ih"].T, before, after),
        "recurrent_kernel": reorder(arrays["weight_hh"].T, before, after),
    }
    first, second = (
        None if arrays.get(name) is None else reorder(arrays[name], before, after)
        for name in ("bias_ih", "bias_hh")
    )
    bias = one_bias(first, second)
    if class_name == "GRU" and bias is not None:
        bias = np.stack([np.zeros_like(bias) if one is None else one for one in (first, second)])
    if bias is not None:
        weights["bias"] = bias
    return {name: np.ascontiguousarray(array) for name, array in weights.items()}


def refusal(layer: LayerWeights) -> Text | None:
    """Return why no nn.LSTM, nn.GRU or nn.RNN computes what the layer does, or None."""
    reasons = (explain_unsupported(cell.class_name, cell.config) for cell in layer.cells)
    reason = next((one for one in reasons if one), None)
    if reason:
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
        return Message(
            "PyTorch has only the activation {activations}, not {config}",
            activations=" or ".join(activations),
            config=config["activation"],
        )
    if config.get("recurrent_activation", "sigmoid") != "sigmoid":
        return Message(
            "PyTorch has only the activation sigmoid for gates, not {config}",
            config=config["recurrent_activation"],
        )
    if config.get("cell_activation"):
        return Message(
            "PyTorch has only the activation tanh for the cell state, not {config}",
            config=config["cell_activation"],
        )
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
            yield Message(
                "{title}: PyTorch concatenates the directions; apply {merge} yourself",
                title=layer.title,
                merge=merge,
            )
    if any(map(adds_bias, chain.layers)):
        yield Message(
            "PyTorch sums two biases: a single Keras bias is stored in bias_ih, and bias_hh is zero"
        )


def name_arrays(chain: Chain) -> dict[str, Array]:
    """Return the state dict of one module, or, if no single one has these layers, of one per layer."""
    found: dict[str, Array] = {}
    for path, layers in _modules(chain):
        prefix = f"{path}." if path else ""
        for number, layer in enumerate(layers):
            for cell, direction in zip(layer.cells, ("", "_reverse"), strict=False):
                for name, array in from_keras(cell.class_name, cell.weights).items():
                    found[f"{prefix}{name}_l{number}{direction}"] = array
    return found


def dump(chains: Sequence[Chain], suffix: str) -> bytes:
    """Return a file for `torch.load`.  Raises EngineError if PyTorch is missing."""
    try:
        import torch
    except ImportError:
        raise EngineError(
            "PyTorch is not installed; it is needed to write .pt files.", "pip install torch"
        ) from None
    content = io.BytesIO()
    tensors = {name: torch.from_numpy(array) for name, array in convert("torch", chains).items()}
    torch.save(tensors, content)
    return content.getvalue()


def _modules(chain: Chain) -> Iterator[tuple[str, tuple[LayerWeights, ...]]]:
    """Yield the path and the layers of each module."""
    if len(chain.layers) == 1 or _is_one_module(chain.layers):
        yield _path(chain.name), chain.layers
        return
    for layer in chain.layers:
        yield _path(layer.name), (layer,)


def _path(name: str) -> str:
    """Return a module's path; the names of nodes that PyTorch exports to ONNX begin with a slash."""
    return name.strip("/").replace("/", ".")


def _is_one_module(layers: Sequence[LayerWeights]) -> bool:
    """Return whether the layers are those of one module: alike, each as wide as the next one needs."""
    first = layers[0].cells
    for before, layer in zip((None, *layers), layers, strict=False):
        alike = len(layer.cells) == len(first) and layer.cells[0].units == first[0].units
        alike = alike and _kind(layer) == _kind(layers[0])
        merged = layer.merge_mode != "concat" and len(first) > 1
        fits = before is None or layer.cells[0].features == len(first) * first[0].units
        if not alike or merged or not fits:
            return False
    return True


def _kind(layer: LayerWeights) -> tuple[Any, ...]:
    cell = layer.cells[0]
    return (
        cell.class_name,
        "bias" in cell.weights,
        cell.config.get("activation", "tanh"),
        cell.weights["kernel"].dtype,
    )


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
