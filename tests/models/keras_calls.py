"""What Keras gives to every layer of a saved model, and how to compare it with ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from oracle import keras

from rnncli import compute
from rnncli.inputs.formats import Source
from rnncli.models import ModelRequest, ModelRun
from rnncli.models.graph import Graph
from rnncli.models.keras import reader as reader
from rnncli.models.keras.model import Model
from rnncli.models.keras.walk import run_graph

NEAR = 1e-5


class Recorded:
    """What Keras gives to each call of each recurrent layer of a model while the model runs."""

    def __init__(self, model: Any) -> None:
        self.calls: dict[str, list[dict[str, Any]]] = {}
        for path, layer in recurrent_layers(model, ""):
            layer.call = self._recorder(path, layer.call)

    def _recorder(self, path: str, call: Any) -> Any:
        def recorder(sequences: Any, initial_state: Any = None, mask: Any = None, **rest: Any) -> Any:
            outputs = call(sequences, initial_state=initial_state, mask=mask, **rest)
            states = keras.tree.flatten(initial_state) if initial_state is not None else []
            found = {"inputs": sequences, "mask": mask, "states": states}
            self.calls.setdefault(path, []).append(
                {name: _numbers(value) for name, value in found.items()}
                | {"outputs": _numbers(keras.tree.flatten(outputs))}
            )
            return outputs

        return recorder


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    return None if value is None else keras.ops.convert_to_numpy(value)


def recurrent_layers(model: Any, prefix: str) -> Any:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from recurrent_layers(layer, f"{prefix}{layer.name}/")
        elif isinstance(layer, (keras.layers.RNN, keras.layers.Bidirectional)):
            yield prefix + layer.name, layer


def graph_in(path: Path) -> Graph:
    graph = reader.read(Source(path.name, path=path))
    assert graph is not None
    return graph


def follow(graph: Graph, given: Any, **more: Any) -> ModelRun:
    """The graph run in NumPy."""
    return run_graph(graph, ModelRequest(Model(graph).fit_inputs(given), compute_numpy, **more))


def evaluated(graph: Graph, given: Any) -> list[np.ndarray]:
    """What the model returns, in NumPy."""
    found = follow(graph, given, everything=True)
    parts = {part.layer: part for part in found.parts}
    values = []
    for ref in graph.outputs:
        if ref.node in parts:
            result = parts[ref.node].result or compute_numpy(parts[ref.node].case)
            values.append(result.outputs[ref.tensor].values)
        else:
            names = [name for name in found.other_outputs if name.startswith(f"{ref.node}/output")]
            values.append(found.other_outputs[names[ref.tensor]])
    return values


def compute_numpy(case: Any) -> Any:
    return compute.run(case, "numpy")


def fed_alike(part: Any, calls: list[dict[str, Any]], what: str) -> None:
    """The layer got what one of Keras's calls of it got, and returned the same; takes that call away."""
    case = part.case
    for number, call in enumerate(calls):
        states = case.initial_state or ()
        if call["inputs"].shape != case.inputs.shape or len(states) != len(call["states"]):
            continue
        if not np.allclose(call["inputs"], case.inputs, rtol=NEAR, atol=NEAR, equal_nan=True):
            continue
        if (call["mask"] is None) != (case.mask is None):
            continue
        if case.mask is not None and not np.array_equal(call["mask"], case.mask):
            continue
        for mine, theirs in zip(states, call["states"], strict=True):
            alike(mine, theirs, what)
        result = part.result or compute_numpy(case)
        for tensor, theirs in zip(result.outputs, call["outputs"], strict=True):
            alike(tensor.values, theirs, f"{what} {tensor.name}")
        del calls[number]
        return
    raise AssertionError(f"{what}: no call of Keras's got this input, mask {case.mask} and state")


def alike(mine: Any, theirs: Any, what: str) -> None:
    assert mine.shape == theirs.shape, what
    size = max(1.0, float(np.abs(theirs[np.isfinite(theirs)], dtype=float).max(initial=0)))
    np.testing.assert_allclose(mine, theirs, rtol=0, atol=NEAR * size, err_msg=what)
