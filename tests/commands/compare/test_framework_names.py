"""`--expect` with the names that PyTorch gives to what it returns, and with one tensor without a name."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run

pytestmark = pytest.mark.usefixtures("files_are_read_here")


def write(
    folder: Path, class_name: str, *, lengths: tuple[int, ...] = (), bidirectional: bool = False
) -> None:
    """Write the input, the weights and what PyTorch returned.  lengths: of packed sequences."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    module = getattr(torch.nn, class_name)(5, 4, batch_first=True, bidirectional=bidirectional)
    x = torch.randn(3, 6, 5)
    for row, length in zip(x, lengths, strict=False):
        row[length:] = 0
    if lengths:
        pack = torch.nn.utils.rnn.pack_padded_sequence
        packed, last = module(pack(x, lengths, batch_first=True, enforce_sorted=False))
        output, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    else:
        output, last = module(x)
    states = {"h_n": last[0], "c_n": last[1]} if class_name == "LSTM" else {"h_n": last}
    tensors = {name: one.detach().numpy() for name, one in {"output": output, **states}.items()}
    np.save(folder / "x.npy", x.numpy())
    np.savez(folder / "y.npz", **tensors)
    for name, array in tensors.items():
        np.save(folder / f"{name}.npy", array)
    torch.save(module.state_dict(), folder / "w.pt")


def compare(rnncli: Run, folder: Path, *args: str, expect: str = "y.npz") -> tuple[dict[str, str], str]:
    """Return the verdict of each tensor, and what is said on stderr."""
    done = rnncli("compare", "x.npy", *args, "--expect", expect, "-f", "json", cwd=folder)
    assert done.returncode in (0, 1), done.stderr
    rows: Any = json.loads(done.stdout)["comparisons"]
    return {row["name"]: row["verdict"] for row in rows}, done.stderr


