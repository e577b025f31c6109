"""The recurrent layers of a file without a graph, and an input, as Cases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rnncli.case import Case, format_shape
from rnncli.compute.models import ModelRun, Part
from rnncli.compute.models._inputs import numbers_of
from rnncli.compute.models._recurrent import spec_of
from rnncli.errors import InputError, LayerError, UsageError, did_you_mean, listed
from rnncli.layers.stack import Stack
from rnncli.model import Module, Modules, Node

if TYPE_CHECKING:
    from pathlib import Path

    from rnncli.case import Array
    from rnncli.compute.models import Cases, Compute

ASSUMABLE = ("activation", "recurrent_activation")
GATED = ("GRU", "LSTM")


def layer_names(model: Modules) -> tuple[str, ...]:
    """Every layer that was recognised: `decoder.rnn`, or `decoder.rnn_l0` and so on of a stack."""
    return tuple(name for module in model.modules for name in _names(module))


def choose(model: Modules, names: Sequence[str]) -> tuple[str, ...]:
    """These layers, all of a module for its name.  Raises UsageError, InputError where the file has none."""
    return tuple(name for module, own in _chosen(model, names) for name in _names(module) if name in own)


def describe_inputs(model: Modules) -> str:
    """`input: (batch, timesteps, 5), float32`; several where the modules take other numbers of features."""
    ports = dict.fromkeys(
        f"(batch, timesteps, {_features(module.nodes[0])}), {_dtype(module.nodes[0])}"
        for module in model.modules
    )
    return f"input: {' or '.join(ports)}"


def fit_inputs(model: Modules, given: Any) -> dict[str, Array]:
    """The one input, (batch, timesteps, features); adds a batch axis of 1 where exactly that is missing.

    given: an array, or one under any name.
    """
    if isinstance(given, Mapping) and len(given) != 1:
        what = f"{model.file}: it has no graph and takes one input, but {len(given)} came"
        raise InputError(f"{what}.", "Give one array, (batch, timesteps, features).")
    name, array = next(iter(given.items())) if isinstance(given, Mapping) else ("input", given)
    return {name: _batched(model, numbers_of(name, describe_inputs(model), array))}


def run(
    model: Modules,
    path: Path,
    inputs: Mapping[str, Array],
    compute: Compute,
    *,
    layers: Sequence[str] = (),
    everything: bool = False,
) -> ModelRun:
    """What each layer gets: the first of a module the input, each other one the layer before.

    inputs: as `fit_inputs` gives them.  compute: what answers a Case.
    layers: modules or layers of them by name; none for all.  everything: adds a note, as the file does not
    say what its other tensors are for.
    Raises UsageError for a name that is not there, LayerError for a layer that cannot be computed,
    InputError where the input does not fit.
    """
    array = next(iter(inputs.values()))
    parts: list[Part] = []
    for module, wanted in _chosen(model, layers):
        _demand(model, module, array)
        parts += [part for part in _parts(module, array, compute) if part.layer in wanted]
    notes = ("the file does not say what its other tensors are for.",) if everything and model.others else ()
    return ModelRun(tuple(parts), notes=notes, order=layer_names(model))


def framework(model: Modules) -> str:
    """PyTorch, or Keras for a file with its names."""
    return model.origin.partition(" ")[0]


def outputs(
    model: Modules, path: Path, inputs: Mapping[str, Array], cases: Mapping[str, Cases]
) -> dict[str, Array]:
    """Every tensor of these layers as its framework returns it.

    Raises EngineError where the framework is not installed.
    """
    from rnncli import compute

    return {
        f"{layer}/{tensor.name}": tensor.values
        for layer, (_, shown) in cases.items()
        for tensor in compute.run(shown, "tensorflow").outputs
    }


def assumed(modules: Modules, options: Mapping[str, str]) -> Modules:
    """The same with other activations than their framework's defaults.

    options: `activation` and `recurrent_activation`, each of every layer that has it.
    Raises UsageError for another option, or one that no layer has.
    """
    for name in options:
        if name not in ASSUMABLE:
            raise UsageError(f"{name} cannot be assumed.", did_you_mean(name, ASSUMABLE))
    if "recurrent_activation" in options and not any(
        _cell(node)["class_name"] in GATED for module in modules.modules for node in module.nodes
    ):
        what = f"{modules.file}: no layer in it has a recurrent_activation"
        raise UsageError(f"{what}.", f"These have one: {listed(GATED)}.")
    changed = tuple(
        replace(module, nodes=tuple(_with(node, options) for node in module.nodes))
        for module in modules.modules
    )
    said = listed([f"{name}={value}" for name, value in options.items()])
    return replace(modules, modules=changed, notes=(*modules.notes, f"assumed instead: {said}."))


def _cell(node: Node) -> Mapping[str, Any]:
    """The class and config of a layer, inside Bidirectional or not."""
    inner: Mapping[str, Any] = node.config.get("layer") or {
        "class_name": node.class_name,
        "config": node.config,
    }
    return inner


def _with(node: Node, options: Mapping[str, str]) -> Node:
    cell = _cell(node)
    own = {key: value for key, value in options.items() if key == "activation" or cell["class_name"] in GATED}
    config = {**cell["config"], **own}
    if node.class_name != "Bidirectional":
        return replace(node, config=config)
    return replace(node, config={**node.config, "layer": {**cell, "config": config}})


def _batched(modules: Modules, array: Array) -> Array:
    """The input with a batch axis of 1 in front where exactly that is missing."""
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3:
        raise InputError(
            f"{modules.file}: its layers take (batch, timesteps, features), but the input is "
            f"{format_shape(array.shape)}.",
            "Give it three axes.",
        )
    return array


def _chosen(modules: Modules, names: Sequence[str]) -> Iterator[tuple[Module, set[str]]]:
    """The modules that are asked for, each with the names of its layers that are."""
    if not modules.modules:
        what = f"{modules.file}: no recurrent layer was recognised in it"
        raise InputError(f"{what}.", f"It has {listed(list(modules.others)) or 'no tensors'}.")
    known = [name for module in modules.modules for name in (module.name, *_names(module))]
    for name in names:
        if name not in known:
            raise UsageError(f"{modules.file}: there is no layer {name!r} in it.", did_you_mean(name, known))
    for module in modules.modules:
        own = set(_names(module))
        wanted = own if not names or module.name in names else own.intersection(names)
        if wanted:
            yield module, wanted


def _names(module: Module) -> list[str]:
    return [node.name for node in module.nodes]


def _demand(modules: Modules, module: Module, array: Array) -> None:
    """LayerError for a module that cannot be computed, InputError for an input of another width."""
    others = [one.name for one in modules.modules if not one.refused]
    if module.refused:
        advice = f"Choose others: --model {modules.file}#{','.join(others)}" if others else ""
        raise LayerError(f"{modules.file}: {module.name}: {module.refused}.", advice)
    width = _features(module.nodes[0])
    if array.shape[2] != width:
        known = listed([f"{one.name} takes {_features(one.nodes[0])}" for one in modules.modules])
        raise InputError(
            f"{modules.file}: {module.name} takes {width} features, but the input "
            f"{format_shape(array.shape)} has {array.shape[2]}.",
            f"Choose layers that it fits with #: --model {modules.file}#NAME ({known}).",
        )


def _features(node: Node) -> int:
    return next(len(array) for name, array in node.weights.items() if name.rpartition("/")[2] == "kernel")


def _dtype(node: Node) -> str:
    return str(_cell(node)["config"]["dtype"])


def _parts(module: Module, array: Array, compute: Compute) -> Iterator[Part]:
    import numpy as np

    for place, node in enumerate(module.nodes):
        spec = spec_of(node)
        case = Case(
            Stack((spec,)), np.ascontiguousarray(array, spec.config["dtype"]), weights=dict(node.weights)
        )
        result = compute(case) if place + 1 < len(module.nodes) else None
        yield Part(node.name, case, result)
        if result:
            array = result.outputs[0].values
