"""`rnncli port` as a user runs it; PyTorch and Keras made the numbers, not rnncli."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from command import HEAVY, Run, loaded_by
from plant import Kind, Planted, plant

TORCH_GATES = "gates=reset,update,candidate"
LSTM_GATES = "gates=input,forget,output,candidate"


def write(folder: Path, planted: Planted) -> list[str]:
    """Write the files of another framework; return the arguments of `port`."""
    np.save(folder / "x.npy", planted.inputs)
    np.savez(folder / "w.npz", **dict[str, Any](planted.weights))
    np.savez(folder / "y.npz", **dict[str, Any](planted.expected))
    if planted.states:
        (folder / "states.json").write_text(json.dumps([state.tolist() for state in planted.states]))
    return [str(folder / "x.npy"), "--weights", str(folder / "w.npz"), "--expect", str(folder / "y.npz")]


def torch_files(
    folder: Path, class_name: str, *, batch: int = 2, steps: int = 6, **options: Any
) -> list[str]:
    """Run a module of PyTorch, and write what a user would write."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    module = getattr(torch.nn, class_name)(5, 4, **options)
    x = torch.randn(*((batch, steps) if options.get("batch_first") else (steps, batch)), 5)
    y, last = module(x)
    np.save(folder / "x.npy", x.numpy())
    torch.save(module.state_dict(), folder / "w.pt")
    names = {"h_n": last[0], "c_n": last[1]} if class_name == "LSTM" else {"h_n": last}
    tensors = {name: one.detach().numpy() for name, one in {"output": y, **names}.items()}
    np.savez(folder / "y.npz", **tensors)
    return [str(folder / "x.npy"), "--weights", str(folder / "w.pt"), "--expect", str(folder / "y.npz")]


@pytest.fixture
def explained(rnncli: Run) -> Callable[..., tuple[Any, set[str]]]:
    """Return a function that runs `port`: its one explanation, and the names of the differences in it."""

    def run(*args: str, **options: Any) -> tuple[Any, set[str]]:
        (explanation,) = rnncli("port", *args, "-f", "json", **options).answer()["explanations"]
        return explanation, set(explanation["differences"])

    return run


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    ("class_name", "named"), [("GRU", {TORCH_GATES}), ("LSTM", set[str]()), ("RNN", set[str]())]
)
def test_numbers_of_pytorch_are_explained(
    class_name: str, named: set[str], bidirectional: bool, explained: Any, tmp_path: Path
) -> None:
    explanation, found = explained(*torch_files(tmp_path, class_name, bidirectional=bidirectional))
    assert found == named | {"axes=time,batch"}
    assert explanation["remaining"] < 1e-6
    assert any("transposed" in step for step in explanation["steps"])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.slow
def test_a_last_state_of_pytorch_needs_no_name(bidirectional: bool, explained: Any, tmp_path: Path) -> None:
    args = torch_files(tmp_path, "GRU", bidirectional=bidirectional)
    with np.load(tmp_path / "y.npz") as stored:
        np.save(tmp_path / "h.npy", stored["h_n"])
        np.savez(tmp_path / "h.npz", h_n=stored["h_n"])
    named, unnamed = (explained(*args[:-1], str(tmp_path / file)) for file in ("h.npz", "h.npy"))
    assert unnamed == named


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("class_name", "named"), [("GRU", {TORCH_GATES}), ("LSTM", set[str]())])
@pytest.mark.slow
def test_a_sequence_without_a_batch(
    class_name: str, named: set[str], bidirectional: bool, explained: Any, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    module, x = getattr(torch.nn, class_name)(5, 4, bidirectional=bidirectional), torch.randn(7, 5)
    y, last = module(x)
    names = {"h_n": last[0], "c_n": last[1]} if class_name == "LSTM" else {"h_n": last}
    tensors = {name: one.detach().numpy() for name, one in {"output": y, **names}.items()}
    np.save(tmp_path / "x.npy", x.numpy())
    torch.save(module.state_dict(), tmp_path / "w.pt")
    np.savez(tmp_path / "y.npz", **tensors)
    np.save(tmp_path / "y.npy", tensors["output"])
    for file in ("y.npz", "y.npy"):
        args = (
            str(tmp_path / "x.npy"), "--weights", str(tmp_path / "w.pt"), "--expect", str(tmp_path / file),
        )  # fmt: skip
        assert explained(*args)[1] == named


@pytest.mark.parametrize("pair", [("bias=none", "reset_after=False"), ("bias=first", "reset_after=False")])
def test_names_of_pytorch_imply_its_gates_and_leave_a_pair_for_others(
    pair: tuple[str, str], rnncli: Run, explained: Any, tmp_path: Path
) -> None:
    planted = plant(Kind("GRU", biases=2), (TORCH_GATES, *pair))
    args = write(tmp_path, planted)
    assert rnncli("port", *args).returncode == 1  # three differences, of names that imply nothing
    roles = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    weights = {name: planted.weights[role] for name, role in zip(names, roles, strict=True)}
    explanation, found = explained(*write(tmp_path, planted._replace(weights=weights)))
    assert found == {TORCH_GATES, *pair}
    assert explanation["remaining"] < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["npz", "json", "h5", "weights.h5"])
