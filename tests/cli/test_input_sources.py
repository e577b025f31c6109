"""Each way in which an input can be given, through the real command."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Completed, Run, print_here

import rnncli as api
from rnncli.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
SENTENCE = ROOT / "samples" / "sentence.json"
INLINE = "[[[0.5, -1.0], [2.0, 0.25]]]"
QUICK = ("--units", "2", "--kernel-initializer", "constant:0.5", "--seed", "3", "-f", "json")
REMARK = "rnncli: note: no input given: using the built-in sample 'sentence' (1, 4, 5)\n"


def answer(done: Completed) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def values(done: Completed) -> Any:
    return answer(done)["outputs"][0]["values"]


@pytest.fixture
def expected(rnncli: Run) -> Any:
    return values(rnncli("run", INLINE, *QUICK))


def tensor() -> Any:
    return np.array(json.loads(INLINE), np.float32)


def write(path: Path) -> Path:
    """INLINE as a file of the format of its suffix."""
    match path.suffix:
        case ".json":
            path.write_text(INLINE)
        case ".ndjson" | ".jsonl":
            path.write_text(json.dumps(json.loads(INLINE)[0]) + "\n")
        case ".csv":
            path.write_text("a,b\n0.5,-1.0\n2.0,0.25\n")
        case ".tsv":
            path.write_text("0.5\t-1.0\n2.0\t0.25\n")
        case ".npy":
            np.save(path, tensor())
        case ".npz":
            np.savez(path, inputs=tensor())
        case ".safetensors":
            from safetensors.numpy import save_file

            save_file({"inputs": tensor()}, path)
    return path


@pytest.mark.parametrize("suffix", ["json", "ndjson", "jsonl", "csv", "tsv", "npy", "npz", "safetensors"])
def test_a_path_is_read_by_its_suffix(rnncli: Run, tmp_path: Path, suffix: str, expected: Any) -> None:
    assert values(rnncli("run", str(write(tmp_path / f"data.{suffix}")), *QUICK)) == expected


def test_input_format_overrides_the_suffix(rnncli: Run, tmp_path: Path, expected: Any) -> None:
    path = write(tmp_path / "data.json").rename(tmp_path / "data.csv")
    assert values(rnncli("run", str(path), "--input-format", "json", *QUICK)) == expected


def test_a_dash_is_standard_input(rnncli: Run, expected: Any) -> None:
    assert values(rnncli("run", "-", *QUICK, input=INLINE)) == expected


@pytest.mark.parametrize("text", [INLINE, f"  {INLINE}", f'{{"inputs": {INLINE}}}'])
def test_json_stands_on_the_command_line(rnncli: Run, text: str, expected: Any) -> None:
    assert values(rnncli("run", text, *QUICK)) == expected


def test_a_pipe_is_read(rnncli: Run, expected: Any) -> None:
    done = rnncli("run", *QUICK, input=INLINE)
    assert values(done) == expected
    assert done.stderr == ""


def test_a_file_on_standard_input_is_read(rnncli: Run, tmp_path: Path, expected: Any) -> None:
    with write(tmp_path / "data.json").open() as stdin:
        assert values(rnncli("run", *QUICK, stdin=stdin)) == expected


def test_a_socket_is_read(rnncli: Run, expected: Any) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(INLINE.encode())
        ours.shutdown(socket.SHUT_WR)
        assert values(rnncli("run", *QUICK, stdin=theirs)) == expected


def test_a_pipe_with_a_name_is_read(shell: Run, expected: Any) -> None:
    line = f"rnncli run <(echo '{INLINE}') {' '.join(QUICK)}"
    assert values(shell(line)) == expected


def test_rows_on_standard_input_are_csv(rnncli: Run, expected: Any) -> None:
    assert values(rnncli("run", *QUICK, input="0.5,-1.0\n2.0,0.25\n")) == expected


@pytest.mark.parametrize("text", ["", " \n"])
@pytest.mark.parametrize("dash", [(), ("-",)])
def test_an_empty_pipe_is_an_error(rnncli: Run, text: str, dash: tuple[str, ...]) -> None:
    done = rnncli("run", *dash, *QUICK, input=text)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("rnncli: standard input: it is empty.")


def test_the_null_device_gives_the_sample(rnncli: Run) -> None:
    done = rnncli("run", *QUICK)
    assert answer(done)["input"]["shape"] == [1, 4, 5]
    assert done.stderr == REMARK
    assert done.stdout == rnncli("run", str(SENTENCE), *QUICK).stdout


def test_a_terminal_gives_the_sample(rnncli: Run) -> None:
    ours, theirs = os.openpty()
    try:
        done = rnncli("run", *QUICK, stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert answer(done)["input"]["shape"] == [1, 4, 5]
    assert done.stderr == REMARK


def test_a_closed_standard_input_gives_the_sample(shell: Run) -> None:
    done = shell("rnncli run --seed 3 -f json <&-")
    assert answer(done)["input"]["shape"] == [1, 4, 5]
    assert done.stderr == REMARK


def test_a_dash_with_a_closed_standard_input_is_an_error(shell: Run) -> None:
    done = shell("rnncli run - <&-")
    assert done.returncode == 2
    assert done.stderr.startswith("rnncli: standard input is closed.\n")


def test_quiet_drops_the_remark(rnncli: Run) -> None:
    assert rnncli("run", *QUICK, "--quiet").stderr == ""


def test_a_path_leaves_standard_input_alone(shell: Run, tmp_path: Path) -> None:
    write(tmp_path / "data.json")
    command = f"rnncli shape {tmp_path}/data.json > /dev/null"
    loop = f"printf 'one\\ntwo\\n' | while read word; do {command}; echo $word; done"
    assert shell(loop).stdout == "one\ntwo\n"


@pytest.mark.parametrize(("fill", "least", "most"), [("zeros", 0, 0), ("ones", 1, 1), ("arange", 0, 1)])
def test_an_input_can_be_made(rnncli: Run, fill: str, least: float, most: float) -> None:
    done = rnncli("run", "--input-shape", "2,3,4", "--fill", fill, *QUICK)
    assert answer(done)["input"]["shape"] == [2, 3, 4]
    assert done.stderr == ""
    same = np.full((2, 3, 4), least, float)
    if fill != "arange":
        assert values(rnncli("run", json.dumps(same.tolist()), *QUICK)) == values(done)


def test_a_made_input_is_drawn_from_the_seed(rnncli: Run) -> None:
    made = ("run", "--input-shape", "1,3,2", "--kernel-initializer", "ones", "-f", "json", "--seed")
    assert values(rnncli(*made, "1")) == values(rnncli(*made, "1"))
    assert values(rnncli(*made, "1")) != values(rnncli(*made, "2"))


def test_a_drawn_seed_is_printed_and_repeats_the_run(rnncli: Run) -> None:
    first = answer(rnncli("run", "--input-shape", "1,3,2", "-f", "json"))
    again = answer(rnncli("run", "--input-shape", "1,3,2", "-f", "json", "--seed", str(first["seed"])))
    assert first == again


def test_shape_takes_names_and_none(rnncli: Run) -> None:
    shape = answer(rnncli("shape", "--input-shape", "batch,None,8", "--return-sequences", "-f", "json"))
    assert shape["outputs"][0]["shape"] == ["batch", None, 3]


def test_shape_reads_an_input_for_its_shape(rnncli: Run, tmp_path: Path) -> None:
    done = rnncli("shape", str(write(tmp_path / "data.csv")), "--return-sequences", "-f", "json")
    assert answer(done)["outputs"][0]["shape"] == [1, 2, 3]
    assert "added a batch axis" in done.stderr


def test_a_word_that_is_no_file_names_a_sample(rnncli: Run) -> None:
    done = rnncli("run", "series", *QUICK)
    assert answer(done)["input"]["shape"] == [1, 24, 1]
    assert "there is no file series: using the built-in sample\n" in done.stderr


def test_a_file_of_a_samples_name_comes_first(rnncli: Run, tmp_path: Path, expected: Any) -> None:
    (tmp_path / "series").write_text(INLINE)
    assert values(rnncli("run", "series", "--input-format", "json", *QUICK, cwd=tmp_path)) == expected


def test_one_layer_is_piped_into_the_next(rnncli: Run) -> None:
    first = rnncli("run", "--return-sequences", *QUICK).stdout
    second = answer(rnncli("run", "--layer", "gru", *QUICK, input=first))
    assert second["input"]["shape"] == [1, 4, 2]


def test_ragged_sequences_are_padded_and_masked(rnncli: Run, tmp_path: Path) -> None:
    done = rnncli("run", "ragged", "--pad", "post", "--return-sequences", *QUICK)
    assert answer(done)["input"]["shape"] == [3, 4, 2]
    mask = tmp_path / "mask.json"
    mask.write_text("[[true,true,true,true],[true,true,true,false],[true,true,false,false]]")
    ragged = json.loads((ROOT / "samples" / "ragged.json").read_text())
    padded = json.dumps([rows + [[0, 0]] * (4 - len(rows)) for rows in ragged])
    assert values(rnncli("run", padded, "--mask", str(mask), "--return-sequences", *QUICK)) == values(done)
    assert values(rnncli("run", padded, "--return-sequences", *QUICK)) != values(done)


def test_mask_value_masks(rnncli: Run) -> None:
    text = "[[[1, 2], [0, 0], [3, 4]]]"
    masked = values(rnncli("run", text, "--mask-value", "0", *QUICK))
    assert masked == values(rnncli("run", text, "--mask", "[[true, false, true]]", *QUICK))
    assert masked != values(rnncli("run", text, *QUICK))


def test_axes_are_moved(rnncli: Run, expected: Any) -> None:
    turned = json.dumps(np.transpose(tensor(), (1, 0, 2)).tolist())
    assert values(rnncli("run", turned, "--input-axes", "time,batch,features", *QUICK)) == expected


def test_flags_win_over_the_document(rnncli: Run) -> None:
    document = json.dumps({"layer": "GRU(3)", "inputs": json.loads(INLINE), "seed": 5})
    plain = answer(rnncli("run", document, "-f", "json"))
    assert (plain["seed"], plain["layer"][0]["class_name"]) == (5, "GRU")
    other = answer(rnncli("run", document, "--layer", "lstm", "--seed", "6", "-f", "json"))
    assert (other["seed"], other["layer"][0]["class_name"]) == (6, "LSTM")


def test_a_layer_is_read_from_a_config(rnncli: Run, tmp_path: Path) -> None:
    config = {"class_name": "GRU", "config": {"units": 2, "return_sequences": True}}
    (tmp_path / "layer.json").write_text(json.dumps(config))
    shown = answer(rnncli("run", INLINE, "--layer", f"@{tmp_path}/layer.json", "--seed", "1", "-f", "json"))
    assert shown["outputs"][0]["shape"] == [1, 2, 2]


def test_a_saved_model_is_no_layer_and_the_advice_works(rnncli: Run, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    layers = [keras.layers.LSTM(3, name="own.1"), keras.layers.Dense(1)]
    model, folder = keras.Sequential([keras.Input((4, 5)), *layers]), tmp_path / "a folder"
    folder.mkdir()
    for name in ("model.keras", "model.h5"):
        model.save(folder / name)
    model.save_weights(folder / "model.weights.h5")
    words = (f"@{folder}/model.keras", f"{folder}/model.h5", f"@{folder}/model.keras#own.1")
    asked: list[tuple[str, ...]] = [("run", "sentence", "-l", word) for word in words]
    asked += [("shape", "-l", words[0]), ("run", "sentence", "--stream", "-l", words[0])]
    asked += [("run", f"{folder}/model.keras")]
    states = model.layers[0](np.array(json.loads(SENTENCE.read_text()), np.float32)).numpy()
    for one in asked:
        done = rnncli(*one)
        assert (done.returncode, done.stdout) == (2, ""), one
        said, _, again = done.stderr.partition("Run the model as it was saved: rnncli run INPUT ")
        assert len(said.splitlines()) == 1
        saved = rnncli("run", "sentence", *shlex.split(again), "-f", "json")
        np.testing.assert_allclose(values(saved), states, rtol=1e-5, atol=1e-6)
    refused = rnncli("run", "-l", f"@{folder}/model.weights.h5")
    again = refused.stderr.strip().rpartition(": ")[2]
    assert values(rnncli("run", *shlex.split(again), "-f", "json"))


def test_a_whole_model_gives_its_weights_to_a_layer(rnncli: Run, tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    layers = [keras.layers.LSTM(3, return_sequences=True, name="first"), keras.layers.LSTM(3, name="second")]
    model = keras.Sequential([keras.Input((4, 3)), *layers, keras.layers.Dense(1)])
    inputs = np.arange(12, dtype=np.float32).reshape(1, 4, 3) / 10
    for name, suffix in itertools.product(("first", "second"), ("keras", "h5")):
        file = tmp_path / f"model.{suffix}"
        model.save(file)
        done = rnncli(
            "run", json.dumps(inputs.tolist()), "-l", "LSTM(3)", "--weights", f"{file}#{name}", "-f", "json"
        )
        layer = keras.layers.LSTM(3)
        layer.build(inputs.shape)
        layer.set_weights(model.get_layer(name).get_weights())
        np.testing.assert_allclose(values(done), layer(inputs).numpy(), rtol=1e-5, atol=1e-6)
        advice = done.stderr.strip().partition("; ")[2].partition(" runs ")[0]
        again = rnncli(
            "run", json.dumps(inputs.tolist()), *shlex.split(advice), "--select", "first/hidden_states"
        )
        assert (again.returncode, done.stderr.count("\n")) == (0, 1)


@pytest.mark.parametrize("name", ["model.keras", "@model.onnx", "@model.pt#lstm"])
def test_a_model_that_is_not_there(rnncli: Run, name: str) -> None:
    done = rnncli("run", "--layer", name)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no such file" in done.stderr


def test_a_file_with_layers_is_named_behind_an_at(rnncli: Run) -> None:
    done = rnncli("run", "--layer", "layer.json")
    assert done.returncode == 2
    assert "For a file that contains layers, write @layer.json." in done.stderr


def test_weights_are_taken_as_given(rnncli: Run, tmp_path: Path) -> None:
    weights = {"kernel": [[1], [1]], "recurrent_kernel": [[0]], "bias": [0]}
    (tmp_path / "w.json").write_text(json.dumps(weights))
    more = ("--layer", "simple_rnn", "--units", "1", "--weights", f"{tmp_path}/w.json", "-f", "json")
    assert values(rnncli("run", INLINE, *more)) == [[pytest.approx(np.tanh(2.25))]]


@pytest.mark.parametrize(
    "states",
    ["[[[0.5, 1]], [[2, 3]]]", '{"last_cell_state": [[2, 3]], "last_hidden_state": [[0.5, 1]]}'],
)
def test_initial_state_is_a_list_or_an_object(rnncli: Run, tmp_path: Path, states: str) -> None:
    (tmp_path / "s.json").write_text(states)
    shown = values(rnncli("run", INLINE, "--initial-state", f"{tmp_path}/s.json", *QUICK))
    other = {"inputs": json.loads(INLINE), "initial_state": [[[0.5, 1]], [[2, 3]]]}
    assert values(rnncli("run", json.dumps(other), *QUICK)) == shown
    assert values(rnncli("run", INLINE, *QUICK)) != shown


@pytest.mark.parametrize("name", ["my model.pt", "m.PTH", "m.onnx"])
@pytest.mark.parametrize("flags", [(), (INLINE, "--weights"), (INLINE, "--expect")])
def test_a_saved_model_is_no_input(rnncli: Run, tmp_path: Path, name: str, flags: tuple[str, ...]) -> None:
    (tmp_path / name).write_bytes(b"any")
    done = rnncli("run", *flags, name, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    if flags[1:] != ("--weights",) or name.endswith("onnx"):
        assert done.stderr.splitlines() == [
            f"rnncli: {name}: it is a saved model.",
            f"Run the model as it was saved: rnncli run INPUT --model {shlex.quote(name)}",
        ]


def test_a_folder_whose_name_begins_with_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The advice on a user that does not exist works for an input and an output, here and in Python."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "~nobody7"
    folder.mkdir()
    (folder / "x.json").write_text(INLINE)
    for words in (["run", "~nobody7/x.json"], ["run", INLINE, "-o", "~nobody7/y.json"]):
        said = print_here(capfd, *words, code=2)
        assert "there is no home folder ~nobody7." in said
        place = said.rpartition("A file of that name is ")[2].strip()
        print_here(capfd, *words[:-1], place)
    assert (folder / "y.json").is_file()
    place = "./~nobody7/x.json"
    assert "would be overwritten" in print_here(capfd, "run", place, "-o", place, code=2)
    assert api.run("./~nobody7/x.json").input_shape == (1, 2, 2)
    for option in ("inputs", "weights", "initial_state", "mask", "expect"):
        arguments: dict[str, Any] = {"inputs": "sentence", option: "~nobody7/x.json"}
        with pytest.raises(UsageError, match="there is no home folder ~nobody7"):
            api.run(**arguments)


@pytest.mark.parametrize("word", ["#lstm", "folder/#lstm"])
@pytest.mark.parametrize(
    "words", [["run", "sentence", "--weights"], ["port", "sentence", "--expect", "x.npy", "--weights"]]
)
def test_a_layer_without_a_file(words: list[str], word: str, capfd: pytest.CaptureFixture[str]) -> None:
    said = print_here(capfd, *words, word, code=2)
    assert said == f"rnncli: {word}: there is no file name before the #.\nFor example weights.npz#lstm.\n"


@pytest.mark.parametrize("locked", ["folder/x.json", "folder/x.npz"])
def test_a_folder_that_may_not_be_entered(
    locked: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    stat = Path.stat

    def refuse(self: Path, **more: Any) -> Any:
        if self.parent.name == "folder":
            raise PermissionError(13, "Permission denied", str(self))
        return stat(self, **more)

    monkeypatch.setattr(Path, "stat", refuse)
    said = print_here(capfd, "run", "sentence", "-o", locked, code=2)
    assert said == f"rnncli: {locked}: cannot be written: Permission denied.\nName another file.\n"
    said = print_here(capfd, "run", locked, code=2)
    assert said == f"rnncli: {locked}: permission denied.\nCheck its permissions.\n"
