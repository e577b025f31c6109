"""PyTorch's modules, read back from files and computed here, against what PyTorch returns."""

import argparse
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import Run

import rnncli as package
from rnncli.errors import InputError, LayerError, RnncliError
from rnncli.inputs.formats import Source
from rnncli.models import reading as models
from rnncli.models.graph import Modules

nn: Any = torch.nn
KINDS = ("LSTM", "GRU", "RNN")


def read(path: Path) -> Modules:
    found = models.read(Source(path.name, path=path), or_layers=True)
    assert isinstance(found, Modules)
    return found


def save_tensors(tensors: Any, path: Path) -> Path:
    """A state dict in the format of the suffix; `.legacy.pt` is PyTorch's older one."""
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    elif path.suffix == ".npz":
        np.savez(path, **{name: tensor.numpy() for name, tensor in tensors.items()})
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=".legacy" not in path.name)
    return path


@pytest.mark.sampled
@pytest.mark.parametrize("seed", range(30))
def test_random_modules_are_as_pytorch_has_them(seed: int, tmp_path: Path) -> None:
    """The sequence of the last layer, every state of all layers, and the check of all tensors."""
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    kind, layers, both, first = (
        KINDS[seed % 3],
        int(random.integers(1, 4)),
        *map(bool, random.integers(2, size=2)),
    )
    batch, steps, features, units = map(int, random.integers(1, 6, 4))
    relu, dtype = kind == "RNN" and seed % 2 == 0, "float64" if seed % 5 == 0 else "float32"
    module = getattr(nn, kind)(
        features, units, layers, bias=bool(seed % 4), batch_first=first, bidirectional=both,
        dtype=getattr(torch, dtype), **({"nonlinearity": "relu"} if relu else {}),
    )  # fmt: skip
    suffix = (".pt", ".legacy.pt", ".safetensors", ".npz", ".pth")[seed // 3 % 5]
    inputs = random.normal(size=(batch, steps, features)).astype(dtype)
    result = package.run(
        inputs,
        model=save_tensors(module.state_dict(), tmp_path / f"model{suffix}"),
        assume="activation=relu" if relu else None,
        return_state=True,
        check=True,
    )
    with torch.no_grad():
        sequence, states = module(torch.from_numpy(inputs if first else inputs.swapaxes(0, 1).copy()))
    names = [kind.lower()] if layers == 1 else [f"{kind.lower()}_l{place}" for place in range(layers)]
    wanted = sequence.numpy() if first else sequence.numpy().swapaxes(0, 1)
    np.testing.assert_allclose(result[f"{names[-1]}/hidden_states"], wanted, rtol=0, atol=1e-5)
    parts = {"hidden": states[0], "cell": states[1]} if kind == "LSTM" else {"hidden": states}
    for part, tensor in parts.items():
        for row, values in enumerate(tensor.numpy()):
            layer, back = divmod(row, 2) if both else (row, 0)
            direction = ("forward_", "backward_")[back] if both else ""
            shown = result[f"{names[layer]}/{direction}last_{part}_state"]
            np.testing.assert_allclose(shown, values, rtol=0, atol=1e-5)
    assert set(result.differences) == set(result.keys())
    assert result.reference == "PyTorch"


@pytest.mark.parametrize("kind", KINDS)
def test_cells_are_layers_of_one_step(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    cell = getattr(nn, f"{kind}Cell")(3, 4)
    inputs = np.random.default_rng(0).standard_normal((2, 5, 3)).astype("float32")
    state, rows = None, []
    with torch.no_grad():
        for step in range(5):
            state = cell(torch.from_numpy(inputs[:, step]), state)
            rows.append((state[0] if kind == "LSTM" else state).numpy())
    path = save_tensors({f"deep.cell.{k}": v for k, v in cell.state_dict().items()}, tmp_path / "cell.pt")
    shown = package.run(inputs, model=path)["deep.cell/hidden_states"]
    np.testing.assert_allclose(shown, np.stack(rows, 1), rtol=0, atol=1e-5)


def model() -> Any:
    torch.manual_seed(2)
    parts = {
        "emb": nn.Embedding(9, 4),
        "decoder": nn.ModuleDict({"rnn": nn.GRU(4, 3, 2)}),
        "out": nn.Linear(3, 1),
    }
    return nn.ModuleDict(parts)


@pytest.mark.slow
def test_modules_each_get_the_input_and_unfit_ones_are_listed(tmp_path: Path) -> None:
    """Two state dicts in one file keep the names of their containers."""
    held = {"a": nn.GRU(2, 3).state_dict(), "b": nn.RNN(5, 3).state_dict()}
    path, inputs = save_tensors(held, tmp_path / "two.pt"), np.zeros((1, 2, 2), "float32")
    with pytest.raises(InputError, match=r"b takes 5 features.*\n.*a takes 2, b takes 5"):
        package.run(inputs, model=path)
    assert package.run(inputs, model=f"{path}#a").keys() == ("a/hidden_states",)
    with pytest.raises(RnncliError, match="no layer c"):
        package.run(inputs, model=f"{path}#c")


@pytest.mark.slow
def test_what_cannot_be_computed_is_refused_by_name(tmp_path: Path) -> None:
    holes = nn.LSTM(3, 4, 3).state_dict()
    del holes["weight_hh_l1"]
    projected = nn.LSTM(3, 4, proj_size=2).state_dict()
    for state, said in ((projected, "weight_hr_l0"), (holes, "l1 are incomplete")):
        with pytest.raises(LayerError, match=said):
            package.run(np.zeros((1, 2, 3), "float32"), model=save_tensors(state, tmp_path / "model.pt"))


def test_shared_storages_with_offsets_and_half_precision(tmp_path: Path) -> None:
    whole = torch.arange(100, dtype=torch.float32) / 100
    state = {
        "rnn.weight_ih_l0": whole[7:19].view(3, 4).t().contiguous().t().half(),
        "rnn.weight_hh_l0": whole[20:29].view(3, 3).t(),
    }
    weights = read(save_tensors(state, tmp_path / "views.pt")).modules[0].nodes[0].weights
    np.testing.assert_array_equal(weights["recurrent_kernel"], whole[20:29].view(3, 3).numpy())
    assert weights["kernel"].shape == (4, 3)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_half_precision_is_read_as_float32(dtype: str, suffix: str, tmp_path: Path) -> None:
    state = nn.GRU(3, 4, dtype=getattr(torch, dtype)).state_dict()
    found = read(save_tensors(state, tmp_path / f"half{suffix}"))
    kernel = found.modules[0].nodes[0].weights["recurrent_kernel"]
    assert kernel.dtype == np.float32
    wanted = state["weight_hh_l0"].float().numpy()
    np.testing.assert_array_equal(kernel[:, 4:8], wanted[:4].T)  # z, r, h out of r, z, n


@pytest.mark.parametrize("place", [nn.utils, nn.utils.parametrizations])
@pytest.mark.slow
def test_normalized_weights_are_computed_from_their_parts(place: Any, tmp_path: Path) -> None:
    module = nn.LSTM(4, 3, 2, batch_first=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        for name, dim in [("weight_hh_l0", 0), ("weight_ih_l0", 1), ("weight_hh_l1", 0)]:
            place.weight_norm(module, name, dim=dim)
    for parameter in module.parameters():
        parameter.data.mul_(1.5).add_(0.1)
    x = torch.linspace(-1, 1, 24).reshape(2, 3, 4)
    path = save_tensors({f"rnn.{name}": one for name, one in module.state_dict().items()}, tmp_path / "m.pt")
    assert not read(path).other_shapes
    found = package.run(x.numpy(), model=path)
    assert [
        note for note in map(str, found.remarks) if "weights with weight normalization were computed" in note
    ]
    np.testing.assert_allclose(found["rnn_l1/hidden_states"], module(x)[0].detach().numpy(), atol=1e-5)


def whole_model(path: Path) -> None:
    torch.save(model(), path)


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weights": Path("x")}))


def cut(path: Path) -> None:
    path.write_bytes(save_tensors(model().state_dict(), path).read_bytes()[:-200])


def zipped(entry: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(entry, "hello")

    return write


@pytest.mark.parametrize(("make", "said"), [
    (whole_model, "contains Python objects"),
    (pickled, ""),
    (lambda path: path.write_bytes(b"hello, no model"), ""),
    (lambda path: path.write_bytes(b""), "is empty"),
    (cut, "is a broken or truncated zip file"),
    (zipped("notes.txt"), r"it is a zip file, but not PyTorch's\."),
    (zipped("archive/data.pkl"), r"PyTorch cannot read it \(RuntimeError: .*[a-z…]\)\.\n"),
])  # fmt: skip
def test_what_is_no_state_dict_is_refused(make: Callable[[Path], None], said: str, tmp_path: Path) -> None:
    make(tmp_path / "model.pt")
    with pytest.raises(InputError, match=rf"(?s){said}.*torch\.save\(model\.state_dict\(\)") as caught:
        read(tmp_path / "model.pt")
    assert "KeyError" not in caught.value.what
    assert "(Could" not in caught.value.what


X = torch.linspace(-1, 1, 24).reshape(2, 3, 4)


@pytest.fixture
def lstm() -> Any:
    torch.manual_seed(5)
    return torch.nn.LSTM(4, 5, batch_first=True)


def first_tensor(rnncli: Run, file: Path) -> np.ndarray:
    done = rnncli("run", json.dumps(X.tolist()), "--model", str(file), "-f", "json")
    return np.array(done.answer()["outputs"][0]["values"])


def state_dict_of(prefix: str, layer: Any) -> dict[str, Any]:
    return {f"{prefix}{name}": tensor for name, tensor in layer.state_dict().items()}


def test_objects_beside_the_state_dict_are_passed_over(rnncli: Run, tmp_path: Path, lstm: Any) -> None:
    found = {"args": argparse.Namespace(lr=1e-3), "best": np.float64(0.5), "curve": np.ones(3)}
    torch.save({**found, "state_dict": state_dict_of("net.rnn.", lstm)}, tmp_path / "m.pt")
    values = first_tensor(rnncli, tmp_path / "m.pt")
    np.testing.assert_allclose(values, lstm(X)[0].detach().numpy(), atol=1e-5)


def test_a_weight_that_is_an_object_is_not_left_out(rnncli: Run, tmp_path: Path, lstm: Any) -> None:
    torch.save({**state_dict_of("rnn.", lstm), "rnn.bias_hh_l0": np.ones(20)}, tmp_path / "m.pt")
    said = rnncli("run", json.dumps(X.tolist()), "--model", str(tmp_path / "m.pt")).refusal()
    assert "rnn.bias_hh_l0 is a Python object" in said


def test_the_whole_weights_of_a_weight_drop_count(rnncli: Run, tmp_path: Path, lstm: Any) -> None:
    saved = state_dict_of("0.rnns.0.module.", lstm)
    saved["0.rnns.0.weight_hh_l0_raw"] = lstm.weight_hh_l0.detach().clone()
    saved["0.rnns.0.module.weight_hh_l0"] = lstm.weight_hh_l0 * 2
    torch.save(saved, tmp_path / "m.pth")
    values = first_tensor(rnncli, tmp_path / "m.pth")
    np.testing.assert_allclose(values, lstm(X)[0].detach().numpy(), atol=1e-5)


@pytest.mark.slow
def test_a_cell_with_more_weights_is_refused(rnncli: Run, tmp_path: Path, lstm: Any) -> None:
    other = torch.nn.GRU(4, 2)
    saved = {
        **state_dict_of("a.", lstm),
        "a.layernorm_i.weight": torch.ones(20),
        **state_dict_of("b.", other),
    }
    torch.save(saved, tmp_path / "m.pt")
    said = rnncli("run", json.dumps(X.tolist()), "--model", str(tmp_path / "m.pt")).refusal()
    assert "a: it has more weights than such a layer of PyTorch: a.layernorm_i.weight" in said
    assert rnncli("run", json.dumps(X.tolist()), "--model", f"{tmp_path / 'm.pt'}#b").returncode == 0


@pytest.mark.parametrize("path", ["", "rnn."])
@pytest.mark.slow
def test_a_bias_in_parts_is_not_left_out(rnncli: Run, tmp_path: Path, lstm: Any, path: str) -> None:
    """As pruning saves it, and parametrizations."""
    saved = state_dict_of(path, lstm)
    bias = saved.pop(f"{path}bias_ih_l0")
    for parts in ("bias_ih_l0_orig", "bias_ih_l0_mask"), ("parametrizations.bias_ih_l0.original",):
        torch.save(saved | {f"{path}{part}": bias for part in parts}, tmp_path / "m.pt")
        said = rnncli("run", json.dumps(X.tolist()), "--model", str(tmp_path / "m.pt")).refusal()
        assert "it has more weights than such a layer of PyTorch: " in said
        assert f"{path}{parts[0]}" in said


@pytest.mark.slow
def test_the_layer_that_is_named_fits_the_input(rnncli: Run, tmp_path: Path, lstm: Any) -> None:
    wide = torch.nn.LSTM(9, 2)
    torch.save({**state_dict_of("wide.", wide), **state_dict_of("fits.", lstm)}, tmp_path / "m.pt")
    done = rnncli("run", json.dumps(X.tolist()), "--model", str(tmp_path / "m.pt"))
    assert f"{tmp_path / 'm.pt'}#fits (" in done.stderr


@pytest.mark.slow
def test_a_tensor_without_numbers_is_refused(rnncli: Run, tmp_path: Path, lstm: Any) -> None:
    torch.save(lstm.to("meta").state_dict(), tmp_path / "m.pt")
    assert "weight_ih_l0 has no data" in rnncli("weights", str(tmp_path / "m.pt")).refusal()
