"""Reference answers: calls Keras as a user's script would, and rnncli with the same case.

The Keras side uses no code of rnncli: layers are made from their expressions by `eval`, weights are set
variable by variable, and tensors are read in the order in which the call returned them.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras as keras
import numpy as np

from rnncli import compute, specs
from rnncli.layers.case import Case
from rnncli.layers.shape_checks import check_case
from rnncli.result import Result

SCRIPT = {**vars(keras.initializers), **vars(keras.layers), "keras": keras}
"""The names that `from keras.layers import *` and `from keras.initializers import *` define."""

NEAR = {"float32": 1e-6, "float64": 1e-12}
"""Largest allowed difference between two engines, for numbers of order one."""


def make_layers(*expressions: Any) -> list[Any]:
    """Make Keras layers, from an expression as in a script or a config for `keras.layers.deserialize`."""
    return [
        eval(text, dict(SCRIPT)) if isinstance(text, str) else keras.layers.deserialize(deepcopy(text))
        for text in expressions
    ]


def build_layers(layers: Sequence[Any], inputs: Any) -> Sequence[Any]:
    """Build every layer for these inputs, without a call."""
    shape = np.shape(inputs)
    for layer in layers:
        layer.build(shape)
        shape = _output_shape(layer, shape)
    return layers


def _output_shape(layer: Any, shape: Any) -> Any:
    """Return the shape of the first tensor that a layer returns.

    Keras doubles the width of the forward layer for `concat`, also where the backward layer has other units.
    """
    returned = layer.compute_output_shape(shape)
    first = returned if isinstance(returned[0], (int, type(None))) else returned[0]
    if getattr(layer, "merge_mode", None) == "concat":
        halves = (layer.forward_layer, layer.backward_layer)
        return (*first[:-1], sum(_output_shape(half, shape)[-1] for half in halves))
    return first


def variables_by_path(layers: Sequence[Any]) -> dict[str, Any]:
    """Return every weight by the path that rnncli uses: `kernel`, `forward/kernel`, `0/forward/kernel`."""
    return {path: variable for path, variable, _ in _owned_variables(layers)}


def _owned_variables(layers: Sequence[Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield every weight by its path, and the layer or cell that it belongs to."""
    for index, layer in enumerate(layers):
        prefix = f"{index}/" if len(layers) > 1 else ""
        yield from ((prefix + path, *owned) for path, *owned in _inside(layer))


def _inside(layer: Any) -> Iterator[tuple[str, Any, Any]]:
    layer = layer.layer if isinstance(layer, keras.layers.TimeDistributed) else layer
    parts = _parts(layer)
    for name, part in parts.items():
        yield from ((f"{name}/{path}", *owned) for path, *owned in _inside(part))
    for variable in () if parts else layer.trainable_weights:
        yield variable.name, variable, getattr(layer, "cell", layer)


def _parts(layer: Any) -> dict[str, Any]:
    if hasattr(layer, "forward_layer"):
        return {"forward": layer.forward_layer, "backward": layer.backward_layer}
    cells = getattr(getattr(layer, "cell", None), "cells", ())
    return {str(index): cell for index, cell in enumerate(cells)}


def fill_weights(
    layers: Sequence[Any], rng: np.random.Generator, scale: float = 0.4
) -> dict[str, np.ndarray]:
    """Replace every number of the weights by a random one; return the weights."""
    weights = {}
    for path, variable in variables_by_path(layers).items():
        weights[path] = (scale * rng.standard_normal(variable.shape)).astype(variable.dtype)
        variable.assign(weights[path])
    return weights


def initializers(layers: Sequence[Any]) -> dict[str, Any]:
    """Return the Keras initializer of every weight, by the weight's path."""
    return {
        path: getattr(owner, f"{variable.name.removesuffix('_kernel')}_initializer")
        for path, variable, owner in _owned_variables(layers)
    }


def weights(layers: Sequence[Any]) -> dict[str, np.ndarray]:
    """Return the current weights."""
    return {path: variable.numpy() for path, variable in variables_by_path(layers).items()}


def call_layers(
    layers: Sequence[Any],
    inputs: Any,
    mask: Any = None,
    states: Sequence[Any] | None = None,
    training: bool = False,
    calls: int = 1,
) -> list[list[np.ndarray]]:
    """Return the tensors of every layer, flat, from the last of `calls` calls.

    mask: given to the first layer that takes one; Keras passes it on to later layers.
    states: flat, for the whole stack, as many as each layer's `get_initial_state` returns.
    """
    returned: list[list[np.ndarray]] = []
    for _ in range(calls):
        returned, x, left = [], keras.ops.convert_to_tensor(inputs), list(states or ())
        wanting = next((layer for layer in layers if not isinstance(layer, keras.layers.Dense)), None)
        for layer in layers:
            arguments: dict[str, Any] = {"mask": mask} if layer is wanting and mask is not None else {}
            if isinstance(layer, (keras.layers.RNN, keras.layers.Bidirectional)) or hasattr(layer, "filters"):
                arguments["training"] = training
            if left and (like := initial_state(layer)):
                count = len(keras.tree.flatten(like))
                flat = [keras.ops.convert_to_tensor(state) for state in left[:count]]
                arguments["initial_state"] = keras.tree.pack_sequence_as(like, flat)
                left = left[count:]
            tensors = keras.tree.flatten(layer(x, **arguments))
            returned.append([keras.ops.convert_to_numpy(tensor) for tensor in tensors])
            x = tensors[0]
    return returned


