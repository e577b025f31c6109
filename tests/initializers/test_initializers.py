"""Every initializer against Keras: numbers, names, what is refused, and the seeds that are taken."""

import json
import math
import re
from importlib.util import find_spec
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rnncli
from rnncli import initializers
from rnncli.cli.app import main
from rnncli.errors import LayerError
from rnncli.initializers import _draws, make, takes_seed
from rnncli.specs.arguments import parse, to_config
from rnncli.values import Spec

KERAS_NAMES = [name for name in initializers.names() if initializers.find(name).in_keras]
RANDOM = [name for name in KERAS_NAMES if takes_seed(name)]
PLAIN = [name for name in KERAS_NAMES if name not in (*RANDOM, "stft")]
BIT_FOR_BIT = {"random_uniform", "glorot_uniform", "he_uniform", "lecun_uniform"}
TOLERANCES = {**dict.fromkeys(BIT_FOR_BIT, 0), "orthogonal": 4e-6}
SHAPES = [(1, 1), (3, 12), (5, 12), (8, 8), (2, 9), (12, 3), (2, 3, 4), (3, 3, 2, 8)]
DTYPES = ["float32", "float64"]


def check_drawn(ours: np.ndarray, theirs: Any, name: str, scale: float = 1.0) -> None:
    expected = np.asarray(theirs)
    assert ours.shape == expected.shape
    assert ours.dtype == expected.dtype
    np.testing.assert_allclose(ours, expected, rtol=0, atol=TOLERANCES.get(name, 2.4e-7 * scale))


def fills_shape(name: str, shape: tuple[int, ...]) -> bool:
    return not (name == "orthogonal" and len(shape) < 2) and not (name == "identity" and len(shape) != 2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RANDOM)
def test_a_random_initializer_draws_what_keras_draws(name: str, dtype: str) -> None:
    for seed, shape in enumerate([*SHAPES, (12,), (3,), ()]):
        if fills_shape(name, shape):
            theirs = keras.initializers.get({"class_name": name, "config": {"seed": seed * 977}})(
                shape, dtype
            )
            scale = float(np.abs(theirs).max()) or 1.0
            check_drawn(make(name, shape, dtype, seed * 977), theirs, name, scale)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in PLAIN if name != "constant"])
def test_an_initializer_without_seed_fills_what_keras_fills(name: str, dtype: str) -> None:
    for shape in [(3, 12), (4, 4), (12, 3), (12,), (2, 3, 4)]:
        if fills_shape(name, shape):
            theirs = keras.initializers.get(name)(shape, dtype)
            check_drawn(make(name, shape, dtype, None), theirs, "random_uniform")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("text", "shape"), [
    ("Constant(0.1)", (3, 4)),
    ("Constant([1, 2.5, 3])", (2, 3)),
    ("Constant([[1, 2, 3], [4, 5, 6]])", (2, 3)),
    ("Identity(0.3)", (3, 12)),
    ("RandomNormal(0.3, 2.5, seed=7)", (3, 12)),
    ("RandomNormal(stddev=-1, seed=7)", (3, 12)),
    ("TruncatedNormal(mean=-1.0, stddev=0.5, seed=8)", (3, 12)),
    ("RandomUniform(-0.1, 0.1, seed=9)", (3, 12)),
    ("RandomUniform(0, 16777217, seed=9)", (3, 12)),
    ("RandomUniform(1.0, -1.0, seed=9)", (3, 12)),
    ("Orthogonal(0.5, 10)", (12, 3)),
    ("GlorotUniform(11)", (3, 12)),
    ("HeNormal(seed=-1)", (3, 12)),
    ("VarianceScaling(2.0, 'fan_out', 'uniform', 3)", (3, 12)),
    ("VarianceScaling(0.5, mode='fan_avg', distribution='untruncated_normal', seed=3)", (3, 12)),
    ("VarianceScaling(seed=3, input_axes=[0, 1], output_axes=(2,))", (2, 3, 4)),
])  # fmt: skip
def test_an_expression_is_the_keras_object(text: str, shape: tuple[int, ...], dtype: str) -> None:
    theirs = np.asarray(eval(text, vars(keras.initializers))(shape, dtype))
    ours = make(parse(text), shape, dtype, None)
    assert ours.dtype == dtype
    name = "orthogonal" if text.startswith("Orth") else "random_uniform" if "Uniform(" in text else "normal"
    check_drawn(ours, theirs, name, max(1.0, float(np.abs(theirs).max())))


@pytest.mark.parametrize(("value", "taken"), [
    ("zeros", False),
    ("identity", False),
    ("probe", False),
    ("orthogonal", True),
    (Spec("RandomNormal", {"stddev": 1.0}), True),
    (Spec("RandomNormal", {"seed": None}, deferred=True), True),
    (Spec("RandomNormal", {"seed": 0}), False),
    (Spec("Constant", {"value": 1}), False),
])  # fmt: skip
def test_who_takes_a_seed(value: str | Spec, taken: bool) -> None:
    assert takes_seed(value) is taken


