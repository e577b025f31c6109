"""Files that are not read: the line in the refusal is run, and what it writes is held to the framework."""

import contextlib
import json
import pickle
import re
import shlex
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import torch
from command import Run
from oracle import keras
from safetensors.torch import save_file

L = keras.layers
X = np.random.default_rng(5).normal(size=(2, 4, 5)).astype("float32")


def check_refusal(rnncli: Run, folder: Path, file: str) -> str:
    """The message for the file as weights, as a model, and for a layer, always the same; its last line."""
    given = json.dumps(X.tolist())
    said = set()
    for words in (["weights", file], ["run", given, "--model", file], ["run", given, "--weights", file]):
        said.add(rnncli(*words, cwd=folder).refusal())
    assert len(said) == 1
    return said.pop().splitlines()[-1]


def run_advised_line(rnncli: Run, folder: Path, file: str, **names: Any) -> str:
    """Run the line that the refusal ends with; return the file that it writes."""
    advice = check_refusal(rnncli, folder, file)
    found = re.search(r"python -c .*", advice)
    code = shlex.split(found[0])[2] if found else advice.partition(": ")[2]
    there = set(folder.iterdir())
    with contextlib.chdir(folder):
        exec(code, names)
    (written,) = set(folder.iterdir()) - there
    return written.name


def outputs(rnncli: Run, folder: Path, file: str, *more: str) -> dict[str, Any]:
    done = rnncli("run", json.dumps(X.tolist()), "--model", file, "-f", "json", *more, cwd=folder)
    return {tensor["name"]: np.array(tensor["values"]) for tensor in done.answer()["outputs"]}


@pytest.fixture(scope="module")
def tagger() -> Any:
    keras.utils.set_random_seed(3)
    both = L.Bidirectional(L.LSTM(2, return_sequences=True), name="both")
    gru = L.GRU(3, return_sequences=True, name="gru")
    model = keras.Sequential([keras.Input((4, 5)), both, L.Dense(5, name="dense"), gru])
    model(X)
    return model


def check_layers_of_tagger(rnncli: Run, folder: Path, file: str, tagger: Any) -> None:
    """Both recurrent layers are in the file, and the first returns what Keras's does."""
    listed = json.loads(rnncli("weights", file, "-f", "json", cwd=folder).stdout)
    kinds = {layer["class_name"].partition("(")[0]: layer["name"] for layer in listed["layers"]}
    assert sorted(kinds) == ["Bidirectional", "GRU"]
    shown = outputs(rnncli, folder, f"{file}#{kinds['Bidirectional']}")
    wanted = np.asarray(tagger.get_layer("both")(X))
    np.testing.assert_allclose(next(iter(shown.values())), wanted, atol=2e-6)


