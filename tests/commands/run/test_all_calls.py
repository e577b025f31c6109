"""What `run` says of its tensors: where a layer stops, what is masked, which of --calls N is shown."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from claims import claim
from command import Run

import rnncli
import rnncli as package
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
    stack = rnncli.run(X, [
        STATEFUL.replace(", return_state=True", ""), "gru",
    ], calls=2, all_calls=True, all_layers=True, stats=True)  # fmt: skip
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


@pytest.mark.parametrize(("flags", "note"), [
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
    (["--calls", "2", "--stateful", "-l", "gru", "--initial-state", "[[[1, 2, 3]]]"],
     "every call restarts from the given initial state; leave it out"),
    ([], ""),
])  # fmt: skip
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


@pytest.mark.parametrize(("flags", "said"), [
    ("", ["forward, last step", "│ backward, read last (t=0)"]),
    ("--merge-mode sum", ["forward, last step", "backward, read last (t=0)"]),
    ("--mask [[true,true,false,false]]", ["forward, last real step", "│ backward, read last (first real)"]),
    ("--return-sequences", ["every time step", "forward │ backward"]),
    ("--merge-mode none --select backward_hidden_state", ["backward, read last (t=0)"]),
    ("--stateful --calls 2", ["forward, last step", "│ backward, read last (t=0)"]),
    ("--all-layers -l bigru", ["layer 1: forward, last step", "│ backward, read last (t=0)"]),
])  # fmt: skip
def test_an_output_says_at_which_time_step_each_layer_stops(rnncli: Run, flags: str, said: list[str]) -> None:
    printed = rnncli("run", "-l", "bigru", *flags.split(), "--units", "2", "--seed", "1", "--quiet").stdout
    assert [row.split("  ")[1] for row in printed.splitlines() if row[2:].startswith(tuple(said))] == said


@pytest.mark.parametrize(("layer", "meaning"), [
    ("LSTM(2)", "hidden state of the last time step"),
    ("LSTM(2, go_backwards=True)", "hidden state of the first time step"),
    ("Bidirectional(LSTM(2))", "hidden state of both layers, each after its last step"),
])  # fmt: skip
def test_json_says_the_same(rnncli: Run, layer: str, meaning: str) -> None:
    for command in (["run"], ["shape"], ["run", "--memory", "1KB"]):
        printed = rnncli(*command, "-l", layer, "--input-shape", "2,4,5", "-f", "json").stdout
        assert json.loads(printed)["outputs"][0]["meaning"] == meaning


def test_the_head_says_which_call_is_shown(rnncli: Run) -> None:
    flags = ["-l", "gru", "--stateful", "--calls", "2", "--quiet"]
    assert rnncli("run", *flags).stdout.splitlines()[2].endswith("engine numpy · call 2 of 2")
    assert rnncli("run", *flags, "--all-calls").stdout.splitlines()[1].endswith("engine numpy · 2 calls")


@pytest.mark.parametrize(("mask", "layer", "said"), [
    ("[[false,true,true,false]]", "gru", "repeats the real step before it, or is 0 if there is none"),
    ("[[true,true,true,false]]", "bigru", "its output is 0."),
])  # fmt: skip
def test_below_the_table_stands_what_masked_means(rnncli: Run, mask: str, layer: str, said: str) -> None:
    printed = rnncli("run", "-l", layer, "--return-sequences", "--mask", mask).stdout
    assert said in " ".join(printed.split())


INPUTS = np.random.default_rng(0).normal(size=(2, 4, 5)).astype("float32")
BOTH: dict[str, Any] = {"return_sequences": True, "return_state": True}


@pytest.mark.parametrize("suffix", ["json", "npz"])
@pytest.mark.slow
def test_a_decoder_starts_from_both_directions_side_by_side(suffix: str, rnncli: Run, tmp_path: Path) -> None:
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
