"""Inputs of saved models: by name or alone, and generated ones."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from keras_calls import run_in_numpy
from oracle import keras

import rnncli as package
from rnncli.errors import InputError, UsageError
from rnncli.models.graph import Graph, ModelInput, Node, Ref
from rnncli.models.keras import model as models

pytestmark = pytest.mark.usefixtures("files_are_read_here")

IDS = np.array([[1, 2, 0, 0], [3, 0, 0, 0]], "int32")


def embedding_graph() -> Graph:
    weights = {"embeddings": np.zeros((9, 3), "float32")}
    nodes = (
        Node("ids", "ids", "InputLayer", "keras.layers", {}, {}, (), {}),
        Node("table", "table", "Embedding", "keras.layers", {}, weights, (Ref("ids"),), {}),
    )
    ports = (
        ModelInput("ids", ("batch", 4), "float32"),
        ModelInput("x", (2, None, 3), "float32"),
        ModelInput("flag", ("batch", 1), "bool"),
    )
    return Graph("m.keras", "Keras 3.15.1", nodes, ports, (Ref("table"),), ())


FINE = {"ids": IDS, "x": np.zeros((2, 5, 3)), "flag": np.ones((2, 1))}


def test_inputs_that_fit() -> None:
    fitted = models.Model(embedding_graph()).fit_inputs({**FINE, "ids": IDS[0].tolist()})
    assert {name: (array.shape, str(array.dtype)) for name, array in fitted.items()} == {
        "ids": ((1, 4), "float32"), "x": ((2, 5, 3), "float32"), "flag": ((2, 1), "bool"),
    }  # fmt: skip
    one = replace(embedding_graph(), inputs=(ModelInput("ids", ("batch", 4), "int64"),))
    assert models.Model(one).fit_inputs(IDS.astype(float))["ids"].dtype == "int64"


@pytest.mark.parametrize(("given", "message"), [
    ({"ids": IDS}, r"missing inputs: x, flag"),
    ({**FINE, "idz": IDS}, r"no input 'idz'. Did you mean ids"),
    (IDS, r"the model has 3 inputs.*\n.*ids: \(batch, 4\), float32"),
    ({**FINE, "ids": IDS[..., None]}, r"ids: the model expects \(batch, 4\), float32; got shape \(2, 4, 1\)"),
    ({**FINE, "ids": IDS[:, :3]},
     r"ids: the model expects \(batch, 4\).*\(2, 3\)\.\nGive axis 1 the size 4, not 3"),
    ({**FINE, "x": np.zeros((3, 5, 3))}, r"x: .*\(3, 5, 3\)\.\nGive a batch of 2, not of 3"),
    ({**FINE, "ids": IDS + 0.5}, r"token ids for the layer table.*0 to 8; ids\[0, 0\] is 1\.5"),
    ({**FINE, "ids": IDS * 5}, r"ids\[0, 1\] is 10"),
    ({**FINE, "ids": -IDS}, r"ids\[0, 0\] is -1"),
    ({**FINE, "ids": [[1, 2], [3]]}, r"ids: .* other than an array of numbers"),
    ({**FINE, "ids": [["a", "b", "c", "d"]]}, r"ids: .* other than an array of numbers"),
    ({**FINE, "flag": np.full((2, 1), 2)}, r"flag: the model expects whole numbers \(bool\)"),
])  # fmt: skip
def test_inputs_that_do_not_fit(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        models.Model(embedding_graph()).fit_inputs(given)


def test_named_axes_are_spoken_of_where_there_is_one() -> None:
    for shape, more in (((2, 5, 3), r"\."), ((2, "time", 3), "; a named axis takes any size")):
        graph = replace(embedding_graph(), inputs=(ModelInput("x", shape, "float32"),))
        with pytest.raises(InputError, match=rf"\(5, 3\)\.\nGive an array of 3 axes with these sizes{more}"):
            models.Model(graph).fit_inputs(np.zeros((5, 3)))


def test_a_model_without_a_recurrent_layer_is_refused() -> None:
    with pytest.raises(InputError, match=r"no recurrent layer\.\nrnncli run shows .*#"):
        run_in_numpy(embedding_graph(), FINE)


L = keras.layers


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Any]:
    keras.utils.set_random_seed(1)
    ids, more = keras.Input((None,), dtype="int32", name="ids"), keras.Input((4, 2), name="more")
    embedded = L.Embedding(3, 4, mask_zero=True, name="embedding")(ids)
    outputs = [L.GRU(2, name="gru")(embedded), L.LSTM(2, name="lstm")(more)]
    model = keras.Model([ids, more], outputs)
    path = tmp_path_factory.mktemp("model") / "tagger.keras"
    model.save(path)
    return str(path), model


def test_token_ids_are_of_the_vocabulary_and_a_seed_repeats_them(rnncli: Any, tagger: Any) -> None:
    path, model = tagger
    words = ("run", "--model", path, "-f", "json", "--all-layers")
    done = rnncli(*words, "--seed", "7")
    note = "ids (1, 5) int32, token ids below 3; more (1, 4, 2) float32; --seed 7 repeats it"
    assert f"the input is generated: {note}" in done.stderr
    assert rnncli(*words, "--seed", "7").stdout == done.stdout
    assert rnncli(*words).stdout != done.stdout
    given = done.tensors()
    table = np.asarray(model.get_layer("embedding").embeddings)
    rows = {tuple(row) for row in table[1:].tolist()}
    assert {tuple(row) for row in np.array(given["embedding/output"], "float32")[0].tolist()} <= rows


@pytest.mark.parametrize("command", ["trace", "gradients", "plot", "compare", "export", "explain", "run"])
def test_every_command_makes_its_input(rnncli: Any, tagger: Any, command: str, tmp_path: Path) -> None:
    more = {
        "plot": ("--terminal",),
        "compare": ("--engines", "numpy,torch"),
        "export": ("--to", "numpy", "-o", str(tmp_path / "layers.py")),
        "explain": ("hidden_state[0,1]",),
    }
    done = rnncli(command, *more.get(command, ()), "--model", f"{tagger[0]}#lstm", "--seed", "2").success()
    assert "--seed 2 repeats it" in done.stderr


def test_python_generates_one_too(tagger: Any) -> None:
    found = package.run(model=f"{tagger[0]}#lstm", seed=2)
    assert found["lstm/hidden_state"].shape == (1, 2)
    assert "the input is generated" in str(found.remarks[0])
    again = package.trace(model=f"{tagger[0]}#lstm", seed=2)
    np.testing.assert_array_equal(again["hidden"][:, -1], found["lstm/hidden_state"])


def test_a_shape_is_for_the_only_input(rnncli: Any, tagger: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"input_shape is for one input, and .* has 2 inputs"):
        package.run(model=tagger[0], input_shape=(2, 4))
    torch.save(torch.nn.GRU(3, 2, batch_first=True).state_dict(), tmp_path / "m.pt")
    words = ("run", "--model", str(tmp_path / "m.pt"), "--check", "-f", "json")
    for more, shape in (((), [1, 5, 2]), (("--input-shape", "2,7,3", "--fill", "ones"), [2, 7, 2])):
        assert rnncli(*words, *more).answer()["outputs"][0]["shape"] == shape
    time_first = rnncli(*words, "--assume", "batch_first=false")
    assert "input (5, 1, 3) float32" in time_first.stderr


def test_a_seed_or_a_fill_beside_an_input_is_refused(rnncli: Any, tmp_path: Path) -> None:
    torch.save(torch.nn.GRU(3, 2).state_dict(), tmp_path / "m.pt")
    for flag, value in (("--seed", "1"), ("--fill", "ones")):
        said = rnncli("run", "[[[1, 2, 3]]]", "--model", str(tmp_path / "m.pt"), flag, value).refusal()
        assert flag in said


def test_a_layer_inside_a_module_gets_what_the_module_takes(tmp_path: Path) -> None:
    torch.manual_seed(1)
    module = torch.nn.LSTM(6, 5, num_layers=2, batch_first=True)
    torch.save({f"lstm.{name}": tensor for name, tensor in module.state_dict().items()}, tmp_path / "m.pt")
    first, last = (package.run(model=f"{tmp_path / 'm.pt'}{layer}", seed=1) for layer in ("", "#lstm_l1"))
    np.testing.assert_array_equal(first["lstm_l1/hidden_states"], last["lstm_l1/hidden_states"])
