"""`port` reads a layer with what its file says: options, and with --model its input and mask."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run

pytestmark = pytest.mark.usefixtures("files_are_read_here")

Explained = tuple[set[str], Any]


@pytest.fixture
def masked(tmp_path: Path) -> Path:
    """Write a Keras model of a Masking, a bidirectional GRU and a Dense, and what the GRU returns."""
    import keras

    keras.utils.set_random_seed(4)
    gru = keras.layers.Bidirectional(keras.layers.GRU(3, return_sequences=True), name="gru")
    layers = [keras.layers.Masking(0.0, name="masking"), gru, keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((6, 5)), *layers])
    for weight in model.weights:
        weight.assign(np.random.default_rng(weight.shape[-1]).normal(size=weight.shape))
    x = np.random.default_rng(0).normal(size=(3, 6, 5)).astype("float32")
    for place, length in enumerate((6, 3, 4)):
        x[place, length:] = 0
    model.save(tmp_path / "bi.keras")
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "packed.npy", np.asarray(gru(x, mask=np.any(x != 0, -1))))
    np.save(tmp_path / "unpacked.npy", np.asarray(gru(x)))
    return tmp_path


def port(rnncli: Run, *args: str, folder: Path) -> tuple[Any, str]:
    done = rnncli("port", *args, "-f", "json", cwd=folder)
    assert done.returncode in (0, 1), done.stderr
    return json.loads(done.stdout), done.stderr


@pytest.mark.slow
def test_a_layer_of_a_model_has_its_mask(rnncli: Run, masked: Path) -> None:
    model = ("x.npy", "--model", "bi.keras#gru")
    document, _ = port(rnncli, *model, "--expect", "packed.npy", folder=masked)
    assert document["explanations"][0]["differences"] == []
    document, _ = port(rnncli, *model, "--expect", "unpacked.npy", folder=masked)
    assert [] not in [one["differences"] for one in document["explanations"]]


@pytest.mark.slow
def test_weights_of_a_whole_model_say_what_is_left_out(rnncli: Run, masked: Path) -> None:
    document, said = port(rnncli, "x.npy", "--weights", "bi.keras", "--expect", "unpacked.npy", folder=masked)
    assert document["explanations"][0]["differences"] == []
    assert "its masks, and what stands before gru, are left out" in said
    (option,) = [line.partition("with them: ")[2] for line in said.splitlines() if "with them: " in line]
    document, said = port(rnncli, "x.npy", *option.split(), "--expect", "packed.npy", folder=masked)
    assert document["explanations"][0]["differences"] == []
    assert "left out" not in said


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_what_a_file_of_keras_says_is_used(suffix: str, rnncli: Run, tmp_path: Path) -> None:
    import keras

    keras.utils.set_random_seed(4)
    gru = keras.layers.GRU(6, reset_after=False, use_bias=False, activation="relu", name="gru")
    model = keras.Sequential([keras.Input((4, 5)), gru])
    model.save(tmp_path / f"m.{suffix}")
    x = np.random.default_rng(0).normal(size=(3, 4, 5)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.asarray(model(x)))
    args = ("x.npy", "--weights", f"m.{suffix}", "--expect", "y.npy")
    says = "its file says that the layer is GRU(6, activation='relu', use_bias=False, reset_after=False)"
    for more in ([], ["-l", "gru"]):
        document, said = port(rnncli, *args, *more, folder=tmp_path)
        assert says in said
        assert "left out" not in said
        assert document["explanations"][0]["differences"] == []
        assert "reset_after=False" in document["explanations"][0]["keras"]
    document, said = port(rnncli, *args, "--activation", "tanh", folder=tmp_path)
    assert says in said
    assert document["explanations"][0]["differences"] == ["activation=relu"]
    document, said = port(rnncli, *args, "-l", "GRU(6)", folder=tmp_path)
    assert "its file says" not in said
    assert document["explanations"][0]["differences"] == ["activation=relu", "reset_after=False"]


@pytest.mark.filterwarnings("ignore")  # of the exporter
@pytest.mark.parametrize("class_name", ["GRU", "LSTM", "RNN"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_onnx_and_pytorch_in_their_order_of_axes(
    class_name: str, bidirectional: bool, batch_first: bool, rnncli: Run, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    torch.manual_seed(3)
    module = getattr(torch.nn, class_name)(5, 4, batch_first=batch_first, bidirectional=bidirectional)
    x = torch.randn(*((3, 7) if batch_first else (7, 3)), 5)
    output, last = module(x)
    names = {"h_n": last[0], "c_n": last[1]} if class_name == "LSTM" else {"h_n": last}
    tensors = {name: one.detach().numpy() for name, one in {"output": output, **names}.items()}
    np.save(tmp_path / "x.npy", x.numpy())
    np.savez(tmp_path / "y.npz", **tensors)
    torch.save(module.state_dict(), tmp_path / "m.pt")
    torch.onnx.export(module, (x,), tmp_path / "m.onnx", dynamo=False, output_names=["output", *names])
    swapped = [] if batch_first else ["axes=time,batch"]
    graph = [] if batch_first else ["output_axes=time,batch,units"]  # the graph knows the axes of its input
    for args, wanted in (
        (["--weights", "m.onnx"], swapped),
        (["--model", "m.pt"], swapped),
        (["--model", "m.onnx"], graph),
    ):
        document, said = port(rnncli, "x.npy", *args, "--expect", "y.npz", folder=tmp_path)
        assert [one["differences"] for one in document["explanations"]] == [wanted], (args, said)


@pytest.mark.slow
@pytest.mark.parametrize(("args", "message"), [
    (["--model", "bi.keras", "--weights", "bi.keras"], "--weights cannot be combined with --model"),
    (["--model", "bi.keras#dense"], "there is no layer dense."),
    (["--model", "bi.keras", "--units", "3"], "--units cannot be combined with --model"),
    (["--weights", "bi.keras#dense"], "there is no recurrent layer 'dense' in it; it has gru."),
    (["--weights", "bi.keras", "-l", "GRU(3)"], "it has weights of 2 directions"),
])  # fmt: skip
def test_mistakes(args: list[str], message: str, rnncli: Run, masked: Path) -> None:
    said = rnncli("port", "x.npy", *args, "--expect", "packed.npy", cwd=masked).refusal()
    assert message in said
    assert len(said.strip().splitlines()) == 2
