"""What a flag does beside a document, `--hold`, and a flag that could do nothing is refused."""

import csv
import io
import json
import re
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
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
    said = rnncli("run", "--mask", "-", input="[[true, false]]").refusal()
    assert said.startswith("rnncli: standard input is already the input; --mask cannot")


def test_a_mask_from_standard_input_beside_a_named_input(rnncli: Run) -> None:
    more = ("run", INLINE, "--seed", "1", "-f", "json", "--mask")
    assert outputs(rnncli(*more, "-", input="[[true, false]]")) == outputs(rnncli(*more, "[[true, false]]"))


def test_a_command_line_as_text_reads_no_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"[[[1]]]")))
    assert CommandLine.parse("rnncli run --seed 1").case().inputs.shape == (1, 4, 5)


def test_hyphens_go_for_underscores(rnncli: Run) -> None:
    assert config(rnncli("run", "-l", "simple-rnn", "-f", "json", "--seed", "1"))["class_name"] == "SimpleRNN"


@pytest.mark.parametrize(
    "shape", ["99999999999,9999999999,9999999999", "None,None,None", "batch,é,4", "1,1,1"]
)
def test_shapes_of_any_size(rnncli: Run, shape: str) -> None:
    rnncli("shape", "--input-shape", shape, "-f", "json", "--units", "2147483647").answer()


@pytest.mark.parametrize("command", catalog.names())
def test_q_is_quiet_everywhere(command: str) -> None:
    flags = [flag for param in load(command).params for flag in param.opts]
    assert flags.count("-q") == flags.count("--quiet") == 1


def test_q_leaves_the_notes_out(rnncli: Run) -> None:
    words = ("run", "[[1, 2], [3, 4]]", "--seed", "1")
    noted, quiet = rnncli(*words), rnncli(*words, "-q")
    assert "rnncli: note: " in noted.stderr
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, noted.stdout, "")


@pytest.mark.parametrize(("command", "flags"), [
    ("report", ["--calls 2", "--engine torch"]),
    ("export --to numpy", ["--calls 2", "--engine torch"]),
    ("gradients", ["--calls 2"]),
    ("weights -l lstm", ["--calls 2", "--engine torch", "--training"]),
    ("matrix", ["--return-state", "--return-sequences"]),
])  # fmt: skip
def test_the_help_lists_only_what_a_command_takes(rnncli: Run, command: str, flags: list[str]) -> None:
    words = command.split()
    listed = rnncli(words[0], "--help-all").stdout
    for flag in flags:
        rnncli(*words, *flag.split()).refusal()
        name = flag.split()[0].removeprefix("--")
        assert not re.search(rf"--(\[no-\])?{name}\b(?!-)", listed), flag


HOLD = ["--hold", "forget[:, 1]=1@2:", "--seed", "1", "--quiet"]


def document(rnncli: Run, *args: str) -> dict[str, Any]:
    return dict(rnncli(*args, "-f", "json").answer())


def test_run_shows_what_is_held_and_the_difference(rnncli: Run) -> None:
    shown = rnncli("run", *HOLD).success().stdout
    assert "held: forget[:, 1]=1@2:" in shown
    assert "largest difference from the run without --hold" in shown
    assert "--hold 없이 실행한 값과의 최대 차이" in rnncli("run", *HOLD, "--lang", "ko").success().stdout
    held, plain = document(rnncli, "run", *HOLD), document(rnncli, "run", "--seed", "1", "--quiet")
    assert held["hold"] == ["forget[:, 1]=1@2:"]
    assert "hold" not in plain
    both = zip(held["outputs"][0]["values"][0], plain["outputs"][0]["values"][0], strict=True)
    assert held["differences"]["hidden_state"] == pytest.approx(max(abs(a - b) for a, b in both))


@pytest.mark.parametrize("format", ["table", "markdown", "html", "svg"])
def test_trace_marks_held_entries(format: str, rnncli: Run) -> None:
    shown = (
        rnncli("trace", *HOLD, "--full", "-f", format)
        .success()
        .stdout.replace("&#160;", " ")
        .replace("\\", "")
    )
    assert shown.count("1.0000*") == 2
    assert "forget[:, 1]=1@2:" in shown
    assert "*" not in rnncli("trace", "--seed", "1", "--quiet", "-f", "table").success().stdout


