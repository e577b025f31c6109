"""--calls N: every call's tensors with --all-calls, and a note where several calls show nothing new."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from claims import claim

import rnncli
from rnncli.cli.app import main

X = np.random.default_rng(3).normal(size=(2, 4, 3)).astype("float32")
STATEFUL = "LSTM(3, stateful=True, return_sequences=True, return_state=True)"


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str]) -> Any:
    def asked(*args: str, code: int = 0) -> tuple[str, str]:
        assert main(["run", *([] if "--stream" in args else ["sentence"]), "--seed", "1", *args]) == code
        done = capsys.readouterr()
        return done.out, done.err

    return asked


@pytest.mark.parametrize("engine", ["numpy", "tensorflow", "onnx"])
def test_every_call_is_what_keras_returns_at_it(engine: str) -> None:
    if engine == "onnx":
        pytest.importorskip("onnxruntime")
    keras.utils.set_random_seed(5)
    layer = keras.layers.LSTM(3, stateful=True, return_sequences=True, return_state=True)
    result = rnncli.run(X, STATEFUL, seed=5, calls=3, all_calls=True, engine=engine)
    assert len(result) == 9
    for number in (1, 2, 3):
        for name, theirs in zip(
            ("hidden_states", "last_hidden_state", "last_cell_state"), layer(X), strict=True
        ):
            np.testing.assert_allclose(result[f"call {number}/{name}"], theirs.numpy(), rtol=0, atol=1e-6)


def test_a_layer_that_forgets_is_seen_to_return_the_same() -> None:
    result = rnncli.run(X, "gru", seed=1, calls=3, all_calls=True)
    assert [tensor.equals for tensor in result.outputs] == [
        (),
        (claim("call 1/hidden_state"),),
        (claim("call 2/hidden_state"),),
    ]
    stateful = rnncli.run(X, "gru", seed=1, calls=2, all_calls=True, stateful=True)
    assert stateful.outputs[1].equals == ()


def test_claims_stay_within_their_call_and_stacks_keep_their_prefix() -> None:
    stack = rnncli.run(
        X,
        [STATEFUL.replace(", return_state=True", ""), "gru"],
        calls=2,
        all_calls=True,
        all_layers=True,
        stats=True,
    )
    assert stack.keys()[:2] == ("call 1/0/hidden_states", "call 1/1/hidden_state")
    assert set(stack.stats) == set(stack.keys())
    result = rnncli.run(X, STATEFUL, calls=2, all_calls=True)
    assert result.outputs[4].equals == (claim("call 2/hidden_states[:, -1, :]"),)


def test_json_has_calls_beside_the_outputs_of_the_last(ask: Any) -> None:
    flags = ("--stateful", "--calls", "2", "-f", "json")
    plain, every = json.loads(ask(*flags)[0]), json.loads(ask(*flags, "--all-calls")[0])
    assert every["outputs"] == plain["outputs"]
    names = [[output["name"] for output in call["outputs"]] for call in every["calls"]]
    assert names == [["call 1/hidden_state"], ["call 2/hidden_state"]]
    assert every["calls"][1]["outputs"][0]["values"] == plain["outputs"][0]["values"]
    assert "calls" not in plain


def test_select_takes_one_call_or_a_name_in_every_call(ask: Any) -> None:
    flags = ("--stateful", "--return-state", "--calls", "2", "--all-calls", "-f", "csv")
    one = ask(*flags, "--select", "call 1/last_cell_state")[0].splitlines()
    assert {row.partition(",")[0] for row in one[1:]} == {"call 1/last_cell_state"}
    every = ask(*flags, "--select", "last_cell_state")[0].splitlines()
    assert {row.partition(",")[0] for row in every[1:]} == {
        "call 1/last_cell_state",
        "call 2/last_cell_state",
    }


def test_a_stream_shows_every_call_of_every_line(ask: Any, tmp_path: Path) -> None:
    lines = tmp_path / "lines.ndjson"
    lines.write_text("[[[1, 2]]]\n[[[3, 4]]]\n")
    out, _ = ask("--stream", str(lines), "--calls", "2", "--all-calls", "-f", "ndjson")
    first, second = map(json.loads, out.splitlines())
    assert len(first["calls"]) == len(second["calls"]) == 2
    assert second["calls"][1]["outputs"][0]["equals"] == ["call 1/hidden_state"]


def test_many_calls_in_chunks_are_those_of_the_whole() -> None:
    big = np.random.default_rng(0).normal(size=(300, 4, 3)).astype("float32")
    whole = rnncli.run(big, "gru", seed=1, calls=2, all_calls=True, engine="numpy")
    parts = rnncli.run(big, "gru", seed=1, calls=2, all_calls=True, engine="numpy", memory="20K")
    assert whole.keys() == parts.keys()
    np.testing.assert_allclose(whole["call 2/hidden_state"], parts["call 2/hidden_state"], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("flags", "note"),
    [
        (["--stateful"], "stateful has no effect on the first call; add --calls 2"),
        (["-l", "LSTM(3, stateful=True)"], "stateful has no effect on the first call; add --calls 2"),
        (["--calls", "2"], "both calls return the same numbers: only a stateful layer"),
        (["--calls", "2", "--dropout", "0.5"], "both calls return the same numbers: only a stateful layer"),
        (["--calls", "2", "--dropout", "0.5", "--training"], ""),
        (["--dropout", "0.5"], "--dropout has no effect without --training"),
        (["--recurrent-dropout", "0.5"], "--recurrent-dropout has no effect without --training"),
        (["--dropout", "0.5", "--training"], ""),
        (["--dropout", "0"], ""),
        (["--calls", "2", "--stateful"], ""),
        (
            ["--calls", "2", "--stateful", "-l", "gru", "--initial-state", "[[[1, 2, 3]]]"],
            "every call restarts from the given initial state; leave it out",
        ),
        ([], ""),
    ],
)
def test_a_note_says_what_is_missing(flags: list[str], note: str, ask: Any) -> None:
    said = ask(*flags)[1].splitlines()[1:]
    assert len(said) == bool(note)
    assert note in "".join(said)


def test_a_stream_of_a_stateful_layer_misses_nothing(ask: Any, tmp_path: Path) -> None:
    lines = tmp_path / "lines.ndjson"
    lines.write_text("[[[1, 2]]]\n")
    assert ask("--stream", str(lines), "--stateful")[1] == ""
    assert "only a stateful layer keeps its state" in ask("--stream", str(lines), "--calls", "2")[1]
    assert "--dropout has no effect without --training" in ask("--stream", str(lines), "--dropout", "0.5")[1]
