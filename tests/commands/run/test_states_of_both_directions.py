"""The answer of a Bidirectional as the initial state: of one decoder, or of another Bidirectional."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Run

import rnncli as package

INPUTS = np.random.default_rng(0).normal(size=(2, 4, 5)).astype("float32")
BOTH: dict[str, Any] = {"return_sequences": True, "return_state": True}


@pytest.mark.parametrize("suffix", ["json", "npz"])
@pytest.mark.slow
def test_one_decoder_starts_from_both_directions_side_by_side(
    suffix: str, rnncli: Run, tmp_path: Path
) -> None:
    np.save(tmp_path / "x.npy", INPUTS)
    x, states = str(tmp_path / "x.npy"), str(tmp_path / f"states.{suffix}")
    encoder = ("run", x, "-l", "bilstm", "--units", "2", "--return-state", "--seed", "1", "-o", states)
    assert rnncli(*encoder).returncode == 0
    done = rnncli(
        "run", x, "-l", "LSTM(4)", "--initial-state", states, "--seed", "2", "--check", "-f", "json"
    ).success()
    assert "start one layer, side by side" in done.stderr
    both = rnncli(
        "run", x, "-l", "bilstm", "--units", "2", "--initial-state", states, "--seed", "2", "--check"
    ).success()
    assert "start the two directions" in both.stderr
    narrow = rnncli("run", x, "-l", "LSTM(2)", "--initial-state", states).refusal()
    assert "last_hidden_state has shape (2, 4), but the layer needs (2, 2)." in narrow


@pytest.mark.parametrize("layer", ["lstm", "gru"])
def test_the_states_are_those_that_keras_concatenates(layer: str) -> None:
    encoder = package.run(INPUTS, f"bi{layer}", units=2, seed=1, **BOTH)
    names = [name for name in encoder.keys() if "last" in name]  # noqa: SIM118 - iterating gives arrays
    last = {name: encoder[name] for name in names}
    parts = ["hidden", "cell"] if layer == "lstm" else ["hidden"]
    pairs = [[last[f"{way}_last_{part}_state"] for way in ("forward", "backward")] for part in parts]
    joined = [np.concatenate(pair, -1) for pair in pairs]
    decoder: dict[str, Any] = {"units": 4, "seed": 2, **BOTH}
    found = package.run(INPUTS, layer, initial_state=last, **decoder)
    np.testing.assert_array_equal(
        found.hidden_states, package.run(INPUTS, layer, initial_state=joined, **decoder).hidden_states
    )
