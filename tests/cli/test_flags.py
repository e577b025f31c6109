"""What a flag does beside a document, and a flag that could do nothing is refused."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from command import Completed, Run

from rnncli.cli import catalog
from rnncli.cli.flags import load
from rnncli.commands.tour.command_line import CommandLine

INLINE = "[[[0.5, -1.0], [2.0, 0.25]]]"
ARRAY = [[[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]]


def outputs(done: Completed) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    return {tensor["name"]: tensor["values"] for tensor in json.loads(done.stdout)["outputs"]}


def case(**more: Any) -> str:
    return json.dumps({"inputs": ARRAY, "seed": 3, **more})


def config(done: Completed) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["layer"][0]
    return found


def test_a_mask_value_takes_the_place_of_the_documents_mask(rnncli: Run) -> None:
    with_mask, bare = case(mask=[[False, True, True]]), case()
    flag = ("run", "--mask-value", "3", "-f", "json")
    assert outputs(rnncli(*flag, with_mask)) == outputs(rnncli(*flag, bare))
    assert outputs(rnncli(*flag, bare)) != outputs(rnncli("run", "-f", "json", bare))
    assert outputs(rnncli("run", with_mask, "-f", "json")) != outputs(rnncli("run", bare, "-f", "json"))


def test_pad_leaves_the_mask_of_what_needs_no_padding(rnncli: Run) -> None:
    text = case(mask=[[False, True, True]])
    assert outputs(rnncli("run", "--pad", "post", "-f", "json", text)) == outputs(
        rnncli("run", "-f", "json", text)
    )


@pytest.mark.parametrize("name", ["return_state", "go_backwards", "stateful", "zero_output_for_mask"])
def test_what_a_document_turns_on_a_flag_turns_off(rnncli: Run, name: str) -> None:
    text = case(layer=f"LSTM(2, {name}=True)")
    assert config(rnncli("run", text, "-f", "json"))["config"][name] is True
    done = rnncli("run", text, "-f", "json", f"--no-{name.replace('_', '-')}")
    assert config(done)["config"][name] is False


@pytest.mark.parametrize("layer", ["bilstm", "Bidirectional(LSTM(3))"])
def test_no_bidirectional_takes_the_layer_out(rnncli: Run, layer: str) -> None:
    done = rnncli("run", case(layer=layer), "-f", "json", "--no-bidirectional")
    assert config(done)["class_name"] == "LSTM"


@pytest.mark.slow
def test_no_training_wins_over_the_document(rnncli: Run) -> None:
    text = case(layer="LSTM(4, dropout=0.5)", training=True)
    off = outputs(rnncli("run", text, "-f", "json", "--no-training"))
    assert off == outputs(rnncli("run", case(layer="LSTM(4, dropout=0.5)"), "-f", "json"))
    assert off != outputs(rnncli("run", text, "-f", "json", "--engine", "tensorflow"))


def test_standard_input_has_one_reader(rnncli: Run) -> None:
    done = rnncli("run", "--mask", "-", input="[[true, false]]")
    assert done.returncode == 2
    assert done.stderr.startswith("rnncli: standard input is already the input; --mask cannot")


def test_a_mask_from_standard_input_beside_a_named_input(rnncli: Run) -> None:
    more = ("run", INLINE, "--seed", "1", "-f", "json", "--mask")
    assert outputs(rnncli(*more, "-", input="[[true, false]]")) == outputs(rnncli(*more, "[[true, false]]"))


def test_a_command_line_as_text_reads_no_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"[[[1]]]")))
    assert CommandLine.parse("rnncli run --seed 1").case().inputs.shape == (1, 4, 5)


def test_hyphens_go_for_underscores(rnncli: Run) -> None:
    done = rnncli("run", "-l", "simple-rnn", "-f", "json", "--seed", "1")
    assert config(done)["class_name"] == "SimpleRNN"


@pytest.mark.parametrize(
    "shape", ["99999999999,9999999999,9999999999", "None,None,None", "batch,é,4", "1,1,1"]
)
def test_shapes_of_any_size(rnncli: Run, shape: str) -> None:
    done = rnncli("shape", "--input-shape", shape, "-f", "json", "--units", "2147483647")
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)


@pytest.mark.parametrize("command", catalog.names())
def test_q_is_quiet_everywhere(command: str) -> None:
    flags = [flag for param in load(command).params for flag in param.opts]
    assert flags.count("-q") == flags.count("--quiet") == 1


def test_q_leaves_the_notes_out(rnncli: Run) -> None:
    words = ("run", "[[1, 2], [3, 4]]", "--seed", "1")
    noted, quiet = rnncli(*words), rnncli(*words, "-q")
    assert "rnncli: note: " in noted.stderr
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, noted.stdout, "")


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("report", ["--calls 2", "--engine torch"]),
        ("export --to numpy", ["--calls 2", "--engine torch"]),
        ("gradients", ["--calls 2"]),
        ("weights -l lstm", ["--calls 2", "--engine torch", "--training"]),
        ("matrix", ["--return-state", "--return-sequences"]),
    ],
)
def test_the_help_lists_only_what_a_command_takes(rnncli: Run, command: str, flags: list[str]) -> None:
    words = command.split()
    listed = rnncli(words[0], "--help-all").stdout
    for flag in flags:
        done = rnncli(*words, *flag.split())
        assert (done.returncode, done.stdout) == (2, ""), flag
        name = flag.split()[0].removeprefix("--")
        assert not re.search(rf"--(\[no-\])?{name}\b(?!-)", listed), flag