def test_ported_weights_run_in_keras_layout(suffix: str, rnncli: Run, tmp_path: Path) -> None:
    planted = plant(Kind("GRU", biases=2), (TORCH_GATES, "reset_after=False"))
    args, written = write(tmp_path, planted), tmp_path / f"keras.{suffix}"
    assert "add -o gru.npz" in rnncli("port", *args).stdout
    done = rnncli("port", *args, "-o", str(written))
    assert (done.returncode, "add -o" in done.stdout) == (0, False)
    if suffix.endswith("h5"):
        with h5py.File(written) as file:
            assert ("layers" in file) == (suffix == "weights.h5")
    layer = "GRU(3, reset_after=False, return_sequences=True)"
    done = rnncli("run", args[0], "--weights", str(written), "-l", layer, "-f", "json", "--engine", "numpy")
    values = json.loads(done.stdout)["outputs"][0]["values"]
    np.testing.assert_allclose(values, planted.expected["hidden_states"], atol=2e-6)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.slow
def test_the_layer_is_that_of_keras(directions: int, rnncli: Run, explained: Any, tmp_path: Path) -> None:
    names = ["recurrent_activation=hard_sigmoid_keras2", "gates=input,output,forget,candidate"]
    planted = plant(Kind("LSTM", directions=directions), names)
    args, written = write(tmp_path, planted), str(tmp_path / "o.npz")
    found, differences = explained(*args)
    assert differences == set(names)
    lines = rnncli("port", *args, "-o", written, "--width", "200").stdout.splitlines()
    assert f"in Keras: {found['keras']}" in lines
    assert found["definition"].splitlines() == lines[-4:]
    import keras

    namespace: dict[str, Any] = {"keras": keras, **vars(keras.layers)}
    exec(found["definition"], namespace)
    layer = eval(found["keras"], namespace)
    layer.build(planted.inputs.shape)
    with np.load(written) as arrays:
        assert all(array.dtype == "float32" for array in arrays.values())
        layer.set_weights(list(arrays.values()))
    returned = layer(planted.inputs.astype("float32"))
    expected = "hidden_state" if directions == 2 else "last_hidden_state"
    np.testing.assert_allclose(returned, planted.expected[expected], atol=2e-6)


@pytest.mark.parametrize("kind", [Kind("LSTM"), Kind("GRU", biases=2), Kind("LSTM", directions=2)])
def test_without_a_bias_keras_has_none(kind: Kind, rnncli: Run, explained: Any, tmp_path: Path) -> None:
    planted = plant(kind, ["bias=none"])
    args, written = write(tmp_path, planted), str(tmp_path / "o.npz")
    explanation, differences = explained(*args)
    assert (differences, explanation["keras"].count("use_bias=False")) == ({"bias=none"}, 1)
    assert rnncli("port", *args, "-o", written).returncode == 0
    import keras

    layer = eval(explanation["keras"], {"keras": keras, **vars(keras.layers)})
    layer.build(planted.inputs.shape)
    with np.load(written) as arrays:
        layer.set_weights(list(arrays.values()))
    expected = planted.expected["hidden_state" if kind.directions == 2 else "last_hidden_state"]
    np.testing.assert_allclose(layer(planted.inputs.astype("float32")), expected, atol=2e-6)


