"""Masks, lengths and states of files without a graph, held to PyTorch's packed sequences and Keras."""

import itertools
import json
import shlex
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import rnncli as package
from rnncli.errors import InputError, RnncliError, UsageError

pytestmark = pytest.mark.usefixtures("files_are_read_here")

torch = pytest.importorskip("torch")
nn, rnn = torch.nn, torch.nn.utils.rnn
X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")
LENGTHS = [3, 5, 1]
MASK = np.arange(5) < np.array(LENGTHS)[:, None]


def saved(module: Any, path: Path) -> str:
    torch.save(module.state_dict(), path)
    return str(path)


def made(kind: str, layers: int, *, both: bool, **options: Any) -> Any:
    torch.manual_seed(4)
    return getattr(nn, kind)(4, 2, layers, batch_first=True, bidirectional=both, **options)


def start_of(kind: str, layers: int, *, both: bool) -> list[Any]:
    draw = np.random.default_rng(1)
    shape = (layers * (1 + both), 3, 2)
    return [draw.normal(size=shape).astype("float32") for _ in range(1 + (kind == "LSTM"))]


def packed(module: Any, start: list[Any] | None = None) -> tuple[Any, Any, Any]:
    """Return output, h_n and c_n (None for others) of the packed sequences."""
    with torch.no_grad():
        given = rnn.pack_padded_sequence(
            torch.from_numpy(X), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
        )
        first = [torch.from_numpy(one) for one in start or ()]
        output, states = module(given, *([tuple(first)] if len(first) > 1 else first))
        padded, _ = rnn.pad_packed_sequence(output, batch_first=True, total_length=5)
    h, c = states if isinstance(states, tuple) else (states, None)
    return padded.numpy(), h.numpy(), None if c is None else c.numpy()


def require_same(result: Any, kind: str, layers: int, *, both: bool, wanted: tuple[Any, Any, Any]) -> None:
    name = kind.lower()
    output, *states = wanted
    top = f"{name}_l{layers - 1}" if layers > 1 else name
    np.testing.assert_allclose(result[f"{top}/hidden_states"], output, atol=1e-6)
    for place in range(layers):
        layer = f"{name}_l{place}" if layers > 1 else name
        for way, direction in enumerate(("forward_", "backward_") if both else ("",)):
            for part, state in zip(("hidden", "cell"), states, strict=True):
                if state is not None:
                    tensor = result[f"{layer}/{direction}last_{part}_state"]
                    np.testing.assert_allclose(tensor, state[place * (1 + both) + way], atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "layers", "both"), list(itertools.product(("LSTM", "GRU", "RNN"), (1, 2), (False, True)))
)
def test_lengths_are_packed_sequences(kind: str, layers: int, both: bool, tmp_path: Path) -> None:
    module, start = made(kind, layers, both=both), start_of(kind, layers, both=both)
    path = saved(module, tmp_path / "m.pt")
    same: dict[str, Any] = {"model": path, "return_state": True, "check": True}
    for options in ({"lengths": LENGTHS}, {"mask": MASK}):
        result = package.run(X, **options, **same)
        require_same(result, kind, layers, both=both, wanted=packed(module))
        assert max(result.differences.values()) < 1e-6
    result = package.run(X, lengths="3,5,1", initial_state=start, **same)
    require_same(result, kind, layers, both=both, wanted=packed(module, start))
    last = package.run(X, lengths=LENGTHS, model=path, return_sequences=False, check=True)
    top = f"{kind.lower()}_l{layers - 1}" if layers > 1 else kind.lower()
    ends = packed(module)[1][-1 - both :]
    np.testing.assert_allclose(last[f"{top}/hidden_state"], np.concatenate(ends, axis=-1), atol=1e-6)


