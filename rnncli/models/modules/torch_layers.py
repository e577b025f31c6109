"""PyTorch's own layers with the tensors of a file: the reference for what is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnncli.case import Array
from rnncli.errors import EngineError, UsageError
from rnncli.frameworks.torch import GATES, MODULES
from rnncli.layers.stack import Stack
from rnncli.models.graph import Modules, Node
from rnncli.models.modules.assumptions import default_order, order_of_gates
from rnncli.process.isolation import isolated
from rnncli.result import Label

if TYPE_CHECKING:
    from rnncli.models import CasePair


def outputs(model: Modules, inputs: Mapping[str, Array], cases: Mapping[str, CasePair]) -> dict[str, Array]:
    """Return the outputs of torch.nn for these layers, by `lstm_l0/hidden_states`.

    Raises EngineError without PyTorch, UsageError for an assumption that PyTorch's layer does not have.
    """
    torch = _torch()
    array = next(iter(inputs.values()))
    found: dict[str, Array] = {}
    for module in model.modules:
        if not any(node.name in cases for node in module.nodes):
            continue
        given = array
        for node, stored in zip(module.nodes, module.tensors, strict=True):
            sequence, states = _call_layer(torch, model, node, stored, given)
            if node.name in cases:
                found |= _tensors_of(node, cases[node.name], sequence, states)
            given = sequence
    return found


def _torch() -> Any:
    try:
        with isolated():
            import torch
    except ImportError:
        raise EngineError(
            "{--check}: PyTorch is not installed; it is needed to run the layers of this file.",
            "pip install torch",
        ) from None
    return torch


def _call_layer(
    torch: Any, model: Modules, node: Node, stored: Mapping[str, Array], given: Array
) -> tuple[Array, Sequence[Array]]:
    """Return the sequence, then hidden and cell state as in PyTorch, each (directions, batch, units)."""
    layer = _layer(torch, node, stored)
    tensors = _parameters(model, node, stored)
    layer.load_state_dict({name: torch.tensor(array) for name, array in tensors.items()}, assign=True)
    with torch.no_grad():
        sequence, states = layer(torch.tensor(given.astype(stored["weight_ih"].dtype)))
    states = states if isinstance(states, tuple) else (states,)
    return sequence.numpy(), [state.numpy() for state in states]


def _layer(torch: Any, node: Node, stored: Mapping[str, Array]) -> Any:
    """Return one layer of torch.nn, without its weights."""
    config, class_name = node.core_config, node.core_class
    activation, gates = config.get("activation", "tanh"), config.get("recurrent_activation", "sigmoid")
    plain = class_name == "SimpleRNN" and activation in ("tanh", "relu")
    if (not plain and activation != "tanh") or gates != "sigmoid" or config.get("reset_after") is False:
        raise UsageError(
            "{--check}: torch.nn.{classes} does not have the options assumed for {name}.",
            "Leave {--check} out.",
            classes=MODULES[class_name],
            name=node.name,
        )
    wide, features = stored["weight_ih"].shape
    options = {"nonlinearity": activation} if plain else {}
    with torch.device("meta"):  # no random numbers are drawn
        return getattr(torch.nn, MODULES[class_name])(
            features,
            wide // len(GATES[class_name]),
            bias=any(name.startswith("bias_") for name in stored),
            batch_first=True,
            bidirectional=node.class_name == "Bidirectional",
            dtype=getattr(torch, stored["weight_ih"].dtype.name),
            **options,
        )


def _parameters(model: Modules, node: Node, stored: Mapping[str, Array]) -> dict[str, Array]:
    """Return the tensors by torch.nn's names, with its order of gates; a missing bias is zero."""
    import numpy as np

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


def _tensors_of(node: Node, cases: CasePair, sequence: Array, states: Sequence[Array]) -> dict[str, Array]:
    """Return every shown tensor of one layer, by name."""
    import numpy as np

    def array_of(label: Label) -> Any:
        backward = int(label.direction == "backward")
        if label.part == "cell":
            return states[1][backward]
        if label.last:
            return states[0][backward]
        return sequence if label.sequence else np.concatenate(states[0], axis=-1)

    infos = Stack(cases.display.specs).outputs(cases.display.inputs.shape)
    return {f"{node.name}/{info.name}": array_of(info.label) for info in infos}
