"""Recurrent layers inside layers of a user's own class: listed by any attribute, never left out silently."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run
from oracle import keras

pytestmark = pytest.mark.usefixtures("files_are_read_here")

L = keras.layers


@keras.saving.register_keras_serializable("tests_inner_layers")
class Reader(L.Layer):  # type: ignore[misc, name-defined]
    """A layer as users write it, with recurrent layers in attributes and in a list."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.thing = L.GRU(3, name="first_gru", return_sequences=True)
        self.pair = L.Bidirectional(L.LSTM(2, return_sequences=True), name="second_both")
        self.more = [L.SimpleRNN(4, name="third_rnn")]
        self.out = L.Dense(2, name="fourth_dense")

    def call(self, x: Any) -> Any:
        return self.out(self.more[0](self.pair(self.thing(x))))


def save(folder: Path, suffix: str) -> tuple[str, Any]:
    keras.utils.set_random_seed(1)
    x = keras.Input((4, 5), name="x")
    model = keras.Model(x, Reader(name="reader")(L.LSTM(5, return_sequences=True, name="lstm")(x)))
    model.save(folder / f"m.{suffix}")
    return f"m.{suffix}", model.get_layer("reader")


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.slow
def test_every_recurrent_layer_is_listed(rnncli: Run, tmp_path: Path, suffix: str) -> None:
    file, _ = save(tmp_path, suffix)
    done = rnncli("weights", file, "-f", "json", cwd=tmp_path)
    listed = json.loads(done.stdout)
    kinds = {layer["name"]: layer["class_name"].partition("(")[0] for layer in listed["layers"]}
    assert kinds.pop("lstm") == "LSTM"
    assert sorted(kinds.values()) == ["Bidirectional", "GRU", "SimpleRNN"]
    assert all(name.startswith("reader/") for name in kinds)
    if suffix == "keras":  # the attributes' names are in the file
        assert {name.split("/")[1] for name in kinds} == {"thing", "pair", "more"}
    assert "reader is not shown: tests_inner_layers>Reader is not a class of Keras" in done.stderr
    others = rnncli("weights", file, cwd=tmp_path).stdout.partition("other tensors")[2]
    assert [line.split()[1:] for line in others.splitlines() if "reader/" in line] == [
        ["(4,", "2)", "8"], ["(2,)", "2"]
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.slow
def test_a_conversion_leaves_none_of_them_out(rnncli: Run, tmp_path: Path, suffix: str) -> None:
    file, reader = save(tmp_path, suffix)
    said = rnncli("weights", file, "--to", "keras", "-f", "json", cwd=tmp_path).refusal()
    assert "reader cannot be converted" in said
    chosen = shlex.split(said.splitlines()[-1])[-1]
    done = rnncli("weights", chosen, "--to", "keras", "-f", "json", cwd=tmp_path)
    shown = [np.array(values, "float32") for values in done.answer()["weights"].values()]
    for layer in (reader.thing, reader.pair, *reader.more):
        for wanted in layer.get_weights():
            assert any(array.shape == wanted.shape and (array == wanted).all() for array in shown)


@pytest.mark.slow
def test_a_cell_of_ones_own_is_said_to_be_unknown(rnncli: Run, tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable("tests_inner_layers")
    class OwnCell(L.SimpleRNNCell):  # type: ignore[misc, name-defined]
        pass

    layers = [L.RNN(OwnCell(3), return_sequences=True, name="own"), L.GRU(2, name="gru")]
    keras.Sequential([keras.Input((4, 5)), *layers]).save(tmp_path / "m.keras")
    said = rnncli("weights", "m.keras", "--to", "torch", "-o", "o.pt", cwd=tmp_path).refusal()
    assert "own cannot be converted: its cell is not one of Keras's, so its gates are unknown." in said
    assert said.endswith("m.keras#gru\n")
    assert rnncli("weights", "m.keras#gru", "--to", "torch", "-o", "o.pt", cwd=tmp_path).returncode == 0
