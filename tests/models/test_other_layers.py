"""#NAME of a layer that is not recurrent, and the note that names --all-layers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx_graphs
import pytest
from onnx import helper
from oracle import keras

import rnncli as package
from rnncli.errors import UsageError

pytestmark = pytest.mark.slow

L = keras.layers
GIVEN = np.random.default_rng(1).normal(size=(2, 5, 3)).astype("float32")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    keras.utils.set_random_seed(1)
    given = keras.Input((5, 3), name="given")
    states = L.LSTM(4, return_sequences=True, name="lstm")(given)
    attended = L.Attention(name="att")([states, states])
    model = keras.Model(given, L.Dense(2, name="dense")(L.GRU(2, name="gru")(attended)))
    path = tmp_path_factory.mktemp("model") / "m.keras"
    model.save(path)
    return str(path), model


def test_any_layer_of_a_graph_is_chosen(rnncli: Any, model: Any) -> None:
    path, by_keras = model
    found = package.run(GIVEN, model=f"{path}#att", check=True)
    assert found.keys() == ("att/output",)
    theirs = keras.Model(by_keras.input, by_keras.get_layer("att").output)(GIVEN)
    np.testing.assert_allclose(found["att/output"], theirs, atol=1e-5)
    assert found.engine == "numpy"
    both = package.run(GIVEN, model=f"{path}#dense,lstm")
    assert both.keys() == ("lstm/hidden_states", "dense/output")
    np.testing.assert_allclose(both["dense/output"], by_keras(GIVEN), atol=1e-5)
    said = rnncli("trace", json.dumps(GIVEN.tolist()), "--model", f"{path}#att").refusal()
    assert "the layer att (Attention) is not recurrent." in said
    with pytest.raises(UsageError, match=r"there is no layer atn\.\nDid you mean att\?"):
        package.run(GIVEN, model=f"{path}#atn")


def test_the_note_names_all_layers_where_others_are_behind(rnncli: Any, model: Any) -> None:
    words, path = ("run", json.dumps(GIVEN.tolist()), "--model"), model[0]
    note = "the model returns the output of dense; --all-layers shows every layer"
    assert note in rnncli(*words, path).stderr
    for more in ((path, "--all-layers"), (f"{path}#gru",)):
        assert "--all-layers" not in rnncli(*words, *more).stderr
    np.testing.assert_allclose(
        package.run(GIVEN, model=path, all_layers=True)["dense/output"], model[1](GIVEN), atol=1e-5
    )


def test_a_node_of_onnx_is_chosen_by_its_name_or_its_output(rnncli: Any, tmp_path: Path) -> None:
    arrays = onnx_graphs.weights(np.random.default_rng(0), "GRU", 3, 2)
    nodes = [
        helper.make_node("GRU", ["X", *arrays], ["Y"], name="gru", hidden_size=2),
        helper.make_node("Abs", ["Y"], ["positive"], name="abs"),
    ]
    made = onnx_graphs.model(nodes, {"X": np.swapaxes(GIVEN, 0, 1)}, arrays, ["positive"])
    path = tmp_path / "m.onnx"
    path.write_bytes(made.SerializeToString())
    words = ("run", json.dumps(np.swapaxes(GIVEN, 0, 1).tolist()), "-f", "json", "--check", "--model")
    whole = json.loads(rnncli(*words, str(path)).stdout)["outputs"][0]["values"]
    for name in ("abs", "positive"):
        (tensor,) = rnncli(*words, f"{path}#{name}").answer()["outputs"]
        assert tensor["name"] == "abs/output"
        mine = np.array(tensor["values"])[:, 0].swapaxes(0, 1)
        np.testing.assert_allclose(mine, np.abs(whole), atol=1e-6)
    assert json.loads(rnncli(*words, f"{path}#Y").stdout)["outputs"][0]["name"] == "gru/hidden_states"
