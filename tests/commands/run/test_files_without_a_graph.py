"""--model with files that hold weights alone: PyTorch's and Keras's, against what their frameworks return."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rnncli as package
from rnncli.errors import DisagreementError, EngineError, InputError, UsageError

pytestmark = pytest.mark.usefixtures("files_are_read_here")

torch = pytest.importorskip("torch")
nn = torch.nn
X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")


def saved(module: Any, path: Path) -> str:
    torch.save(module.state_dict(), path)
    return str(path)


def test_a_wrong_assumption_does_not_pass_the_check_unseen(tmp_path: Path) -> None:
    """The check takes the same assumption, so it is the numbers that differ from the module's own."""
    module = nn.RNN(3, 4, nonlinearity="relu", batch_first=True)
    path = saved(module, tmp_path / "model.pt")
    with torch.no_grad():
        wanted = module(torch.from_numpy(X))[0].numpy()
    tanh = package.run(X, model=path, check=True)
    relu = package.run(X, model=path, check=True, assume={"activation": "relu"})
    assert np.abs(tanh["rnn/hidden_states"] - wanted).max() > 1e-2
    np.testing.assert_allclose(relu["rnn/hidden_states"], wanted, atol=1e-6)
    with pytest.raises(UsageError, match="no layer in it takes recurrent_activation"):
        package.run(X, model=path, assume={"recurrent_activation": "relu"})


def test_a_wrong_number_does_not_pass_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rnncli.models.weight_files import model

    known = model.run_torch
    monkeypatch.setattr(
        model, "run_torch", lambda *given: {name: one + 1e-3 for name, one in known(*given).items()}
    )
    with pytest.raises(DisagreementError, match=r"lstm/hidden_states differs from PyTorch"):
        package.run(X, model=saved(nn.LSTM(3, 2), tmp_path / "model.pt"), check=True)


@pytest.mark.parametrize(
    ("kind", "order", "gates"),
    [("LSTM", "iofg", (0, 3, 1, 2)), ("LSTM", "ifco", (0, 1, 2, 3)), ("GRU", "zrh", (1, 0, 2))],
)
def test_gates_in_another_order(kind: str, order: str, gates: tuple[int, ...], tmp_path: Path) -> None:
    """gates: where each block of the file stands in PyTorch's order."""
    torch.manual_seed(1)
    module = getattr(nn, kind)(3, 2, 2, batch_first=True, bidirectional=True)
    moved = {name: torch.cat([one.chunk(len(gates))[g] for g in gates]) for name, one in
             module.state_dict().items()}  # fmt: skip
    torch.save(moved, tmp_path / "moved.pt")
    result = package.run(X, model=str(tmp_path / "moved.pt"), assume={"gates": order}, check=True)
    with torch.no_grad():
        wanted = module(torch.from_numpy(X))[0].numpy()
    np.testing.assert_allclose(result[f"{kind.lower()}_l1/hidden_states"], wanted, atol=1e-6)


def test_one_note_says_everything_that_is_assumed(rnncli: Any, tmp_path: Path) -> None:
    path = saved(
        nn.ModuleDict({"a": nn.LSTM(3, 2), "b": nn.GRU(3, 2, bidirectional=True)}), tmp_path / "m.pt"
    )
    done = rnncli(
        "run", json.dumps(X.tolist()), "--model", path, "--assume", "recurrent_activation=relu"
    ).success()
    notes = [line for line in done.stderr.splitlines() if "assumed" in line]
    assert len(notes) == 1
    assert (
        "batch first, gates ifgo (a), gates rzn (b), activation tanh, recurrent_activation relu, "
        "directions concatenated, each layer (a, b) takes the input." in notes[0]
    )
    one = rnncli("run", json.dumps(X.tolist()), "--model", f"{path}#a")
    assert "assumed: batch first, gates ifgo, activation tanh, recurrent_activation sigmoid\n" in one.stdout
    assert "recurrent_activation sigmoid. Change them with --assume" in one.stderr
    assert "; --assume batch_first=false reads time first." in one.stderr


