"""A saved model followed in NumPy, and how to compare it with the model in Keras."""

import zipfile
from collections.abc import Callable
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


def graph_in(path: Path) -> Graph:
    graph = reader.read(Source(path.name, path=path))
    assert graph is not None
    return graph


def compute_numpy(case: Any) -> Any:
    return compute.run(case, "numpy")


def run_in_numpy(graph: Graph, given: Any, **more: Any) -> ModelRun:
    """Return the run of the graph in NumPy."""
    return run_graph(graph, ModelRequest(Model(graph).fit_inputs(given), compute_numpy, **more))


def tensors_of_run(run: ModelRun) -> dict[str, list[Any]]:
    """What every layer returns, by our name of its use."""
    tensors: dict[str, list[Any]] = {}
    for part in run.parts:
        result = part.result or compute_numpy(part.case)
        tensors[part.layer] = [tensor.values for tensor in result.outputs]
    for name, array in run.other_outputs.items():
        tensors.setdefault(name.rpartition("/")[0], []).append(array)
    return tensors


def outputs_in_numpy(graph: Graph, given: Any) -> list[np.ndarray]:
    """What the model returns, in NumPy."""
    tensors = tensors_of_run(run_in_numpy(graph, given, everything=True))
    return [tensors[ref.node][ref.tensor] for ref in graph.outputs]


def keras_tensors(model: Any) -> dict[tuple[str, int], Any]:
    """Every output of every layer of a model of Keras or tf_keras, by our name of its use, and its number."""
    inside = {node for level in model._nodes_by_depth.values() for node in level}
    tensors = {}
    for layer in getattr(model, "operations", model.layers):
        nodes = [node for node in layer._inbound_nodes if node in inside and not node.is_input]
        for number, node in enumerate(nodes):
            outputs = keras.tree.flatten(node.outputs if hasattr(node, "outputs") else node.output_tensors)
            for index, tensor in enumerate(outputs):
                tensors[layer.name + (f"@{number}" if number else ""), index] = tensor
    return tensors


def check_against_keras(model: Any, graph: Graph, given: dict[str, Any], family: Any = keras) -> ModelRun:
    """Check that every layer, and the model, returns what it returns in Keras; return the run in NumPy."""
    model = getattr(model, "_functional", None) or model
    run = run_in_numpy(graph, given, everything=True)
    mine, tensors = tensors_of_run(run), keras_tensors(model)
    whole = family.Model(model.inputs, [*tensors.values(), *model.outputs])
    theirs = keras.tree.flatten(whole([given[tensor.name] for tensor in model.inputs]))
    for (name, index), values in zip(tensors, theirs, strict=False):
        if name in mine:
            check_near(mine[name][index], np.asarray(values), f"{name} {index}")
    for ref, values in zip(graph.outputs, theirs[len(tensors) :], strict=True):
        if ref.node in mine:
            check_near(mine[ref.node][ref.tensor], np.asarray(values), f"{ref}")
    assert {name for name, _ in tensors} & mine.keys()
    return run


def check_near(mine: Any, theirs: Any, what: str) -> None:
    """Check the shape, and the numbers relative to the largest."""
    assert mine.shape == theirs.shape, what
    size = max(1.0, float(np.abs(theirs[np.isfinite(theirs)], dtype=float).max(initial=0)))
    np.testing.assert_allclose(mine, theirs, rtol=0, atol=NEAR * size, err_msg=what)


def with_changed_config(path: Path, change: Callable[[bytes], bytes], new: str = "m.keras") -> Path:
    """The model of a file with its config changed, in another file beside it."""
    target = path.with_name(new)
    with zipfile.ZipFile(path) as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    parts["config.json"] = change(parts["config.json"])
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target