def test_a_specs_own_seed_wins() -> None:
    with_seed = make(Spec("RandomNormal", {"seed": 3}), (4,), "float32", 99)
    np.testing.assert_array_equal(with_seed, make("random_normal", (4,), "float32", 3) * 1)
    assert not np.array_equal(with_seed, make("random_normal", (4,), "float32", 99))


# Names and forms


@pytest.mark.parametrize(("text", "expected"), [
    ("zeros", "zeros"),
    (" Zeros ", "zeros"),
    ("GlorotUniform", "glorot_uniform"),
    ("normal", "random_normal"),
    ("IdentityInitializer", "identity"),
    ("keras.initializers.Ones", "ones"),
    ("constant:0.1", Spec("Constant", {"value": 0.1})),
    ("random_uniform:-0.1:0.1", Spec("RandomUniform", {"minval": -0.1, "maxval": 0.1})),
    ("random_normal:0:1:7", Spec("RandomNormal", {"mean": 0, "stddev": 1, "seed": 7})),
    ("glorot_uniform:none", Spec("GlorotUniform", {"seed": None})),
    ("Constant(0.1)", Spec("Constant", {"value": 0.1})),
    ("RandomNormal(seed=7, stddev=0.5)", Spec("RandomNormal", {"seed": 7, "stddev": 0.5})),
    ('{"class_name": "Zeros"}', Spec("Zeros", deferred=True)),
    ('{"class_name": "RandomNormal", "config": {"seed": null, "mean": 1.5}}',
     Spec("RandomNormal", {"seed": None, "mean": 1.5}, deferred=True)),
])  # fmt: skip
def test_every_form(text: str, expected: str | Spec) -> None:
    value = parse(text)
    assert value == expected
    if isinstance(value, Spec):
        assert list(value.config) == list(expected.config)  # type: ignore[union-attr]


@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (5, 2, 3)])
def test_the_fans_of_a_shape_are_those_of_keras(shape: tuple[int, ...]) -> None:
    from keras.src.initializers.random_initializers import compute_fans

    assert initializers.fans(shape) == compute_fans(shape)


def test_every_name_of_keras_is_known() -> None:
    from keras.src.initializers import ALL_OBJECTS_DICT

    for name in set(ALL_OBJECTS_DICT) - {"Initializer", "initializer", "Constant", "constant"}:
        assert parse(name) == keras.src.utils.naming.to_snake_case(ALL_OBJECTS_DICT[name].__name__)


@pytest.mark.parametrize("name", KERAS_NAMES)
def test_keras_configs_go_in_and_out(name: str) -> None:
    if name == "stft":
        pytest.skip("Keras needs scipy for its default window")
    given_config = {"class_name": name, "config": {"value": 2.5} if name == "constant" else {}}
    written = json.loads(json.dumps(keras.initializers.serialize(keras.initializers.get(given_config))))
    value = parse(json.dumps(written))
    assert isinstance(value, Spec)
    assert value.deferred
    assert value.config == written["config"]
    back = keras.initializers.get(to_config(value))
    assert keras.initializers.serialize(back) == written


@given(st.text(max_size=40) | st.from_regex(r"[a-zA-Z_]{1,12}[:({][a-z0-9.:,=\-(){}\"' ]{0,20}"))
@pytest.mark.slow
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        value = parse(text)
    except LayerError as error:
        assert error.what  # noqa: PT017
    else:
        assert isinstance(value, (str, Spec))


