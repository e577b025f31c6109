"""Each way in which an input can be given, through the real command; pipes and devices without an end."""

from __future__ import annotations

import json
import os
import shlex
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import Completed, Run

import rnncli as api
from rnncli.ask import lines
from rnncli.errors import InputError
from rnncli.inputs import source

SENTENCE = Path(__file__).resolve().parents[2] / "samples" / "sentence.json"
INLINE = "[[[0.5, -1.0], [2.0, 0.25]]]"
QUICK = ("--units", "2", "--kernel-initializer", "constant:0.5", "--seed", "3", "-f", "json")
REMARK = (
    "rnncli: note: no input given: using the built-in sample 'sentence' (1, 4, 5); "
    "give a file, a pipe, or text: rnncli run '[[[1,2],[3,4]]]'\n"
)


def answer(done: Completed) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def values(done: Completed) -> Any:
    return answer(done)["outputs"][0]["values"]


@pytest.fixture
def expected(rnncli: Run) -> Any:
    return values(rnncli("run", INLINE, *QUICK))


@pytest.mark.parametrize(("words", "piped"), [
    (["-"], INLINE), ([], INLINE), ([], "0.5,-1.0\n2.0,0.25\n"), ([f"  {INLINE}"], None),
    ([f'{{"inputs": {INLINE}}}'], None),
])  # fmt: skip
def test_an_input_is_typed_or_piped(rnncli: Run, words: list[str], piped: str | None, expected: Any) -> None:
    assert values(rnncli("run", *words, *QUICK, input=piped)) == expected


@pytest.mark.slow
def test_a_file_and_a_socket_on_standard_input_are_read(rnncli: Run, tmp_path: Path, expected: Any) -> None:
    (tmp_path / "data.json").write_text(INLINE)
    with (tmp_path / "data.json").open() as stdin:
        assert values(rnncli("run", *QUICK, stdin=stdin)) == expected
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(INLINE.encode())
        ours.shutdown(socket.SHUT_WR)
        assert values(rnncli("run", *QUICK, stdin=theirs)) == expected


def test_substituted_processes_are_read(shell: Run, rnncli: Run) -> None:
    mask = "[[true, false]]"
    done = shell(f"rnncli run <(echo '{INLINE}') --mask <(echo '{mask}') {' '.join(QUICK)}")
    assert values(done) == values(rnncli("run", INLINE, "--mask", mask, *QUICK))


@pytest.mark.parametrize("dash", [(), ("-",)])
def test_an_empty_pipe_is_an_error(rnncli: Run, dash: tuple[str, ...]) -> None:
    done = rnncli("run", *dash, *QUICK, input=" \n")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("rnncli: standard input: it is empty.")


def test_the_null_device_a_terminal_and_a_closed_stdin_give_the_sample(rnncli: Run, shell: Run) -> None:
    ours, theirs = os.openpty()
    try:
        given = [rnncli("run", *QUICK), rnncli("run", *QUICK, stdin=theirs)]
    finally:
        os.close(ours)
        os.close(theirs)
    for done in (*given, shell(f"rnncli run {' '.join(QUICK)} <&-")):
        assert done.stderr == REMARK
        assert done.stdout == rnncli("run", str(SENTENCE), *QUICK).stdout
    assert rnncli("run", *QUICK, "--quiet").stderr == ""
    closed = shell("rnncli run - <&-")
    assert closed.returncode == 2
    assert closed.stderr.startswith("rnncli: standard input is closed.\n")


