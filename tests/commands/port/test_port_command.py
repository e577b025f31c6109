"""`rnncli port` as a user runs it; PyTorch and Keras made the numbers, not rnncli."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import HEAVY, Run, loaded_by
from plant import Kind, Planted, plant


def write(folder: Path, planted: Planted) -> list[str]:
    """Write the files of another framework; return the arguments of `port`."""
    np.save(folder / "x.npy", planted.inputs)
    np.savez(folder / "w.npz", **dict[str, Any](planted.weights))
    np.savez(folder / "y.npz", **dict[str, Any](planted.expected))
    return [str(folder / "x.npy"), "--weights", str(folder / "w.npz"), "--expect", str(folder / "y.npz")]


def torch_files(folder: Path, class_name: str, **options: Any) -> list[str]:
    """Run a module of PyTorch, time first, and write what a user would write."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    module = getattr(torch.nn, class_name)(5, 4, **options)
    x = torch.randn(6, 2, 5)
    y, last = module(x)
    np.save(folder / "x.npy", x.numpy())
    torch.save(module.state_dict(), folder / "w.pt")
    names = {"h_n": last[0], "c_n": last[1]} if class_name == "LSTM" else {"h_n": last}
    tensors = {name: one.detach().numpy() for name, one in {"output": y, **names}.items()}
    np.savez(folder / "y.npz", **tensors)
    return [str(folder / "x.npy"), "--weights", str(folder / "w.pt"), "--expect", str(folder / "y.npz")]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    ("class_name", "named"),
    [
        ("GRU", {"gates=reset,update,candidate", "axes=time,batch"}),
        ("LSTM", {"axes=time,batch"}),
        ("RNN", {"axes=time,batch"}),
    ],
)
def test_numbers_of_pytorch_are_explained(
    class_name: str, named: set[str], bidirectional: bool, rnncli: Run, tmp_path: Path
) -> None:
    args = torch_files(tmp_path, class_name, bidirectional=bidirectional)
    done = rnncli("port", *args, "-f", "json", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    (explanation,) = json.loads(done.stdout)["explanations"]
    assert set(explanation["differences"]) == named
    assert explanation["remaining"] < 1e-6
    assert any("transposed" in step for step in explanation["steps"])


@pytest.mark.parametrize("suffix", ["npz", "json", "safetensors", "h5", "weights.h5"])
def test_ported_weights_run_in_keras_layout(suffix: str, rnncli: Run, tmp_path: Path) -> None:
    planted = plant(Kind("GRU", biases=2), ("gates=reset,update,candidate", "reset_after=False"))
    written = tmp_path / f"keras.{suffix}"
    assert rnncli("port", *write(tmp_path, planted), "-o", str(written)).returncode == 0
    done = rnncli(
        "run", str(tmp_path / "x.npy"), "--weights", str(written), "-l",
        "GRU(3, reset_after=False, return_sequences=True)", "-f", "json", "--engine", "numpy",
    )  # fmt: skip
    values = json.loads(done.stdout)["outputs"][0]["values"]
    np.testing.assert_allclose(values, planted.expected["hidden_states"], atol=2e-6)


def test_ported_weights_run_in_keras(rnncli: Run, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    planted = plant(Kind("LSTM", directions=2), ("gates=input,output,forget,candidate", "forget_bias=1"))
    written = tmp_path / "keras.npz"
    assert rnncli("port", *write(tmp_path, planted), "-o", str(written)).returncode == 0
    layer = keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True))
    layer.build(planted.inputs.shape)
    with np.load(written) as arrays:
        layer.set_weights(list(arrays.values()))
    returned = layer(planted.inputs.astype("float32"))
    np.testing.assert_allclose(returned, planted.expected["hidden_states"], atol=2e-6)


