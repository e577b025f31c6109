"""Saved Keras models followed without Keras: every recurrent layer's input, mask and state, every output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import random_models
from hypothesis import settings
from keras.src.ops.function import make_node_key
from keras_calls import Recorded, _numbers, alike, compute_numpy, fed_alike, graph_in
from oracle import keras

from rnncli.models import ModelRequest
from rnncli.models.keras import framework as keras_backend
from rnncli.models.keras import model as models
from rnncli.models.keras.walk import run_graph

MODELS, GROUPS = 2 * settings().max_examples, 4


def outputs_of(model: Any) -> dict[tuple[str, int], Any]:
    """Every output of every use of a layer, or of a model in the model, by our name of the use."""
    found = {}
    for operation in model.operations:
        every = enumerate(operation._inbound_nodes)
        inside = [node for index, node in every if make_node_key(operation, index) in model._nodes]
        for number, node in enumerate(inside):
            if not isinstance(operation, keras.layers.InputLayer):
                name = operation.name + (f"@{number}" if number else "")
                for index, tensor in enumerate(node.output_tensors):
                    found[name, index] = tensor
    return found


def held(seed: int, folder: Path) -> None:
    """One random model, saved, read back and followed, against the same model run by Keras."""
    maker = random_models.Maker(seed)
    model = maker.model()
    suffix = ".h5" if seed % 3 == 0 else ".keras"
    path = folder / f"{seed}{suffix}"
    model.save(path)
    graph = graph_in(path)
    request = ModelRequest(models.Model(graph).fit_inputs(maker.data), compute_numpy, everything=True)
    found = run_graph(graph, request)
    recorded, tensors = Recorded(model), outputs_of(model)
    whole = keras.Model(model.inputs, list(tensors.values()))
    theirs = dict(zip(tensors, map(_numbers, whole([maker.data[x.name] for x in model.inputs])), strict=True))
    assert not found.notes
    parts = {part.layer: part for part in found.parts}
    assert sorted(part.split("@")[0] for part in parts) == sorted(
        path for path, calls in recorded.calls.items() for _ in calls
    )
    for part in found.parts:
        fed_alike(part, recorded.calls[part.layer.split("@")[0]], f"{seed} {part.layer}")
    shown = 0
    for (name, index), values in theirs.items():
        if name in parts:
            result = parts[name].result or compute_numpy(parts[name].case)
            mine: Any = result.outputs[index].values
        else:
            mine = found.other_outputs.get(f"{name}/output")
        if mine is not None:
            shown += 1
            alike(mine, values, f"{seed} {name} {index}")
    assert shown


@pytest.mark.parametrize("group", range(GROUPS))
def test_random_models(group: int, tmp_path: Path) -> None:
    for seed in range(group, MODELS, GROUPS):
        held(seed, tmp_path)


def test_the_path_through_keras_gives_the_same(tmp_path: Path) -> None:
    for seed in range(300, 306):
        maker = random_models.Maker(seed)
        path = tmp_path / f"{seed}.keras"
        maker.model().save(path)
        graph = graph_in(path)
        given = models.Model(graph).fit_inputs(maker.data)
        mine = run_graph(graph, ModelRequest(given, compute_numpy, everything=True))
        theirs = keras_backend.run(graph, path, ModelRequest(given, compute_numpy, everything=True))
        assert [part.layer for part in mine.parts] == [part.layer for part in theirs.parts]
        for one, other in zip(mine.parts, theirs.parts, strict=True):
            alike(one.case.inputs, other.case.inputs, f"{seed} {one.layer}")
            assert (one.case.mask is None) == (other.case.mask is None), f"{seed} {one.layer}"
            if one.case.mask is not None and other.case.mask is not None:
                np.testing.assert_array_equal(one.case.mask, other.case.mask)
        assert set(theirs.other_outputs) <= set(mine.other_outputs)
        for name, values in theirs.other_outputs.items():
            alike(mine.other_outputs[name], values, f"{seed} {name}")


OLD_MODELS = 5


def held_to_keras_2(seed: int, folder: Path, family: Any) -> None:
    """The same with a model of Keras 2, whose masks go by other rules."""
    maker = random_models.Maker(seed, family)
    model = maker.model()
    path = folder / f"{seed}.{'h5' if seed % 2 else 'keras'}"
    model.save(path)
    graph = graph_in(path)
    request = ModelRequest(models.Model(graph).fit_inputs(maker.data), compute_numpy, everything=True)
    found = run_graph(graph, request)
    tensors = {
        (layer.name + (f"@{number}" if number else ""), index): tensor
        for layer in model.layers
        if not isinstance(layer, (family.Model, family.layers.InputLayer))
        for number, node in enumerate(nodes_in(model, layer))
        for index, tensor in enumerate(keras.tree.flatten(node.outputs))
    }
    whole = family.Model(model.inputs, list(tensors.values()))
    theirs = whole([maker.data[x.name] for x in model.inputs])
    parts = {part.layer: part for part in found.parts}
    for (name, index), values in zip(tensors, theirs, strict=True):
        if name in parts:
            result = parts[name].result or compute_numpy(parts[name].case)
            alike(result.outputs[index].values, values.numpy(), f"{seed} {name} {index}")
        elif f"{name}/output" in found.other_outputs:
            alike(found.other_outputs[f"{name}/output"], values.numpy(), f"{seed} {name}")


def nodes_in(model: Any, layer: Any) -> list[Any]:
    """The uses of the layer in this model."""
    inside = [node for depth in model._nodes_by_depth.values() for node in depth]
    return [node for node in layer.inbound_nodes if node in inside]


def test_random_models_of_keras_2(tmp_path: Path) -> None:
    family = pytest.importorskip("tf_keras")
    for seed in range(OLD_MODELS):
        held_to_keras_2(seed, tmp_path, family)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_weights_of_attention_and_normalization(suffix: str, tmp_path: Path) -> None:
    """A .keras file numbers them: each needs its name."""
    layers, rng = keras.layers, np.random.default_rng(1)
    x = keras.Input((random_models.STEPS, 3), name="x")
    y = layers.LSTM(3, return_sequences=True)(x)
    attended = [
        layers.Attention(use_scale=True)([y, x]),
        layers.Attention(score_mode="concat")([y, x]),
        layers.Attention(use_scale=True, score_mode="concat")([y, x]),
        layers.AdditiveAttention()([y, x]),
        layers.AdditiveAttention(use_scale=False)([y, x]),
        layers.RMSNormalization()(y),
    ]
    model = keras.Model(x, [layers.GRU(2)(one) for one in attended])
    for weight in model.weights:
        weight.assign(rng.standard_normal(weight.shape))
    model.save(tmp_path / f"model{suffix}")
    graph = graph_in(tmp_path / f"model{suffix}")
    inputs = rng.standard_normal((2, random_models.STEPS, 3)).astype("float32")
    run = run_graph(graph, ModelRequest(models.Model(graph).fit_inputs({"x": inputs}), compute_numpy))
    assert not run.notes
    mine = [compute_numpy(part.case).outputs[0].values for part in run.parts[1:]]
    for one, theirs in zip(mine, model(inputs), strict=True):
        alike(one, theirs.numpy(), suffix)


def test_an_operation_with_an_array_of_numbers(tmp_path: Path) -> None:
    x = keras.Input((random_models.STEPS, 3), name="x")
    y = keras.ops.matmul(keras.layers.Dense(2)(x), np.array([[0.5, 2], [-1, 3]], "float32"))
    model = keras.Model(x, keras.layers.GRU(2)(y))
    model.save(tmp_path / "model.keras")
    graph = graph_in(tmp_path / "model.keras")
    inputs = np.random.default_rng(1).standard_normal((2, random_models.STEPS, 3)).astype("float32")
    run = run_graph(graph, ModelRequest(models.Model(graph).fit_inputs({"x": inputs}), compute_numpy))
    alike(compute_numpy(run.parts[0].case).outputs[0].values, model(inputs).numpy(), "matmul")