def one_kernel(planted: Planted) -> Planted:
    """As TensorFlow 1 stores a cell."""
    kernels = [planted.weights["kernel"], planted.weights["recurrent_kernel"]]
    weights = {"rnn/cell/kernel": np.concatenate(kernels), "rnn/cell/bias": planted.weights["bias"]}
    return planted._replace(weights=weights)


def arrays_of_onnx(planted: Planted) -> Planted:
    biases = [planted.weights["bias"], planted.weights["recurrent_bias"]]
    weights = {
        "W": planted.weights["kernel"].T[None],
        "R": planted.weights["recurrent_kernel"].T[None],
        "B": np.concatenate(biases)[None],
    }
    expected = {
        "Y": planted.expected["hidden_states"][:, None],
        "Y_h": planted.expected["last_hidden_state"][None],
    }
    return planted._replace(weights=weights, expected=expected)


def unnamed(planted: Planted) -> Planted:
    arrays = {f"arr_{place}": array for place, array in enumerate(planted.weights.values())}
    return planted._replace(weights=arrays)


def unnamed_recurrent_first(planted: Planted) -> Planted:
    kernel, *others = planted.weights
    return unnamed(planted._replace(weights={name: planted.weights[name] for name in (*others, kernel)}))


def backwards(planted: Planted) -> Planted:
    return planted._replace(inputs=planted.inputs[:, ::-1])


@pytest.mark.parametrize(("kind", "names", "change", "args"), [
    (Kind("LSTM"), ["gates=input,candidate,forget,output", "forget_bias=1"], one_kernel, []),
    (Kind("GRU", biases=2), ["axes=time,batch", "update_gate=complement"], arrays_of_onnx, []),
    (Kind("GRU", biases=2), [TORCH_GATES], unnamed, []),
    (Kind("GRU", biases=2), [TORCH_GATES], unnamed_recurrent_first, []),
    (Kind("GRU", biases=2, steps=12), [TORCH_GATES], backwards, ["-l", "GRU(3, go_backwards=True)"]),
    (Kind("SimpleRNN", units=4), [], lambda planted: planted, ["-l", "simple-rnn"]),
])  # fmt: skip
def test_files_in_other_forms_are_understood(
    kind: Kind, names: list[str], change: Any, args: list[str], explained: Any, tmp_path: Path
) -> None:
    explanation, found = explained(*write(tmp_path, change(plant(kind, names))), *args)
    assert found == set(names)
    assert ("go_backwards=True" in explanation["keras"]) == (change is backwards)


@pytest.mark.parametrize("batch", [1, 2, 3])
@pytest.mark.parametrize("time_first", [False, True])
def test_four_axes_without_a_name_are_the_sequence_of_onnx(
    batch: int, explained: Any, tmp_path: Path, *, time_first: bool
) -> None:
    planted = plant(Kind("LSTM", directions=2, batch=batch), [])
    sequence = planted.expected["hidden_states"].reshape(batch, 4, 2, 3)
    args = write(tmp_path, planted)
    np.save(tmp_path / "y.npy", sequence.transpose(1, 2, 0, 3) if time_first else sequence)
    _, differences = explained(*args[:-1], str(tmp_path / "y.npy"))
    assert differences == ({"output_axes=time,batch,units"} if time_first else set())


@pytest.mark.parametrize(("layer", "planted", "differences"), [
    ((), ("reset_after=False",), set()),
    (("-l", "gru"), ("reset_after=False", TORCH_GATES), {TORCH_GATES}),
    (("-l", "GRU(3, activation='relu')"), ("reset_after=False", "activation=relu"), set()),
    (("-l", "GRU(3, reset_after=True)"), ("reset_after=False",), {"reset_after=False"}),
    (("--reset-after",), (), set()),
    ((), (), {"reset_after=True"}),
    ((), (TORCH_GATES, "bias=recurrent"), {"reset_after=True", TORCH_GATES, "bias=recurrent"}),
])  # fmt: skip
def test_a_bias_of_one_row_means_reset_after_false(
    layer: tuple[str, ...], planted: tuple[str, ...], differences: set[str], explained: Any, tmp_path: Path
) -> None:
    assert explained(*write(tmp_path, plant(Kind("GRU"), planted)), *layer)[1] == differences


def test_one_kernel_for_inputs_and_state_is_named(explained: Any, tmp_path: Path) -> None:
    planted = one_kernel(plant(Kind("LSTM"), ["gates=input,candidate,forget,output"]))
    explanation, _ = explained(*write(tmp_path, planted))
    assert "one kernel (8, 12) holds both" in explanation["steps"][0]


