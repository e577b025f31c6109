"""Saved Keras models followed without Keras: every recurrent layer's input, mask and state, every output."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import random_models
from hypothesis import settings
from keras_calls import check_against_keras, check_near, compute_numpy, graph_in
from oracle import keras

from rnncli.models import ModelRequest
from rnncli.models.keras import by_keras
from rnncli.models.keras import model as models
from rnncli.models.keras.walk import run_graph

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("files_are_read_here")]

MODELS, GROUPS, OLD_MODELS = settings().max_examples, 2, settings().max_examples // 5


def check_random_model(family: Any, seed: int, path: Path) -> None:
    """One random model, saved, read back and followed, against the same model run by Keras."""
    maker = random_models.Maker(seed, family)
    model = maker.model()
    model.save(path)
    found = check_against_keras(model, graph_in(path), maker.data, family)
    assert family is not keras or not found.notes


@pytest.mark.parametrize("group", range(GROUPS))
def test_random_models(group: int, tmp_path: Path) -> None:
    for seed in range(group, MODELS, GROUPS):
        check_random_model(keras, seed, tmp_path / f"{seed}{'.keras' if seed % 3 else '.h5'}")


def test_random_models_of_keras_2(tmp_path: Path) -> None:
    """Their masks go by other rules."""
    family = pytest.importorskip("tf_keras")
    for seed in range(OLD_MODELS):
        check_random_model(family, seed, tmp_path / f"{seed}{'.h5' if seed % 2 else '.keras'}")


@pytest.mark.parametrize(("name", "seeds"), [("keras", range(300, 302)), ("tf_keras", range(300, 302))])
def test_the_path_through_keras_gives_the_same(name: str, seeds: range, tmp_path: Path) -> None:
    """Keras computes what comes before the recurrent layers; and what --check compares with."""
    family = pytest.importorskip(name)
    for seed in seeds:
        maker = random_models.Maker(seed, family)
        path = tmp_path / f"{seed}{'.keras' if seed % 2 or name == 'keras' else '.h5'}"
        maker.model().save(path)
        graph = graph_in(path)
        model = models.Model(graph, path)
        given = model.fit_inputs(maker.data)
        request = ModelRequest(given, compute_numpy, everything=True)
        mine, theirs = run_graph(graph, request), by_keras.run(graph, path, request)
        assert [part.layer for part in mine.parts] == [part.layer for part in theirs.parts]
        for one, other in zip(mine.parts, theirs.parts, strict=True):
            check_near(one.case.inputs, other.case.inputs, f"{seed} {one.layer}")
            np.testing.assert_array_equal(one.case.mask, other.case.mask)
        assert set(theirs.other_outputs) <= set(mine.other_outputs)
        for output, values in theirs.other_outputs.items():
            check_near(mine.other_outputs[output], values, f"{seed} {output}")
        checked = model.outputs(request, mine.parts)
        for part in mine.parts:
            for tensor in (part.result or compute_numpy(part.case)).outputs:
                check_near(tensor.values, checked[f"{part.layer}/{tensor.name}"], f"{seed} {part.layer}")