@pytest.mark.parametrize(("text", "words"), [
    ("zeross", "Did you mean zeros?"),
    ("constant", "constant:0.1"),
    ("", "no initializer"),
    ("constant:", "a value is missing here"),
    ("constant:abc", "value='abc' is not a number.\n  constant:abc\n           ^^^\n"),
    ("constant:inf", "finite"),
    ("constant:1e39", "finite"),
    ("zeros:1", "takes 0 arguments"),
    ("random_normal:true", "mean=True is not a number"),
    ("RandomNormal(std=3)", "\n               ^^^\n"),
    ("RandomNormal(1, mean=2)", "given twice"),
    ("RandomNormal(1, 2, 3, 4)", "takes 3 arguments"),
    ("RandomNormal(stddev=Zeros())", "stddev=Zeros(...) is not a number"),
    ("RandomNormal(seed=1.5)", "integer or None"),
    ("RandomNormal(seed=9223372036854775808)", "64 bits"),
    ("VarianceScaling(0)", "above 0"),
    ("VarianceScaling(mode='FAN_IN')", "Did you mean fan_in?"),
    ("VarianceScaling(distribution='cauchy')", "untruncated_normal"),
    ("VarianceScaling(input_axes=3)", "list of integers"),
    ("STFT('left')", "real, imag"),
    ("Glorot(3)", "\n  ^^^^^^\n"),
    ("3", "no initializer"),
    ("[Zeros()]", "is not an initializer"),
    ("{", "JSON"),
    ("{}", "class_name"),
    ('{"class_name": "Zeros", "config": {"a": 1}}', "no argument 'a'"),
    ('{"class_name": "Zeros", "config": 3}', "not an object"),
    ('{"class_name": "Zeros", "confg": {}}', "Did you mean config?"),
    ('{"class_name": "Constant", "config": {}}', "no value"),
    ('{"class_name": "Constant", "config": {"value": NaN}}', "finite"),
    ('{"class_name": "RandomNormal", "config": {"seed": {"class_name": "SeedGenerator"}}}',
     "integer or None"),
    ('{"a":' * 50_000, "nested"),
])  # fmt: skip
def test_what_is_refused_and_how(text: str, words: str) -> None:
    with pytest.raises(LayerError) as caught:
        parse(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(("value", "shape", "dtype"), [
    ("identity", (3,), "float32"),
    ("identity", (3, 3, 3), "float32"),
    ("orthogonal", (3,), "float32"),
    ("stft", (3, 3), "float32"),
    (Spec("Constant", {"value": [1, 2]}), (3, 3), "float32"),
    (Spec("HeNormal", {"input_axes": [5], "output_axes": [0]}), (3, 3), "float32"),
    ("glorot_uniform", (3, 3), "int32"),
    ("glorot_uniform", (3, 3), "bfloat16"),
])  # fmt: skip
def test_what_cannot_be_filled(value: str | Spec, shape: tuple[int, ...], dtype: str) -> None:
    with pytest.raises(LayerError):
        make(value, shape, dtype, 1)
    with pytest.raises(LayerError, match="needs a seed"):
        make("glorot_uniform", (3, 3), "float32", None)


# Probe


@pytest.mark.parametrize("layer", ["LSTM(8)", "Bidirectional(GRU(3))", "RNN([LSTMCell(5), GRUCell(5)])"])
def test_every_weight_of_probe_differs(layer: str) -> None:
    """Through the whole stack: no kernel, bias or direction looks like another one, in any layer."""
    filled = ", ".join(f"{part}_initializer='probe'" for part in ("kernel", "recurrent", "bias"))
    one = re.sub(r"(\w+Cell|LSTM|GRU)\((\d+)\)", rf"\1(\2, {filled})", layer)
    below = f"LSTM(8, return_sequences=True, {filled})"
    inputs = np.zeros((1, 2, 8), "float32")
    for engine in ("numpy", "tensorflow"):
        weights = rnncli.run(inputs, [below, one], engine=engine).weights
        values = np.concatenate([weight.ravel() for weight in weights.values()])
        assert len(np.unique(values)) == values.size
        assert np.abs(values).max() <= 0.6


@pytest.mark.parametrize("start", [0, 16])
def test_probe_is_its_formula(start: int) -> None:
    weight = make(parse(f"probe:{start}"), (2, 3), "float64", None)
    expected = [1.2 * (((start + i + 1) / ((1 + math.sqrt(5)) / 2)) % 1) - 0.6 for i in range(6)]
    np.testing.assert_allclose(weight.ravel(), expected, rtol=0, atol=1e-14)


@pytest.mark.slow
def test_a_large_orthogonal_is_found_the_short_way_and_is_the_same() -> None:
    """Cholesky, which the large and tall take, against QR of the same normal draws."""
    weight = make("orthogonal", (150, 600), "float64", 7)
    tall = _draws.normal((600, 150), 0.0, 1.0, "float64", 7)
    q, r = np.linalg.qr(tall)
    np.testing.assert_allclose(weight, (q * np.sign(np.diagonal(r))).T, rtol=0, atol=1e-13)
    keras.utils.set_random_seed(0)
    theirs = keras.initializers.Orthogonal(seed=7)((150, 600), "float32").numpy()
    np.testing.assert_allclose(make("orthogonal", (150, 600), "float32", 7), theirs, rtol=0, atol=4e-6)


@pytest.mark.parametrize("name", KERAS_NAMES)
def test_what_keras_leaves_out_of_a_config(name: str) -> None:
    initializer = initializers.find(name)
    config = {"stft": {"window": None}, "constant": {"value": 1}}.get(name, {})
    kept = keras.initializers.get({"class_name": initializer.class_name, "config": config}).get_config()
    assert set(initializer.options) - set(kept) == initializer.unsaved


def test_a_window_that_needs_scipy_says_what_to_install(capfd: pytest.CaptureFixture[str]) -> None:
    if find_spec("scipy") is not None:
        pytest.skip("scipy is installed")
    layer = "ConvLSTM1D(2, 6, kernel_initializer=STFT(window='blackman'))"
    assert main(["run", "--input-shape", "1,2,16,1", "-l", layer, "--seed", "1"]) == 3
    said = capfd.readouterr().err.splitlines()
    assert said[0].startswith("rnncli: Keras failed: This requires the scipy module.")
    assert said[1:] == ["pip install scipy"]


def test_a_large_square_orthogonal_is_as_exact_as_a_small_one() -> None:
    """Its draws may be nearly singular, where the short way would lose half of the digits."""
    weight = make("orthogonal", (256, 256), "float64", 7)
    np.testing.assert_allclose(weight.T @ weight, np.eye(256), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["lecun_uniform", "he_normal", "glorot_uniform"])
def test_a_weight_of_no_inputs_is_empty(name: str) -> None:
    assert make(name, (0, 4), "float32", 1).shape == (0, 4)
