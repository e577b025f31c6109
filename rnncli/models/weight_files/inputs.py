"""The input of a file without a graph: its axes, its width, and token ids that would be read as features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from rnncli.errors import InputError, LayerError, Message, count, format_names
from rnncli.models.graph import ModelInput, Module, Modules, Node, model_option
from rnncli.models.inputs import empty_input, fit_input
from rnncli.models.weight_files.assumptions import is_batch_first
from rnncli.values import Array, format_shape

AXES = ("batch", "timesteps", "features")


def fit(model: Modules, given: Any) -> dict[str, Array]:
    """Return the input (batch, timesteps, features); adds a batch axis of 1 if only that is missing.

    given: an array, or a mapping with one array.
    Raises InputError, also for integers that may be token ids.
    """
    if isinstance(given, Mapping) and len(given) != 1:
        what = Message("it has no graph and takes one input, but got {count}.", count=len(given))
        raise InputError(what, "Give one array, (batch, timesteps, features).")
    name, array = next(iter(given.items())) if isinstance(given, Mapping) else ("input", given)
    _refuse_token_ids(model, array)
    dtypes = {dtype_of(node) for node in model.recurrent_nodes}
    dtype = dtypes.pop() if len(dtypes) == 1 else "float64"
    if is_batch_first(model) or np.ndim(array) != len(AXES):
        return {name: fit_input(ModelInput(name, AXES, dtype), array)}
    axes = (AXES[1], AXES[0], AXES[2])
    return {name: fit_input(ModelInput(name, axes, dtype), array).swapaxes(0, 1)}


def find_embeddings(model: Modules) -> dict[str, tuple[int, ...]]:
    """Return the tensors that may be tables of an Embedding, with their shapes.

    Such a tensor is alone in its layer, has two axes, and is as wide as the input of a recurrent layer, or
    named after an embedding.
    """
    others = model.other_shapes
    layers = Counter(map(_layer_of, others))
    widths = {features_of(node) for node in model.recurrent_nodes}
    return {
        name: shape
        for name, shape in others.items()
        if len(shape) == 2 and layers[_layer_of(name)] == 1 and (shape[1] in widths or "emb" in name.lower())
    }


def _layer_of(name: str) -> str:
    """Return the path of the layer that a tensor belongs to: `encoder.emb` of `encoder.emb.weight`."""
    return name.rpartition("/" if "/" in name else ".")[0]


def _refuse_token_ids(model: Modules, given: Any) -> None:
    """JSON and CSV have no integers: there, whole numbers that are rows of the table count as integers."""
    array, tables = np.asarray(given), find_embeddings(model)
    if not tables or array.ndim != 2 or not array.size:
        return
    name, (rows, width) = next(iter(tables.items()))
    if array.dtype.kind not in "iu":
        whole = array.dtype == np.float64 and ((array >= 0) & (array < rows) & (array % 1 == 0)).all()
        if not whole or not array.any():
            return
    batch, steps = array.shape
    raise InputError(
        "the input {shape} has whole numbers, and {name} {table} looks like an Embedding. As token ids they "
        "are {batch} of {steps}; as features, {one} of {rows}.",
        "For token ids, give {--model} the whole model, with its graph, or this file the embedded input, "
        "{embedded}. For features, give {with_batch}.",
        shape=format_shape(array.shape),
        name=name,
        table=format_shape((rows, width)),
        batch=count(batch, "sequence"),
        steps=count(steps, "time step"),
        one=count(1, "sequence"),
        rows=count(batch, "time step"),
        embedded=format_shape((batch, steps, width)),
        with_batch=format_shape((1, batch, steps)),
    )


def require_computable(modules: Modules, module: Module, array: Array) -> None:
    """Raise LayerError for a module that cannot be computed, InputError for an input with other features."""
    others = [other.name for other in modules.modules if not other.refusal]
    if module.refusal:
        choice = (
            Message("Choose others: {option}", option=model_option(modules.file, others)) if others else ""
        )
        raise LayerError(*module.explain_refusal(choice))
    width = features_of(module.nodes[0])
    if 0 in array.shape:
        raise empty_input(module.name)
    if array.shape[2] == width:
        return
    widths = {other.name: features_of(other.nodes[0]) for other in modules.modules if other.nodes}
    known = [f"{name} takes {features}" for name, features in widths.items()]
    fitting = [name for name, features in widths.items() if features == array.shape[2]]
    expected = count(width, "feature")
    advice = Message("Give inputs of {wanted}.", wanted=expected)
    if fitting:
        advice = Message(
            "Choose a layer that takes it: {option} ({known}).",
            option=model_option(modules.file, fitting[:1]),
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
        wanted=expected,
        shape=format_shape(array.shape),
        features=array.shape[2],
    )


def features_of(node: Node) -> int:
    """Return the number of features that a layer takes."""
    return next(len(array) for name, array in node.weights.items() if name.rpartition("/")[2] == "kernel")


def dtype_of(node: Node) -> str:
    """Return the dtype in which a layer computes."""
    return str(node.core_config["dtype"])
