"""Inputs that are generated for a saved model where none is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from oracle import keras

import rnncli as package
from rnncli.errors import UsageError

pytestmark = pytest.mark.usefixtures("files_are_read_here")

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
    assert done.returncode == 0, done.stderr
    note = "ids (1, 5) int32, token ids below 3; more (1, 4, 2) float32; --seed 7 repeats it"
    assert f"the input is generated: {note}" in done.stderr
    assert rnncli(*words, "--seed", "7").stdout == done.stdout
    assert rnncli(*words).stdout != done.stdout
    given = {tensor["name"]: tensor["values"] for tensor in json.loads(done.stdout)["outputs"]}
    table = np.asarray(model.get_layer("embedding").embeddings)
    rows = {tuple(row) for row in table[1:].tolist()}
    assert {tuple(row) for row in np.array(given["embedding/output"], "float32")[0].tolist()} <= rows


@pytest.mark.parametrize("command", ["trace", "gradients", "plot", "compare", "export", "explain", "run"])
def test_every_command_of_a_model_makes_its_input(
    rnncli: Any, tagger: Any, command: str, tmp_path: Path
) -> None:
    more = {
        "plot": ("--terminal",),
        "compare": ("--engines", "numpy,torch"),
        "export": ("--to", "numpy", "-o", str(tmp_path / "layers.py")),
        "explain": ("hidden_state[0,1]",),
    }
    done = rnncli(command, *more.get(command, ()), "--model", f"{tagger[0]}#lstm", "--seed", "2")
    assert done.returncode == 0, done.stderr
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
        done = rnncli(*words, *more)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["outputs"][0]["shape"] == shape
    time_first = rnncli(*words, "--assume", "batch_first=false")
    assert "input (5, 1, 3) float32" in time_first.stderr


def test_a_seed_or_a_fill_beside_an_input_is_refused(rnncli: Any, tmp_path: Path) -> None:
    torch.save(torch.nn.GRU(3, 2).state_dict(), tmp_path / "m.pt")
    for flag, value in (("--seed", "1"), ("--fill", "ones")):
        done = rnncli("run", "[[[1, 2, 3]]]", "--model", str(tmp_path / "m.pt"), flag, value)
        assert (done.returncode, done.stdout) == (2, "")
        assert flag in done.stderr


def test_a_layer_inside_a_module_gets_what_the_module_takes(tmp_path: Path) -> None:
    torch.manual_seed(1)
    module = torch.nn.LSTM(6, 5, num_layers=2, batch_first=True)
    torch.save({f"lstm.{name}": tensor for name, tensor in module.state_dict().items()}, tmp_path / "m.pt")
    first, last = (package.run(model=f"{tmp_path / 'm.pt'}{layer}", seed=1) for layer in ("", "#lstm_l1"))
    np.testing.assert_array_equal(first["lstm_l1/hidden_states"], last["lstm_l1/hidden_states"])
