"""PyTorch files as training scripts leave them: with objects, dropped weights, and cells of their own."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command import Run

X = torch.linspace(-1, 1, 24).reshape(2, 3, 4)


@pytest.fixture
def lstm() -> Any:
    torch.manual_seed(5)
    return torch.nn.LSTM(4, 5, batch_first=True)


def first_tensor(rnncli: Run, file: Path) -> np.ndarray:
    done = rnncli("run", json.dumps(X.tolist()), "--model", str(file), "-f", "json")
    assert done.returncode == 0, done.stderr
    return np.array(json.loads(done.stdout)["outputs"][0]["values"])


def state_dict_of(prefix: str, layer: Any) -> dict[str, Any]:
    return {f"{prefix}{name}": tensor for name, tensor in layer.state_dict().items()}


def test_objects_beside_the_state_dict_are_passed_over(rnncli: Run, tmp_path: Path, lstm: Any) -> None:
    found = {"args": argparse.Namespace(lr=1e-3), "best": np.float64(0.5), "curve": np.ones(3)}
    torch.save({**found, "state_dict": state_dict_of("net.rnn.", lstm)}, tmp_path / "m.pt")
    values = first_tensor(rnncli, tmp_path / "m.pt")
    np.testing.assert_allclose(values, lstm(X)[0].detach().numpy(), atol=1e-5)


def test_a_weight_that_is_an_object_is_not_left_out(rnncli: Run, tmp_path: Path, lstm: Any) -> None:
    torch.save({**state_dict_of("rnn.", lstm), "rnn.bias_hh_l0": np.ones(20)}, tmp_path / "m.pt")
    done = rnncli("run", json.dumps(X.tolist()), "--model", str(tmp_path / "m.pt"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "rnn.bias_hh_l0 is a Python object" in done.stderr


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
    done = rnncli("run", json.dumps(X.tolist()), "--model", str(tmp_path / "m.pt"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "a: it has more weights than such a layer of PyTorch: a.layernorm_i.weight" in done.stderr
    assert rnncli("run", json.dumps(X.tolist()), "--model", f"{tmp_path / 'm.pt'}#b").returncode == 0


@pytest.mark.parametrize("path", ["", "rnn."])
@pytest.mark.slow
def test_a_bias_in_parts_is_not_left_out(rnncli: Run, tmp_path: Path, lstm: Any, path: str) -> None:
    """As pruning saves it, and parametrizations."""
    saved = state_dict_of(path, lstm)
    bias = saved.pop(f"{path}bias_ih_l0")
    for parts in ("bias_ih_l0_orig", "bias_ih_l0_mask"), ("parametrizations.bias_ih_l0.original",):
        torch.save(saved | {f"{path}{part}": bias for part in parts}, tmp_path / "m.pt")
        done = rnncli("run", json.dumps(X.tolist()), "--model", str(tmp_path / "m.pt"))
        assert (done.returncode, done.stdout) == (2, "")
        assert "it has more weights than such a layer of PyTorch: " in done.stderr
        assert f"{path}{parts[0]}" in done.stderr


@pytest.mark.slow
def test_the_layer_that_is_named_fits_the_input(rnncli: Run, tmp_path: Path, lstm: Any) -> None:
    wide = torch.nn.LSTM(9, 2)
    torch.save({**state_dict_of("wide.", wide), **state_dict_of("fits.", lstm)}, tmp_path / "m.pt")
    done = rnncli("run", json.dumps(X.tolist()), "--model", str(tmp_path / "m.pt"))
    assert f"{tmp_path / 'm.pt'}#fits (" in done.stderr


@pytest.mark.slow
def test_a_tensor_without_numbers_is_refused(rnncli: Run, tmp_path: Path, lstm: Any) -> None:
    torch.save(lstm.to("meta").state_dict(), tmp_path / "m.pt")
    done = rnncli("weights", str(tmp_path / "m.pt"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "weight_ih_l0 has no data" in done.stderr