def test_expected_tensors_come_from_standard_input(rnncli: Run, tmp_path: Path) -> None:
    planted = plant(Kind("GRU"), ("activation=relu",))
    files = write(tmp_path, planted)[:-1]
    given = json.dumps(planted.expected["hidden_states"].tolist())
    done = rnncli("port", files[0], "--reset-after", *files[1:], "-", input=given)
    assert (done.returncode, "activation='relu'" in done.stdout) == (0, True)
    rnncli("port", "-", *files[1:], "-", input=given).refusal()


@pytest.mark.parametrize(("kind", "names"), [
    (Kind("LSTM", initial=True), {"initial_states=c,h"}),
    (Kind("GRU", biases=2, initial=True), set[str]()),
    (Kind("LSTM", units=2, initial=True), set[str]()),
    (Kind("SimpleRNN", units=4, initial=True), set[str]()),
])  # fmt: skip
def test_initial_states_fit(kind: Kind, names: set[str], rnncli: Run, explained: Any, tmp_path: Path) -> None:
    args, states = write(tmp_path, plant(kind, names)), tmp_path / "states.json"
    assert explained(*args, "--initial-state", str(states))[1] == names
    assert rnncli("port", *args).returncode == 1
    states.write_text("[[[1, 2, 3]]]")
    rnncli("port", *args, "--initial-state", str(states)).refusal()


@pytest.mark.slow
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
    wide = rnncli("port", *files, "--atol", "0.1")
    assert (wide.returncode, wide.stdout.partition(":")[0]) == (1, "inconclusive")
    assert "unrelated numbers would match" in wide.stdout


@pytest.mark.parametrize(("names", "shift", "nearest", "atol"), [
    ([LSTM_GATES], (3e-6, 3e-6), f"{LSTM_GATES}: largest difference 3.0e-06", "1e-05"),
    ([], (3e-6, 4e-5), "no difference: largest difference 4.0e-05", "0.0001"),
])  # fmt: skip
def test_the_tolerance_that_is_advised_for_rounding_accepts_it(
    names: list[str], shift: tuple[float, float], nearest: str, atol: str, rnncli: Run, tmp_path: Path
) -> None:
    """The nearest is found by a part of the numbers; its difference is that of all."""
    planted = plant(Kind("LSTM", steps=40), names)
    sequence = planted.expected["hidden_states"] + np.linspace(*shift, 40)[:, None]
    files = write(tmp_path, planted._replace(expected={"hidden_states": sequence}))
    done = rnncli("port", *files)
    assert done.returncode == 1
    assert f"The nearest is {nearest}." in done.stderr
    assert f"If this is rounding, which grows over many time steps, add --atol {atol}." in done.stderr
    assert rnncli("port", *files, "--atol", atol).returncode == 0


@pytest.mark.parametrize(("part", "change"), [
    ("weights", 0.1), ("inputs", 0.0), ("expected", 1.0),
], ids=["constant", "still", "saturated"])  # fmt: skip
def test_what_proves_nothing_is_not_claimed(part: str, change: float, rnncli: Run, tmp_path: Path) -> None:
    planted = plant(Kind("LSTM"), ())
    arrays: Any = getattr(planted, part)
    for array in arrays.values() if isinstance(arrays, dict) else [arrays]:
        array[:] = change
    done = rnncli("port", *write(tmp_path, planted))
    assert done.returncode == 1
    assert done.stdout.startswith("inconclusive: the comparison proves nothing\n")
    assert "could not have revealed" in done.stderr


@pytest.mark.parametrize("name", ["probe.json", "probe.npy"])
def test_a_probe_tells_explanations_apart(name: str, rnncli: Run, tmp_path: Path) -> None:
    """In one step from zeros the forget gate has no effect; here it looks like the input gate."""
    planted = plant(Kind("LSTM", steps=1, batch=5), (LSTM_GATES,))
    for weight in ("kernel", "bias"):
        planted.weights[weight][..., 3:6] = planted.weights[weight][..., :3]
    files, probe, written = write(tmp_path, planted), tmp_path / name, tmp_path / "o.npz"
    explanations = rnncli("port", *files, "--probe", str(probe), "-f", "json").answer()["explanations"]
    assert len(explanations) > 1
    inputs = np.load(probe) if name.endswith("npy") else np.array(json.loads(probe.read_text()))
    assert inputs.shape[1] > 1
    predictions = [np.array(one["predicts"]["hidden_states"]) for one in explanations]
    for place, one in enumerate(predictions):
        assert all(np.abs(one - other).max() > 1e-3 for other in predictions[:place])
    done = rnncli("port", *files, "-o", str(written))
    assert (done.returncode, written.exists()) == (1, False)
    assert "explanations fit" in done.stderr