@pytest.mark.parametrize("class_name", ["LSTM", "GRU"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_names_of_pytorch(class_name: str, bidirectional: bool, rnncli: Run, tmp_path: Path) -> None:
    write(tmp_path, class_name, bidirectional=bidirectional)
    layer = [
        *("-l", f"{class_name}(4)", "--weights", "w.pt"),
        *(["--bidirectional"] if bidirectional else []),
    ]
    ways = ("forward_", "backward_") if bidirectional else ("",)
    parts = ("hidden", "cell") if class_name == "LSTM" else ("hidden",)
    states = [f"{way}last_{part}_state" for way in ways for part in parts]
    verdicts, said = compare(rnncli, tmp_path, *layer, "--return-sequences", "--return-state")
    assert verdicts == dict.fromkeys(["hidden_states", *states], "same")
    assert "y.npz: output is compared with hidden_states" in said
    verdicts, _ = compare(rnncli, tmp_path, "--model", "w.pt", "--return-state")
    assert verdicts == {f"{class_name.lower()}/{name}": "same" for name in ("hidden_states", *states)}
    np.savez(tmp_path / "h.npz", h_n=np.load(tmp_path / "h_n.npy"))
    verdicts, _ = compare(rnncli, tmp_path, *layer, expect="h.npz")
    assert verdicts == {"hidden_state": "same"}
    for way in ("trace", "run"):  # which take the same file
        assert (
            rnncli(way, "x.npy", *layer, "--expect", "h.npz", cwd=tmp_path).returncode == (way == "trace") * 2
        )


def test_a_sequence_without_a_batch(rnncli: Run, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    module, x = torch.nn.GRU(5, 4, bidirectional=True), torch.randn(6, 5)
    output, last = module(x)
    np.save(tmp_path / "x.npy", x.numpy())
    np.savez(tmp_path / "y.npz", output=output.detach().numpy(), h_n=last.detach().numpy())
    torch.save(module.state_dict(), tmp_path / "w.pt")
    verdicts, _ = compare(rnncli, tmp_path, "--model", "w.pt", "--return-state")
    assert set(verdicts.values()) == {"same"}
    assert len(verdicts) == 3


def test_numbers_that_differ_are_a_difference(rnncli: Run, tmp_path: Path) -> None:
    write(tmp_path, "LSTM")
    with np.load(tmp_path / "y.npz") as stored:
        changed = {**stored, "c_n": stored["c_n"] + 0.1}
    np.savez(tmp_path / "y.npz", **changed)
    layer = ("-l", "LSTM(4)", "--weights", "w.pt", "--return-sequences", "--return-state")
    verdicts, _ = compare(rnncli, tmp_path, *layer)
    assert verdicts == {"hidden_states": "same", "last_hidden_state": "same", "last_cell_state": "differs"}


def test_a_tensor_without_a_name_is_found_by_its_shape(rnncli: Run, tmp_path: Path) -> None:
    write(tmp_path, "GRU")
    layer: tuple[str, ...] = ("-l", "GRU(4)", "--weights", "w.pt", "--return-sequences", "--return-state")
    verdicts, said = compare(rnncli, tmp_path, *layer, expect="output.npy")
    assert verdicts == {"hidden_states": "same"}
    assert "output.npy: it has no name, and the shape of hidden_states" in said
    assert compare(rnncli, tmp_path, *layer, expect="h_n.npy")[0] == {"last_hidden_state": "same"}
    write(tmp_path, "GRU", bidirectional=True)
    verdicts, _ = compare(rnncli, tmp_path, *layer, "--bidirectional", expect="h_n.npy")
    assert verdicts == {"forward_last_hidden_state": "same", "backward_last_hidden_state": "same"}
    write(tmp_path, "LSTM")  # whose two states have one shape
    layer = ("-l", "LSTM(4)", "--weights", "w.pt", "--return-sequences", "--return-state")
    done = rnncli("compare", "x.npy", *layer, "--expect", "c_n.npy", cwd=tmp_path).refusal()
    assert "it holds one tensor without a name" in done
    assert done.strip().endswith("Choose one: --select last_hidden_state")
    selected = ("--select", "last_cell_state")
    assert compare(rnncli, tmp_path, *layer, *selected, expect="c_n.npy")[0] == {"last_cell_state": "same"}


def test_masked_rows_that_are_compared_are_said(rnncli: Run, tmp_path: Path) -> None:
    write(tmp_path, "LSTM", lengths=(6, 2, 4))
    layer = (
        "-l", "LSTM(4)", "--weights", "w.pt", "--return-sequences", "--return-state", "--mask-value", "0",
    )  # fmt: skip
    verdicts, said = compare(rnncli, tmp_path, *layer)
    assert verdicts == {"hidden_states": "differs", "last_hidden_state": "same", "last_cell_state": "same"}
    assert "hidden_states: 6 rows of masked steps count, too" in said
    verdicts, said = compare(rnncli, tmp_path, *layer, "--zero-output-for-mask")
    assert verdicts["hidden_states"] == "same"
    assert "6 rows of masked steps count, too" in said
    assert "masked" not in compare(rnncli, tmp_path, *layer[:-2])[1]


def test_the_head_names_the_layers_of_a_file(rnncli: Run, tmp_path: Path) -> None:
    write(tmp_path, "GRU")
    done = rnncli("compare", "x.npy", "--model", "w.pt", "--expect", "y.npz", cwd=tmp_path)
    assert done.stdout.splitlines()[:2] == [
        "GRU(4, return_sequences=True)", "input (3, 6, 5) float32 · engine numpy",
    ]  # fmt: skip


def test_a_framework_with_time_first_stores_time_first(rnncli: Run, tmp_path: Path) -> None:
    """As many sequences as time steps, so that no shape tells the axes apart."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    module = torch.nn.GRU(5, 4)
    x = torch.randn(3, 3, 5)  # (timesteps, batch, features)
    output, last = module(x)
    np.save(tmp_path / "x.npy", x.numpy())
    np.savez(tmp_path / "y.npz", output=output.detach().numpy(), h_n=last.detach().numpy())
    torch.save(module.state_dict(), tmp_path / "w.pt")
    model = ("--model", "w.pt", "--return-sequences", "--return-state")
    verdicts, _ = compare(rnncli, tmp_path, *model, "--assume", "batch_first=false")
    assert verdicts == {"gru/hidden_states": "same", "gru/last_hidden_state": "same"}
    verdicts, _ = compare(rnncli, tmp_path, *model)
    assert verdicts["gru/hidden_states"] != "same"


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("class_name", ["LSTM", "GRU"])
def test_modules_of_several_layers(class_name: str, bidirectional: bool, rnncli: Run, tmp_path: Path) -> None:
    """`output` is of the last layer, `h_n` and `c_n` of every layer and direction."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(3)
    module = getattr(torch.nn, class_name)(5, 4, 2, batch_first=True, bidirectional=bidirectional)
    x = torch.randn(3, 6, 5)
    output, last = module(x)
    states = {"h_n": last[0], "c_n": last[1]} if class_name == "LSTM" else {"h_n": last}
    tensors = {name: one.detach().numpy() for name, one in {"output": output, **states}.items()}
    np.save(tmp_path / "x.npy", x.numpy())
    torch.save(module.state_dict(), tmp_path / "w.pt")
    np.savez(tmp_path / "y.npz", **tensors)
    words = ("--model", "w.pt", "--return-state")
    verdicts, said = compare(rnncli, tmp_path, *words)
    name = class_name.lower()
    parts = ("hidden", "cell") if class_name == "LSTM" else ("hidden",)
    ways = ("forward_", "backward_") if bidirectional else ("",)
    paths = [f"{name}_l{layer}/{way}last_{part}_state" for layer in (0, 1) for way in ways for part in parts]
    assert verdicts == dict.fromkeys([*paths, f"{name}_l1/hidden_states"], "same")
    assert f"y.npz: output is compared with {name}_l1/hidden_states" in said
    np.savez(tmp_path / "y.npz", **tensors | {"h_n": tensors["h_n"][::-1]})
    verdicts, _ = compare(rnncli, tmp_path, *words)
    assert {path for path, verdict in verdicts.items() if verdict == "differs"} == {
        path for path in paths if "hidden" in path
    }
