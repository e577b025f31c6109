"""Frameworks load what --to writes for them, and return what Keras returns."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import oracle
import pytest

BATCH, TIMESTEPS, FEATURES = 2, 5, 4
SEED = 7

LAYERS = {
    "LSTM": ["LSTM(3, return_sequences=True)"],
    "GRU": ["GRU(3, return_sequences=True)"],
    "SimpleRNN": ["SimpleRNN(3, return_sequences=True)"],
    "relu": ["SimpleRNN(3, activation='relu', return_sequences=True)"],
    "no bias": ["GRU(3, use_bias=False, return_sequences=True)"],
    "both": ["Bidirectional(LSTM(3, return_sequences=True))"],
    "stack": ["LSTM(3, return_sequences=True)", "LSTM(3, return_sequences=True)"],
    "stack of both": ["Bidirectional(GRU(2, return_sequences=True))"] * 3,
    "stack without bias": ["SimpleRNN(3, use_bias=False, return_sequences=True)"] * 2,
}


def write_weights(expressions: list[str], path: Path, to: str, rnncli: Any) -> tuple[Any, Any, str]:
    """Write random weights in a layout; return the inputs, Keras's outputs and the remarks."""
    random = np.random.default_rng(SEED)
    inputs = random.standard_normal((BATCH, TIMESTEPS, FEATURES)).astype("float32")
    layers = oracle.build_layers(oracle.make_layers(*expressions), inputs)
    source = path.with_name("given.npz")
    filled: Any = oracle.fill_weights(layers, random)
    np.savez(source, **filled)
    flags = [word for expression in expressions for word in ("-l", expression)]
    shape = f"batch,None,{FEATURES}"
    done = rnncli(
        "weights", *flags, "--input-shape", shape, "--weights", str(source), "--to", to, "-o", str(path)
    ).success()
    return inputs, oracle.call_layers(layers, inputs)[-1][0], done.stderr


@pytest.mark.parametrize(
    ("name", "suffix"), [*((name, ".pt") for name in LAYERS), ("both", ".safetensors"), ("stack", ".npz")]
)
def test_pytorch_returns_what_keras_returns(name: str, suffix: str, rnncli: Any, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / f"state{suffix}"
    inputs, wanted, remarks = write_weights(LAYERS[name], path, "torch", rnncli)
    call = remarks.partition("load into ")[2].partition("\n")[0]
    module = eval(call, {"torch": torch})
    assert module.batch_first
    if suffix == ".pt":
        state = torch.load(path, weights_only=True)
    elif suffix == ".npz":
        state = {key: torch.from_numpy(array) for key, array in np.load(path).items()}
    else:
        from safetensors.torch import load_file

        state = load_file(path)
    module.load_state_dict(state)  # strict: every name, and no other
    with torch.no_grad():
        sequence = module(torch.from_numpy(inputs))[0].numpy()
    np.testing.assert_allclose(sequence, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN", "no bias", "both"])
def test_onnx_runtime_returns_what_keras_returns(name: str, rnncli: Any, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    path = tmp_path / "arrays.npz"
    inputs, wanted, _ = write_weights(LAYERS[name], path, "onnx", rnncli)
    arrays = dict(np.load(path))
    attributes = {key: int(arrays.pop(key)[0]) for key in list(arrays) if key == "linear_before_reset"}
    operator = {3: "GRU", 4: "LSTM", 1: "RNN"}[arrays["R"].shape[1] // arrays["R"].shape[2]]
    node = onnx.helper.make_node(
        operator, ["X", *arrays], ["Y"], hidden_size=arrays["R"].shape[2],
        direction="bidirectional" if len(arrays["R"]) > 1 else "forward", **attributes,
    )  # fmt: skip
    floats = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node], "one",
        [onnx.helper.make_tensor_value_info("X", floats, None)],
        [onnx.helper.make_tensor_value_info("Y", floats, None)],
        [onnx.numpy_helper.from_array(array, key) for key, array in arrays.items()],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)], ir_version=8)
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (sequence,) = session.run(None, {"X": np.ascontiguousarray(inputs.swapaxes(0, 1))})
    sequence = sequence.transpose(2, 0, 1, 3).reshape(BATCH, TIMESTEPS, -1)
    np.testing.assert_allclose(sequence, wanted, rtol=0, atol=1e-5)


@pytest.mark.sampled
@pytest.mark.parametrize("suffix", [".h5", ".weights.h5"])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "no bias", "both", "stack", "stack of both"])
def test_keras_loads_its_own_layout(name: str, suffix: str, rnncli: Any, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    inputs, wanted, _ = write_weights(LAYERS[name], path, "keras", rnncli)
    model = keras.Sequential([keras.Input((None, FEATURES)), *oracle.make_layers(*LAYERS[name])])
    model.load_weights(path)
    np.testing.assert_allclose(model(inputs), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "both"])
@pytest.mark.slow
def test_keras_2_loads_cudnn_weights(name: str, rnncli: Any, tmp_path: Path) -> None:
    """Into LSTM and GRU, which take CuDNNLSTM's and CuDNNGRU's weights by their shapes."""
    tf_keras = pytest.importorskip("tf_keras")
    path = tmp_path / "cudnn.h5"
    inputs, wanted, _ = write_weights(LAYERS[name], path, "cudnn", rnncli)
    names = {**vars(tf_keras.layers)}
    layers = [eval(text, names) for text in LAYERS[name]]
    model = tf_keras.Sequential([tf_keras.Input((None, FEATURES)), *layers])
    model.load_weights(path)
    np.testing.assert_allclose(model(inputs), wanted, rtol=0, atol=1e-5)