def test_one_kernel_of_tensorflow_1_is_divided(rnncli: Run, tmp_path: Path) -> None:
    planted = plant(Kind("LSTM"), ("gates=input,candidate,forget,output", "forget_bias=1"))
    both = np.concatenate([planted.weights["kernel"], planted.weights["recurrent_kernel"]])
    weights = {"rnn/basic_lstm_cell/kernel": both, "rnn/basic_lstm_cell/bias": planted.weights["bias"]}
    done = rnncli("port", *write(tmp_path, planted._replace(weights=weights)), "-f", "json")
    (explanation,) = json.loads(done.stdout)["explanations"]
    assert explanation["differences"] == ["forget_bias=1", "gates=input,candidate,forget,output"]
    assert "one kernel (8, 12) holds both" in explanation["steps"][0]


def test_arrays_of_onnx_are_explained(rnncli: Run, tmp_path: Path) -> None:
    planted = plant(Kind("GRU", biases=2), ("axes=time,batch", "update_gate=complement"))
    weights = {
        "W": planted.weights["kernel"].T[None],
        "R": planted.weights["recurrent_kernel"].T[None],
        "B": np.concatenate([planted.weights["bias"], planted.weights["recurrent_bias"]])[None],
    }
    expected = {
        "Y": planted.expected["hidden_states"][:, None],
        "Y_h": planted.expected["last_hidden_state"][None],
    }
    files = write(tmp_path, planted._replace(weights=weights, expected=expected))
    done = rnncli("port", *files, "-f", "json")
    (explanation,) = json.loads(done.stdout)["explanations"]
    assert set(explanation["differences"]) == {"axes=time,batch", "update_gate=complement"}


def test_nothing_is_claimed_and_the_nearest_is_not_on_stdout(rnncli: Run, tmp_path: Path) -> None:
    planted, other = plant(Kind("LSTM"), ()), plant(Kind("LSTM"), (), 1)
    files = write(tmp_path, planted._replace(expected=other.expected))
    done = rnncli("port", *files, "-o", str(tmp_path / "o.npz"))
    assert done.returncode == 1
    assert done.stdout.strip() == "no known difference, alone or in a pair, explains the numbers"
    assert "The nearest is " in done.stderr
    assert " and " not in rnncli("port", *files, "--lang", "ko").stderr
    assert not (tmp_path / "o.npz").exists()
    document = json.loads(rnncli("port", *files, "-f", "json").stdout)
    assert (document["found"], document["explanations"]) == (False, [])


def test_the_tolerance_that_is_advised_for_rounding_accepts_it(rnncli: Run, tmp_path: Path) -> None:
    files = write(tmp_path, plant(Kind("LSTM", steps=40), ("gates=input,forget,output,candidate",)))
    expected = {name: array + 3e-6 for name, array in np.load(tmp_path / "y.npz").items()}
    np.savez(tmp_path / "y.npz", **expected)
    done = rnncli("port", *files)
    assert done.returncode == 1
    assert "If this is rounding, which grows over many time steps, add --atol 1e-05." in done.stderr
    assert rnncli("port", *files, "--atol", "1e-05").returncode == 0


def test_a_layer_of_several_is_chosen(rnncli: Run, tmp_path: Path) -> None:
    done = rnncli("port", *torch_files(tmp_path, "GRU", num_layers=2))
    assert (done.returncode, done.stdout) == (2, "")
    assert "w.pt: there are 2 layers in it: gru_l0, gru_l1." in done.stderr
    assert "choose it with FILE#gru_l0, and give its own input and output." in done.stderr


def test_no_framework_is_loaded(tmp_path: Path) -> None:
    assert not HEAVY & loaded_by("port", *write(tmp_path, plant(Kind("LSTM"), ())))


def test_expected_tensors_come_from_standard_input(rnncli: Run, tmp_path: Path) -> None:
    planted = plant(Kind("GRU"), ("reset_after=False",))
    files = write(tmp_path, planted)[:-1]
    given = json.dumps(planted.expected["hidden_states"].tolist())
    done = rnncli("port", *files, "-", input=given)
    assert (done.returncode, "reset_after=False" in done.stdout) == (0, True)
    twice = rnncli("port", "-", *files[1:], "-", input=given)
    assert (twice.returncode, twice.stdout) == (2, "")


