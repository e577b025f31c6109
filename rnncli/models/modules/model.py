"""The recurrent layers of a file without a graph, and an input, as Cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rnncli.case import Array, Case, format_shape
from rnncli.errors import (
    EngineError,
    InputError,
    LayerError,
    Message,
    Text,
    UsageError,
    count,
    format_names,
    inside,
    join,
)
from rnncli.frameworks.torch import GATES, MODULES
from rnncli.layers import fit
from rnncli.layers.stack import Stack
from rnncli.models import CasePair, Compute, LayerUse, ModelRequest, ModelRun, SavedModel
from rnncli.models.graph import ModelInput, Module, Modules, Node, choose_layers, model_option
from rnncli.models.inputs import empty_input, fit_input
from rnncli.models.layer_cases import spec_of
from rnncli.models.modules.assumptions import assume, assumptions, default_order, order_of_gates
from rnncli.process.isolation import isolated
from rnncli.process.watch import watch
from rnncli.result import Label

if TYPE_CHECKING:
    from rnncli.models import CasePair


CHANGES = Message("Change the values with {--assume}, the order of the axes with {--input-axes}.")


class Model(SavedModel):
    """The recurrent layers of a file without a graph."""

    contents: Modules

    def describe_inputs(self) -> str:
        """Return `input: (batch, timesteps, 5), float32`; several if modules differ in features."""
        model_inputs = dict.fromkeys(
            f"(batch, timesteps, {_features(module.nodes[0])}), {_dtype(module.nodes[0])}"
            for module in self.contents.modules
            if module.nodes
        )
        return f"input: {' or '.join(model_inputs)}"

    def fit_inputs(self, given: Any) -> dict[str, Array]:
        """Return the input (batch, timesteps, features); adds a batch axis of 1 if only that is missing.

        given: an array, or one under any name.
        """
        if isinstance(given, Mapping) and len(given) != 1:
            with inside(self.file):
                what = Message("it has no graph and takes one input, but got {count}.", count=len(given))
                raise InputError(what, "Give one array, (batch, timesteps, features).")
        name, array = next(iter(given.items())) if isinstance(given, Mapping) else ("input", given)
        dtypes = {_dtype(node) for node in self.contents.recurrent_nodes}
        dtype = dtypes.pop() if len(dtypes) == 1 else "float64"
        with inside(self.file):
            return {name: fit_input(ModelInput(name, ("batch", "timesteps", "features"), dtype), array)}

    def run(self, request: ModelRequest) -> ModelRun:
        """Return what each layer gets: a module's first layer the input, the others the previous output.

        request: its layers are modules or layers of them; `everything` adds a note, as the file does not say
            what its other tensors are for.
        Raises UsageError for a name that is not there, LayerError for a layer that cannot be computed,
        InputError if the input does not fit.
        """
        array = next(iter(request.inputs.values()))
        with inside(self.file, UsageError):
            chosen = choose_layers(self.contents, request.layers)
            modules = tuple(
                module
                for module in self.contents.modules
                if module.name in chosen or any(node.name in chosen for node in module.nodes)
            )
            for module in modules:
                _require(self.contents, module, array)
        parts = [
            part
            for module in modules
            for part in _parts(module, array, request.compute)
            if part.layer in chosen
        ]
        used = replace(self.contents, modules=modules)
        notes = [join((assumptions(used), CHANGES), " ")]
        if request.everything and self.contents.other_shapes:
            notes.append(
                Message("{--all-layers} adds nothing: the file does not say what its other tensors are for.")
            )
        return ModelRun(tuple(parts), notes=tuple(notes), order=self.layer_names())

    @property
    def framework(self) -> str:
        """PyTorch, or Keras for a file with Keras's names; both if it has both."""
        kinds = {bool(module.tensors) for module in self.contents.modules if module.nodes}
        return " and ".join(name for name, own in (("PyTorch", True), ("Keras", False)) if own in kinds)

    def outputs(self, inputs: Mapping[str, Array], cases: Mapping[str, CasePair]) -> dict[str, Array]:
        """Return every tensor of these layers from torch.nn; from Keras for layers with Keras's names.

        Raises EngineError if the framework is not installed.
        """
        from rnncli import compute

        modules = tuple(module for module in self.contents.modules if module.tensors)
        theirs = {node.name for module in modules for node in module.nodes}
        own = {layer: both for layer, both in cases.items() if layer in theirs}
        found = _run_torch(replace(self.contents, modules=modules), inputs, own) if own else {}
        for layer, (_, shown) in cases.items():
            if layer not in theirs:
                found |= {
                    f"{layer}/{tensor.name}": tensor.values
                    for tensor in compute.run(shown, "tensorflow").outputs
                }
        return found

    @property
    def assumed(self) -> Text:
        """What the file does not say and is assumed."""
        return assumptions(self.contents)

    def assume(self, options: str | Mapping[str, Any]) -> Model:
        """Return the model with these assumptions instead of the defaults of its framework; see `assume`."""
        return Model(assume(self.contents, options), self.path, self.names)


def _require(modules: Modules, module: Module, array: Array) -> None:
    """Raise LayerError for a module that cannot be computed, InputError for an input of another width."""
    others = [one.name for one in modules.modules if not one.refusal]
    if module.refusal:
        choice = (
            Message("Choose others: {option}", option=model_option(modules.file, others)) if others else ""
        )
        raise LayerError(*module.explain_refusal(choice))
    width = _features(module.nodes[0])
    if 0 in array.shape:
        raise empty_input(module.name)
    if array.shape[2] == width:
        return
    known = [f"{one.name} takes {_features(one.nodes[0])}" for one in modules.modules if one.nodes]
    fitting = [one for one in modules.modules if one.nodes and _features(one.nodes[0]) == array.shape[2]]
    wanted = count(width, "feature")
    advice = Message("Give inputs of {wanted}.", wanted=wanted)
    if fitting:
        advice = Message(
            "Choose a layer that takes it: {option} ({known}).",
            option=model_option(modules.file, [fitting[0].name]),
            known=format_names(known),
        )
    elif len(known) > 1:
        advice = Message(
            "Give inputs that fit a layer, and name it after a # ({known}).", known=format_names(known)
        )
    raise InputError(
        "{name} takes {wanted}, but the input {shape} has {features}.",
        advice,
        name=module.name,
        wanted=wanted,
        shape=format_shape(array.shape),
        features=array.shape[2],
    )


def _features(node: Node) -> int:
    return next(len(array) for name, array in node.weights.items() if name.rpartition("/")[2] == "kernel")


def _dtype(node: Node) -> str:
    return str(node.core_config["dtype"])


def _parts(module: Module, array: Array, compute: Compute) -> Iterator[LayerUse]:
    import numpy as np

    for place, node in enumerate(module.nodes):
        spec = spec_of(node)
        inputs = np.ascontiguousarray(array, spec.config["dtype"])
        case = fit.fit_case(Case((spec,), inputs, weights=node.weights, seed=None))
        result = compute(case) if place + 1 < len(module.nodes) else None
        yield LayerUse(node.name, case, result, before=module.nodes[place - 1].name if place else "")
        if result:
            array = result.outputs[0].values


def _run_torch(
    model: Modules, inputs: Mapping[str, Array], cases: Mapping[str, CasePair]
) -> dict[str, Array]:
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


AFTER_CRASH = Message("Leave {--check} out, or try another version of the engine.")


def _torch() -> Any:
    watch("PyTorch", AFTER_CRASH)
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