@pytest.mark.parametrize("words", [("run", *QUICK), ("report", "-o", "page.html"), ("run", "--lang", "ko")])
def test_the_remark_says_how_to_give_an_input(rnncli: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    command = rnncli(*words, cwd=tmp_path).stderr.splitlines()[0].rpartition(": ")[2]
    assert shlex.split(command)[:2] == ["rnncli", words[0]]
    followed = rnncli(*shlex.split(command)[1:], *words[1:], cwd=tmp_path).success()
    assert "[[[1,2],[3,4]]]" not in followed.stderr


def test_a_path_leaves_standard_input_alone(shell: Run, tmp_path: Path) -> None:
    (tmp_path / "data.json").write_text(INLINE)
    command = "rnncli shape data.json > /dev/null"
    loop = f"printf 'one\\ntwo\\n' | while read word; do {command}; echo $word; done"
    assert shell(loop, cwd=tmp_path).stdout == "one\ntwo\n"


@pytest.mark.parametrize(("fill", "value"), [("zeros", 0), ("ones", 1)])
def test_an_input_can_be_made(rnncli: Run, fill: str, value: float) -> None:
    done = rnncli("run", "--input-shape", "2,3,4", "--fill", fill, *QUICK)
    assert done.stderr == ""
    assert values(rnncli("run", json.dumps(np.full((2, 3, 4), value).tolist()), *QUICK)) == values(done)


def test_a_made_input_is_drawn_from_the_seed(rnncli: Run) -> None:
    made = ("run", "--input-shape", "1,3,2", "--kernel-initializer", "ones", "-f", "json")
    first = answer(rnncli(*made))
    assert answer(rnncli(*made, "--seed", str(first["seed"]))) == first
    assert values(rnncli(*made, "--seed", "1")) != values(rnncli(*made, "--seed", "2"))


def test_shape_reads_an_input_for_its_shape(rnncli: Run, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a,b\n0.5,-1.0\n2.0,0.25\n")
    done = rnncli("shape", str(tmp_path / "data.csv"), "--return-sequences", "-f", "json")
    assert answer(done)["outputs"][0]["shape"] == [1, 2, 3]
    assert "added a batch axis" in done.stderr


def test_a_word_that_is_no_file_names_a_sample(rnncli: Run) -> None:
    done = rnncli("run", "series", *QUICK)
    assert answer(done)["input"]["shape"] == [1, 24, 1]
    assert "there is no file series: using the built-in sample\n" in done.stderr


@pytest.mark.parametrize(("word", "advice"), [
    ("hol.csv", "Did you mean hole.csv?"), ("hole", "Did you mean hole.csv?"),
    ("hoel.csv", "Did you mean hole.csv?"), ("hole.jsn", "Did you mean hole.json?"),
    ("hole.parquet", "Did you mean hole.csv?"), ("nofile.csv", "Check the path."),
    ("data.csv", "Check the path."),
])  # fmt: skip
def test_only_a_file_of_a_near_name_is_proposed(rnncli: Run, tmp_path: Path, word: str, advice: str) -> None:
    """The suffix is not what makes two names alike."""
    for name in ("hole.csv", "hole.json", "sensors.csv"):
        (tmp_path / name).write_text("1,2\n")
    refused = rnncli("run", word, cwd=tmp_path)
    assert refused.returncode == 2
    assert advice in refused.stderr


def test_one_layer_is_piped_into_the_next(rnncli: Run) -> None:
    first = rnncli("run", "--return-sequences", *QUICK).stdout
    second = answer(rnncli("run", "--layer", "gru", *QUICK, input=first))
    assert second["input"]["shape"] == [1, 4, 2]


def test_ragged_sequences_are_padded_and_masked(rnncli: Run) -> None:
    done = rnncli("run", "ragged", "--pad", "post", "--return-sequences", *QUICK)
    mask = "[[true,true,true,true],[true,true,true,false],[true,true,false,false]]"
    ragged = json.loads(SENTENCE.with_name("ragged.json").read_text())
    padded = json.dumps([rows + [[0, 0]] * (4 - len(rows)) for rows in ragged])
    assert values(rnncli("run", padded, "--mask", mask, "--return-sequences", *QUICK)) == values(done)
    assert values(rnncli("run", padded, "--return-sequences", *QUICK)) != values(done)


def test_flags_win_over_the_document(rnncli: Run) -> None:
    document = json.dumps({"layer": "GRU(3)", "inputs": json.loads(INLINE), "seed": 5})
    plain = answer(rnncli("run", document, "-f", "json"))
    assert (plain["seed"], plain["layer"][0]["class_name"]) == (5, "GRU")
    other = answer(rnncli("run", document, "--layer", "lstm", "--seed", "6", "-f", "json"))
    assert (other["seed"], other["layer"][0]["class_name"]) == (6, "LSTM")


@pytest.mark.slow
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


@pytest.mark.parametrize("locked", ["folder/x.json", "folder/x.npz"])
def test_a_folder_that_may_not_be_entered(locked: str, monkeypatch: pytest.MonkeyPatch, rnncli: Run) -> None:
    stat = Path.stat

    def refuse(self: Path, **more: Any) -> Any:
        if self.parent.name == "folder":
            raise PermissionError(13, "Permission denied", str(self))
        return stat(self, **more)

    monkeypatch.setattr(Path, "stat", refuse)
    said = rnncli("run", "sentence", "-o", locked).refusal()
    assert said == f"rnncli: {locked}: cannot be written: Permission denied.\nName another file.\n"
    said = rnncli("run", locked).refusal()
    assert said == f"rnncli: {locked}: permission denied.\nCheck its permissions.\n"


# Devices and pipes that have no end, wherever a file can be named

ZERO, DEVICE = "/dev/zero", "it is a device, which may have no end.\nCopy what you need of it to a file.\n"
zeros = pytest.mark.skipif(not Path(ZERO).exists(), reason="no /dev/zero here")


def test_the_null_device_is_read_to_its_end(rnncli: Run) -> None:
    done = rnncli("run", "/dev/null", "-l", "lstm")
    assert (done.returncode, done.stderr.partition("\n")[0]) == (2, "rnncli: /dev/null: it is empty.")


@zeros
@pytest.mark.parametrize("device", [ZERO, "link.npy", "link.h5"])
@pytest.mark.parametrize("words", [
    ("run", "{}"),
    ("run", "{}", "--stream"),
    ("run", "{}", "--input-format", "csv"),
    *(("run", INLINE, flag, "{}") for flag in ("--mask", "--weights", "--initial-state", "--expect")),
    ("run", INLINE, "--model", "{}"),
    ("run", INLINE, "-l", "@{}"),
    ("weights", "{}"),
    ("port", INLINE, "--weights", "{}", "--expect", "{}"),
], ids=" ".join)  # fmt: skip
def test_a_device_is_refused(rnncli: Run, tmp_path: Path, words: tuple[str, ...], device: str) -> None:
    if device.startswith("link"):
        (tmp_path / device).symlink_to(ZERO)
    if "-l" in words and device == "link.h5":
        pytest.skip("a model is no layer, whatever is in it")
    done = rnncli(*(word.format(device) if "{}" in word else word for word in words), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    if "--stream" in words and device != ZERO:
        assert "--stream reads lines of JSON" in done.stderr
    else:
        assert done.stderr.endswith(f"{device}: {DEVICE}")


@pytest.mark.slow
@zeros
@pytest.mark.parametrize("words", [("run", "-"), ("run", "-", "--stream"), ("run", "/dev/stdin")])
def test_standard_input_that_is_a_device_is_refused(rnncli: Run, words: tuple[str, ...]) -> None:
    with Path(ZERO).open("rb") as endless:
        done = rnncli(*words, stdin=endless)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(DEVICE)


@zeros
def test_python_refuses_a_device(tmp_path: Path) -> None:
    (tmp_path / "link.npz").symlink_to(ZERO)
    with pytest.raises(InputError, match="it is a device"):
        api.run([[[1.0, 2.0]]], weights=tmp_path / "link.npz")


@pytest.mark.parametrize(("start", "flags", "said"), [
    (b"", [], "pipe: it is a pipe with more than 4.0 MiB."),
    (b"[[1, 2]]\n", ["--stream", "--seed", "1"], "line 2 has more than 4.0 MiB."),
])  # fmt: skip
def test_a_pipe_without_an_end_is_refused(
    rnncli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: bytes, flags: list[str], said: str
) -> None:
    monkeypatch.setattr(source, "MAX_PIPE", 2**22)
    monkeypatch.setattr(lines, "MAX_LINE", 2**22)
    os.mkfifo(tmp_path / "pipe")
    feed(tmp_path / "pipe", start + b"1" * 2**24)
    done = rnncli("run", "pipe", *flags, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_pipe_of_many_blocks_is_read(rnncli: Run, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    feed(tmp_path / "pipe", b"[" + b"[1.0, 2.0], " * 20_000 + b"[3.0, 4.0]]")
    done = rnncli("shape", "pipe", "-l", "lstm", cwd=tmp_path).success()
    assert "20001" in done.stdout


def feed(path: Path, content: bytes) -> None:
    """Write into a named pipe once something reads it."""

    def write() -> None:
        with suppress(BrokenPipeError):  # the reader had enough
            path.write_bytes(content)

    threading.Thread(target=write, daemon=True).start()


@pytest.mark.parametrize(
    ("name", "content"),
    [("in", INLINE), ("in.json", INLINE), ("in.csv", "1,2\n3,x\n"), ("in.csv", "1,2\n3,4\n")],
)
def test_a_named_pipe_is_read_once(rnncli: Run, tmp_path: Path, name: str, content: str) -> None:
    os.mkfifo(tmp_path / name)
    feed(tmp_path / name, content.encode())
    done = rnncli("run", name, "--seed", "1", cwd=tmp_path)
    if "x" in content:
        assert "in.csv: line 2, column 2: 'x' is not a number." in done.stderr
    else:
        assert done.returncode == 0, done.stderr


def test_a_model_in_a_named_pipe_is_read(rnncli: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "file.npz", kernel=np.ones((2, 12)), recurrent_kernel=np.ones((3, 12)))
    os.mkfifo(tmp_path / "pipe.npz")
    feed(tmp_path / "pipe.npz", (tmp_path / "file.npz").read_bytes())
    piped, plain = (rnncli("weights", name, cwd=tmp_path) for name in ("pipe.npz", "file.npz"))
    assert (piped.returncode, plain.returncode) == (0, 0), piped.stderr
    assert piped.stdout.replace("pipe", "file") == plain.stdout
