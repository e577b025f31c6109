"""Files of Keras 3 from classes of the user's own: every layer, also inside others, is found, or named."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run
from oracle import keras

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("files_are_read_here")]

L = keras.layers
X = np.zeros((1, 4, 3), "float32")


class EncoderDecoder(keras.Model):  # type: ignore[misc]
    """Attributes on both sides of `layers` in the alphabet."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = L.LSTM(4, name="reads", return_sequences=True)
        self.middle = keras.Sequential([L.GRU(2, name="inside", return_sequences=True)])
        self.writer = L.SimpleRNN(5, name="writes")
        self.out = L.Dense(1, name="dense")

    def call(self, inputs: Any) -> Any:
        return self.out(self.writer(self.middle(self.encoder(inputs))))


@keras.saving.register_keras_serializable("classes")
class Block(L.Layer):  # type: ignore[misc, name-defined]
    """A layer with weights of its own, and layers in a list, in a dict and in an attribute `cell`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.cells = [L.LSTM(2, name="first", return_sequences=True)]
        self.named = {"a": L.GRU(3, name="second", return_sequences=True)}
        self.cell = L.LSTM(4, name="third", return_sequences=True)

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), name="scale")

    def call(self, inputs: Any) -> Any:
        return self.cell(self.named["a"](self.cells[0](inputs * self.scale)))


class Twice(keras.Model):  # type: ignore[misc]
    """Layers of the same name inside two others."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = Block(), Block()

    def call(self, inputs: Any) -> Any:
        return self.b(self.a(inputs))


class OwnCell(L.Layer):  # type: ignore[misc, name-defined]
    """A cell with one weight more than a SimpleRNN."""

    state_size = 5

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=(shape[-1], 5))
        self.recurrent = self.add_weight(shape=(5, 5))
        self.first, self.second = self.add_weight(shape=(5,)), self.add_weight(shape=(5,))

    def call(self, inputs: Any, states: Any) -> Any:
        first = keras.ops.matmul(inputs, self.kernel) * self.first
        output = first + keras.ops.matmul(states[0], self.recurrent) * self.second
        return output, [output]


def model_with_own_cell() -> Any:
    layers = [L.RNN(OwnCell(), name="own", return_sequences=True), L.LSTM(3, name="lstm")]
    return keras.Sequential([keras.Input((4, 3)), *layers])


def model_with_block() -> Any:
    x = keras.Input((4, 3), name="x")
    return keras.Model(x, [L.LSTM(7, name="lstm")(x), Block(name="block")(x)])


def save_model(build: Callable[[], Any], path: Path) -> Path:
    model = build()
    model(X)
    model.save_weights(path) if path.name.endswith(".weights.h5") else model.save(path)
    return path


def list_classes(rnncli: Run, *args: str) -> tuple[dict[str, str], str]:
    """Return the class of every layer that `weights` lists, and the notes."""
    done = rnncli("weights", *args, "--format", "json")
    return {layer["name"]: layer["class_name"] for layer in done.answer()["layers"]}, done.stderr


@pytest.mark.parametrize("name", ["m.weights.h5", "m.keras"])
@pytest.mark.parametrize(("build", "layers"), [
    (EncoderDecoder, {"reads": "LSTM", "inside": "GRU", "writes": "SimpleRNN"}),
    (Twice,
     {f"{block}/{layer}": kind for block in ("a", "b")
      for layer, kind in {"cells/lstm": "LSTM", "named/gru": "GRU", "cell": "LSTM"}.items()}),
])  # fmt: skip
def test_every_layer_is_found(
    build: Callable[[], Any], layers: dict[str, str], name: str, tmp_path: Path, rnncli: Run
) -> None:
    path = save_model(build, tmp_path / name)
    assert list_classes(rnncli, str(path))[0] == layers
    arrays = rnncli("weights", str(path), "--to", "torch", "--format", "json").answer()["weights"]
    assert {array.rpartition(".")[0] for array in arrays} == {layer.replace("/", ".") for layer in layers}
    for layer in layers:
        assert list(list_classes(rnncli, f"{path}#{layer}")[0]) == [layer]


def test_the_weights_are_those_of_the_layer(tmp_path: Path, rnncli: Run) -> None:
    model = EncoderDecoder()
    model(X)
    file = tmp_path / "m.weights.h5"
    model.save_weights(file)
    arrays = rnncli("weights", f"{file}#reads", "--to", "keras", "--format", "json").answer()["weights"]
    for array, theirs in zip(arrays.values(), model.encoder.get_weights(), strict=True):
        np.testing.assert_allclose(array, theirs, atol=1e-7)


UNFIT = "its weights do not fit LSTM, GRU or SimpleRNN."
UNKNOWN = "classes>Block is not a class of Keras; it may have recurrent weights."
INSIDE = {"block/cell": "LSTM", "block/cells/lstm": "LSTM", "block/named/gru": "GRU"}
TO_TORCH = "weights PATH --to torch"
EXPORT = f"export {json.dumps(X.tolist(), separators=(',', ':'))} --model PATH --to numpy"
CONVERTED, EXPORTED = "converted: {}\nName the others after a #", "exported: {}\nChoose others: --model"


@pytest.mark.parametrize(("build", "file", "name", "inside", "why", "command", "said"), [
    (model_with_own_cell, "m.weights.h5", "own", {}, UNFIT, TO_TORCH, CONVERTED),
    (model_with_block, "m.keras", "block", INSIDE, UNKNOWN, TO_TORCH, CONVERTED),
    (model_with_block, "m.keras", "block", INSIDE, UNKNOWN, EXPORT, EXPORTED),
])  # fmt: skip
def test_a_layer_of_the_users_own_is_listed_as_not_understood(
    build: Any, file: str, name: str, inside: dict[str, str], why: str, command: str, said: str,
    tmp_path: Path, rnncli: Run,
) -> None:  # fmt: skip
    path = str(save_model(build, tmp_path / file))
    layers, notes = list_classes(rnncli, path)
    assert layers == {"lstm": "LSTM", **inside}
    assert f"{name} is not shown: {why}" in notes
    message = rnncli(*command.replace("PATH", path).split()).refusal()
    assert f"{name} cannot be {said.format(why)}" in message
    assert f"{path}#lstm" in message
    rnncli(*command.replace("PATH", f"{path}#lstm").split()).success()


def test_run_names_own_layers_that_may_be_recurrent(tmp_path: Path, rnncli: Run) -> None:
    path = tmp_path / "m.keras"
    keras.Sequential([keras.Input(X.shape[1:]), Block(name="block")]).save(path)
    message = rnncli("run", json.dumps(X.tolist()), "--model", str(path)).refusal()
    assert "block (classes>Block) may contain some" in message
    assert "block/cell" in rnncli(*shlex.split(message.partition("rnncli ")[2])).success().stdout


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
