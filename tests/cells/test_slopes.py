"""Slopes of the activations against TensorFlow's tape, also at their corners."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnncli
from rnncli.cells import activations, reverse
from rnncli.cells.activations import ParametricActivation

CORNERS = [-6, -3, -2.5, -1, -0.5, -1e-20, 0, 1e-20, 0.5, 1, 2.5, 3, 6, -40, 40, 2, 2, 0.25]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", activations.names())
def test_slopes_are_those_of_tensorflow(name: str, dtype: str) -> None:
    import keras
    import tensorflow as tf

    random = np.random.default_rng(3)
    rows: list[Any] = [
        np.resize(CORNERS, (6, 3)),
        random.normal(0, 2, (40, 3)),
        [[1, 0, -1], [2, 1, 1], [0.5, 0.5, 0]],
    ]
    x = np.concatenate(rows).astype(dtype)
    vectors = random.normal(size=x.shape).astype(dtype)
    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        value = keras.activations.get(name)(given)
    theirs = tape.gradient(value, given, tf.constant(vectors)).numpy()
    with np.errstate(all="ignore"):
        ours = reverse.pull_of(name)(vectors, activations.get(name)(x), x)
    assert ours.dtype == dtype
    near = 1e-6 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=near * np.abs(theirs).max())


@pytest.mark.parametrize("activation", [
    *(
        ParametricActivation(name, alpha, beta)
        for name, alpha, beta in [
            ("affine", 0.5, 0.25),
            ("elu", 0.5, None),
            ("hard_sigmoid", 0.25, 0.5),
            ("leaky_relu", 0.125, None),
            ("scaled_tanh", 0.5, 0.75),
            ("thresholded_relu", 0.5, None),
        ]
    ),
    ParametricActivation("tanh", clip=0.75),
    ParametricActivation("affine", 0.5, 0.25, clip=0.75),
    "hard_sigmoid_keras2",
])  # fmt: skip
def test_slopes_that_keras_lacks_are_those_of_central_differences(activation: Any) -> None:
    x = np.random.default_rng(5).normal(0, 1.5, (50, 2))
    function, step = activations.get(str(activation)), 1e-6
    ours = reverse.pull_of(str(activation))(np.ones_like(x), function(x), x)
    np.testing.assert_allclose(ours, (function(x + step) - function(x - step)) / (2 * step), atol=1e-8)


TIES = """
name = "Ties"
states = ["hidden"]
[step]
low = "minimum(x * 2, x * 3)"
high = "maximum(x * 5, x * 7)"
within = "clip(x * 11, x * 13, x * 17)"
hidden = "low + 100 * high + 10000 * within"
"""


@pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
def test_of_equal_numbers_the_first_has_the_gradient(engine: str, tmp_path: Path) -> None:
    file = tmp_path / "ties.toml"
    file.write_text(TIES)
    given = rnncli.gradients(np.zeros((1, 1, 1)), f"@'{file}'", units=1, engine=engine, seed=1)
    assert given["forward/input"].tolist() == [2 + 100 * 5 + 10000 * 11]


@pytest.mark.parametrize(("low", "high", "slope"), [("-1", "1", 2), ("1", "2", 3), ("-2", "-1", 5)])
def test_a_clip_passes_the_gradient_to_its_result(low: str, high: str, slope: int, tmp_path: Path) -> None:
    file = tmp_path / "clip.toml"
    equation = f"clip(x * 2, x * 3 + {low}, x * 5 + {high})"
    file.write_text(f'name = "Clip"\nstates = ["hidden"]\n[step]\nhidden = "{equation}"\n')
    given = rnncli.gradients(np.zeros((1, 1, 1)), f"@'{file}'", units=1, seed=1)
    assert given["forward/input"].tolist() == [slope]
