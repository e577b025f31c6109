"""`rnncli export`: files and stdout, what it refuses, saved models, and how the scripts look."""

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from looks import matches_golden
from printed_tensors import read_tensors, run_script

PAIR = "[[[1, 2], [3, 4]]]"
GOLDEN = [
    ("numpy", "lstm", "LSTM(1, return_state=True)"),
    ("numpy", "gru_before", "GRU(1, reset_after=False)"),
    ("c", "lstm", "LSTM(1, return_state=True)"),
    ("c", "gru", "GRU(1, return_sequences=True)"),
    ("keras", "both", "Bidirectional(SimpleRNN(1, return_sequences=True), merge_mode='sum')"),
    ("torch", "both", "Bidirectional(SimpleRNN(1, return_sequences=True), merge_mode='sum')"),
    ("config", "simple_rnn", "SimpleRNN(1)"),
]


@pytest.mark.parametrize(("target", "name", "layer"), GOLDEN)
def test_scripts_look_like_this(target: str, name: str, layer: str, rnncli: Any) -> None:
    initializers = ("--kernel-initializer", "probe", "--recurrent-initializer", "constant:0.5")
    flags = ("--seed", "1") if target == "config" else initializers
    done = rnncli("export", PAIR, "-l", layer, *flags, "--to", target, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert matches_golden("export", f"{name}_{target}.txt", done.stdout)


def test_a_file_holds_what_stdout_shows(rnncli: Any, tmp_path: Path) -> None:
    flags = ("export", PAIR, "-l", "GRU(2)", "--seed", "5", "--to", "numpy")
    shown = rnncli(*flags)
    done = rnncli(*flags, "-o", str(tmp_path / "gru.py"))
    assert (done.returncode, done.stdout) == (0, "")
    assert (tmp_path / "gru.py").read_text(encoding="utf-8") == shown.stdout


def test_the_seed_that_was_drawn_is_a_remark_and_repeats_the_script(rnncli: Any) -> None:
    flags = ("export", PAIR, "-l", "GRU(2)", "--to", "c")
    first = rnncli(*flags)
    assert rnncli(*flags, "--seed", first.stderr.split()[-1]).stdout == first.stdout
    assert rnncli(*flags, "--quiet").stderr == ""


@pytest.mark.parametrize("written", ["probe", "Probe(start=2)", '{"class_name": "Probe", "config": {}}'])
def test_a_config_holds_no_initializer_that_keras_lacks(written: str, rnncli: Any) -> None:
    for flags in (("-l", "lstm"), ("-l", "bigru")):
        said = rnncli("export", *flags, "--kernel-initializer", written, "--to", "config").refusal()
        assert "Keras has no initializer probe." in said


@pytest.mark.parametrize("target", ["numpy", "keras", "torch"])
@pytest.mark.slow
def test_many_numbers_are_embedded_as_bytes(target: str, rnncli: Any, tmp_path: Path) -> None:
    flags = ("--input-shape", "1,2,200", "-l", "SimpleRNN(300)", "--seed", "2")
    script = tmp_path / "large.py"
    assert rnncli("export", *flags, "--to", target, "-o", str(script)).returncode == 0
    assert "base64" in script.read_text(encoding="utf-8")
    (found,) = run_script(script).values()
    result = json.loads(rnncli("run", *flags, "-f", "json").stdout)
    np.testing.assert_allclose(found, result["outputs"][0]["values"], rtol=0, atol=1e-6)


def test_a_config_is_a_layer_for_rnncli_too(rnncli: Any, tmp_path: Path) -> None:
    file, layer = tmp_path / "layer.json", "Bidirectional(RNN([LSTMCell(2), GRUCell(3)]))"
    assert rnncli("export", "-l", layer, "--to", "config", "-o", str(file)).returncode == 0
    shown = [rnncli("run", PAIR, "-l", one, "--seed", "3", "-f", "csv").stdout for one in (layer, f"@{file}")]
    assert shown[0] == shown[1] != ""


@pytest.mark.parametrize("layer", ["{}", "Bidirectional({})"])
def test_the_hard_sigmoid_of_keras_2_is_defined_in_a_script_of_keras(layer: str, rnncli: Any) -> None:
    text = layer.format("GRU(2, recurrent_activation='hard_sigmoid_keras2')")
    script = rnncli("export", PAIR, "-l", text, "--seed", "1", "--to", "keras").stdout
    with redirect_stdout(io.StringIO()) as printed:
        exec(script, {})
    result = json.loads(rnncli("run", PAIR, "-l", text, "--seed", "1", "-f", "json").stdout)
    expected = result["outputs"][0]["values"]
    np.testing.assert_allclose(
        next(iter(read_tensors(printed.getvalue()).values())), expected, rtol=0, atol=1e-6
    )


def test_a_mask_in_an_onnx_model_is_said(rnncli: Any, tmp_path: Path) -> None:
    """It fixes the sizes of the input, which the model checks."""
    onnxruntime = pytest.importorskip("onnxruntime")
    file = tmp_path / "masked.onnx"
    said = "the mask is baked in: the model takes inputs of 3 sequences and 4 time steps, and always skips"
    done = rnncli(
        "export", "ragged", "--pad", "post", "-l", "lstm", "--to", "onnx", "-o", str(file)
    ).success()
    assert said in done.stderr
    session = onnxruntime.InferenceSession(file)
    assert session.get_inputs()[0].shape == [3, 4, 2]
    batch = np.ones((3, 4, 2), np.float32)
    (first,), (second,) = (
        session.run(None, {"input": batch * np.array([1, 1, 1, number])[None, :, None].astype("f4")})
        for number in (1, 9)
    )
    assert (first[0] != second[0]).any()  # four steps
    np.testing.assert_array_equal(first[1:], second[1:])  # the last step is always skipped
    for line in (("sentence", "--to", "onnx", "-o", str(file)), ("ragged", "--pad", "post", "--to", "keras")):
        assert "baked" not in rnncli("export", *line, "-l", "lstm").stderr
