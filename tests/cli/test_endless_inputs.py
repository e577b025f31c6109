"""Devices and pipes that have no end, wherever a file can be named; pipes that end go on working."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from command import Run

import rnncli as api
from rnncli.commands.run import line_batches
from rnncli.errors import InputError
from rnncli.inputs import source

ZERO, INLINE = "/dev/zero", "[[[0.5, -1.0], [2.0, 0.25]]]"
DEVICE = "it is a device, which may have no end.\nCopy what you need of it to a file.\n"

pytestmark = pytest.mark.skipif(not Path(ZERO).exists(), reason="no /dev/zero here")


@pytest.mark.parametrize("device", [ZERO, "/dev/urandom", "link.json", "link.npy", "link.h5", "link.csv"])
@pytest.mark.parametrize(
    "words",
    [
        ("run", "{}"),
        ("run", "{}", "--stream"),
        ("run", "{}", "--input-format", "csv"),
        ("run", INLINE, "--mask", "{}"),
        ("run", INLINE, "--weights", "{}"),
        ("run", INLINE, "--initial-state", "{}"),
        ("run", INLINE, "--expect", "{}"),
        ("run", INLINE, "--model", "{}"),
        ("run", INLINE, "-l", "@{}"),
        ("compare", INLINE, "--expect", "{}"),
        ("weights", "{}"),
        ("port", INLINE, "--weights", "{}", "--expect", "{}"),
    ],
    ids=" ".join,
)
def test_a_device_is_refused(rnncli: Run, tmp_path: Path, words: tuple[str, ...], device: str) -> None:
    if device.startswith("link"):
        (tmp_path / device).symlink_to(ZERO)
    if "-l" in words and device == "link.h5":
        pytest.skip("a model is no layer, whatever is in it")
    done = rnncli(*(word.format(device) if "{}" in word else word for word in words), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    if "--stream" in words and device in ("link.npy", "link.h5", "link.csv"):
        assert "--stream reads lines of JSON" in done.stderr
    else:
        assert done.stderr.endswith(f"{device}: {DEVICE}")


@pytest.mark.parametrize("words", [("run", "-"), ("run", "-", "--stream"), ("run", "/dev/stdin")])
def test_standard_input_that_is_a_device_is_refused(rnncli: Run, words: tuple[str, ...]) -> None:
    with Path(ZERO).open("rb") as zeros:
        done = rnncli(*words, stdin=zeros)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(DEVICE)


def test_python_refuses_a_device(tmp_path: Path) -> None:
    (tmp_path / "link.npz").symlink_to(ZERO)
    with pytest.raises(InputError, match="it is a device"):
        api.run([[[1.0, 2.0]]], weights=tmp_path / "link.npz")


def test_a_pipe_without_an_end_is_refused(
    rnncli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MAX_PIPE", 2**22)
    os.mkfifo(tmp_path / "pipe")
    feed(tmp_path / "pipe", b"1" * 2**24)
    done = rnncli("run", "pipe", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "pipe: it is a pipe with more than 4.0 MiB." in done.stderr


def test_a_line_without_an_end_is_refused(
    rnncli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_batches, "MAX_LINE", 2**22)
    os.mkfifo(tmp_path / "pipe")
    feed(tmp_path / "pipe", b"[[1, 2]]\n" + b"1" * 2**24)
    done = rnncli("run", "pipe", "--stream", "--seed", "1", cwd=tmp_path)
    assert done.returncode == 2
    assert "line 2 has more than 4.0 MiB." in done.stderr


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


def test_the_null_device_is_empty(rnncli: Run) -> None:
    done = rnncli("run", os.devnull)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{os.devnull}: it is empty." in done.stderr


def test_a_substituted_process_is_read(shell: Run) -> None:
    done = shell(f"rnncli run <(echo '{INLINE}') --mask <(echo '[[true, false]]') --seed 1 -f json")
    assert done.returncode == 0, done.stderr
