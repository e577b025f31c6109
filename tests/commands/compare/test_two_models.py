"""`rnncli compare --model A --with B`: two models side by side."""

import dataclasses
import json
import shlex
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import Run
from looks import check_looks

import rnncli as package
from rnncli.commands.compare.answer import ModelsAnswer
from rnncli.errors import UsageError

pytestmark = pytest.mark.usefixtures("files_are_read_here")

INPUTS = np.random.default_rng(0).normal(size=(2, 6, 5)).astype("float32")


def build(names: tuple[str, ...], **options: Any) -> Any:
    """LSTM(4), Bidirectional(GRU(4)) and Dense(3), the same weights for every call."""
    import keras

    keras.utils.set_random_seed(1)
    first, second, head = names
    random = {"bias_initializer": "random_normal"}
    return keras.Sequential(
        [
            keras.Input((None, 5)),
            *([keras.layers.Masking()] if options.get("masking") else []),
            keras.layers.LSTM(4, return_sequences=True, name=first, **random),
            keras.layers.Bidirectional(keras.layers.GRU(4, **random), name=second),
            keras.layers.Dense(3, activation="softmax", name=head),
        ]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a.keras; b.keras, with other names; c.keras, whose second layer has swapped gates; x.npy."""
    pytest.importorskip("keras")
    folder = tmp_path_factory.mktemp("models")
    build(("encoder", "decoder", "head")).save(folder / "a.keras")
    other = build(("first", "second", "last"))
    other.save(folder / "b.keras")
    layer = other.get_layer("second")
    layer.set_weights([np.roll(array.reshape(*array.shape[:-1], 3, 4), 1, -2).reshape(array.shape)
                       for array in layer.get_weights()])  # fmt: skip
    other.save(folder / "c.keras")
    build(("one", "two", "three"), masking=True).save(folder / "masked.keras")
    np.save(folder / "x.npy", INPUTS)
    return folder


def rows(rnncli: Run, *args: str, code: int = 0) -> Any:
    done = rnncli("compare", *args, "-f", "json")
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_layers_are_paired_by_shape_and_order(folder: Path, rnncli: Run) -> None:
    words = (str(folder / "x.npy"), "--model", str(folder / "a.keras"))
    found = rows(rnncli, *words, "--with", str(folder / "b.keras"))
    pairs = [("encoder", "first"), ("decoder", "second"), ("head", "last")]
    assert [(one["first"], one["second"]) for one in found["comparisons"]] == pairs
    assert all(one["absolute"] == 0 and one["verdict"] == "same" for one in found["comparisons"])
    assert found["models"] == [str(folder / "a.keras"), str(folder / "b.keras")]
    assert found["conclusion"] == "the models return exactly the same numbers"


@pytest.mark.slow
def test_where_models_part_and_the_command_that_finds_the_reason(
    folder: Path, rnncli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    words = ("x.npy", "--model", "a.keras", "--with", "c.keras")
    found = rows(rnncli, *words, code=1)
    assert [one["verdict"] for one in found["comparisons"]] == ["same", "differs", "differs"]
    assert found["conclusion"] == "the models part at decoder, second, from time step 0 on"
    stored = rnncli("compare", *words, "-o", "theirs.npz")
    assert stored.returncode == 1
    assert "(a.keras)" in stored.stderr.splitlines()[-2]
    assert "(c.keras)." in stored.stderr.splitlines()[-2]
    command = stored.stderr.splitlines()[-1].partition("ask why: rnncli ")[2]
    assert command == "port x.npy --model a.keras#decoder --expect theirs.npz"
    assert "gates" in rnncli(*shlex.split(command)).success().stdout


@pytest.mark.slow
def test_the_call_that_finds_the_reason(folder: Path) -> None:
    a, c = str(folder / "a.keras"), str(folder / "c.keras")
    found = package.compare(INPUTS, a, c)
    assert f"ask why: rnncli.port(x, model='{a}#decoder', expect=found.tensors())" in found.remarks
    assert package.port(INPUTS, model=f"{a}#decoder", expect=found.tensors())
    assert "decoder/hidden_states" in package.compare(INPUTS, a, a).tensors()


def test_a_first_difference_in_time_is_found(folder: Path) -> None:
    longer = np.concatenate([INPUTS, np.zeros((2, 2, 5), np.float32)], 1)
    found = package.compare(longer, str(folder / "a.keras"), folder / "masked.keras")
    assert not found
    assert found.found[0].step == 6
    assert "from time step 6 on" in str(found)


def test_masked_steps_count_as_equal(tmp_path: Path, folder: Path) -> None:
    import keras

    layer = keras.layers.LSTM(4, return_sequences=True, name="lstm")
    model = keras.Sequential([keras.Input((None, 5)), keras.layers.Masking(), layer])
    model.save(tmp_path / "m.keras")
    module = torch.nn.LSTM(5, 4)
    kernel, recurrent, bias = (
        torch.from_numpy(np.ascontiguousarray(array.T)) for array in layer.get_weights()
    )
    state = {"weight_ih_l0": kernel, "weight_hh_l0": recurrent, "bias_ih_l0": bias, "bias_hh_l0": 0 * bias}
    module.load_state_dict(state)
    torch.save(module.state_dict(), tmp_path / "t.pt")
    padded = np.concatenate([INPUTS, np.zeros((2, 2, 5), np.float32)], 1)
    found = package.compare(padded, str(tmp_path / "m.keras"), str(tmp_path / "t.pt"))
    assert found, str(found)
    assert found.found[0].absolute == 0


@pytest.mark.filterwarnings("ignore")  # of the exporter
@pytest.mark.slow
def test_one_model_in_two_frameworks(tmp_path: Path, rnncli: Run) -> None:
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    module = torch.nn.LSTM(5, 4, num_layers=2, batch_first=True)
    torch.save(module.state_dict(), tmp_path / "m.pt")
    labels: dict[str, Any] = {"input_names": ["x"], "output_names": ["y", "h", "c"]}
    torch.onnx.export(module, (torch.from_numpy(INPUTS),), tmp_path / "m.onnx", dynamo=False, **labels)
    np.save(tmp_path / "x.npy", INPUTS)
    for first, second in (("m.pt", "m.onnx"), ("m.onnx", "m.pt")):
        files = ("--model", str(tmp_path / first), "--with", str(tmp_path / second))
        found = rows(rnncli, str(tmp_path / "x.npy"), *files)
        assert len(found["comparisons"]) == 2
        assert all(one["verdict"] == "same" for one in found["comparisons"])
    names = json.loads(rnncli("weights", str(tmp_path / "m.pt"), "-f", "json").stdout)["layers"]
    for words in (("m.pt#{}", "m.onnx"), ("m.onnx", "m.pt#{}")):  # the second layer without the first
        first, second = (str(tmp_path / word.format(names[1]["name"])) for word in words)
        found = rows(rnncli, str(tmp_path / "x.npy"), "--model", first, "--with", second)
        (compared,) = found["comparisons"]
        assert compared["absolute"] < 1e-6
        assert "the compared layers" in found["conclusion"]


@pytest.mark.filterwarnings("ignore")  # of the exporter
@pytest.mark.slow
def test_modules_of_a_file_without_a_graph_get_what_their_pairs_get(tmp_path: Path, rnncli: Run) -> None:
    """Such a file does not say that the decoder reads what the encoder returned."""
    pytest.importorskip("onnxruntime")

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.ids = torch.nn.Embedding(7, 5)
            self.decoder = torch.nn.LSTM(8, 4, batch_first=True)
            self.encoder = torch.nn.GRU(5, 4, batch_first=True, bidirectional=True)

        def forward(self, ids: Any) -> Any:
            sequence, last = self.encoder(self.ids(ids))
            return self.decoder(torch.relu(sequence), (last[:1], last[1:]))[0]

    torch.manual_seed(0)
    network, ids = Network().eval(), torch.randint(0, 7, (2, 6))
    torch.save(network.state_dict(), tmp_path / "m.pt")
    torch.onnx.export(network, (ids,), tmp_path / "m.onnx", dynamo=False, input_names=["ids"])
    np.save(tmp_path / "ids.npy", ids.numpy())
    for first, second in (("m.pt", "m.onnx"), ("m.onnx", "m.pt")):
        words = [str(tmp_path / "ids.npy")]
        words += ["--model", str(tmp_path / first), "--with", str(tmp_path / second)]
        found = rows(rnncli, *words)["comparisons"]
        assert [one["verdict"] for one in found] == ["same", "same"]
        assert all(one["absolute"] < 1e-6 for one in found)
        other = rows(rnncli, *words, "--assume", "gates=ifog", code=1)["comparisons"]
        assert {"decoder" in one["first"]: one["verdict"] for one in other} == {
            False: "same",
            True: "differs",
        }


def test_alike_layers_are_paired_by_names_or_by_hand(tmp_path: Path, rnncli: Run) -> None:
    torch.manual_seed(0)
    layers = {name: torch.nn.GRU(5, 4) for name in ("left", "right")}
    torch.save(torch.nn.ModuleDict(layers).state_dict(), tmp_path / "a.pt")
    torch.save(torch.nn.ModuleDict(dict(reversed(layers.items()))).state_dict(), tmp_path / "b.pt")
    torch.save(torch.nn.ModuleDict({"only": layers["right"]}).state_dict(), tmp_path / "c.pt")
    a, b, c = (str(tmp_path / f"{name}.pt") for name in "abc")
    assert package.compare(INPUTS, a, b)
    np.save(tmp_path / "x.npy", INPUTS)
    words = (str(tmp_path / "x.npy"), "--model", a, "--with", c)
    said = rnncli("compare", *words).refusal()
    assert "left, right and only have the same shapes" in said
    kinds = f"{a} has left: kernel (5, 12), right: kernel (5, 12); {c} has only: kernel (5, 12)."
    assert kinds in said
    assert "--map THEIRS=OURS" in said
    assert rows(rnncli, *words, "--map", "only=right")["comparisons"][0]["absolute"] == 0
    assert package.compare(INPUTS, a, c, mapping={"only": "right"})
    assert not package.compare(INPUTS, a, c, mapping={"only": "left"})
    with pytest.raises(UsageError, match=r"mapping={'THEIRS': 'OURS'}: there is no layer 'other'"):
        package.compare(INPUTS, a, c, mapping={"other": "left"})


def test_inputs_of_other_names_are_taken_in_order(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")

    def save(names: tuple[str, str], file: str) -> None:
        keras.utils.set_random_seed(1)
        taken = [keras.Input((6, size), name=name) for name, size in zip(names, (5, 3), strict=True)]
        both = [keras.layers.GRU(4, name=f"gru_{name}")(one) for name, one in zip(names, taken, strict=True)]
        keras.Model(taken, keras.layers.Add(name="sum")(both)).save(tmp_path / file)

    save(("a", "b"), "one.keras")
    save(("left", "right"), "two.keras")
    inputs = {"a": INPUTS, "b": INPUTS[:, :, :3]}
    found = package.compare(inputs, str(tmp_path / "one.keras"), str(tmp_path / "two.keras"))
    assert found
    assert {one.sides for one in found.found} == {
        ("gru_a", "gru_left"),
        ("gru_b", "gru_right"),
        ("sum", "sum"),
    }


@pytest.mark.slow
def test_outputs_that_are_not_compared_are_named(tmp_path: Path, rnncli: Run) -> None:
    """The layers behind one that rnncli does not know are left out, unless one is named."""
    keras = pytest.importorskip("keras")
    for index, file in enumerate(("a.keras", "b.keras")):
        keras.utils.set_random_seed(1)
        x = keras.Input((6, 5))
        sequence = keras.layers.LSTM(4, return_sequences=True, name="lstm")(x)
        both = keras.layers.MultiHeadAttention(1, 2)(sequence, sequence)
        model = keras.Model(x, keras.layers.Dense(2, name="head")(both))
        model.get_layer("head").bias.assign([index, 0])
        model.save(tmp_path / file)
    np.save(tmp_path / "x.npy", INPUTS)
    first, second = (str(tmp_path / file) for file in ("a.keras", "b.keras"))
    found = rows(rnncli, str(tmp_path / "x.npy"), "--model", first, "--with", second, code=1)
    said = "the compared layers return exactly the same numbers; not compared: head"
    assert found["conclusion"] == f"weights differ; {said}"
    assert [one["name"] for one in found["weights"] if one["verdict"] == "differs"] == ["head/bias"]
    found = rows(rnncli, str(tmp_path / "x.npy"), "--model", first, "--with", first)
    assert found["conclusion"] == said
    words = ("--model", f"{first}#head", "--with", f"{second}#head")
    named = rows(rnncli, str(tmp_path / "x.npy"), *words, code=1)
    assert [one["name"] for one in named["comparisons"]] == ["head/output"]
    assert named["comparisons"][0]["absolute"] == pytest.approx(1, abs=1e-5)
    alone = rnncli("compare", str(tmp_path / "x.npy"), "--model", f"{first}#head", "--alone").refusal()
    assert "--alone compares recurrent layers" in alone


def test_a_described_layer_beside_a_model(folder: Path) -> None:
    model = f"{folder / 'a.keras'}#encoder"
    assert package.compare(INPUTS, "LSTM(4)", model, weights=model)
    assert not package.compare(INPUTS, "LSTM(4)", model, seed=1)


@pytest.mark.parametrize(("words", "message"), [
    (("--model", "a.keras", "--map", "a=b"), "--map THEIRS=OURS is for two models."),
    (("--with", "a.keras"), "--with needs a first model."),
    (("--model", "a.keras", "--with", "b.keras", "--split", "2"), "--split does not apply to two models."),
    (("--model", "a.keras", "--with", "b.keras", "--map", "a"), "--map a does not name two layers."),
    (("--model", "a.keras#encoder", "--with", "b.keras#second"), "no two layers have the same shapes"),
])  # fmt: skip
def test_what_is_refused(
    words: tuple[str, ...], message: str, folder: Path, rnncli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert message in rnncli("compare", "x.npy", *words).refusal()


@pytest.mark.slow
def test_two_models_look_as_they_did(folder: Path) -> None:
    answer = package.compare(INPUTS, str(folder / "a.keras"), str(folder / "c.keras")).answer
    assert isinstance(answer, ModelsAnswer)
    answer = dataclasses.replace(answer, models=("a.keras", "c.keras"))
    check_looks("compare", "models", answer, ("json",))


def state_of_pytorch() -> Any:
    """The weights of a module of which only the GRU is computed."""
    torch.manual_seed(0)
    layers: dict[str, Any] = {
        "table": torch.nn.Embedding(7, 5),
        "conv": torch.nn.Conv2d(1, 2, 3),
        "rnn": torch.nn.GRU(5, 4, batch_first=True),
        "norm": torch.nn.BatchNorm1d(4),
        "head": torch.nn.Linear(4, 4),
    }
    return torch.nn.ModuleDict(layers).state_dict()


@pytest.mark.sampled
@pytest.mark.parametrize("suffix", ["pt", "safetensors", "npz"])
@pytest.mark.parametrize("changed", ["table.weight", "conv.weight", "norm.running_mean", "head.weight"])
def test_weights_of_layers_not_computed(suffix: str, changed: str, tmp_path: Path, rnncli: Run) -> None:
    from safetensors.torch import save_file

    state = state_of_pytorch()
    other = {name: tensor.clone() for name, tensor in state.items()}
    other[changed].flatten()[1] += 0.25
    torch.save(state, tmp_path / "a.pt")
    if suffix == "pt":
        torch.save(other, tmp_path / "b.pt")
    elif suffix == "npz":
        np.savez(tmp_path / "b.npz", **{name: tensor.numpy() for name, tensor in other.items()})
    else:
        save_file(other, tmp_path / f"b.{suffix}")
    np.save(tmp_path / "x.npy", INPUTS)
    words = (str(tmp_path / "x.npy"), "--model", str(tmp_path / "a.pt"), "--with")
    found = rows(rnncli, *words, str(tmp_path / f"b.{suffix}"), code=1)
    layer, _, role = changed.partition(".")
    keras_names = {"running_mean": "moving_mean", "weight": "embeddings" if layer == "table" else "kernel"}
    first, *others = found["weights"]
    assert (first["name"], first["absolute"]) == (f"{layer}/{keras_names[role]}", pytest.approx(0.25))
    assert first["mismatch"]["count"] == 1
    assert {one["verdict"] for one in others} == {"same"}
    assert found["unmatched_weights"] == [[], []]
    assert found["conclusion"] == "weights differ; the compared layers return exactly the same numbers"
    assert found["agree"] is False
    done = rnncli("compare", *words, str(tmp_path / f"b.{suffix}"))
    assert f"{first['name']} differs: mismatched elements: 1 /" in done.stderr
    assert done.stdout.index("1 of 12 weights differ") < done.stdout.index("rnn, rnn")
    assert rows(rnncli, *words, str(tmp_path / f"b.{suffix}"), "--atol", "1")["agree"] is True
    assert (
        rows(rnncli, *words, str(tmp_path / f"b.{suffix}"), "--atol", f"{first['name']}=1")["agree"] is True
    )


class Headed(torch.nn.Module):
    """An LSTM and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.out = torch.nn.LSTM(5, 4, batch_first=True), torch.nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        last: torch.Tensor = self.out(self.rnn(x)[0][:, -1])
        return last


@pytest.mark.slow
def test_weights_of_keras_pytorch_and_onnx_in_one_layout(tmp_path: Path, rnncli: Run) -> None:
    """A head of another name: its kernel is turned round, and paired by its shape."""
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((6, 5)), keras.layers.LSTM(4, name="lstm"), keras.layers.Dense(3, name="dense")]
    )
    model.save(tmp_path / "a.keras")
    model.save_weights(tmp_path / "a.weights.h5")
    from rnncli.frameworks.torch import from_keras

    (kernel, recurrent, bias), (head, head_bias) = (layer.get_weights() for layer in model.layers)
    roles = from_keras("LSTM", {"kernel": kernel, "recurrent_kernel": recurrent, "bias": bias})
    state = {f"rnn.{name}_l0": torch.tensor(np.array(array)) for name, array in roles.items()}
    state |= {"out.weight": torch.tensor(head.T.copy()), "out.bias": torch.tensor(head_bias)}
    torch.save(state, tmp_path / "a.pt")
    module = Headed()
    module.load_state_dict(state)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), (torch.tensor(INPUTS),), tmp_path / "a.onnx", dynamo=False)
    np.save(tmp_path / "x.npy", INPUTS)
    words = (str(tmp_path / "x.npy"), "--model", str(tmp_path / "a.keras"), "--with")
    for file in ("a.weights.h5", "a.onnx", "a.pt"):
        found = rows(rnncli, *words, str(tmp_path / file))
        assert len(found["weights"]) == 5, file
        assert found["unmatched_weights"] == [[], []], file
    state["out.weight"][2, 1] += 1
    torch.save(state, tmp_path / "b.pt")
    first = rows(rnncli, *words, str(tmp_path / "b.pt"), code=1)["weights"][0]
    assert (first["first"], first["second"], first["index"]) == ("dense/kernel", "out/kernel", [1, 2])


@pytest.mark.slow
def test_weights_without_a_pair_are_listed(folder: Path, tmp_path: Path, rnncli: Run) -> None:
    """Two more layers of one shape: which of them is the head is no guess."""
    keras = pytest.importorskip("keras")
    model = keras.models.load_model(folder / "a.keras")
    x = model.layers[-2].output
    keras.Model(model.inputs, [keras.layers.Dense(3, name=name)(x) for name in ("one", "two")]).save(
        tmp_path / "b.keras"
    )
    words = (str(folder / "x.npy"), "--model", f"{folder / 'a.keras'}", "--with", str(tmp_path / "b.keras"))
    found = rows(rnncli, *words, "--map", "one=head", code=1)
    assert found["unmatched_weights"] == [[], ["two/kernel", "two/bias"]]
    assert (
        "not compared: two/kernel, two/bias (only " in rnncli("compare", *words, "--map", "one=head").stderr
    )
