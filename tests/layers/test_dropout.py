"""Dropout as a layer of a stack: nothing at rest, Keras's own draw in training, and its one seed."""

from typing import Any

import numpy as np
import pytest

from rnncli import compute, specs
from rnncli.errors import InputError, LayerError, UsageError
from rnncli.layers.case import Case

INPUTS = np.linspace(-1, 1, 24).reshape(2, 3, 4).astype("float32")
MASK = np.array([[True, True, False], [False, True, True]])


def case(*texts: Any, **parts: Any) -> Any:
    return Case(specs.from_flags(texts, {}), INPUTS, seed=7, **parts)


@pytest.mark.parametrize("mask", [None, MASK])
@pytest.mark.parametrize("rate", ["0.5", "0.0", "0.5, seed=3"])
def test_at_rest_it_takes_its_seed_and_changes_nothing(rate: Any, mask: Any) -> None:
    asked = case(f"Dropout({rate})", "GRU(3, return_sequences=True)", "Dropout(0.2)", "LSTM(2)", mask=mask)
    result = compute.run(asked)
    assert result.engines == ("numpy",)
    other = compute.run(asked, "tensorflow")
    np.testing.assert_allclose(result.outputs[0].values, other.outputs[0].values, atol=1e-6)
    for path, weight in result.weights.items():
        np.testing.assert_allclose(weight, other.weights[path], atol=1e-5)


def test_while_it_trains_keras_draws() -> None:
    import keras

    asked = case("Dropout(0.5)", "Dropout(0.3)", training=True)
    result = compute.run(asked)
    assert result.engines == ("tensorflow",)
    keras.utils.set_random_seed(7)
    layers = keras.layers.Dropout(0.5), keras.layers.Dropout(0.3)
    expected = layers[1](layers[0](INPUTS, training=True), training=True)
    np.testing.assert_array_equal(result.outputs[0].values, keras.ops.convert_to_numpy(expected))
    assert (result.outputs[0].values == 0).any()
    with pytest.raises(UsageError, match="the random numbers of Dropout in training"):
        compute.run(asked, "numpy")
    assert compute.run(case("Dropout(0.0)", training=True)).engines == ("numpy",)


@pytest.mark.parametrize("config", [{"units": 3, "name": "lstm"}, {"layer": {}, "merge_mode": "sum"}])
def test_a_config_without_its_class_says_what_to_write(config: Any) -> None:
    with pytest.raises(LayerError, match=r"keras\.layers\.serialize\(layer\)"):
        specs.from_flags([config], {})


def test_a_call_that_is_refused_draws_nothing() -> None:
    """The first layer has drawn when the second sees another batch than the one it keeps states of."""
    stack = ("LSTM(4, dropout=0.5, return_sequences=True)", "GRU(3, stateful=True)")
    whole = case(*stack, training=True)
    other = whole._replace(inputs=INPUTS[:1])
    plain, disturbed = compute.prepare(whole, "numpy"), compute.prepare(whole, "numpy")
    plain(whole)
    disturbed(whole)
    with pytest.raises(InputError, match="a batch of 2"):
        disturbed(other)
    assert np.array_equal(disturbed(whole).outputs[0].values, plain(whole).outputs[0].values)
