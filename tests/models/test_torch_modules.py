"""PyTorch's modules, read back from files and computed here, against what PyTorch returns."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnncli import compute
from rnncli.errors import InputError, LayerError, UsageError
from rnncli.inputs.formats import Source
from rnncli.models import ModelRequest
from rnncli.models import reading as models
from rnncli.models.graph import Modules
from rnncli.models.modules import assumptions
from rnncli.models.modules import model as modules_model
from rnncli.models.modules.assumptions import assume

torch = pytest.importorskip("torch")
nn = torch.nn
KINDS = ("LSTM", "GRU", "RNN")


def read(path: Path) -> Modules:
    found = models.read(Source(path.name, path=path), or_layers=True)
    assert isinstance(found, Modules)
    return found


def stored(tensors: Any, path: Path) -> Path:
    """A state dict in the format of the suffix; `.legacy.pt` is PyTorch's older one."""
    if path.suffix == ".safetensors":
        from safetensors.torch import save_file

        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    elif path.suffix == ".npz":
        np.savez(path, **{name: tensor.numpy() for name, tensor in tensors.items()})
    else:
        torch.save(tensors, path, _use_new_zipfile_serialization=".legacy" not in path.name)
    return path


def outputs(found: Modules, inputs: np.ndarray, layers: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    model = modules_model.Model(found)
    request = ModelRequest(model.fit_inputs(inputs), lambda case: compute.run(case, "numpy"), layers)
    run = model.run(request)
    results = {part.layer: part.result or compute.run(part.case, "numpy") for part in run.parts}
    return {name: result.outputs[0].values for name, result in results.items()}


@pytest.mark.parametrize("seed", range(40))
def test_random_modules_give_the_numbers_of_pytorch(seed: int, tmp_path: Path) -> None:
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    kind, layers, both = KINDS[seed % 3], int(random.integers(1, 4)), bool(random.integers(2))
    batch, steps, features, units = map(int, random.integers(1, 6, 4))
    first = bool(random.integers(2))
    dtype = (torch.float32, torch.float64)[seed % 5 == 0]
    module = getattr(nn, kind)(
        features,
        units,
        layers,
        bias=bool(random.integers(3)),
        batch_first=first,
        bidirectional=both,
        dtype=dtype,
    )
    suffix = (".pt", ".legacy.pt", ".safetensors", ".npz", ".pth")[seed % 5]
    found = read(stored(module.state_dict(), tmp_path / f"model{suffix}"))
    inputs = random.standard_normal((batch, steps, features)).astype(str(dtype)[6:])
    given = torch.from_numpy(inputs if first else inputs.swapaxes(0, 1).copy())
    with torch.no_grad():
        wanted = module(given)[0].numpy()
    wanted = wanted if first else wanted.swapaxes(0, 1)
    name = kind.lower() if layers == 1 else f"{kind.lower()}_l{layers - 1}"
    shown = outputs(found, inputs)
    assert len(shown) == layers
    np.testing.assert_allclose(shown[name], wanted, rtol=0, atol=1e-5)


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
    found = read(stored({f"deep.cell.{k}": v for k, v in cell.state_dict().items()}, tmp_path / "cell.pt"))
    shown = outputs(found, inputs)
    np.testing.assert_allclose(shown["deep.cell"], np.stack(rows, 1), rtol=0, atol=1e-5)


def model() -> Any:
    torch.manual_seed(2)
    parts = {
        "emb": nn.Embedding(9, 4),
        "decoder": nn.ModuleDict({"rnn": nn.GRU(4, 3, 2)}),
        "out": nn.Linear(3, 1),
    }
    return nn.ModuleDict(parts)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_a_checkpoint_is_searched_for_its_state_dict(depth: int, tmp_path: Path) -> None:
    held: Any = model().state_dict()
    for key in ("model_state", "outer")[:depth]:
        held = {
            key: held,
            "epoch": 3,
            "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}},
            "args": ["x"],
        }
    found = read(stored(held, tmp_path / "checkpoint.pth"))
    assert [module.name for module in found.modules] == ["decoder.rnn"]
    assert [node.name for node in found.modules[0].nodes] == ["decoder.rnn_l0", "decoder.rnn_l1"]
    assert {"emb.weight", "out.weight", "out.bias"} <= {
        name.removeprefix("outer.") for name in found.other_shapes
    } | {name.rpartition("model_state.")[2] for name in found.other_shapes}


def test_modules_each_get_the_input_and_unfit_ones_are_listed(tmp_path: Path) -> None:
    """Two state dicts in one file keep the names of their containers."""
    held = {"a": nn.GRU(2, 3).state_dict(), "b": nn.RNN(5, 3).state_dict()}
    found = read(stored(held, tmp_path / "two.pt"))
    assert [module.name for module in found.modules] == ["a", "b"]
    inputs = np.zeros((1, 2, 2), "float32")
    with pytest.raises(InputError, match=r"b takes 5 features.*\n.*a takes 2, b takes 5"):
        outputs(found, inputs)
    assert list(outputs(found, inputs, ("a",))) == ["a"]
    with pytest.raises(UsageError, match="no layer 'c'"):
        outputs(found, inputs, ("c",))


def test_what_cannot_be_computed_is_refused_by_name(tmp_path: Path) -> None:
    holes = nn.LSTM(3, 4, 3).state_dict()
    del holes["weight_hh_l1"]
    projected = nn.LSTM(3, 4, proj_size=2).state_dict()
    for state, said in ((projected, "weight_hr_l0"), (holes, "l1 are incomplete")):
        with pytest.raises(LayerError, match=said):
            outputs(read(stored(state, tmp_path / "model.pt")), np.zeros((1, 2, 3), "float32"))


@pytest.mark.parametrize("both", [False, True])
def test_other_activations_can_be_assumed(both: bool, tmp_path: Path) -> None:
    torch.manual_seed(3)
    module = nn.RNN(3, 4, 2, nonlinearity="relu", batch_first=True, bidirectional=both)
    found = read(stored(module.state_dict(), tmp_path / "relu.pt"))
    inputs = np.random.default_rng(0).standard_normal((2, 5, 3)).astype("float32")
    with torch.no_grad():
        wanted = module(torch.from_numpy(inputs))[0].numpy()
    relu = assume(found, {"activation": "relu"})
    np.testing.assert_allclose(outputs(relu, inputs)["rnn_l1"], wanted, rtol=0, atol=1e-5)
    assert "activation=relu" in str(assumptions.assumptions(relu))
    with pytest.raises(UsageError, match="no layer in it takes recurrent_activation"):
        assume(found, {"recurrent_activation": "relu"})


def test_shared_storages_with_offsets_and_half_precision(tmp_path: Path) -> None:
    whole = torch.arange(100, dtype=torch.float32) / 100
    state = {
        "rnn.weight_ih_l0": whole[7:19].view(3, 4).t().contiguous().t().half(),
        "rnn.weight_hh_l0": whole[20:29].view(3, 3).t(),
    }
    found = read(stored(state, tmp_path / "views.pt"))
    weights = found.modules[0].nodes[0].weights
    np.testing.assert_array_equal(weights["recurrent_kernel"], whole[20:29].view(3, 3).numpy())
    assert weights["kernel"].shape == (4, 3)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_half_precision_is_read_as_float32(dtype: str, suffix: str, tmp_path: Path) -> None:
    state = nn.GRU(3, 4, dtype=getattr(torch, dtype)).state_dict()
    found = read(stored(state, tmp_path / f"half{suffix}"))
    kernel = found.modules[0].nodes[0].weights["recurrent_kernel"]
    assert kernel.dtype == np.float32
    wanted = state["weight_hh_l0"].float().numpy()
    np.testing.assert_array_equal(kernel[:, 4:8], wanted[:4].T)  # z, r, h out of r, z, n


@pytest.mark.parametrize("place", [nn.utils, nn.utils.parametrizations])
def test_normalized_weights_are_computed_from_their_parts(place: Any, tmp_path: Path) -> None:
    module = nn.LSTM(4, 3, 2, batch_first=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        for name, dim in [("weight_hh_l0", 0), ("weight_ih_l0", 1), ("weight_hh_l1", 0)]:
            place.weight_norm(module, name, dim=dim)
    for parameter in module.parameters():
        parameter.data.mul_(1.5).add_(0.1)
    x = torch.linspace(-1, 1, 24).reshape(2, 3, 4)
    found = read(stored({f"rnn.{name}": one for name, one in module.state_dict().items()}, tmp_path / "m.pt"))
    assert not found.other_shapes
    assert str(found.notes[0]).startswith("weights with weight normalization were computed")
    whole = outputs(found, x.numpy())["rnn_l1"]
    np.testing.assert_allclose(whole, module(x)[0].detach().numpy(), atol=1e-5)


def whole_model(path: Path) -> None:
    torch.save(model(), path)


def script(path: Path) -> None:
    torch.jit.script(nn.LSTM(2, 3)).save(str(path))


def pickled(path: Path) -> None:
    path.write_bytes(pickle.dumps({"weights": Path("x")}))


def cut(path: Path) -> None:
    path.write_bytes(stored(model().state_dict(), path).read_bytes()[:-200])


def zipped(entry: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(entry, "hello")

    return write


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (whole_model, "contains Python objects"),
        (script, "is a TorchScript program"),
        (pickled, ""),
        (lambda path: path.write_bytes(b"hello, no model"), ""),
        (lambda path: path.write_bytes(b""), "is empty"),
        (cut, "is a broken or truncated zip file"),
        (zipped("notes.txt"), r"it is a zip file, but not PyTorch's\."),
        (zipped("archive/data.pkl"), r"PyTorch cannot read it \(RuntimeError: .*[a-z…]\)\.\n"),
    ],
)
def test_what_is_no_state_dict_is_refused_with_the_way_out(
    make: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    make(tmp_path / "model.pt")
    with pytest.raises(InputError, match=rf"(?s){said}.*torch\.save\(model\.state_dict\(\)") as caught:
        read(tmp_path / "model.pt")
    assert "KeyError" not in caught.value.what
    assert "(Could" not in caught.value.what