@pytest.mark.parametrize("suffix", ["pth", "safetensors", "npz"])
def test_every_file_of_pytorchs_weights(suffix: str, tmp_path: Path) -> None:
    module, path = made("LSTM", 2, both=True), tmp_path / f"m.{suffix}"
    arrays = {name: array.numpy() for name, array in module.state_dict().items()}
    if suffix == "pth":
        torch.save(module.state_dict(), path)
    elif suffix == "npz":
        np.savez(path, **arrays)
    else:
        from safetensors.numpy import save_file

        save_file(arrays, path)
    ragged = [row[:length] for row, length in zip(X, LENGTHS, strict=True)]
    for given, options in ((X, {"lengths": LENGTHS}), (ragged, {"pad": "post", "pad_value": 7.0})):
        result = package.run(given, model=str(path), return_state=True, **options)
        require_same(result, "LSTM", 2, both=True, wanted=packed(module))
    zeros = np.where(MASK[..., None], X, 0)
    result = package.run(zeros, model=str(path), mask_value=0.0, return_state=True, check=True)
    require_same(result, "LSTM", 2, both=True, wanted=packed(module))


def test_a_mask_that_pytorch_lacks_skips_its_steps(tmp_path: Path) -> None:
    """Held to the layer without these steps; PyTorch's check packs what is left of each sequence."""
    module = made("GRU", 1, both=True)
    mask = np.array([[False, True, False, True, True], [True] * 5, [False] * 5])
    result = package.run(X, model=saved(module, tmp_path / "m.pt"), mask=mask, return_state=True, check=True)
    with torch.no_grad():
        output, states = module(torch.from_numpy(X[:1, mask[0]]))
    np.testing.assert_allclose(result["gru/hidden_states"][0, mask[0]], output[0], atol=1e-6)
    assert not result["gru/hidden_states"][~mask].any()
    np.testing.assert_allclose(result["gru/forward_last_hidden_state"][0], states[0, 0], atol=1e-6)
    np.testing.assert_allclose(result["gru/backward_last_hidden_state"][0], states[1, 0], atol=1e-6)
    assert not result["gru/forward_last_hidden_state"][2].any()


def keras_file(kind: str, path: Path) -> Any:
    keras = pytest.importorskip("keras")
    layer = keras.layers.Bidirectional(
        getattr(keras.layers, kind)(2, return_sequences=True, return_state=True), name="both"
    )
    given = keras.Input((5, 4))
    model = keras.Model(given, layer(given))
    layer.set_weights([np.random.default_rng(2).normal(size=one.shape) for one in layer.get_weights()])
    model.save_weights(path)
    return layer


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("name", ["m.weights.h5", "m.npz", "old.h5"])
def test_other_files_are_masked_as_keras_masks(kind: str, name: str, tmp_path: Path) -> None:
    layer = keras_file(kind, tmp_path / "m.weights.h5")
    path = tmp_path / name
    if name == "m.npz":
        keys = [
            f"both/{side}/{key}"
            for side in ("forward", "backward")
            for key in ("kernel", "recurrent_kernel", "bias")
        ]
        np.savez(path, **dict(zip(keys, layer.get_weights(), strict=True)))
    elif name == "old.h5":
        parts = [
            f"both/{side}_{kind.lower()}/{key}:0"
            for side in ("forward", "backward")
            for key in ("kernel", "recurrent_kernel", "bias")
        ]
        with h5py.File(path, "w") as file:
            file.attrs["layer_names"], file.attrs["keras_version"] = [b"both"], "2.4.0"
            group = file.create_group("both")
            group.attrs["weight_names"] = [part.encode() for part in parts]
            for part, array in zip(parts, layer.get_weights(), strict=True):
                group[part] = array
    draw = np.random.default_rng(1)
    start = [draw.normal(size=(3, 2)).astype("float32") for _ in range(2 + 2 * (kind == "LSTM"))]
    result = package.run(X, model=str(path), lengths=LENGTHS, initial_state=start, return_state=True)
    for tensor, values in zip(result.outputs, layer(X, mask=MASK, initial_state=start), strict=True):
        np.testing.assert_allclose(tensor.values, values, atol=1e-6)