def test_weights_without_names_are_told_by_their_shapes(rnncli: Run, tmp_path: Path) -> None:
    planted = plant(Kind("GRU", biases=2), ("gates=reset,update,candidate",))
    unnamed = {f"arr_{place}": array for place, array in enumerate(planted.weights.values())}
    done = rnncli("port", *write(tmp_path, planted._replace(weights=unnamed)), "-f", "json")
    (explanation,) = json.loads(done.stdout)["explanations"]
    assert explanation["differences"] == ["gates=reset,update,candidate"]


def test_initial_states_are_given_in_both_orders(rnncli: Run, tmp_path: Path) -> None:
    planted = plant(Kind("LSTM", initial=True), ("initial_states=c,h",))
    states = tmp_path / "states.json"
    states.write_text(json.dumps([state.tolist() for state in planted.states or ()]))
    done = rnncli("port", *write(tmp_path, planted), "--initial-state", str(states), "-f", "json")
    (explanation,) = json.loads(done.stdout)["explanations"]
    assert explanation["differences"] == ["initial_states=c,h"]


@pytest.mark.parametrize("kind", [Kind("GRU"), Kind("LSTM", units=2), Kind("SimpleRNN", units=4)])
def test_initial_states_are_those_of_the_layer(kind: Kind, rnncli: Run, tmp_path: Path) -> None:
    planted = plant(kind._replace(initial=True), ())
    states = tmp_path / "states.json"
    states.write_text(json.dumps([state.tolist() for state in planted.states or ()]))
    args = write(tmp_path, planted)
    done = rnncli("port", *args, "--initial-state", str(states), "-f", "json")
    assert done.returncode == 0, done.stderr
    assert rnncli("port", *args).returncode == 1
    states.write_text("[[[1, 2, 3]]]")
    wrong = rnncli("port", *args, "--initial-state", str(states))
    assert (wrong.returncode, wrong.stdout) == (2, "")