def test_a_model_on_standard_input_is_read_once(rnncli: Any) -> None:
    torch.manual_seed(3)
    module = nn.ModuleDict({"a": nn.LSTM(3, 2), "b": nn.GRU(3, 2, batch_first=True)})
    text = json.dumps({name: one.tolist() for name, one in module.state_dict().items()})
    words = ("explain", "b/last_hidden_state[1,0]", json.dumps(X.tolist()), "--return-state")
    done = rnncli(*words, "--model", "-", "-f", "json", input=text)
    wanted = module["b"](torch.from_numpy(X))[1][0, 1, 0].item()
    assert done.answer()["explanation"]["value"] == pytest.approx(wanted, abs=1e-6)


def test_what_torch_does_not_have_cannot_be_checked(rnncli: Any, tmp_path: Path) -> None:
    path = saved(nn.LSTM(3, 2), tmp_path / "m.pt")
    words = ("run", json.dumps(X.tolist()), "--model", path, "--assume", "activation=relu", "--check")
    assert "torch.nn.LSTM does not have the options assumed for lstm" in rnncli(*words).refusal()


@pytest.mark.slow
def test_a_layer_is_traced_explained_plotted_and_differentiated(rnncli: Any, tmp_path: Path) -> None:
    module = nn.GRU(3, 2, 2, batch_first=True)
    path = saved(module, tmp_path / "m.pt")
    with torch.no_grad():
        wanted = module(torch.from_numpy(X))[0].numpy()
    numbers = json.dumps(X.tolist())
    done = rnncli("explain", "gru_l1/hidden_states[1,4,1]", numbers, "--model", path, "-f", "json")
    assert done.answer()["explanation"]["value"] == pytest.approx(wanted[1, 4, 1], abs=1e-5)
    shown = rnncli("explain", "gru_l1/hidden_states[1,4,1]", numbers, "--model", path).stdout
    assert "seed" not in shown
    done = rnncli("trace", numbers, "--model", f"{path}#gru_l1", "-f", "json")
    last = json.loads(done.stdout)["trace"][-1]
    np.testing.assert_allclose(last["state"]["hidden"], wanted[:, 4], atol=1e-5)
    words = ("trace", numbers, "--model", f"{path}#gru_l1", "--check")
    checked = rnncli(*words)
    assert "largest difference from PyTorch under the same assumptions" in checked.stdout
    assert "assumed: batch first, gates rzn, activation tanh" in checked.stdout
    assert "--check compares the numbers under what was assumed (batch first, " in checked.stderr
    document = json.loads(rnncli(*words, "-f", "json").stdout)
    assert document["assumed"] == {
        "batch_first": True, "gates": "rzn", "activation": "tanh", "recurrent_activation": "sigmoid"
    }  # fmt: skip
    assert json.loads(rnncli("weights", path, "-f", "json").stdout)["assumed"] == document["assumed"]
    done = rnncli(*words, "--atol", "0", "--rtol", "0", "-f", "json")
    assert done.returncode == any(json.loads(done.stdout)["differences"].values())
    for command in (("plot", "--terminal"), ("gradients",)):
        done = rnncli(command[0], numbers, "--model", f"{path}#gru_l1", *command[1:]).success()
    done = rnncli("trace", numbers, "--model", path, "-f", "json")
    last = json.loads(done.stdout)["trace"][-1]
    assert last["layer"] == "gru_l1"
    np.testing.assert_allclose(last["state"]["hidden"], wanted[:, 4], atol=1e-5)
    trace = package.trace(X, model=f"{path}#gru_l1", check=True)
    np.testing.assert_allclose(trace["hidden"], wanted, atol=1e-5)
    assert "largest difference from PyTorch under the same assumptions" in str(trace)


def test_input_axes_names_the_order_of_the_input(rnncli: Any, tmp_path: Path) -> None:
    module = nn.GRU(3, 2, batch_first=True)
    path = saved(module, tmp_path / "m.pt")
    with torch.no_grad():
        wanted = module(torch.from_numpy(X))[0].numpy()
    numbers, axes = json.dumps(X.swapaxes(0, 1).tolist()), ("--input-axes", "time,batch,features")
    for words in ((numbers, *axes), (numbers, *axes, "--check")):
        done = rnncli("run", *words, "--model", path, "-f", "json")
        np.testing.assert_allclose(done.answer()["outputs"][0]["values"], wanted, atol=1e-5)
    lines = json.dumps(X.swapaxes(0, 1).tolist()) + "\n"
    done = rnncli("run", "--stream", *axes, "--model", path, "-f", "ndjson", input=lines)
    np.testing.assert_allclose(done.answer()["outputs"][0]["values"], wanted, atol=1e-5)
    for given in ("time,batch,features", ("time", "batch", "features")):
        result = package.run(X.swapaxes(0, 1), model=path, input_axes=given)
        np.testing.assert_allclose(result.outputs[0].values, wanted, atol=1e-5)


