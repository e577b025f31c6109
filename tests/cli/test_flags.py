"""What a flag does beside a document, and a flag that could do nothing is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command import Completed, Run

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
    assert outputs(rnncli("run", with_mask, "-f", "json")) != outputs(rnncli("run", bare, "-f", "json"))


def test_padding_takes_the_place_of_the_documents_mask(rnncli: Run) -> None:
    ragged = [[[1.0], [2.0]], [[3.0]]]
    flag = ("run", "--pad", "post", "--seed", "1", "-f", "json")
    masked = rnncli(*flag, json.dumps({"inputs": ragged, "mask": [[False, True], [True, True]]}))
    assert outputs(masked) == outputs(rnncli(*flag, json.dumps(ragged)))


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


def test_no_training_wins_over_the_document(rnncli: Run) -> None:
    text = case(layer="LSTM(4, dropout=0.5)", training=True)
    off = outputs(rnncli("run", text, "-f", "json", "--no-training"))
    assert off == outputs(rnncli("run", case(layer="LSTM(4, dropout=0.5)"), "-f", "json"))
    assert off != outputs(rnncli("run", text, "-f", "json", "--engine", "tensorflow"))


REFUSED = [
    (["run", "--return-seq"], "no flag --return-seq.", "Did you mean --return-sequences?"),
    (["run", "--no-retrun-state"], "no flag --no-retrun-state.", "Did you mean --no-return-state?"),
    (["run", "--no-quiet"], "no flag --no-quiet.", "`rnncli run --help`"),
    (["run", "--activation", "foo"], "--activation: there is no activation 'foo'.", "and 22 more."),
    (["run", "--activation", ""], "--activation: it is empty.", ""),
    (["run", "--kernel-initializer", "foo"], "--kernel-initializer: there is no initializer", " more."),
    (["run", "--units", "0"], "--units: 0 is not a whole number above 0.", ""),
    (
        ["run", "-l", "LSTM(3, return_sequences=False)", "--return-sequences"],
        "--return-sequences conflicts with return_sequences=False",
        "  LSTM(3, return_sequences=False)\n          ^^^^^^^^^^^^^^^^\nLeave one of them out.",
    ),
    (["run", "-l", "@lstm.json", "--units", "4"], "--units 4 conflicts with units=3 in the config of", ""),
    (["run", "-l", "Bidirectional(LSTM(3))", "--no-bidirectional"], "conflicts with Bidirectional(", ""),
    (["run", "-l", "bilstm", "--no-bidirectional"], "--no-bidirectional: bilstm is", "--layer LSTM"),
    (["run", "-l", "@layer.json"], "layer.json: there is no layer 'LSTN'.", "Did you mean"),
    (["run", "document.json"], "document.json: LSTM has no argument 'unit'.", "Did you mean units?"),
    (["run", "-l", "LSTMCell(4)"], "LSTMCell is a cell", "RNN(LSTMCell(4))"),
    (["run", "LSTM(3)"], "LSTM(3): there is no such file.", "--layer 'LSTM(3)'"),
    (["run", "simple-rnn"], "simple-rnn: there is no such file.", "--layer simple-rnn"),
    (["run", "-o", ""], "--output: the file name is empty.", ""),
    (["run", "-o", "."], ".: it is a folder.", "Name a file in it."),
    (["run", "-f", "json", "-o", "."], ".: it is a folder.", "Name a file in it."),
    (
        ["run", "-o", "new.json/"],
        "new.json/: a name that ends with / names a folder.",
        "Remove the / at the end.",
    ),
    (["run", "-o", "new"], "new: it has no suffix, so its format is not known.", "Use one of .csv"),
    (["run", "-o", "new.doc"], "new.doc: no format has the suffix .doc.", "Use one of .csv"),
    (["plot", "-o", "new.doc"], "new.doc: plot cannot write .doc.", "Use .png, .svg or .pdf."),
    (["plot", "-o", ""], "--output: the file name is empty.", ""),
    (
        ["run", INLINE, "--batch-column", "a"],
        "--batch-column applies to CSV, but the command line is json.",
        "",
    ),
    (
        ["run", "sentence", "--delimiter", ";"],
        "--delimiter applies to CSV, but the sample sentence is json.",
        "",
    ),
    (
        ["run", "--input-shape", "1,2,3", "--delimiter", ";"],
        "--delimiter applies to an input that is read",
        "",
    ),
    (["run", "--atol", "1"], "--atol needs --check or --expect.", "Add --check."),
    (["trace", "--rtol", "1"], "--rtol needs --check or --expect.", "Add --check."),
    (["run", "--check", "--atol", "nan"], "--atol nan: a tolerance must be a finite number.", ""),
    (["run", "--check", "--rtol", "inf"], "--rtol inf: a tolerance must be a finite number.", ""),
    (["matrix", "--return-sequences"], "matrix does not take --return-sequences", "rnncli run"),
    (["matrix", "--no-return-state"], "matrix does not take --no-return-state", "rnncli run"),
    (["run", "--weights", '{"kernel": [[1]]}', "--bias-initializer", "ones"], "--weights supplies every", ""),
    (["samples", "sensors", "-f", "json"], "--format json: the sample sensors is csv", "-o sensors.csv"),
    (["samples", "sensors", "-o", "se.json"], "--output se.json: the sample sensors is csv", ""),
    (["run", "-", "--mask", "-"], "- is given twice, for INPUT and --mask", "into a file"),
    (["run", "--weights", "-", "--initial-state", "-"], "for --weights and --initial-state", ""),
    (["run", "-l", "@-", "-"], "- is given twice, for INPUT and --layer @-", ""),
]


@pytest.mark.parametrize(("args", "what", "advice"), REFUSED, ids=[" ".join(args) for args, _, _ in REFUSED])
def test_what_cannot_be_meant_is_refused(
    args: list[str], what: str, advice: str, capfd: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from rnncli.cli.app import main

    monkeypatch.chdir(tmp_path)
    (tmp_path / "layer.json").write_text('{"class_name": "LSTN", "config": {"units": 3}}')
    (tmp_path / "lstm.json").write_text('{"class_name": "LSTM", "config": {"units": 3}}')
    (tmp_path / "document.json").write_text(case(layer="LSTM(unit=3)"))
    assert main(args) == 2
    streams = capfd.readouterr()
    assert streams.out == ""
    assert what in streams.err
    assert advice in streams.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["document.json", "layer.json", "lstm.json"]


def test_standard_input_has_one_reader(rnncli: Run) -> None:
    done = rnncli("run", "--mask", "-", input="[[true, false]]")
    assert done.returncode == 2
    assert done.stderr.startswith("rnncli: standard input is already the input; --mask cannot")


def test_a_mask_from_standard_input_beside_a_named_input(rnncli: Run) -> None:
    more = ("run", INLINE, "--seed", "1", "-f", "json", "--mask")
    assert outputs(rnncli(*more, "-", input="[[true, false]]")) == outputs(rnncli(*more, "[[true, false]]"))


def test_an_engine_that_does_not_exist_is_refused(rnncli: Run) -> None:
    done = rnncli("run", "--engine", "torhc")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Did you mean torch?" in done.stderr


def test_hyphens_go_for_underscores(rnncli: Run) -> None:
    done = rnncli("run", "-l", "simple-rnn", "-f", "json", "--seed", "1")
    assert config(done)["class_name"] == "SimpleRNN"


def test_a_sample_in_its_own_format(rnncli: Run, tmp_path: Path) -> None:
    assert rnncli("samples", "sentence", "-f", "json").stdout == rnncli("samples", "sentence").stdout
    assert rnncli("samples", "sensors", "-o", str(tmp_path / "se.csv")).returncode == 0


@pytest.mark.parametrize(
    "shape", ["99999999999,9999999999,9999999999", "None,None,None", "batch,é,4", "1,1,1"]
)
def test_shapes_of_any_size(rnncli: Run, shape: str) -> None:
    done = rnncli("shape", "--input-shape", shape, "-f", "json", "--units", "2147483647")
    assert done.returncode == 0, done.stderr
    json.loads(done.stdout)


def test_hyphens_in_a_comparison_of_gradients(rnncli: Run) -> None:
    more = ("gradients", "--seed", "1", "-f", "json", "--against")
    assert rnncli(*more, "simple-rnn").stdout == rnncli(*more, "simple_rnn").stdout != ""