@pytest.fixture(scope="module", params=["export", "tf.saved_model"])
def folder_of_a_saved_model(
    request: pytest.FixtureRequest, tagger: Any, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Save the tagger as a SavedModel, `saved`, by Keras or by TensorFlow; return the folder of it."""
    folder = tmp_path_factory.mktemp("folder")
    if request.param == "export":
        tagger.export(str(folder / "saved"), verbose=False)
    else:
        tf.saved_model.save(tagger, str(folder / "saved"))
    return folder


@pytest.mark.parametrize("file", ["saved", "saved/", "saved/saved_model.pb"])
@pytest.mark.slow
def test_a_saved_model(rnncli: Run, folder_of_a_saved_model: Path, tagger: Any, file: str) -> None:
    check_layers_of_tagger(rnncli, folder_of_a_saved_model, file, tagger)


@pytest.mark.parametrize("name", ["model", "cp-0001.ckpt"])
@pytest.mark.parametrize("form", ["at/{}", "at/{}.index", "at", "at/{}.data-00000-of-00001"])
def test_checkpoints_of_tensorflow(rnncli: Run, tmp_path: Path, tagger: Any, name: str, form: str) -> None:
    tf.train.Checkpoint(model=tagger).write(str(tmp_path / "at" / name))
    check_layers_of_tagger(rnncli, tmp_path, form.format(name), tagger)


class Subclassed(keras.Model):  # type: ignore[misc]
    """A model whose layers get the weights of one full name, `net/kernel`."""

    def __init__(self) -> None:
        super().__init__(name="net")
        self.dense, self.lstm, self.again = L.Dense(16), L.LSTM(4), L.LSTM(4)

    def call(self, x: Any) -> Any:
        return self.dense(self.lstm(x)) + self.dense(self.again(x))


@pytest.mark.slow
def test_full_names_that_several_weights_have(rnncli: Run, tmp_path: Path) -> None:
    x, model = X[..., :4], Subclassed()
    model.compile(optimizer="adam", loss="mse", run_eagerly=True)  # nothing is traced for a single step
    model.fit(x, np.zeros((len(x), 16), np.float32), verbose=0)
    tf.train.Checkpoint(model=model, optimizer=model.optimizer).write(str(tmp_path / "at"))
    done = rnncli("run", json.dumps(x.tolist()), "--model", "at", "-f", "json", cwd=tmp_path)
    shown = {tensor["name"]: tensor["values"] for tensor in json.loads(done.stdout)["outputs"]}
    assert {name.partition("/cell")[0] for name in shown} == {"model/lstm", "model/again"}
    for name, layer in (("lstm", model.lstm), ("again", model.again)):
        np.testing.assert_allclose(
            np.asarray(shown[f"model/{name}/cell/hidden_states"])[:, -1], np.asarray(layer(x)), atol=2e-6
        )
    model.export(str(tmp_path / "saved"), verbose=False)
    said = rnncli("run", json.dumps(x.tolist()), "--model", "saved", cwd=tmp_path).refusal()
    assert "several weights have the name net/" in said


class Tagger(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = torch.nn.LSTM(5, 3, batch_first=True)
        self.linear = torch.nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tagged: torch.Tensor = self.linear(self.lstm(x)[0])
        return tagged


@pytest.fixture
def torch_tagger() -> Tagger:
    torch.manual_seed(3)
    return Tagger().eval()


def of_lstm(model: Any) -> Any:
    return model.lstm(torch.from_numpy(X))[0].detach().numpy()


@pytest.mark.slow
def test_torchscript(rnncli: Run, tmp_path: Path, torch_tagger: Tagger) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program: Any = torch.jit.script(torch_tagger)
        program.save(str(tmp_path / "a model.pt"))
        written = run_advised_line(rnncli, tmp_path, "a model.pt")
    shown = outputs(rnncli, tmp_path, written)
    np.testing.assert_allclose(shown["lstm/hidden_states"], of_lstm(torch_tagger), atol=2e-6)


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.slow
def test_layers_that_pytorch_quantized(rnncli: Run, tmp_path: Path, torch_tagger: Tagger, bare: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantize: Any = torch.ao.quantization.quantize_dynamic
        whole = quantize(torch_tagger, {torch.nn.LSTM}, dtype=torch.qint8)
        model = whole.lstm if bare else whole
        torch.save(model.state_dict(), tmp_path / "m.pt")
        written = run_advised_line(rnncli, tmp_path, "m.pt", model=model, torch=torch)
    parts = {**whole.lstm.get_weight(), **whole.lstm.get_bias()}
    torch_tagger.lstm.load_state_dict({name: part.dequantize() for name, part in parts.items()})
    shown = outputs(rnncli, tmp_path, written)
    np.testing.assert_allclose(shown["lstm/hidden_states"], of_lstm(torch_tagger), atol=2e-6)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")  # said once in a process
@pytest.mark.slow
def test_quantized_tensors(rnncli: Run, tmp_path: Path, torch_tagger: Tagger) -> None:
    floats = torch_tagger.state_dict()
    quantized = {
        name: tensor if "bias" in name else torch.quantize_per_tensor(tensor, 0.01, 0, torch.qint8)
        for name, tensor in floats.items()
    }
    torch.save(quantized, tmp_path / "m.pt")
    shown = outputs(rnncli, tmp_path, run_advised_line(rnncli, tmp_path, "m.pt"))
    torch_tagger.load_state_dict({name: tensor.dequantize() for name, tensor in quantized.items()})
    np.testing.assert_allclose(shown["lstm/hidden_states"], of_lstm(torch_tagger), atol=2e-6)


@pytest.mark.parametrize("suffix", ["pkl", "pickle"])
@pytest.mark.parametrize("kind", ["arrays", "state dict"])
@pytest.mark.parametrize("protocol", [2, 5])
def test_a_pickle_runs_code(
    rnncli: Run, tmp_path: Path, torch_tagger: Tagger, kind: str, suffix: str, protocol: int
) -> None:
    held = torch_tagger.state_dict()
    value = held if kind == "state dict" else {name: tensor.numpy() for name, tensor in held.items()}
    (tmp_path / f"m.{suffix}").write_bytes(pickle.dumps(value, protocol))
    done = rnncli("weights", f"m.{suffix}", cwd=tmp_path)
    assert "it is a pickle; loading a pickle runs the code in it, so rnncli does not." in done.stderr
    shown = outputs(rnncli, tmp_path, run_advised_line(rnncli, tmp_path, f"m.{suffix}"))
    np.testing.assert_allclose(shown["lstm/hidden_states"], of_lstm(torch_tagger), atol=2e-6)


def test_a_name_in_the_line_is_data(rnncli: Run, tmp_path: Path, torch_tagger: Tagger) -> None:
    held = {name: tensor.numpy() for name, tensor in torch_tagger.state_dict().items()}
    name = """a'; $(touch x) "+exit(1)+"{b}.pkl"""
    (tmp_path / name).write_bytes(pickle.dumps(held))
    assert outputs(rnncli, tmp_path, run_advised_line(rnncli, tmp_path, name))


@pytest.mark.parametrize(
    "layer", ["LSTM", "GRU", "GRU, reset_after=False", "SimpleRNN", "LSTM, use_bias=False"]
)
def test_names_of_ones_own_by_shapes_of_keras(rnncli: Run, tmp_path: Path, layer: str) -> None:
    kind, _, option = layer.partition(", ")
    made = getattr(L, kind)(3, return_sequences=True, **({option.split("=")[0]: False} if option else {}))
    wanted = np.asarray(made(X))
    arrays = dict(zip(("enc%W", 'U"', "b'"), made.get_weights(), strict=False))
    np.savez(tmp_path / "own.npz", **dict(reversed(arrays.items())))
    given = json.dumps(X.tolist())
    expression = f"{kind}(3, return_sequences=True{', ' * bool(option)}{option})"
    words = ["--weights", "own.npz", "-l", expression]
    with contextlib.chdir(tmp_path):
        exec(shlex.split(rnncli("run", given, *words, cwd=tmp_path).refusal().partition(": python")[2])[1])
    done = rnncli("run", given, "--weights", "own-named.npz", "-l", expression, "-f", "json", cwd=tmp_path)
    shown = json.loads(done.stdout)["outputs"][0]["values"]
    np.testing.assert_allclose(shown, wanted, atol=2e-6)
    (shown,) = outputs(rnncli, tmp_path, "own.npz").values()
    np.testing.assert_allclose(shown, wanted, atol=2e-6)
    noted = rnncli("run", given, "--model", "own.npz", cwd=tmp_path).stderr
    assert 'by their shapes, enc%W is kernel, U" is recurrent_kernel' in noted


@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_names_of_ones_own_by_shapes_of_pytorch(rnncli: Run, tmp_path: Path, kind: str) -> None:
    torch.manual_seed(1)
    layer = getattr(torch.nn, kind)(5, 3, batch_first=True)
    names = ("a", "b", "c", "d")
    tensors = (tensor.detach().numpy() for tensor in layer.parameters())
    np.savez(tmp_path / "own.npz", **dict(zip(names, tensors, strict=True)))
    shown = outputs(rnncli, tmp_path, "own.npz")
    np.testing.assert_allclose(next(iter(shown.values())), layer(torch.from_numpy(X))[0].detach(), atol=2e-6)


def two_layers() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the weights of an LSTM and a GRU under names of their own, and what the layers return."""
    encoder, decoder = L.LSTM(3, return_sequences=True), L.GRU(3, return_sequences=True)
    wanted = {"encoder": np.asarray(encoder(X)), "decoder": np.asarray(decoder(X))}
    names = [f"{layer}_{weight}" for layer in ("enc", "dec") for weight in "WUb"]
    arrays = dict(zip(names, (*encoder.get_weights(), *decoder.get_weights()), strict=True))
    return {**arrays, "head": np.zeros((2, 2), np.float32)}, wanted


def save_two_layers(folder: Path, arrays: dict[str, Any]) -> None:
    np.savez(folder / "own.npz", **arrays)
    tensors = {name: torch.tensor(array) for name, array in arrays.items()}
    torch.save(tensors, folder / "own.pt")
    save_file(tensors, folder / "own.safetensors")
    variables = {name: tf.Variable(array, name=name) for name, array in arrays.items()}
    tf.train.Checkpoint(**variables).write(str(folder / "own"))


@pytest.mark.slow
@pytest.mark.parametrize("file", ["own.npz", "own.pt", "own.safetensors", "own"])
def test_names_of_ones_own_of_several_layers(rnncli: Run, tmp_path: Path, file: str) -> None:
    arrays, wanted = two_layers()
    save_two_layers(tmp_path, arrays)
    given = json.dumps(X.tolist())
    assume = ["--assume", "encoder=enc_*,decoder=dec_*"]
    done = rnncli("run", given, "--model", file, *assume, "-f", "json", cwd=tmp_path)
    shown = {tensor["name"]: tensor["values"] for tensor in json.loads(done.stdout)["outputs"]}
    for layer, values in wanted.items():
        np.testing.assert_allclose(shown[f"{layer}/hidden_states"], values, atol=2e-6)
    assert (
        "encoder: by their shapes, enc_W is kernel, enc_U is recurrent_kernel, enc_b is bias" in done.stderr
    )


def test_a_glob_that_is_no_layer(rnncli: Run, tmp_path: Path) -> None:
    arrays, _ = two_layers()
    named = dict(zip(("a_kernel", "a_recurrent_kernel"), (arrays["enc_U"], arrays["enc_U"]), strict=True))
    np.savez(tmp_path / "own.npz", **arrays, **named)
    for assume, message in {
        "encoder=*": "encoder=*: by their shapes, these are not the weights of one layer: enc_W (5, 12)",
        "encoder=x_*": "encoder=x_*: no tensor has such a name; it has enc_W (5, 12)",
        "encoder=enc_*,decoder=en*": "enc_W belongs to two layers.",
        "encoder=enc_W": "To say which belong to one layer: --assume 'encoder=enc_*'",
    }.items():
        words = ["--input-shape", "1,2,5", "--model", "own.npz", "--assume", assume]
        assert message in rnncli("run", *words, cwd=tmp_path).refusal()
    # the names say what shapes do not
    words = ["--model", "own.npz#a", "--assume", "a=a_*", "--input-shape", "1,2,3"]
    assert rnncli("run", *words, cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("shapes", [
    [(3, 12), (3, 12), (12,)],  # kernel or recurrent kernel
    [(9, 5), (9, 3), (9,), (9,)],  # which bias of PyTorch's GRU
    [(5, 12), (3, 12), (12,), (7, 7)], [(5, 12), (3, 11)], [(0, 12), (3, 12)], [(12,)],
])  # fmt: skip
def test_names_are_not_guessed_in_doubt(rnncli: Run, tmp_path: Path, shapes: list[tuple[int, ...]]) -> None:
    arrays: dict[str, Any] = {f"w{i}": np.ones(shape, "float32") for i, shape in enumerate(shapes)}
    np.savez(tmp_path / "own.npz", **arrays)
    said = rnncli("run", json.dumps(X.tolist()), "--model", "own.npz", cwd=tmp_path).refusal()
    assert "python" not in said
    assert "no recurrent layer was recognized in it." in said