def test_advice_that_names_a_file_works_in_a_shell(rnncli: Any, tmp_path: Path) -> None:
    path = saved(nn.ModuleDict({"a": nn.GRU(3, 2), "b": nn.LSTM(4, 2)}), tmp_path / "two modules.pt")
    said = rnncli("run", json.dumps(X.tolist()), "--model", path).refusal()
    option, word = shlex.split(said.partition("that takes it: ")[2])[:2]
    assert (option, word) == ("--model", f"{path}#a")
    assert package.run(X, model=word).keys() == ("a/hidden_states",)
    with pytest.raises(InputError, match=f"model='{path}#a'"):
        package.run(X, model=path)


def test_a_line_of_a_stream_is_an_input(rnncli: Any, tmp_path: Path) -> None:
    module = nn.LSTM(3, 2, batch_first=True)
    path = saved(module, tmp_path / "m.pt")
    lines = [X[0].tolist(), {"inputs": X.tolist()}, [[1, 2]], X[:1, :2].tolist()]
    text = "\n\n".join(map(json.dumps, lines)) + "\n"
    words = ("run", "--stream", "--model", path, "-f", "ndjson")
    done = rnncli(*words, "--keep-going", input=text)
    assert done.returncode == 1
    assert "line 5: " in done.stderr
    assert done.stderr.count("assumed") == 1
    answers = list(map(json.loads, done.stdout.splitlines()))
    assert [one["line"] for one in answers] == [1, 3, 7]
    assert answers[0].keys() == {"schema", "line", "engine", "model", "outputs"}
    assert answers[0]["model"] == {"file": path, "origin": "PyTorch"}
    with torch.no_grad():
        wanted = module(torch.from_numpy(X))[0].numpy()
    np.testing.assert_allclose(answers[1]["outputs"][0]["values"], wanted, atol=1e-6)
    done = rnncli(*words, input=text)
    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 2
    done = rnncli(*words, input="\n[[1,\n")
    assert done.stderr.startswith("rnncli: line 2, column 5: unexpected end of input.")
    rnncli(*words, "--check", input=text).refusal()


def test_square_weights_of_no_known_framework_are_refused(rnncli: Any, tmp_path: Path) -> None:
    square = np.arange(9, dtype="float32").reshape(3, 3)
    np.savez(tmp_path / "m.npz", w_ih=square, w_hh=square, b_ih=square[0])
    assert "may be transposed" in rnncli("run", "[[1, 2, 3]]", "--model", str(tmp_path / "m.npz")).refusal()
    np.savez(tmp_path / "m.npz", weight_ih=square, weight_hh=square, bias_ih=square[0])
    assert rnncli("run", "[[1, 2, 3]]", "--model", str(tmp_path / "m.npz"), "--check").returncode == 0


def test_without_pytorch_the_line_to_install_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "m.npz")
    np.savez(path, **{name: one.numpy() for name, one in nn.LSTM(3, 2).state_dict().items()})
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(EngineError, match=r"pip install torch"):
        package.run(X, model=path, check=True)
    assert package.run(X, model=path).keys() == ("lstm/hidden_states",)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_other_precisions_are_checked_too(tmp_path: Path, dtype: str) -> None:
    module = nn.GRU(3, 2, 2, dtype=getattr(torch, dtype), bidirectional=True)
    result = package.run(X, model=saved(module, tmp_path / "m.pt"), check=True)
    assert result["gru_l1/hidden_states"].dtype == ("float64" if dtype == "float64" else "float32")
    assert max(result.differences.values()) < 1e-6


