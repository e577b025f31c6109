"""`rnncli weights -l` and `--to`: layers that are described, converted, and read again."""

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from command import loaded_by

BOTH = "Bidirectional(GRU(3, return_sequences=True, bias_initializer=RandomNormal()))"
STACK = ("-l", BOTH, "-l", "LSTM(2, bias_initializer=RandomNormal())")
TORCH_NAMES = {"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"}
FILES = [
    (to, suffix)
    for to, suffixes in {
        "keras": (".npz", ".safetensors", ".json", ".h5", ".weights.h5"),
        "torch": (".npz", ".safetensors", ".json", ".pt"),
        "onnx": (".npz", ".safetensors", ".json"),
        "cudnn": (".npz", ".safetensors", ".json", ".h5"),
    }.items()
    for suffix in suffixes
]


def read_json(done: Any) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def outputs() -> dict[str, Any]:
    return {}


@pytest.mark.sampled
@pytest.mark.parametrize(("to", "suffix"), FILES)
def test_what_it_writes_it_reads(
    to: str, suffix: str, outputs: dict[str, Any], rnncli: Any, tmp_path: Path
) -> None:
    file = str(tmp_path / f"w{suffix}")
    if not outputs:
        outputs["run"] = read_json(rnncli("run", *STACK, "--seed", "5", "-f", "json"))["outputs"]
        outputs["layers"] = read_json(rnncli("weights", *STACK, "--seed", "5", "-f", "json"))["layers"]
    done = rnncli("weights", *STACK, "--seed", "5", "--to", to, "-o", file)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    again = read_json(rnncli("run", *STACK, "--weights", file, "-f", "json"))["outputs"]
    assert again == outputs["run"]
    layers = read_json(rnncli("weights", file, "-f", "json"))["layers"]
    assert [(layer["name"], layer["class_name"]) for layer in layers] == [
        ("0", "Bidirectional(GRU)"),
        ("1", "LSTM"),
    ]
    assert [layer["cells"] for layer in layers] == [layer["cells"] for layer in outputs["layers"]]