def test_states_by_name_in_order_and_as_pytorch_has_them(rnncli: Any, tmp_path: Path) -> None:
    module, (h, c) = made("LSTM", 2, both=False), start_of("LSTM", 2, both=False)
    path = saved(module, tmp_path / "m.pt")
    with torch.no_grad():
        wanted = module(torch.from_numpy(X), (torch.from_numpy(h), torch.from_numpy(c)))[0].numpy()
    by_name = {
        f"lstm_l{layer}/last_{part}_state": array[layer]
        for layer in range(2)
        for part, array in (("hidden", h), ("cell", c))
    }
    forms: list[Any] = [
        [h, c], {"h_0": h, "c_0": c}, {"hn": h, "cn": c}, by_name, [h[0], c[0], h[1], c[1]],
    ]  # fmt: skip
    for form in forms:
        result = package.run(X, model=path, initial_state=form, check=True)
        np.testing.assert_allclose(result["lstm_l1/hidden_states"], wanted, atol=1e-6)
    np.savez(tmp_path / "s.npz", h_0=h, c_0=c)
    words = ("run", json.dumps(X.tolist()), "--model", f"{path}#lstm_l1", "-f", "json")
    document = rnncli(*words, "--initial-state", str(tmp_path / "s.npz")).answer()
    np.testing.assert_allclose(document["outputs"][0]["values"], wanted, atol=1e-5)
    assert document["conditions"] == {"initial_state": 1}
    one = package.run(X, model=f"{path}#lstm_l0", initial_state=[h[0], c[0]])
    with torch.no_grad():
        lower = made("LSTM", 1, both=False)
        lower.load_state_dict({name: one for name, one in module.state_dict().items() if "_l0" in name})
        first = lower(torch.from_numpy(X), (torch.from_numpy(h[:1]), torch.from_numpy(c[:1])))[0]
    np.testing.assert_allclose(one["lstm_l0/hidden_states"], first, atol=1e-6)


@pytest.mark.parametrize(("states", "said"), [
    ([np.zeros((3, 2))], "it has 1 state, but 2 layers need 2: gru_l0/last_hidden_state, gru_l1/"),
    ({"gru_l0/last_hidden_state": np.zeros((3, 2))}, "gru_l1/last_hidden_state is missing."),
    ({"last_hidden_state": np.zeros((3, 2))}, "there is no state 'last_hidden_state'.\nGive gru_l0/"),
    ({"h_0": np.zeros((1, 3, 2))}, "it has h_0 (1, 3, 2).\nGive h_0, each (layers * directions"),
    ({"h_0": np.zeros((2, 4, 2))}, "last_hidden_state has shape (4, 2), but the layer needs (3, 2)."),
    ({"h_0": np.zeros((2, 5, 2))}, "read batch first, the input has 3 sequences of 5 time steps."),
])  # fmt: skip
def test_states_that_do_not_fit(states: Any, said: str, tmp_path: Path) -> None:
    path = saved(made("GRU", 2, both=False), tmp_path / "m.pt")
    with pytest.raises(RnncliError) as caught:
        package.run(X, model=path, initial_state=states)
    assert said in str(caught.value)


def test_a_graph_has_its_own_masks_and_states(tmp_path: Path, rnncli: Any) -> None:
    keras = pytest.importorskip("keras")
    given = keras.Input((5, 4))
    keras.Model(given, keras.layers.LSTM(2)(given)).save(tmp_path / "m.keras")
    words = ("run", json.dumps(X.tolist()), "--model", str(tmp_path / "m.keras"))
    for flag, value in (
        ("--lengths", "3,5,1"), ("--mask", "[[1]]"), ("--mask-value", "0"), ("--initial-state", "[[[0, 0]]]"),
    ):  # fmt: skip
        said = rnncli(*words, flag, value).refusal()
        assert f"{flag} cannot be combined with --model: a saved model has its own layers" in said


@pytest.mark.slow
def test_every_command_reads_the_padding(rnncli: Any, tmp_path: Path) -> None:
    module = made("GRU", 2, both=False)
    path = saved(module, tmp_path / "m.pt")
    output, states, _ = packed(module)
    words = [json.dumps(X.tolist()), "--model", f"{path}#gru_l1", "--lengths", "3,5,1"]
    trace = json.loads(rnncli("trace", *words, "-f", "json", "--check").stdout)
    assert [step["status"][2] for step in trace["trace"]] == ["computed"] + ["zeroed"] * 4
    np.testing.assert_allclose(trace["trace"][-1]["state"]["hidden"], states[1], atol=1e-5)
    for number, wanted in (
        ("hidden_states[0,2,1]", output[0, 2, 1]),
        ("last_hidden_state[2,0]", states[1, 2, 0]),
    ):
        done = rnncli("explain", number, *words, "--return-state", "-f", "json")
        assert json.loads(done.stdout)["explanation"]["value"] == pytest.approx(wanted, abs=1e-5)
    for command, *own in (["gradients"], ["plot", "--terminal"], ["export", "--to", "numpy"]):
        done = rnncli(command, *words, *own).success()
    done = rnncli("compare", *words, "--engines", "numpy,tensorflow,torch").success()
    np.savez(tmp_path / "e.npz", **{"gru_l1/hidden_states": output})
    assert rnncli("compare", *words, "--expect", str(tmp_path / "e.npz")).returncode == 0
    lines = "".join(json.dumps(one.tolist()) + "\n" for one in (X, X[::-1]))
    done = rnncli("run", "--stream", *words[1:], "-f", "ndjson", input=lines)
    np.testing.assert_allclose(
        json.loads(done.stdout.split("\n")[0])["outputs"][0]["values"], output, atol=1e-5
    )