def test_initial_states_of_pytorch_with_the_time_first(rnncli: Run, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    module, x, start = torch.nn.GRU(5, 4), torch.randn(6, 2, 5), torch.randn(1, 2, 4)
    torch.save(module.state_dict(), tmp_path / "w.pt")
    tensors = {"x": x, "y": module(x, start)[0], "h": start[0]}
    for name, tensor in tensors.items():
        np.save(tmp_path / f"{name}.npy", tensor.detach().numpy())
    args = (
        "port",
        "x.npy",
        "--weights",
        "w.pt",
        "--expect",
        "y.npy",
        "--initial-state",
        "h.npy",
        "-f",
        "json",
    )
    done = rnncli(*args, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (explanation,) = json.loads(done.stdout)["explanations"]
    assert set(explanation["differences"]) == {"gates=reset,update,candidate", "axes=time,batch"}


def constant(planted: Planted) -> Planted:
    weights = {name: np.full_like(array, 0.1) for name, array in planted.weights.items()}
    return planted._replace(weights=weights)


def still(planted: Planted) -> Planted:
    return planted._replace(inputs=np.zeros_like(planted.inputs))


def saturated(planted: Planted) -> Planted:
    ones = {name: np.ones_like(array) for name, array in planted.expected.items()}
    return planted._replace(expected=ones)


@pytest.mark.parametrize("change", [constant, still, saturated])
def test_what_proves_nothing_is_not_claimed(change: Any, rnncli: Run, tmp_path: Path) -> None:
    done = rnncli("port", *write(tmp_path, change(plant(Kind("LSTM"), ()))))
    assert done.returncode == 1
    assert done.stdout.startswith("inconclusive: the comparison proves nothing\n")
    assert "could not have revealed" in done.stderr


def test_wide_tolerances_prove_nothing(rnncli: Run, tmp_path: Path) -> None:
    files = write(tmp_path, plant(Kind("LSTM"), (), 1)._replace(expected=plant(Kind("LSTM"), ()).expected))
    done = rnncli("port", *files, "--atol", "0.3")
    assert done.returncode == 1


def test_no_difference_is_the_only_explanation_where_it_suffices(rnncli: Run, tmp_path: Path) -> None:
    done = rnncli("port", *write(tmp_path, plant(Kind("GRU"), ())))
    assert done.returncode == 0
    assert done.stdout.startswith("no difference: every number matches as it is (largest remaining ")


def ambiguous() -> Planted:
    """Return one step from zeros, where the forget gate has no effect and looks like the input gate."""
    planted = plant(Kind("LSTM", steps=1, batch=5), ("gates=input,forget,output,candidate",))
    for name in ("kernel", "bias"):
        planted.weights[name][..., 3:6] = planted.weights[name][..., :3]
    return planted


@pytest.mark.parametrize("name", ["probe.json", "probe.npy"])
def test_a_probe_tells_explanations_apart(name: str, rnncli: Run, tmp_path: Path) -> None:
    files = write(tmp_path, ambiguous())
    probe = tmp_path / name
    done = rnncli("port", *files, "--probe", str(probe), "-f", "json")
    assert done.returncode == 0
    explanations = json.loads(done.stdout)["explanations"]
    assert len(explanations) > 1
    inputs = np.load(probe) if name.endswith("npy") else np.array(json.loads(probe.read_text()))
    assert inputs.shape[1] > 1
    predictions = [np.array(one["predicts"]["hidden_states"]) for one in explanations]
    for place, one in enumerate(predictions):
        assert all(np.abs(one - other).max() > 1e-3 for other in predictions[:place])


def test_several_explanations_write_no_weights(rnncli: Run, tmp_path: Path) -> None:
    written = tmp_path / "o.npz"
    done = rnncli("port", *write(tmp_path, ambiguous()), "-o", str(written))
    assert done.returncode == 1
    assert "explanations fit" in done.stderr
    assert not written.exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "port needs --weights FILE."),
        (["--weights", "w.npz"], "port needs --expect FILE.\nFor example: rnncli port x.npy"),
        (["--weights", "none.npz", "--expect", "y.npz"], "none.npz: there is no such file."),
        (["--weights", "w.npz", "--expect", "y.npz", "-l", "gru"], "which is not the shape of GRU"),
        (
            ["--weights", "w.npz", "--expect", "y.npz", "-l", "LSTM(7)"],
            "weights of 3 units, but LSTM(7) has 7",
        ),
        (["--weights", "w.npz", "--expect", "x.npy"], "which this layer does not return"),
        (["--weights", "w.npz", "--expect", "y.npz", "-l", "dense"], "port explains a single SimpleRNN"),
        (["--weights", "w.npz", "--expect", "y.npz", "-l", "bilstm"], "has weights of 1 direction, but"),
        (["--weights", "w.npz#a", "--expect", "y.npz"], "there is no layer 'a' in it."),
        (
            ["--weights", "y.npz", "--expect", "y.npz"],
            "y.npz: the kernel is (3, 3); the input has 5 features",
        ),
        (
            ["--weights", "w.npz", "--expect", "y.npz", "-o", "o.txt"],
            "o.txt: port cannot write files with this suffix.",
        ),
        (["--weights", "w.npz", "--expect", "y.npz", "-o", "w.npz"], "it is an input of this command"),
        (["--weights", "w.npz", "--expect", "y.npz", "--atol", "nan"], "must be a finite number"),
        (["--weights", "w.npz", "--expect", "y.npz", "--dropout", "0.1"], "--dropout does not apply"),
    ],
)
def test_mistakes_are_said_in_two_sentences(
    args: list[str], message: str, rnncli: Run, tmp_path: Path
) -> None:
    write(tmp_path, plant(Kind("LSTM"), ()))
    done = rnncli("port", "x.npy", *args, cwd=tmp_path, env={"RNNCLI_DEBUG": "1"})
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one * np.nan, "rnncli: e.npy: it contains NaN or infinity."),
        (lambda one: one[:0], "rnncli: e.npy: it is (0, 4, 3), which this layer does not return"),
    ],
)
def test_a_tensor_without_a_name_is_refused_with_its_own_shape(
    change: Any, message: str, rnncli: Run, tmp_path: Path
) -> None:
    planted = plant(Kind("LSTM"), ())
    args = write(tmp_path, planted)
    sequence = np.zeros((*planted.inputs.shape[:2], 3))
    np.save(tmp_path / "e.npy", change(sequence))
    done = rnncli("port", *args[:-1], "e.npy", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_weights_that_are_written_are_not_advised(rnncli: Run, tmp_path: Path) -> None:
    args = write(tmp_path, plant(Kind("LSTM"), ()))
    assert "add -o lstm.npz" in rnncli("port", *args).stdout
    done = rnncli("port", *args, "-o", str(tmp_path / "o.npz"))
    assert done.returncode == 0, done.stderr
    assert "add -o" not in done.stdout


def test_weights_in_an_onnx_model_are_refused_with_a_command(rnncli: Run, tmp_path: Path) -> None:
    args = write(tmp_path, plant(Kind("LSTM"), ()))
    (tmp_path / "m.onnx").write_bytes(b"\x08\x07")
    done = rnncli("port", args[0], "--weights", "m.onnx", *args[3:], cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "rnncli weights m.onnx --to onnx -o weights.npz" in done.stderr


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (".", "rnncli: .: it is a folder.\nName a file in it.\n"),
        ("nosuch", "rnncli: nosuch: there is no such file.\nCheck the path.\n"),
    ],
)
def test_weights_that_are_no_file(rnncli: Run, tmp_path: Path, word: str, said: str) -> None:
    args = write(tmp_path, plant(Kind("LSTM"), ()))
    done = rnncli("port", args[0], "--weights", word, *args[3:], cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


@pytest.mark.parametrize(("class_name", "bidirectional"), [("LSTM", False), ("GRU", False), ("GRU", True)])
def test_the_last_state_of_pytorch_needs_no_name(
    class_name: str, bidirectional: bool, rnncli: Run, tmp_path: Path
) -> None:
    args = torch_files(tmp_path, class_name, bidirectional=bidirectional)
    with np.load(tmp_path / "y.npz") as stored:
        np.save(tmp_path / "h.npy", stored["h_n"])
        np.savez(tmp_path / "h.npz", h_n=stored["h_n"])
    named, unnamed = (
        rnncli("port", *args[:-1], str(tmp_path / file), "-f", "json") for file in ("h.npz", "h.npy")
    )
    assert unnamed.returncode == 0, unnamed.stderr
    assert unnamed.stdout == named.stdout


def test_a_wrong_shape_is_answered_with_the_right_ones(rnncli: Run, tmp_path: Path) -> None:
    args = torch_files(tmp_path, "GRU", bidirectional=True)
    np.save(tmp_path / "e.npy", np.zeros((9, 9, 9)))
    done = rnncli("port", *args[:-1], "e.npy", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "The shape should be (6, 2, 4) or (6, 2, 8)." in done.stderr


@pytest.mark.parametrize("directions", [1, 2])
def test_the_hard_sigmoid_of_keras_2_is_defined_for_keras_3(
    directions: int, rnncli: Run, tmp_path: Path
) -> None:
    kind = Kind("LSTM", directions=directions)
    planted = plant(kind, ["recurrent_activation=hard_sigmoid_keras2"])
    args, written = write(tmp_path, planted), str(tmp_path / "o.npz")
    (found,) = json.loads(rnncli("port", *args, "-f", "json").stdout)["explanations"]
    lines = rnncli("port", *args, "-o", written, "--width", "200").stdout.splitlines()
    assert f"in Keras: {found['keras']}" in lines
    assert found["definition"].splitlines() == lines[-4:]
    import keras

    names: dict[str, Any] = {"keras": keras, **vars(keras.layers)}
    exec(found["definition"], names)
    layer = eval(found["keras"], names)
    layer.build(planted.inputs.shape)
    with np.load(written) as arrays:
        layer.set_weights(list(arrays.values()))
    returned = layer(planted.inputs.astype("float32"))
    expected = "hidden_state" if directions == 2 else "last_hidden_state"
    np.testing.assert_allclose(returned, planted.expected[expected], atol=2e-6)


def test_packed_sequences_of_pytorch_need_a_mask(rnncli: Run, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    module = torch.nn.GRU(5, 4, batch_first=True, bidirectional=True)
    x, lengths = torch.randn(3, 6, 5), [6, 2, 4]
    pack = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    packed, h_n = module(pack)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    np.save(tmp_path / "x.npy", x.numpy())
    np.savez(tmp_path / "y.npz", output=y.detach().numpy(), h_n=h_n.detach().numpy())
    torch.save(module.state_dict(), tmp_path / "w.pt")
    mask = json.dumps([[step < length for step in range(6)] for length in lengths])
    (tmp_path / "mask.json").write_text(mask, encoding="utf-8")
    args = [str(tmp_path / "x.npy"), "--weights", str(tmp_path / "w.pt"), "--expect", str(tmp_path / "y.npz")]
    assert rnncli("port", *args).returncode == 1
    done = rnncli("port", *args, "--mask", str(tmp_path / "mask.json"), "-f", "json")
    assert "the rows of masked steps are not compared" in done.stderr
    document = json.loads(done.stdout)
    assert document["explanations"][0]["differences"] == ["gates=reset,update,candidate"]
    assert document["numbers"]["count"] == 12 * 8 + 2 * 3 * 4


def test_padding_is_masked(rnncli: Run, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    ragged = [[[1.0, 0.5], [0.3, -1.0], [2.0, 0.1]], [[-1.0, 0.7]]]
    inputs = np.zeros((2, 3, 2), np.float32)
    inputs[0], inputs[1, 0] = ragged[0], ragged[1][0]
    layer = keras.layers.LSTM(3, bias_initializer="random_normal")
    returned = layer(inputs, mask=np.array([[True] * 3, [True, False, False]]))
    kernel, recurrent, bias = layer.get_weights()
    np.savez(tmp_path / "w.npz", kernel=kernel, recurrent_kernel=recurrent, bias=bias)
    np.save(tmp_path / "y.npy", np.asarray(returned))
    args = ["--pad", "post", "--weights", str(tmp_path / "w.npz"), "--expect", str(tmp_path / "y.npy")]
    done = rnncli("port", json.dumps(ragged), *args, "-f", "json")
    assert json.loads(done.stdout)["explanations"][0]["differences"] == []


@pytest.mark.parametrize("name", ["h_n", "hidden_states"])
def test_two_rows_without_a_name_are_read_in_both_ways(name: str, rnncli: Run, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    module = torch.nn.LSTM(5, 4, bidirectional=True, batch_first=True)
    x = torch.randn(3, 2, 5)  # two time steps: (2, batch, units) may be a sequence, time first
    y, (h_n, _) = module(x)
    summed = (y[..., :4] + y[..., 4:]).transpose(0, 1)
    np.save(tmp_path / "x.npy", x.numpy())
    np.save(tmp_path / "y.npy", (h_n if name == "h_n" else summed).detach().numpy())
    torch.save(module.state_dict(), tmp_path / "w.pt")
    args = ["--weights", str(tmp_path / "w.pt"), "--expect", str(tmp_path / "y.npy")]
    layer = "Bidirectional(LSTM(4), merge_mode='sum')"
    done = rnncli("port", str(tmp_path / "x.npy"), *args, "-l", layer, "-f", "json")
    said = {"h_n": "last_hidden_state", "hidden_states": "hidden_states"}[name]
    assert f"--expect has no name; it matches as {said}" in done.stderr
    found = json.loads(done.stdout)["explanations"][0]["differences"]
    assert found == ([] if name == "h_n" else ["output_axes=time,batch,units"])


def test_a_layer_that_goes_backwards_is_compared_from_its_first_row(rnncli: Run, tmp_path: Path) -> None:
    planted = plant(Kind("GRU", steps=12), ["gates=reset,update,candidate"])
    args = write(tmp_path, planted._replace(inputs=planted.inputs[:, ::-1]))
    done = rnncli("port", *args, "-l", "GRU(3, go_backwards=True)", "-f", "json")
    assert json.loads(done.stdout)["explanations"][0]["differences"] == ["gates=reset,update,candidate"]


def test_the_difference_of_the_nearest_is_that_of_all_numbers(rnncli: Run, tmp_path: Path) -> None:
    planted = plant(Kind("LSTM", steps=40), ())
    files = write(tmp_path, planted)
    expected = np.load(tmp_path / "y.npz")["hidden_states"]
    expected = expected + np.linspace(3e-6, 4e-5, 40)[:, None]
    np.savez(tmp_path / "y.npz", hidden_states=expected)
    done = rnncli("port", *files)
    assert "The nearest is no difference: largest difference 4.0e-05." in done.stderr
    assert "add --atol 0.0001." in done.stderr
    assert rnncli("port", *files, "--atol", "0.0001").returncode == 0


KERNEL, RECURRENT, BIAS = np.ones((5, 12)), np.ones((3, 12)), np.ones(12)
WEIGHTS = {"kernel": KERNEL, "recurrent_kernel": RECURRENT, "bias": BIAS}


@pytest.mark.parametrize(
    ("arrays", "args", "message", "advice"),
    [
        ({"recurrent_kernel": np.eye(3, 11)}, [], "not the shape of any", "(units, 4 * units) for LSTM"),
        ({}, ["-l", "gru"], "not the shape of GRU: (units, 3 * units)", "this shape, LSTM, or leave -"),
        ({"bias": np.ones(7)}, [], "a bias is (7,), not (12,).", "belongs to these kernels, or leave it out"),
        ({"kernel": KERNEL[None]}, [], "the kernel has 3 axes.", "Give it two, (features, gates * units)"),
        ({}, ["--units", "5"], "weights of 3 units, but LSTM(5) has 5.", "Leave --units out."),
        ({}, ["-l", "LSTM(5)"], "weights of 3 units, but LSTM(5) has 5.", "Write --layer 'LSTM(3)'."),
        (
            {"kernel": np.ones((5, 4)), "recurrent_kernel": np.ones((1, 4)), "bias": np.ones(4)},
            ["--units", "5"],
            "it has weights of 1 unit, but LSTM(5) has 5.",
            "Leave --units out.",
        ),
        ({}, ["-l", "LSTM(5, use_bias=False)"], "has 5.", "Write --layer 'LSTM(3, use_bias=False)'."),
        (
            {name: np.stack([one] * 2) for name, one in WEIGHTS.items()},
            ["-l", "Bidirectional(LSTM(5))"],
            "weights of 3 units, but Bidirectional(LSTM(5)) has 5.",
            "Write --layer 'Bidirectional(LSTM(3))'.",
        ),
    ],
)  # fmt: skip
def test_the_advice_about_weights_that_do_not_fit_says_what_fits(
    arrays: dict[str, Any], args: list[str], message: str, advice: str, rnncli: Run, tmp_path: Path
) -> None:
    write(tmp_path, plant(Kind("LSTM"), ()))
    np.savez(tmp_path / "f.npz", **WEIGHTS | arrays)
    done = rnncli("port", "x.npy", "--weights", "f.npz", "--expect", "y.npz", *args, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert advice in done.stderr


def test_a_projection_is_named(rnncli: Run, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    write(tmp_path, plant(Kind("LSTM"), ()))
    torch.save(torch.nn.LSTM(5, 3, proj_size=2).state_dict(), tmp_path / "w.pt")
    done = rnncli("port", "x.npy", "--weights", "w.pt", "--expect", "y.npz", cwd=tmp_path)
    assert done.returncode == 2
    assert "w.pt: it projects its state (weight_hr_l0), which is not supported." in done.stderr


def test_a_saved_model_without_recurrent_layers_is_refused_as_such(rnncli: Run, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    write(tmp_path, plant(Kind("LSTM"), ()))
    keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)]).save(tmp_path / "w.keras")
    done = rnncli("port", "x.npy", "--weights", "w.keras", "--expect", "y.npz", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "rnncli: w.keras: there is no recurrent layer in it.\nSave the weights of one.\n",
    )


def test_the_units_of_a_layer_by_any_name_are_those_of_the_weights(rnncli: Run, tmp_path: Path) -> None:
    args = write(tmp_path, plant(Kind("SimpleRNN", units=4), []))
    done = rnncli("port", *args, "-l", "simple-rnn", "-f", "json")
    assert json.loads(done.stdout)["explanations"][0]["differences"] == []