def test_the_features_come_from_the_input_or_a_case_document(rnncli: Any, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("1,2,3,4\n5,6,7,8\n")
    shown = read_json(rnncli("weights", "data.csv", "-l", "gru", "--seed", "1", "-f", "json", cwd=tmp_path))
    assert shown["input"]["shape"] == [1, 2, 4]
    assert shown["layers"][0]["features"] == 4
    assert shown["layers"][0]["cells"][0]["fans"]["kernel"] == {"fan_in": 4, "fan_out": 9}
    case = {
        "layer": "SimpleRNN(1)",
        "inputs": [[[1.0, 2.0]]],
        "weights": {"kernel": [[0.5], [0.25]], "recurrent_kernel": [[-2.0]], "bias": [1.0]},
    }
    shown = read_json(rnncli("weights", json.dumps(case), "--units", "1", "-f", "json"))
    (cell,) = shown["layers"][0]["cells"]
    assert shown["seed"] is None
    assert cell["gates"][0]["recurrent_kernel"]["spectral_radius"] == 2


def test_a_seed_that_was_drawn_is_said_and_gives_the_same_weights(rnncli: Any, tmp_path: Path) -> None:
    first, last = tmp_path / "a.npz", tmp_path / "b.npz"
    done = rnncli("weights", "-l", "LSTM(3)", "--to", "torch", "-o", str(first))
    seed = done.stderr.partition("those of --seed ")[2].split()[0]
    rnncli("weights", "-l", "LSTM(3)", "--seed", seed, "--to", "torch", "-o", str(last))
    assert first.read_bytes() == last.read_bytes()
    supplied = rnncli("weights", "-l", "LSTM(3)", "--weights", str(last)).stdout
    assert ("weights supplied" in supplied, "seed" in supplied) == (True, False)


def test_other_layers_are_not_converted_and_a_note_says_so(rnncli: Any, tmp_path: Path) -> None:
    file = tmp_path / "w.npz"
    done = rnncli("weights", "-l", "LSTM(3)", "-l", "Dense(2)", "--to", "torch", "-o", str(file))
    assert "not recurrent, so not converted: 1/kernel, 1/bias" in done.stderr
    assert set(np.load(file)) == TORCH_NAMES


def test_a_state_dict_goes_to_keras_and_back(rnncli: Any, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    encoder, decoder = torch.nn.LSTM(4, 3, 2, bidirectional=True, bias=False), torch.nn.GRU(4, 5)
    model = torch.nn.ModuleDict({"encoder": encoder, "decoder": decoder})
    first, keras_file, last = (str(tmp_path / name) for name in ("a.pt", "b.npz", "c.pt"))
    torch.save(model.state_dict(), first)
    for command in ((first, "--to", "keras", "-o", keras_file), (keras_file, "--to", "torch", "-o", last)):
        rnncli("weights", *command).success()
    written = torch.load(last, weights_only=True)
    assert written.keys() == model.state_dict().keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(written[name], tensor), name


@pytest.mark.slow
def test_some_layers_of_a_file_are_converted(rnncli: Any, tmp_path: Path) -> None:
    layers = [
        keras.layers.LSTM(3, return_sequences=True, name="a"),
        keras.layers.GRU(2, reset_after=False, name="b"),
        keras.layers.Dense(1),
    ]
    file, target = str(tmp_path / "m.keras"), tmp_path / "w.npz"
    keras.Sequential([keras.Input((None, 4)), *layers]).save(file)
    done = rnncli("weights", file, "--to", "torch", "-o", str(target))
    assert (done.returncode, done.stdout, target.exists()) == (2, "", False)
    assert "b cannot be converted to PyTorch's layout: it has no GRU with reset_after=False." in done.stderr
    assert rnncli("weights", f"{file}#a", "--to", "torch", "-o", str(target)).returncode == 0
    assert set(np.load(target)) == {f"a.{name}" for name in TORCH_NAMES}


def test_the_file_that_is_read_is_not_overwritten(rnncli: Any, tmp_path: Path) -> None:
    file = str(tmp_path / "w.npz")
    rnncli("weights", "-l", "LSTM(3)", "--seed", "1", "--to", "torch", "-o", file)
    before = Path(file).read_bytes()
    for args in ((file,), (f"{file}#lstm",), ("--model", file), (file, "--to", "keras")):
        assert "would be overwritten" in rnncli("weights", *args, "-o", file).refusal()
    assert Path(file).read_bytes() == before


def test_layers_without_an_order_must_be_named(rnncli: Any, tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    random, file = np.random.default_rng(0), str(tmp_path / "m.safetensors")
    names = [f"{layer}.weight_{which}_l0" for layer in ("encoder", "decoder") for which in ("ih", "hh")]
    save_file({name: random.standard_normal((8, 2)).astype("float32") for name in names}, file)
    layer = "LSTM(2, use_bias=False, return_sequences=True)"
    args = ("run", "--input-shape", "1,3,2", "-l", layer, "-l", layer)
    assert "its layers have no order: decoder, encoder" in rnncli(*args, "--weights", file).refusal()
    encoder_first, decoder_first = (
        read_json(rnncli(*args, "--seed", "1", "--weights", f"{file}#{names}", "-f", "json"))["outputs"]
        for names in ("encoder,decoder", "decoder,encoder")
    )
    assert encoder_first != decoder_first


@pytest.mark.slow
def test_a_recurrent_layer_that_is_not_understood_is_not_called_another(rnncli: Any, tmp_path: Path) -> None:
    import h5py

    file, out = tmp_path / "m.weights.h5", tmp_path / "out.h5"
    inner = keras.layers.LSTM(3, return_sequences=True)
    layers = [keras.layers.Bidirectional(inner, name="bidirectional"), keras.layers.GRU(2, name="gru")]
    keras.Sequential([keras.Input((4, 3)), *layers]).save_weights(file)
    with h5py.File(file, "r+") as opened:
        cell = opened["layers/bidirectional/forward_layer/cell/vars"]
        kernel = cell["0"][...]
        del cell["0"]
        cell["0"] = kernel.T
    done = rnncli("weights", str(file), "--to", "keras", "-o", str(out))
    assert (done.returncode, done.stdout, out.exists()) == (2, "", False)
    assert "bidirectional cannot be converted: " in done.stderr
    assert done.stderr.endswith(f"Name the others after a #: {file}#gru\n")
    assert "bidirectional is not shown: " in rnncli("weights", str(file)).stderr
    assert rnncli("weights", f"{file}#gru", "--to", "keras", "-o", str(out)).returncode == 0


@pytest.mark.slow
def test_a_saved_model_and_a_described_layer_are_told_apart(rnncli: Any, tmp_path: Path) -> None:
    keras.Sequential([keras.Input((4, 5)), keras.layers.LSTM(3)]).save(tmp_path / "m.keras")
    done = rnncli("weights", "m.keras", "--units", "4", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "rnncli: m.keras is a saved model, but --units defines a different layer.\n"
        "Leave out --units; or load the weights into that layer: --weights m.keras\n"
    )
    for flag, value in (("--weights", "w.npz"), ("--kernel-initializer", "zeros")):
        done = rnncli("weights", "m.keras", flag, value, cwd=tmp_path)
        assert done.stderr.endswith(f"\nLeave out {flag}.\n")
    assert "1 layer, 1 recurrent" in rnncli("weights", "m.keras", cwd=tmp_path).stdout
    given = ("--input-shape", "1,4,5", "--layer", "lstm", "--weights", "m.keras")
    assert rnncli("weights", *given, cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_arrays_need_no_framework(rnncli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keras.Sequential([keras.Input((4, 5)), keras.layers.LSTM(3)]).save(tmp_path / "m.keras")
    each = [["-l", "LSTM(3)", "--to", to] for to in ("keras", "torch", "onnx", "cudnn")]
    loaded = loaded_by("weights", each=[*each, [str(tmp_path / "m.keras")]])
    assert not loaded & {"tensorflow", "keras", "torch", "onnx", "onnxruntime"}
    (tmp_path / "m.pt").write_bytes(b"\x80\x02}q\x00.")
    monkeypatch.setitem(sys.modules, "torch", None)
    for args in (["m.pt"], ["-l", "LSTM(3)", "--to", "torch", "-o", "w.pt"]):
        done = rnncli("weights", *args, cwd=tmp_path)
        assert done.returncode == 3
        assert "pip install torch" in done.stderr