@pytest.mark.slow
def test_packed_sequences_of_pytorch_match_with_a_mask(rnncli: Run, tmp_path: Path) -> None:
    args = torch_files(tmp_path, "GRU", batch=3, batch_first=True, bidirectional=True)
    torch = pytest.importorskip("torch")
    module, lengths = torch.nn.GRU(5, 4, batch_first=True, bidirectional=True), [6, 2, 4]
    module.load_state_dict(torch.load(tmp_path / "w.pt", weights_only=True))
    x = torch.from_numpy(np.load(tmp_path / "x.npy"))
    pack = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    packed, h_n = module(pack)
    y, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    np.savez(tmp_path / "y.npz", output=y.detach().numpy(), h_n=h_n.detach().numpy())
    mask = json.dumps([[step < length for step in range(6)] for length in lengths])
    without = json.loads(rnncli("port", *args, "-f", "json").stdout)["explanations"]
    assert [set(one["differences"]) for one in without] == [{TORCH_GATES, "padding=end"}]
    done = rnncli("port", *args, "--mask", mask, "-f", "json")
    assert "in masked steps, zeros and repeated rows both count as equal" in done.stderr
    document = json.loads(done.stdout)
    assert document["explanations"][0]["differences"] == [TORCH_GATES]
    assert document["numbers"]["count"] == 12 * 8 + 2 * 3 * 4


@pytest.mark.parametrize(
    ("name", "differences"), [("last_hidden_state", []), ("hidden_states", ["output_axes=time,batch,units"])]
)
@pytest.mark.slow
def test_unnamed_rows_are_read_twice(name: str, differences: list[str], rnncli: Run, tmp_path: Path) -> None:
    """With two time steps, (2, batch, units) is h_n of two directions, or a sequence with the time first."""
    args = torch_files(tmp_path, "LSTM", batch=3, steps=2, bidirectional=True, batch_first=True)
    with np.load(tmp_path / "y.npz") as stored:
        summed = (stored["output"][..., :4] + stored["output"][..., 4:]).swapaxes(0, 1)
        np.save(tmp_path / "y.npy", {"hidden_states": summed, "last_hidden_state": stored["h_n"]}[name])
    layer = "Bidirectional(LSTM(4), merge_mode='sum')"
    done = rnncli("port", *args[:-1], str(tmp_path / "y.npy"), "-l", layer, "-f", "json")
    assert f"--expect has no name; it matches as {name}" in done.stderr
    assert json.loads(done.stdout)["explanations"][0]["differences"] == differences


@pytest.mark.slow
def test_no_framework_is_loaded(tmp_path: Path) -> None:
    assert not HEAVY & loaded_by("port", *write(tmp_path, plant(Kind("LSTM"), ())))


KERNEL, RECURRENT, BIAS = np.ones((5, 12)), np.ones((3, 12)), np.ones(12)
WEIGHTS = {"kernel": KERNEL, "recurrent_kernel": RECURRENT, "bias": BIAS}
SEQUENCE = np.zeros((3, 4, 3))
ARRAYS: dict[str, dict[str, Any]] = {
    "wide.npz": WEIGHTS | {"recurrent_kernel": np.eye(3, 11)},
    "bias.npz": WEIGHTS | {"bias": np.ones(7)},
    "axes.npz": WEIGHTS | {"kernel": KERNEL[None]},
    "one.npz": {"kernel": np.ones((5, 4)), "recurrent_kernel": np.ones((1, 4)), "bias": np.ones(4)},
    "two.npz": {name: np.stack([one] * 2) for name, one in WEIGHTS.items()},
}
RETURNED = {"nan.npy": SEQUENCE * np.nan, "empty.npy": SEQUENCE[:0], "nine.npy": np.zeros((9, 9, 9))}
GIVEN = ["--weights", "w.npz", "--expect", "y.npz"]


