"""The layers of a file without a graph in PyTorch, for --check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from rnncli.errors import EngineError, Message, UsageError
from rnncli.frameworks.torch import GATES, MODULES
from rnncli.models import LayerUse
from rnncli.models.graph import Modules, Node
from rnncli.models.weight_files.assumptions import default_order, order_of_gates
from rnncli.process.isolation import isolated
from rnncli.process.watch import watch
from rnncli.result import Label
from rnncli.values import Array


def run_torch(
    model: Modules,
    inputs: Mapping[str, Array],
    uses: Mapping[str, LayerUse],
    start: Mapping[str, tuple[Array, ...]],
) -> dict[str, Array]:
    """Return the outputs of torch.nn for these layers, by `lstm_l0/hidden_states`.

    start: the initial states, by layer.
    Raises EngineError without PyTorch, UsageError for an assumption that PyTorch's layer does not have.
    """
    torch = _torch()
    array, mask = next(iter(inputs.values())), next(iter(uses.values())).case.mask
    tensors: dict[str, Array] = {}
    for module in model.modules:
        given = array
        for node, stored in zip(module.nodes, module.tensors, strict=True):
            layer = _layer(torch, node, stored, _parameters(model, node, stored))
            given_states, kinds = start.get(node.name, ()), 2 if node.core_class == "LSTM" else 1
            first = [  # h_0, of an LSTM also c_0, each (directions, batch, units)
                torch.tensor(np.stack(given_states[kind::kinds])) for kind in range(kinds) if given_states
            ]
            call = _call if mask is None else partial(_call_packed, mask)
            with torch.no_grad():
                numbers = torch.tensor(given.astype(stored["weight_ih"].dtype))
                sequence, states = call(layer, numbers, first)
            if node.name in uses:
                tensors |= _tensors_of(uses[node.name], sequence, states)
            given = sequence
    return tensors


AFTER_CRASH = Message("Leave {--check} out, or try another version of the engine.")


def _torch() -> Any:
    watch("PyTorch", AFTER_CRASH)
    try:
        with isolated():
            import torch
    except ImportError:
        what = "{--check}: PyTorch is not installed; it is needed to run the layers of this file."
        raise EngineError(what, "pip install torch") from None
    return torch


def _call(layer: Any, numbers: Any, first: Sequence[Any]) -> tuple[Array, list[Array]]:
    """Return the sequence, then hidden and cell state as in PyTorch, each (directions, batch, units)."""
    sequence, states = layer(numbers, tuple(first) if len(first) > 1 else first[0] if first else None)
    states = states if isinstance(states, tuple) else (states,)
    return sequence.numpy(), [state.numpy() for state in states]


def _call_packed(mask: Array, layer: Any, numbers: Any, first: Sequence[Any]) -> tuple[Array, list[Array]]:
    """A sequence without steps cannot be packed: its outputs are zeros, its states the initial ones."""
    import torch
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    there = np.flatnonzero(mask.any(axis=1))
    kept = np.argsort(~mask[there], axis=1, kind="stable")  # the steps of a sequence, then the masked steps
    steps = torch.tensor(kept)[:, :, None]
    real = torch.take_along_dim(numbers[there], steps, 1)
    packed = pack_padded_sequence(real, mask[there].sum(1).tolist(), batch_first=True, enforce_sorted=False)
    chosen = [state[:, there] for state in first]
    output, states = layer(packed, *([tuple(chosen)] if len(chosen) > 1 else chosen))
    padded, _ = pad_packed_sequence(output, batch_first=True, total_length=mask.shape[1])
    sequence = torch.zeros(*mask.shape, padded.shape[2], dtype=padded.dtype)
    sequence[there] = torch.zeros_like(padded).scatter(1, steps.expand_as(padded), padded)
    returned = []
    for index, state in enumerate(states if isinstance(states, tuple) else (states,)):
        whole = (
            first[index].clone() if first else torch.zeros(len(state), len(mask), state.shape[2]).to(state)
        )
        whole[:, there] = state
        returned.append(whole.numpy())
    return sequence.numpy(), returned


def _layer(torch: Any, node: Node, stored: Mapping[str, Array], parameters: Mapping[str, Array]) -> Any:
    """Return one layer of torch.nn.  stored: its tensors in the file.  parameters: by torch.nn's names."""
    config, class_name = node.core_config, node.core_class
    activation, gates = config.get("activation", "tanh"), config.get("recurrent_activation", "sigmoid")
    plain = class_name == "SimpleRNN" and activation in ("tanh", "relu")
    if (not plain and activation != "tanh") or gates != "sigmoid" or config.get("reset_after") is False:
        what = "{--check}: torch.nn.{classes} does not have the options assumed for {name}."
        raise UsageError(what, "Leave {--check} out.", classes=MODULES[class_name], name=node.name)
    wide, features = stored["weight_ih"].shape
    options = {"nonlinearity": activation} if plain else {}
    with torch.device("meta"):  # no random numbers are drawn
        layer = getattr(torch.nn, MODULES[class_name])(
            features,
            wide // len(GATES[class_name]),
            bias=any(name.startswith("bias_") for name in stored),
            batch_first=True,
            bidirectional=node.class_name == "Bidirectional",
            dtype=getattr(torch, stored["weight_ih"].dtype.name),
            **options,
        )
    layer.load_state_dict({name: torch.tensor(array) for name, array in parameters.items()}, assign=True)
    return layer


def _parameters(model: Modules, node: Node, stored: Mapping[str, Array]) -> dict[str, Array]:
    """Return the tensors by torch.nn's names, with its order of gates; a missing bias is zero."""
    order = order_of_gates(model, node)
    gates = default_order(node)
    parameters: dict[str, Array] = {}
    for name, array in stored.items():
        parts = np.split(array, len(gates) or 1)
        moved = np.concatenate([parts[order.index(gate)] for gate in gates]) if gates else array
        role, back, _ = name.partition("_reverse")
        parameters[f"{role}_l0{back}"] = moved
    biases = [name for name in parameters if name.startswith("bias_")]
    for name in biases:
        for other in ("ih", "hh"):
            parameters.setdefault(
                f"bias_{other}{name.removeprefix('bias_')[2:]}", np.zeros_like(parameters[name])
            )
    return parameters


def _tensors_of(use: LayerUse, sequence: Array, states: Sequence[Array]) -> dict[str, Array]:
    def array_of(label: Label) -> Any:
        backward = int(label.direction == "backward")
        if label.part == "cell":
            return states[1][backward]
        if label.last:
            return states[0][backward]
        return sequence if label.sequence else np.concatenate(states[0], axis=-1)

    infos = use.case.stack.outputs(use.case.inputs.shape)
    return {f"{use.layer}/{info.name}": array_of(info.label) for info in infos}