def test_trace_marks_bars_and_what_is_kept(rnncli: Run) -> None:
    assert "1.0000*" in rnncli("trace", *HOLD, "--unit", "1", "--step", "3").success().stdout
    assert "1.0000*" not in rnncli("trace", *HOLD, "--unit", "1", "--step", "0").success().stdout
    lines = rnncli("trace", *HOLD, "--width", "60").success().stdout.splitlines()
    assert any("*" in line and line.startswith("2") for line in lines)


def test_trace_says_in_json_what_is_held(rnncli: Run) -> None:
    found = document(rnncli, "trace", *HOLD)
    assert found["hold"] == ["forget[:, 1]=1@2:"]
    gates = [step["gates"] for step in found["trace"]]
    assert [gate["forget"]["held"] for gate in gates] == [[False] * 3] * 2 + [[False, True, False]] * 2
    assert all("held" not in gate["input"] for gate in gates)


def test_trace_marks_held_entries_in_a_csv_column_of_its_own(rnncli: Run) -> None:
    rows = list(csv.DictReader(StringIO(rnncli("trace", *HOLD, "-f", "csv").success().stdout)))
    held = [(row["timestep"], row["unit"], row["quantity"]) for row in rows if row["held"] == "1"]
    assert held == [("2", "1", "forget.activation"), ("3", "1", "forget.activation")]
    assert {row["held"] for row in rows} == {"0", "1"}
    output = rnncli("trace", "--seed", "1", "--hold", "output=1", "-f", "csv").success().stdout
    rows = list(csv.DictReader(StringIO(output)))
    assert {row["quantity"] for row in rows if row["held"] == "1"} == {"output.activation"}
    plain = rnncli("trace", "--seed", "1", "--quiet", "-f", "csv").success().stdout
    assert "held" not in plain.splitlines()[0]
    only = rnncli("trace", *HOLD, "--gate", "input", "-f", "csv").success().stdout
    assert {row["held"] for row in csv.DictReader(StringIO(only))} == {"0"}


@pytest.mark.parametrize("format", ["json", "npz"])
def test_a_stored_held_trace_is_compared(format: str, tmp_path: Path, rnncli: Run) -> None:
    file = str(tmp_path / f"trace.{format}")
    rnncli("trace", "sentence", *HOLD, "-o", file).success()
    rnncli("trace", "sentence", *HOLD, "--expect", file).success()
    if format == "npz":
        assert np.load(file)["forget/held"].tolist() == [[0, 0, 0]] * 2 + [[0, 1, 0]] * 2
    other = ["--hold", "forget[:, 1]=1@1:", "--seed", "1", "--quiet"]
    done = rnncli("trace", "sentence", *other, "--expect", file)
    assert done.returncode == 1
    assert "differs" in done.stderr


def test_explain_shows_a_held_gate_instead_of_its_equation(rnncli: Run) -> None:
    shown = rnncli("explain", "last_cell_state[0,1]", *HOLD).success().stdout
    assert "forget  held at 1.0000" in shown
    assert "forget = sigmoid" not in shown
    free = document(rnncli, "explain", "last_cell_state[0,1]", "--seed", "1", "--quiet")["explanation"]
    found = document(rnncli, "explain", "last_cell_state[0,1]", *HOLD)["explanation"]
    assert found["without_hold"] == free["value"] != found["value"]
    assert [equation["name"] for equation in found["equations"] if equation.get("held")] == ["forget"]
    cell = found["equations"][0]
    assert sum(term["value"] for term in cell["terms"]) == pytest.approx(found["value"], abs=1e-6)
    assert "forget = sigmoid" in rnncli("explain", "last_cell_state[0,0]", *HOLD).success().stdout
    simple = (
        rnncli("explain", "hidden_state[0,0]", "-l", "simple_rnn", "--hold", "candidate=0.5").success().stdout
    )
    assert "held at 0.5000" in simple