def test_pytorchs_gradients_of_a_packed_sequence(tmp_path: Path) -> None:
    module = made("LSTM", 1, both=False)
    x = torch.from_numpy(X).requires_grad_()
    given = rnn.pack_padded_sequence(x, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    output, _ = rnn.pad_packed_sequence(module(given)[0], batch_first=True, total_length=5)
    output[0, 2, 1].backward()
    report = package.gradients(
        X, model=saved(module, tmp_path / "m.pt"), lengths=LENGTHS, of="hidden_states[0,2,1]"
    )
    wanted = np.linalg.norm(x.grad[0].numpy(), axis=-1)
    assert not wanted[3:].any()
    np.testing.assert_allclose(report["forward/input"], wanted, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("batch_first", [True, False])
def test_the_order_of_axes_is_assumed_and_can_change(batch_first: bool, rnncli: Any, tmp_path: Path) -> None:
    module = nn.GRU(4, 2, batch_first=batch_first)
    x = X if batch_first else X.swapaxes(0, 1)
    with torch.no_grad():
        wanted = module(torch.from_numpy(np.ascontiguousarray(x)))[0].numpy()
    wanted = wanted if batch_first else wanted.swapaxes(0, 1)
    path = saved(module, tmp_path / "m.pt")
    word = str(batch_first).lower()
    words = ("run", json.dumps(x.tolist()), "--model", path, "--assume", f"batch_first={word}")
    document = rnncli(*words, "--check", "-f", "json").answer()
    np.testing.assert_allclose(document["outputs"][0]["values"], wanted, atol=1e-5)
    assert document["assumed"]["batch_first"] is batch_first
    shown = "batch first" if batch_first else "time first"
    assert f"assumed: {shown}, gates rzn" in rnncli(*words).stdout
    assert f"assumed: {shown}, gates rzn" in rnncli(*words, "-f", "markdown").stdout
    result = package.run(x, model=path, assume={"batch_first": batch_first})
    np.testing.assert_allclose(result["gru/hidden_states"], wanted, atol=1e-6)
    refused = rnncli(*words, "--input-axes", "time,batch,features").refusal()
    assert f"--assume batch_first={word} says the order" in refused
    axes = "batch,time,features" if batch_first else "time,batch,features"
    said = json.loads(rnncli(*words[:-2], "--input-axes", axes, "-f", "json").stdout)
    assert "batch_first" not in said["assumed"]


def test_what_contradicts_the_order_shows_both_readings(rnncli: Any, tmp_path: Path) -> None:
    path = saved(nn.GRU(4, 2), tmp_path / "m.pt")
    turned = X.swapaxes(0, 1)
    base = ("run", json.dumps(turned.tolist()), "--model", path, "--assume", "recurrent_activation=sigmoid")
    for flag, value in (
        ("--lengths", "3,5,1"), ("--mask", json.dumps(MASK.tolist())),
        ("--initial-state", json.dumps(np.zeros((1, 3, 2)).tolist())),
    ):  # fmt: skip
        said = rnncli(*base, flag, value).refusal()
        assert "read batch first, the input has 5 sequences of 3 time steps." in said
        assert "Read time first, it has 3 sequences of 5 time steps, which fits: " in said
        rnncli(*base[:-2], *shlex.split(said.rpartition("which fits: ")[2]), flag, value).success()
    with pytest.raises(InputError, match="batch_first=false"):
        package.run(turned, model=path, lengths=LENGTHS)
    with pytest.raises(UsageError, match="already"):
        package.run([X[0], X[1, :2]], model=path, pad="post", assume={"batch_first": False})


def test_one_sequence_has_no_other_order(tmp_path: Path) -> None:
    path, x = saved(nn.GRU(4, 2), tmp_path / "m.pt"), X[0]
    for options, said in (
        ({"initial_state": [np.zeros((5, 2))]},
         "last_hidden_state has shape (5, 2), but the layer needs (1, 2)"),
        ({"lengths": [1] * 5}, "5 lengths given for 1 sequence.\nGive one length"),
        ({"mask": np.ones((5, 1))}, "the mask is (5, 1), but the input is (1, 5, 4)."),
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            package.run(x, model=path, **options)
        assert said in str(caught.value)
    (one,) = package.run(x, model=path, assume="batch_first=false").outputs
    (same,) = package.run(x, model=path).outputs
    np.testing.assert_array_equal(one.values, same.values)


def test_learned_initial_states_are_named(rnncli: Any, tmp_path: Path) -> None:
    module = nn.GRU(4, 2, batch_first=True)
    module.h0 = nn.Parameter(torch.ones(1, 1, 2))
    words = ("run", json.dumps(X.tolist()), "--model", saved(module, tmp_path / "m.pt"), "-f", "json")
    assumed = json.loads(rnncli(*words).stdout)["assumed"]
    assert (assumed["initial_state"], assumed["unused_states"]) == ("zeros", ["h0"])
    assert "initial states zero, not h0" in rnncli(*words[:-2]).stdout
    given = json.loads(rnncli(*words, "--initial-state", json.dumps(np.ones((1, 3, 2)).tolist())).stdout)
    assert "initial_state" not in given["assumed"]
    with torch.no_grad():
        wanted = module(torch.from_numpy(X), torch.ones(1, 3, 2))[0].numpy()
    np.testing.assert_allclose(given["outputs"][0]["values"], wanted, atol=1e-5)


@pytest.mark.parametrize("name", ["m.pt", "m.npz", "m.weights.h5"])
def test_token_ids_beside_an_embedding_are_not_features(name: str, rnncli: Any, tmp_path: Path) -> None:
    path, ids = tmp_path / name, np.arange(18).reshape(3, 6) % 9
    if name == "m.weights.h5":
        keras = pytest.importorskip("keras")
        layers = keras.Sequential([keras.Input((6,)), keras.layers.Embedding(9, 6), keras.layers.GRU(2)])
        layers.save_weights(path)
        layers.save(tmp_path / "whole.keras")
        table = layers.layers[0].get_weights()[0]
    else:
        module = nn.ModuleDict({"emb": nn.Embedding(9, 6), "rnn": nn.GRU(6, 2), "fc": nn.Linear(2, 6)})
        tensors = {key: one.numpy() for key, one in module.state_dict().items()}
        torch.save(module.state_dict(), path) if name == "m.pt" else np.savez(path, **tensors)
        table = tensors["emb.weight"]
    np.save(tmp_path / "ids.npy", ids)
    for given in (str(tmp_path / "ids.npy"), json.dumps(ids.tolist())):
        said = rnncli("run", given, "--model", str(path)).refusal()
        assert "As token ids they are 3 sequences of 6 time steps; as features, 1 sequence of 3" in said
        assert "the embedded input, (3, 6, 6). For features, give (1, 3, 6)." in said
    with pytest.raises(InputError, match="looks like an Embedding"):
        package.run(ids, model=str(path))
    embedded = package.run(table[ids], model=str(path))
    assert embedded.outputs[0].values.shape[:1] == (3,)
    assert package.run(ids[None], model=str(path)).outputs[0].values.shape[0] == 1
    if name == "m.weights.h5":
        (last,) = package.run(ids, model=str(tmp_path / "whole.keras")).outputs
        (rows,) = embedded.outputs
        np.testing.assert_allclose(rows.values[:, -1], last.values, atol=1e-6)
    plain = rnncli("run", json.dumps((ids + 0.5).tolist()), "--model", str(path)).success()
    assert "added a batch axis: (3, 6) -> (1, 3, 6)" in plain.stderr