def initial_state(layer: Any) -> list[Any]:
    """Return zeros in the structure of the layer's initial state; [] if the layer has no state."""
    if hasattr(layer, "forward_layer"):
        return [*initial_state(layer.forward_layer), *initial_state(layer.backward_layer)]
    return layer.get_initial_state(1) if isinstance(layer, keras.layers.RNN) else []


def accepts_states(layers: Sequence[Any]) -> bool:
    """Return whether Keras accepts an initial state; Bidirectional always splits the list in half."""
    halves = (
        (layer.forward_layer, layer.backward_layer) for layer in layers if hasattr(layer, "forward_layer")
    )
    return all(len(initial_state(forward)) == len(initial_state(backward)) for forward, backward in halves)


def random_states(
    layers: Sequence[Any], batch: int, rng: np.random.Generator, dtype: str
) -> list[np.ndarray]:
    """Return a random initial state for the whole stack, flat."""
    flat = [state for layer in layers for state in keras.tree.flatten(initial_state(layer))]
    return [rng.standard_normal((batch, state.shape[-1])).astype(dtype) for state in flat]


def case(expressions: Iterable[Any], inputs: np.ndarray, **rest: Any) -> Case:
    """Return the Case for rnncli."""
    if rest.get("initial_state") is not None:
        rest["initial_state"] = tuple(rest["initial_state"])
    return check_case(Case(specs.from_flags(list(expressions), {}), inputs, **rest))


def run_case(expressions: Iterable[Any], inputs: np.ndarray, engine: str = "numpy", **rest: Any) -> Result:
    """Return the answer of rnncli."""
    return compute.run(case(expressions, inputs, **rest), engine)


def check_outputs(result: Result, tensors: Sequence[np.ndarray], atol: float | None = None) -> None:
    """Assert that all tensors, in order, agree in shape, dtype and values (see `check_close`)."""
    assert [tensor.values.shape for tensor in result.outputs] == [tensor.shape for tensor in tensors]
    assert [tensor.values.dtype for tensor in result.outputs] == [tensor.dtype for tensor in tensors]
    for mine, theirs in zip(result.outputs, tensors, strict=True):
        check_close(mine.values, theirs, atol, mine.name)


def check_close(mine: Any, theirs: Any, atol: float | None = None, name: str = "") -> None:
    """Assert that two arrays differ by at most `atol` times the largest number (or 1, if larger).

    atol: default NEAR, by dtype.
    """
    theirs = np.asarray(theirs)
    size = max(1.0, float(np.abs(theirs[np.isfinite(theirs)]).max(initial=0)))
    limit = NEAR[str(theirs.dtype)] if atol is None else atol
    np.testing.assert_allclose(mine, theirs, rtol=0, atol=limit * size, err_msg=name)


def cover_pairs(dimensions: Mapping[str, Sequence[Any]], seed: int = 0) -> list[dict[str, Any]]:
    """Return rows that cover every pair of values of two dimensions at least once (greedy, repeatable)."""
    rng = np.random.default_rng(seed)
    names = list(dimensions)
    sizes = [len(dimensions[name]) for name in names]
    missing = {
        (a, i, b, j)
        for a in range(len(names))
        for b in range(a + 1, len(names))
        for i in range(sizes[a])
        for j in range(sizes[b])
    }
    rows = []
    while missing:
        first = min(missing)
        row = {first[0]: first[1], first[2]: first[3]}
        for index in rng.permutation(len(names)).tolist():
            if index not in row:
                row[index] = max(rng.permutation(sizes[index]).tolist(), key=_gain(row, index, missing))
        missing -= {(a, row[a], b, row[b]) for a in row for b in row if a < b}
        rows.append({name: dimensions[name][row[index]] for index, name in enumerate(names)})
    return rows


def _gain(row: Mapping[int, int], index: int, missing: set[tuple[int, int, int, int]]) -> Any:
    """Return the function that counts the missing pairs which a value of this dimension adds to a row."""

    def gain(value: int) -> int:
        pairs = (
            (index, value, other, row[other]) if index < other else (other, row[other], index, value)
            for other in row
        )
        return sum(pair in missing for pair in pairs)

    return gain
