"""`seed` means `keras.utils.set_random_seed(seed)` and then the script: weights and outputs, on both engines.

Uniform and constant weights are the same bit for bit.  Normal and truncated ones differ by at most one
unit in the last place, 2.4e-7, because log, sin and cos are taken in double here.  Orthogonal ones come
out of a QR factorisation whose sums TensorFlow takes in another order: 4e-6, times the gain.  Outputs are
sums over such weights, carried on from step to step: they may be three times as far apart as the weights
are, besides what engines always differ by.
"""

from typing import Any

import numpy as np
import oracle
import pytest
import random_scripts
from hypothesis import settings

keras = oracle.keras
NORMAL = {"float32": 2.4e-7, "float64": 1e-14}
ORTHOGONAL = {"float32": 4e-6, "float64": 1e-12}


def slack(initializer: Any, dtype: str) -> float:
    """How far a weight of this Keras initializer may be from Keras's."""
    if isinstance(initializer, keras.initializers.Orthogonal):
        return float(ORTHOGONAL[dtype] * max(1, initializer.gain))
    drawn = getattr(initializer, "distribution", "uniform") != "uniform"
    normal = isinstance(initializer, (keras.initializers.RandomNormal, keras.initializers.TruncatedNormal))
    return NORMAL[dtype] if drawn or normal else 0.0


def keras_runs(script: random_scripts.Script) -> tuple[list[Any], list[np.ndarray]]:
    keras.utils.set_random_seed(script.seed)
    layers = oracle.make_layers(*script.layers)
    return layers, oracle.call_layers(layers, script.inputs, **script.rest)[-1]


@pytest.mark.parametrize("number", range(settings().max_examples))
@pytest.mark.slow
def test_numpy(number: int) -> None:
    script = random_scripts.script(number)
    layers, theirs = keras_runs(script)
    result = oracle.run_case(script.layers, script.inputs, seed=script.seed, **script.rest)
    weights, initializers, apart = oracle.weights(layers), oracle.initializers(layers), 0.0
    assert list(result.weights) == list(weights)
    for path, weight in weights.items():
        assert result.weights[path].dtype == weight.dtype
        atol = slack(initializers[path], str(script.inputs.dtype))
        np.testing.assert_allclose(result.weights[path], weight, rtol=0, atol=atol, err_msg=path)
        apart = max(apart, float(abs(result.weights[path] - weight).max()))
    oracle.check_outputs(result, theirs, oracle.NEAR[str(script.inputs.dtype)] + 3 * apart)


@pytest.mark.parametrize("number", range(1000, 1008))
@pytest.mark.slow
def test_tensorflow(number: int) -> None:
    script = random_scripts.script(number)
    layers, theirs = keras_runs(script)
    result = oracle.run_case(script.layers, script.inputs, "tensorflow", seed=script.seed, **script.rest)
    for path, weight in oracle.weights(layers).items():
        np.testing.assert_array_equal(result.weights[path], weight, err_msg=path)
    oracle.check_outputs(result, theirs)


@pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
@pytest.mark.parametrize("around", [False, True], ids=["alone", "in Bidirectional"])
def test_the_gain_of_identity(around: bool, engine: str) -> None:
    """Keras does not save the gain, so the copies that Bidirectional makes have none."""
    text = "LSTM(3, recurrent_initializer={}Identity(0.5), return_sequences=True)"
    text = f"Bidirectional({text})" if around else text
    inputs = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")
    keras.utils.set_random_seed(1)
    layers = oracle.make_layers(text.format("keras.initializers."))
    theirs = oracle.call_layers(layers, inputs)[-1]
    result = oracle.run_case([text.format("")], inputs, engine, seed=1)
    path = "forward/recurrent_kernel" if around else "recurrent_kernel"
    np.testing.assert_array_equal(result.weights[path], oracle.weights(layers)[path])
    oracle.check_outputs(result, theirs)
