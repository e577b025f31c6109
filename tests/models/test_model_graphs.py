"""Saved Keras models followed without Keras: every recurrent layer's input, mask and state, every output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import random_models
from hypothesis import settings
from keras_calls import alike, compute_numpy, graph_in, held
from oracle import keras

from rnncli.models import ModelRequest
from rnncli.models.keras import framework as keras_backend
from rnncli.models.keras import model as models
from rnncli.models.keras.walk import run_graph

MODELS, GROUPS, OLD_MODELS = 2 * settings().max_examples, 4, 5


def held_to(family: Any, seed: int, path: Path) -> None:
    """One random model, saved, read back and followed, against the same model run by Keras."""
    maker = random_models.Maker(seed, family)
    model = maker.model()
    model.save(path)
    found = held(model, graph_in(path), maker.data, family)
    assert family is not keras or not found.notes


@pytest.mark.parametrize("group", range(GROUPS))
def test_random_models(group: int, tmp_path: Path) -> None:
    for seed in range(group, MODELS, GROUPS):
        held_to(keras, seed, tmp_path / f"{seed}{'.keras' if seed % 3 else '.h5'}")


def test_random_models_of_keras_2(tmp_path: Path) -> None:
    """Their masks go by other rules."""
    family = pytest.importorskip("tf_keras")
    for seed in range(OLD_MODELS):
        held_to(family, seed, tmp_path / f"{seed}{'.h5' if seed % 2 else '.keras'}")


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