@pytest.mark.slow
def test_a_checkpoint_with_its_optimizer(rnncli: Any, tmp_path: Path) -> None:
    torch.manual_seed(2)
    rnn = nn.GRU(3, 2, batch_first=True)
    module = nn.ModuleDict({"emb": nn.Embedding(9, 3), "decoder": nn.ModuleDict({"rnn": rnn})})
    optimizer = torch.optim.Adam(module.parameters())
    rnn(torch.from_numpy(X))[0].sum().backward()
    optimizer.step()
    held = {"epoch": 3, "model_state": module.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save({"outer": held, "args": ["x"]}, tmp_path / "m.pth", _use_new_zipfile_serialization=False)
    words = ("run", json.dumps(X.tolist()), "--model", str(tmp_path / "m.pth"))
    done = rnncli(*words, "--check", "--all-layers", "-f", "json")
    (shown,) = done.answer()["outputs"]
    assert shown["name"] == "decoder.rnn/hidden_states"
    assert "--all-layers adds nothing" in done.stderr
    with torch.no_grad():
        wanted = rnn(torch.from_numpy(X))[0].numpy()
    np.testing.assert_allclose(shown["values"], wanted, atol=1e-6)


@pytest.mark.parametrize("start", ["bi/{}_lstm/lstm_cell", "bi/{}_layer/cell", "bi/{}"])
def test_the_two_directions_of_keras_are_one_layer(start: str, tmp_path: Path) -> None:
    """Under the names of Keras 2, of Keras 3 and of rnncli; with one direction alone it is a layer."""
    both = nn.LSTM(3, 4, batch_first=True, bidirectional=True)
    own = {name: array.numpy() for name, array in both.state_dict().items()}
    arrays = {}
    for direction, end in (("forward", ""), ("backward", "_reverse")):
        cell = start.format(direction)
        arrays[f"{cell}/kernel"] = own[f"weight_ih_l0{end}"].T
        arrays[f"{cell}/recurrent_kernel"] = own[f"weight_hh_l0{end}"].T
        arrays[f"{cell}/bias"] = own[f"bias_ih_l0{end}"] + own[f"bias_hh_l0{end}"]
    np.savez(tmp_path / "m.npz", **arrays)
    result = package.run(X, model=str(tmp_path / "m.npz"))
    with torch.no_grad():
        wanted = both(torch.from_numpy(X))[0].numpy()
    assert list(result.keys()) == ["bi/hidden_states"]
    np.testing.assert_allclose(result["bi/hidden_states"], wanted, atol=1e-6)

    np.savez(tmp_path / "m.npz", **{name: one for name, one in arrays.items() if "backward" not in name})
    alone = package.run(X, model=str(tmp_path / "m.npz"))
    np.testing.assert_allclose(alone[next(iter(alone.keys()))], wanted[..., :4], atol=1e-6)


def test_an_array_beside_onnx_weights_says_which_gru_it_is(rnncli: Any, tmp_path: Path) -> None:
    draw = np.random.default_rng(5)
    arrays: dict[str, Any] = {
        "W": draw.normal(size=(1, 6, 3)),
        "R": draw.normal(size=(1, 6, 2)),
        "B": draw.normal(size=(1, 12)),
    }
    path = tmp_path / "gru.npz"
    np.savez(path, **arrays)
    words = ("run", json.dumps(X.tolist()), "--model", str(path))
    assert "ONNX's linear_before_reset decides" in rnncli(*words, "--assume", "reset_after=true").refusal()
    before = rnncli(*words, "-f", "json")
    np.savez(path, **arrays, linear_before_reset=np.array(1))
    after = rnncli(*words, "-f", "json")
    assert "linear_before_reset=0 unless the file stores it" in before.stderr
    values = [json.loads(done.stdout)["outputs"][0]["values"] for done in (before, after)]
    assert not np.allclose(*values)


@pytest.mark.parametrize("suffix", ["pt", "npz"])
def test_the_layers_beside_a_refused_one_can_be_named(rnncli: Any, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"m.{suffix}"
    module = nn.ModuleDict({"bad": nn.LSTM(3, 4, proj_size=2), "good": nn.LSTM(3, 2)})
    arrays = {name: array.numpy() for name, array in module.state_dict().items()}
    torch.save(module.state_dict(), path) if suffix == "pt" else np.savez(path, **arrays)
    words = ("run", json.dumps(X.tolist()), "--units", "2", "--quiet")
    refused = rnncli(*words, "--weights", str(path))
    assert (refused.returncode, refused.stderr.splitlines()) == (
        2,
        [
            f"rnncli: {path}: bad: it projects its state (weight_hr_l0), which is not supported; "
            "build the layer without proj_size.",
            f"Name the others after a #: {path}#good",
        ],
    )
    named = rnncli(*words, "--weights", f"{path}#good")
    assert (named.returncode, named.stderr) == (0, "")