def weights_of(file: str, *args: str) -> list[str]:
    return ["--weights", file, "--expect", "y.npz", *args]


@pytest.mark.parametrize(("args", "message", "advice"), [
    ([], "port needs --weights FILE or --model FILE.", ""),
    (["--weights", "w.npz"], "port needs --expect FILE.", "For example: rnncli port x.npy"),
    ([*GIVEN, "-l", "gru"], "not the shape of GRU: (units, 3 * units)", "this shape, LSTM, or leave -"),
    ([*GIVEN, "-l", "dense"], "port explains a single SimpleRNN", ""),
    ([*GIVEN, "-l", "bilstm"], "has weights of 1 direction, but", ""),
    ([*GIVEN, "-l", "LSTM(7)"], "weights of 3 units, but LSTM(7) has 7.", "Write --layer 'LSTM(3)'."),
    ([*GIVEN, "-l", "LSTM(5, use_bias=False)"], "", "Write --layer 'LSTM(3, use_bias=False)'."),
    ([*GIVEN, "--units", "5"], "weights of 3 units, but LSTM(5) has 5.", "Leave --units out."),
    (weights_of("one.npz", "--units", "5"), "weights of 1 unit, but LSTM(5) has 5.", "Leave --units"),
    (weights_of("two.npz", "-l", "Bidirectional(LSTM(5))"),
     "weights of 3 units, but Bidirectional(LSTM(5)) has 5.", "Write --layer 'Bidirectional(LSTM(3))'."),
    (["--weights", "w.npz", "--expect", "x.npy"], "which this layer does not return", ""),
    (["--weights", "w.npz", "--expect", "nan.npy"], "nan.npy: it contains NaN or infinity.", ""),
    (["--weights", "w.npz", "--expect", "empty.npy"], "empty.npy: it is (0, 4, 3), which this layer", ""),
    (["--weights", "w.npz", "--expect", "nine.npy"], "", "The shape should be (3, 4, 3)."),
    (weights_of("w.npz#a"), "there is no layer 'a' in it.", ""),
    (weights_of("y.npz"), "y.npz: the kernel is (3, 3); the input has 5 features", ""),
    (weights_of("wide.npz"), "not the shape of any", "(units, 4 * units) for LSTM"),
    (weights_of("bias.npz"), "a bias is (7,), not (12,).", "belongs to these kernels, or leave it out"),
    (weights_of("axes.npz"), "the kernel has 3 axes.", "Give it two, (features, gates * units)"),
    (weights_of("m.onnx"), "m.onnx: it is not an ONNX model, or it is broken.", "onnx.save(model, "),
    ([*GIVEN, "-o", "o.txt"], "o.txt: port cannot write files with this suffix.", ""),
    ([*GIVEN, "-o", "w.npz"], "it is an input of this command", ""),
    ([*GIVEN, "--dropout", "0.1"], "--dropout does not apply", ""),
])  # fmt: skip
def test_what_is_refused(args: list[str], message: str, advice: str, rnncli: Run, tmp_path: Path) -> None:
    write(tmp_path, plant(Kind("LSTM"), ()))
    (tmp_path / "m.onnx").write_bytes(b"\x08\x07")
    for name in ARRAYS.keys() & set(args):
        np.savez(tmp_path / name, **ARRAYS[name])
    for name in RETURNED.keys() & set(args):
        np.save(tmp_path / name, RETURNED[name])
    said = rnncli("port", "x.npy", *args, cwd=tmp_path, env={"RNNCLI_DEBUG": "1"}).refusal()
    what, _, todo = said.strip().partition("\n")
    assert message in what
    assert advice in todo
    assert len(todo.splitlines()) <= 1


@pytest.mark.slow
def test_files_of_frameworks_that_port_does_not_explain(rnncli: Run, tmp_path: Path) -> None:
    said = rnncli("port", *torch_files(tmp_path, "GRU", num_layers=2)).refusal()
    assert "w.pt: there are 2 layers in it: gru_l0, gru_l1." in said
    assert "choose it with FILE#gru_l0, and give its own input and output." in said
    done = rnncli("port", *torch_files(tmp_path, "LSTM", proj_size=2)).refusal()
    assert "w.pt: it projects its state (weight_hr_l0), which is not supported." in done
