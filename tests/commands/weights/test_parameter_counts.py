"""Parameters are counted as the framework of the file counts them, and units are those of the layer."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import old_keras as old
import pytest

from rnncli.cli.app import main


def weights_document(capfd: pytest.CaptureFixture[str], path: Path) -> dict[str, Any]:
    assert main(["weights", str(path), "--format", "json"]) == 0
    document: dict[str, Any] = json.loads(capfd.readouterr().out)
    return document


@pytest.mark.parametrize(
    ("module", "options", "units"),
    [
        ("LSTM", {}, [[4]]),
        ("GRU", {"num_layers": 2, "bidirectional": True}, [[4, 4], [4, 4]]),
        ("RNN", {"bias": False}, [[4]]),
        ("LSTM", {"proj_size": 2, "num_layers": 2, "bidirectional": True}, [[4, 4], [4, 4]]),
    ],
)
def test_modules_of_pytorch(
    module: str, options: dict[str, Any], units: list[list[int]], tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    torch = pytest.importorskip("torch")
    made = getattr(torch.nn, module)(3, 4, **options)
    torch.save(made.state_dict(), tmp_path / "m.pt")
    shown = weights_document(capfd, tmp_path / "m.pt")
    assert shown["parameters"] == sum(tensor.numel() for tensor in made.parameters())
    assert [layer["units"] for layer in shown["layers"]] == units
    assert shown["parameters"] == sum(layer["parameters"] for layer in shown["layers"])


@pytest.mark.parametrize("graph", [True, False])
@pytest.mark.parametrize(("class_name", "gates"), [("CuDNNLSTM", 4), ("CuDNNGRU", 3)])
def test_both_biases_of_cudnn(
    class_name: str, gates: int, graph: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = {name: value for name, value in old.LOOP.items() if name != "unroll"}
    layer = old.layer(class_name, "fast", units=3, **options)
    layer["config"]["batch_input_shape"] = [None, 5, 2]
    arrays = [*old.of_gates(gates, 2, 3)[:2], *old.drawn((2 * gates * 3,))]
    model = {"class_name": "Sequential", "config": [layer]} if graph else None
    old.write(tmp_path / "m.h5", "2.2.4", model, {"fast": old.pairs(old.names("fast"), arrays)})
    assert weights_document(capfd, tmp_path / "m.h5")["parameters"] == sum(array.size for array in arrays)


def test_arrays_without_names_of_a_framework_are_not_called_pytorch(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "m.npz", a=np.zeros((2, 3)), b=np.zeros(4))
    assert weights_document(capfd, tmp_path / "m.npz")["origin"] is None
    assert main(["weights", str(tmp_path / "m.npz")]) == 0
    assert "recurrent layers: 0 · no graph" in capfd.readouterr().out.splitlines()
