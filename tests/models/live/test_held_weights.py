"""The weights of a live object: by name, counted as its framework does, converted, ported and exported."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import nn
from zoo import torch_module

import rnncli
from rnncli.errors import LayerError, RnncliError, UsageError

X = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")


def tagger() -> Any:
    """A linear layer, two layers of an LSTM in both directions, a relu RNN and a cell, some in a list."""
    return torch_module(
        lambda self, x: self.parts[0](self.encoder(self.linear(x))[0])[0],
        linear=nn.Linear(4, 4),
        encoder=nn.LSTM(4, 3, num_layers=2, bidirectional=True, batch_first=True),
        parts=[nn.RNN(6, 3, nonlinearity="relu", batch_first=True), nn.GRUCell(3, 2)],
    )


def make_model() -> Any:
    inputs = keras.Input((5, 4))
    layer = keras.layers.LSTM(3, return_sequences=True)
    x = keras.layers.Bidirectional(layer, name="bi")(inputs)
    x = keras.layers.TimeDistributed(keras.layers.Dense(4), name="dense")(x)
    return keras.Model(inputs, keras.layers.GRU(3, name="gru", activation="relu")(x))


def test_a_module_has_its_layers_by_path_as_pytorch_counts_them() -> None:
    model = tagger()
    found = rnncli.weights(model)
    layers = {layer["name"]: layer["parameters"] for layer in found.document()["layers"]}
    size = sum(weight.numel() for weight in model.encoder.parameters())
    assert layers["encoder_l0"] + layers["encoder_l1"] == size
    assert [*layers] == ["encoder_l0", "encoder_l1", "parts.0", "parts.1"]
    assert found.document()["others"][0] == {"name": "linear.weight", "shape": [4, 4], "parameters": 16}
    assert found.document()["layers"][2]["config"]["activation"] == "relu"
    back = rnncli.weights(model, to="torch", at="encoder")
    state = model.encoder.state_dict()
    for name in (name for name in back if "weight" in name):  # an LSTM of Keras has the sum of the biases
        np.testing.assert_array_equal(back[name], state[name.removeprefix("encoder.")])
    with pytest.raises(LayerError, match=r"parts.0 cannot be converted|relu"):
        rnncli.weights(model, to="cudnn")
    with pytest.raises(UsageError, match="there is no recurrent layer 'decoder' in it"):
        rnncli.weights(model, at="decoder")


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_module_loads_what_it_gave(bidirectional: bool, tmp_path: Path) -> None:
    model = nn.ModuleDict({"rnn": nn.LSTM(4, 3, 2, bidirectional=bidirectional), "cell": nn.GRUCell(4, 3)})
    for module in (model, *model.values()):
        found = rnncli.weights(module, to="torch")
        state = module.state_dict()
        assert list(found) == list(state)
        assert all(np.array_equal(found[name], state[name]) for name in state)
        assert "bias_hh is zero" not in str(found.remarks)
        found.save(tmp_path / "rnn.pt")
        module.load_state_dict(torch.load(tmp_path / "rnn.pt"))
    assert list(rnncli.weights(model, to="torch", at="cell")) == [f"cell.{name}" for name in state]


@pytest.mark.slow
def test_a_model_of_keras_goes_to_pytorch_layer_by_layer() -> None:
    model = make_model()
    expected = model.get_layer("bi").get_weights()
    for source in (model, model.get_layer("bi")):
        found = list(dict(rnncli.weights(source, to="keras")).values())[:6]
        assert all(np.array_equal(array, weight) for array, weight in zip(found, expected, strict=True))
    module = nn.LSTM(4, 3, bidirectional=True, batch_first=True)
    arrays = dict(rnncli.weights(model, to="torch", at="bi"))
    module.load_state_dict({name.removeprefix("bi."): torch.tensor(array) for name, array in arrays.items()})
    returned = module(torch.tensor(X))[0].detach()
    np.testing.assert_allclose(returned, model.get_layer("bi")(X), rtol=0, atol=1e-6)
    with pytest.raises(LayerError, match="gru cannot be converted to PyTorch's layout"):
        rnncli.weights(model, to="torch")


def test_what_cannot_be_converted_is_listed_and_refused() -> None:
    model = nn.ModuleDict({"small": nn.LSTM(3, 4, proj_size=2), "lstm": nn.LSTM(3, 2)})
    assert "it projects its state" in str(rnncli.weights(model))
    with pytest.raises(LayerError, match=r"small cannot be converted(.|\n)*Name another one: at='lstm'"):
        rnncli.weights(model, to="keras")
    assert rnncli.weights(model, to="keras", at="lstm").keys()
    with pytest.raises(LayerError, match="has no weights yet"):
        rnncli.weights(keras.Sequential([keras.layers.LSTM(3)]))
    with pytest.raises(RnncliError, match="there is no recurrent layer to convert"):
        rnncli.weights(nn.Linear(3, 2), to="keras")


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_a_model_in_mixed_precision_is_converted(policy: str) -> None:
    def make(dtype: str) -> Any:
        layer = keras.layers.LSTM(3, return_sequences=True, dtype=dtype)
        return keras.Sequential([keras.Input((5, 4)), keras.layers.Bidirectional(layer, dtype=dtype)])

    model, whole = make(policy), make("float32")
    whole.set_weights(model.get_weights())
    assert "computes in" not in str(rnncli.weights(model))
    converted = rnncli.weights(model, to="torch")
    module = nn.LSTM(4, 3, bidirectional=True, batch_first=True)
    module.load_state_dict({name.rpartition(".")[2]: torch.tensor(converted[name]) for name in converted})
    np.testing.assert_allclose(module(torch.tensor(X))[0].detach(), whole(X), rtol=0, atol=1e-6)


def test_an_own_activation_is_not_converted() -> None:
    model = keras.Sequential([keras.Input((5, 4)), keras.layers.GRU(3, activation=lambda x: x / 2)])
    with pytest.raises(LayerError, match=r"activation <lambda> is not one of Keras(.|\n)*all its weights"):
        rnncli.weights(model, to="torch")


@pytest.mark.slow
def test_an_export_of_an_object_prints_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    model = tagger()
    script = rnncli.export(X, model, at="parts.0", to="numpy")
    exec(compile(str(script), "rnn.py", "exec"), {})
    name, *rows = capsys.readouterr().out.splitlines()
    assert name == "hidden_states 2 5 3"
    numbers = [[float(number) for number in row.split()] for row in rows[:10]]
    np.testing.assert_allclose(
        np.reshape(numbers, (2, 5, 3)), model(torch.tensor(X)).detach(), rtol=0, atol=1e-6
    )


def test_weights_and_layers_of_port_are_objects() -> None:
    module, layer = nn.GRU(4, 3, batch_first=True), keras.layers.LSTM(3, return_sequences=True)
    returned, expected = module(torch.tensor(X)), layer(X)
    found = rnncli.port(X, weights=module, expect=returned)
    assert [difference.name for difference in found.found[0].differences] == ["gates=reset,update,candidate"]
    assert not rnncli.port(X, module, expect=returned).found[0].differences
    assert rnncli.port(X, weights=layer, expect=expected)
    result = rnncli.run(X, "LSTM(3, return_sequences=True)", weights=layer)
    np.testing.assert_allclose(result[0], expected, rtol=0, atol=1e-6)
