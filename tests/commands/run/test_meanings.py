"""What run says of its tensors: at which time step a layer stops, which call is shown, what is masked."""

import json

import pytest
from command import Run


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("", ["forward, last step", "│ backward, first step"]),
        ("--merge-mode sum", ["forward, last step", "backward, first step"]),
        ("--mask [[true,true,false,false]]", ["forward, last real step", "│ backward, first real step"]),
        ("--return-sequences", ["every time step", "forward │ backward"]),
        ("--merge-mode none --select backward_hidden_state", ["backward, first step"]),
        ("--stateful --calls 2", ["forward, last step", "│ backward, first step"]),
        ("--all-layers -l bigru", ["layer 1: forward, last step", "│ backward, first step"]),
    ],
)  # fmt: skip
def test_an_output_says_at_which_time_step_each_layer_stops(rnncli: Run, flags: str, said: list[str]) -> None:
    printed = rnncli("run", "-l", "bigru", *flags.split(), "--units", "2", "--seed", "1", "--quiet").stdout
    assert [row.split("  ")[1] for row in printed.splitlines() if row[2:].startswith(tuple(said))] == said


@pytest.mark.parametrize(
    ("layer", "meaning"),
    [
        ("LSTM(2)", "hidden state of the last time step"),
        ("LSTM(2, go_backwards=True)", "hidden state of the first time step"),
        ("Bidirectional(LSTM(2))", "hidden state of both layers, each after its last step"),
    ],
)
def test_json_says_the_same(rnncli: Run, layer: str, meaning: str) -> None:
    for command in (["run"], ["shape"], ["run", "--memory", "1KB"]):
        printed = rnncli(*command, "-l", layer, "--input-shape", "2,4,5", "-f", "json").stdout
        assert json.loads(printed)["outputs"][0]["meaning"] == meaning


def test_the_head_says_which_call_is_shown(rnncli: Run) -> None:
    flags = ["-l", "gru", "--stateful", "--calls", "2", "--quiet"]
    assert rnncli("run", *flags).stdout.splitlines()[1].endswith("engine numpy · call 2 of 2")
    assert rnncli("run", *flags, "--all-calls").stdout.splitlines()[1].endswith("engine numpy · 2 calls")


@pytest.mark.parametrize(
    ("mask", "layer", "said"),
    [
        ("[[false,true,true,false]]", "gru", "repeats the real step before it, or is 0 if there is none"),
        ("[[true,true,true,false]]", "bigru", "its output is 0."),
    ],
)
def test_below_the_table_stands_what_masked_means(rnncli: Run, mask: str, layer: str, said: str) -> None:
    printed = rnncli("run", "-l", layer, "--return-sequences", "--mask", mask).stdout
    assert said in " ".join(printed.split())
