"""Every activation against Keras's own, on grids that reach into saturation and overflow."""

import math
import warnings

import keras
import numpy as np
import pytest

from rnncli.cells import activations
from rnncli.errors import LayerError

TOLERANCE = {"float32": 1e-6, "float64": 1e-12}
ROWWISE = {"softmax", "log_softmax", "sparsemax"}


def column_of_numbers(dtype: str) -> np.ndarray:
    fine = np.linspace(-12, 12, 4801)
    corners = [0.0, -0.0, 0.5, -0.5, 1, -1, 3, -3, 6, 30, -30, 100, -100, 1e4, -1e4, 1e-8, -1e-8, 1e-30]
    return np.concatenate([fine, corners]).astype(dtype).reshape(-1, 1)


def check_finite_numbers(name: str, x: np.ndarray, dtype: str) -> None:
    theirs = np.asarray(keras.activations.get(name)(keras.ops.convert_to_tensor(x, dtype)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = activations.get(name)(x)
    assert ours.shape == x.shape
    assert ours.dtype == dtype
    np.testing.assert_allclose(ours, theirs, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in activations.NAMES if name not in ROWWISE])
def test_each_number_is_kerass(name: str, dtype: str) -> None:
    check_finite_numbers(name, column_of_numbers(dtype), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(ROWWISE))
def test_each_row_is_kerass(name: str, dtype: str) -> None:
    x = np.random.default_rng(3).normal(size=(200, 7)) * 3
    check_finite_numbers(name, x.astype(dtype), dtype)
    extreme = [[0, -0.0, 1], [100, -100, 0], [1e4, 1e4, -1e4], [1e4, -1e4, 0], [-1e4, -1e4, -1e4]]
    check_finite_numbers(name, np.asarray(extreme, dtype), dtype)
    check_finite_numbers(name, np.asarray([[[2.5]]], dtype), dtype)


SPECIAL = [math.nan, math.inf, -math.inf, 0.0, -0.0, 0.5, -0.5, 1, -1, -1.5, 3, -3, 1e-20, -1e-20]


def check_special_numbers(name: str, x: np.ndarray) -> None:
    """NaN, infinities and the signs of zeros too; what is below 1e-37 Keras makes 0."""
    theirs = np.array(keras.activations.get(name)(keras.ops.convert_to_tensor(x)))
    if name == "softmax" and x.dtype == np.float32:
        # oneDNN puts 0 in some places of a row that has NaN; in which ones depends on the CPU.
        theirs[np.isnan(theirs).any(axis=-1)] = np.nan
    ours = activations.get(name)(x)
    np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=1e-7, err_msg=f"{name} of {x}")
    kept = ~np.isnan(theirs) & (np.abs(ours) > 1e-37) | (theirs == 0) & (ours == 0)
    np.testing.assert_array_equal(np.signbit(ours[kept]), np.signbit(theirs[kept]), err_msg=name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in activations.NAMES if name not in ROWWISE])
def test_infinities_nan_and_zeros_go_where_keras_sends_them(name: str, dtype: str) -> None:
    largest = float(np.finfo(dtype).max)
    check_special_numbers(name, np.asarray([*SPECIAL, largest, -largest], dtype).reshape(-1, 1))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("width", [1, 2, 3, 5, 8, 16, 17, 40, 100])
@pytest.mark.parametrize("name", sorted(ROWWISE))
def test_rows_with_infinities_and_nan_are_kerass(name: str, width: int, dtype: str) -> None:
    random = np.random.default_rng(width)
    x = random.standard_normal((400, width)).astype(dtype)
    picked = random.random(x.shape) < 1.5 / width
    x[picked] = random.choice([*SPECIAL, 3.4e38, -3.4e38], picked.sum())
    check_special_numbers(name, x)


def test_sigmoid_keeps_small_values_apart() -> None:
    x = np.asarray([-20.0, -40.0, -80.0], "float32")
    np.testing.assert_allclose(activations.get("sigmoid")(x), np.exp(x.astype("float64")), rtol=1e-6)


def test_every_activation_of_keras_is_known_or_refused_by_name() -> None:
    exported = {n for n in dir(keras.activations) if not n.startswith("_")} - {
        "get",
        "serialize",
        "deserialize",
    }
    assert exported - {"glu", "threshold"} == set(activations.NAMES)
    for name in ("glu", "threshold"):
        with pytest.raises(LayerError, match=name):
            activations.canonical_name(name)


@pytest.mark.parametrize(("given_name", "expected"), [
    (None, "linear"),
    ("Tanh", "tanh"),
    ("HardSigmoid", "hard_sigmoid"),
    ("hard-sigmoid", "hard_sigmoid"),
    ("swish", "silu"),
    ({"class_name": "function", "config": "relu", "module": "keras.activations"}, "relu"),
])  # fmt: skip
def test_names_fold(given_name: object, expected: str) -> None:
    assert activations.canonical_name(given_name) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("name", activations.NAMES)
def test_a_config_that_keras_wrote_is_read(name: str) -> None:
    function = keras.activations.get(name)
    config = keras.saving.serialize_keras_object(function)
    assert activations.canonical_name(config) == keras.activations.serialize(function)


@pytest.mark.parametrize("bad", ["tanhh", "", "zeros", 3, ["tanh"], {"class_name": "ReLU", "config": {}}, {}])
def test_bad_names_are_refused(bad: object) -> None:
    with pytest.raises(LayerError):
        activations.get(bad)  # type: ignore[arg-type]


def test_a_near_name_is_offered() -> None:
    with pytest.raises(LayerError, match="Did you mean sigmoid"):
        activations.canonical_name("sigmod")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hard_sigmoid_of_keras_2_is_kept_beside_that_of_keras_3(dtype: str) -> None:
    x = column_of_numbers(dtype)
    np.testing.assert_array_equal(
        activations.get("hard_sigmoid_keras2")(x), np.clip(0.2 * x + 0.5, 0, 1).astype(dtype)
    )
    assert activations.bounds("hard_sigmoid_keras2") == (0, 1)
    assert "hard_sigmoid_keras2" not in activations.NAMES


@pytest.mark.parametrize("width", [17, 40])
def test_a_long_row_of_equal_numbers_and_nan_is_sorted_as_tensorflow_does(width: int) -> None:
    random = np.random.default_rng(5)
    rows = random.integers(0, [[1]] * 5 + [[3]] * 15, (20, width)).astype("float32")
    rows[np.arange(20), random.integers(0, width, 20)] = math.nan
    check_special_numbers("sparsemax", rows)
