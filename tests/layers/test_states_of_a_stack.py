"""A lower layer passes on only its output; --return-state is for the last layer, or for all layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import oracle
import pytest
from printed_tensors import run_script

import rnncli
from rnncli import specs
from rnncli.cli.app import main

keras = oracle.keras
X = np.random.default_rng(0).standard_normal((2, 4, 3)).astype("float32")
STACKS = (
    ["LSTM(4, return_state=True)", "Dense(1)"],
    ["LSTM(4, return_sequences=True, return_state=True)", "LSTM(2, return_state=True)"],
    ["Bidirectional(GRU(2, return_sequences=True, return_state=True))", "Dropout(0.5)", "GRU(2)"],
)
REFUSES = "Keras's Sequential refuses this stack: it passes the states of layer 0"
MADE = ("--input-shape", "1,4,3")


@pytest.mark.slow
@pytest.mark.parametrize("layers", STACKS)
def test_the_layer_above_gets_what_it_gets_in_a_functional_model(layers: list[str]) -> None:
    result = rnncli.run(X, layers, seed=1, check=True)
    keras.utils.set_random_seed(1)
    first, *above = oracle.make_layers(*layers)
    given = keras.Input((4, 3))
    x = first(given)[0]
    for layer in above:
        x = layer(x)
    theirs = keras.tree.flatten(keras.Model(given, x)(X))
    for output, values in zip(result.outputs, theirs, strict=True):
        np.testing.assert_allclose(output.values, values, rtol=0, atol=1e-6)
    with pytest.raises((ValueError, TypeError)):
        keras.Sequential(oracle.make_layers(*layers))(X)
    assert [text for text in result.remarks if str(text).startswith(REFUSES)]
    assert "check: compared with a functional model of these layers in Keras" in result.remarks


@pytest.mark.parametrize(
    "layers",
    [
        ["LSTM(4, return_sequences=True)", "LSTM(2, return_state=True)"],
        ["LSTM(4, return_state=True)"],
        ["LSTM(4, return_state=True)", "Dropout(0.5)"],  # Sequential takes this one
    ],
)
def test_a_stack_that_sequential_takes_has_no_note(layers: list[str]) -> None:
    assert not [text for text in rnncli.run(X, layers).remarks if "Sequential" in str(text)]


@pytest.mark.parametrize(
    "command",
    ["run", "shape", "trace", "compare --engines numpy,torch", "explain hidden_state[0,0]", "gradients"],
)
def test_every_command_says_that_sequential_refuses_the_stack(
    command: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([*command.split(), *MADE, "-l", STACKS[1][0], "-l", "LSTM(2)"]) == 0
    assert f"{REFUSES} (LSTM) on to LSTM; here LSTM gets only the output" in capfd.readouterr().err


FLAGS: list[tuple[tuple[Any, ...], dict[str, Any], list[str]]] = [
    (("lstm", "gru"), {}, ["LSTM(3, return_sequences=True)", "GRU(3, return_state=True)"]),
    (("LSTM(3)", "GRU(3)"), {}, ["LSTM(3)", "GRU(3, return_state=True)"]),
    (
        ("lstm", "gru"),
        {"all_layers": True},
        ["LSTM(3, return_sequences=True, return_state=True)", "GRU(3, return_state=True)"],
    ),
    (
        ("LSTM(3)", "Dense(1)"),
        {"all_layers": True},
        ["LSTM(3, return_state=True)", "Dense(1)"],
    ),
]


@pytest.mark.parametrize(("layers", "options", "expected"), FLAGS)
def test_the_flag_is_for_the_last_layer(layers: Any, options: Any, expected: list[str]) -> None:
    flags = {"return_state": True}
    assert list(map(specs.describe, specs.from_flags(layers, flags, **options))) == expected
    configs = list(specs.from_flags([], flags, list(layers), **options))
    assert configs == [specs.build(text) for text in expected]


def test_all_layers_makes_the_flag_one_for_every_layer(capfd: pytest.CaptureFixture[str]) -> None:
    words = ["-l", "lstm", "-l", "gru", "--return-state", "-f", "json", "--quiet"]
    for command in ("run", "shape"):
        for more, count in (([], 2), (["--all-layers"], 5)):
            assert main([command, *MADE, *words, *more]) == 0
            assert len(json.loads(capfd.readouterr().out)["outputs"]) == count
    options: Any = {"return_state": True}
    assert len(rnncli.run(X, ["lstm", "gru"], **options)) == 2
    assert len(rnncli.run(X, ["lstm", "gru"], all_layers=True, **options)) == 5


def test_a_last_layer_without_a_state_refuses_the_flag(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["run", *MADE, "-l", "lstm", "-l", "Dense(1)", "--return-state"]) == 2
    shown = capfd.readouterr()
    assert (shown.out, "--return-state is for the last layer, and Dense has no state." in shown.err) == (
        "",
        True,
    )
    assert main(["run", *MADE, "-l", "LSTM(3, return_state=True)", "-l", "Dense(1)"]) == 0  # as it advises
    assert main(["run", *MADE, "-l", "lstm", "-l", "Dense(1)", "--return-state", "--all-layers"]) == 0


def test_an_exported_script_calls_the_layers_one_by_one(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = [*MADE, "--seed", "1", "-l", STACKS[0][0], "-l", STACKS[0][1]]
    assert main(["export", "--to", "keras", *words]) == 0
    script = tmp_path / "script.py"
    script.write_text(capfd.readouterr().out)
    *_, last = run_script(script).values()
    assert main(["run", *words, "-f", "json"]) == 0
    expected = json.loads(capfd.readouterr().out)["outputs"][0]["values"]
    np.testing.assert_allclose(last, expected, rtol=1e-5)
