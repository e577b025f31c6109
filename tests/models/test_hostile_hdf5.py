"""HDF5 files that attack: what leads out of the file, crashes, hangs or explodes ends in one message."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from limits import PATIENCE

from rnncli.errors import InputError
from rnncli.inputs.formats import Source
from rnncli.models.keras import file as keras_file
from rnncli.models.weights import read_keras_layers, read_weights
from rnncli.process import child_process

KERNEL, RECURRENT, BIAS = np.ones((5, 12), "f4"), np.ones((3, 12), "f4"), np.ones(12, "f4")
Make = Callable[[h5py.Group, Path], object]
"""Writes the kernel, `0`, into its group; takes the folder of the file too."""


def write_lstm(path: Path, make: Make) -> Path:
    """An LSTM's weights as Keras 3 lays them out."""
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/lstm/cell/vars")
        make(group, path.parent)
        group["1"], group["2"] = RECURRENT, BIAS
    return path


def dataset_of(value: Any) -> Make:
    return lambda group, _: group.__setitem__("0", value)


def declared_dataset(*words: Any, **options: Any) -> Make:
    return lambda group, _: group.create_dataset("0", *words, **options)


def refusal_of(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_weights(Source(path.name, path=path))
    assert caught.value.what.startswith(f"{path.name}: ")
    return caught.value.what


def other_file(folder: Path) -> str:
    with h5py.File(folder / "other.h5", "w") as file:
        file["kernel"] = file["lstm/vars/0"] = KERNEL
    return str(folder / "other.h5")


def external_file(group: h5py.Group, folder: Path) -> None:
    (folder / "secret").write_bytes(os.urandom(KERNEL.nbytes))
    declared_dataset(KERNEL.shape, "f4", external=[(str(folder / "secret"), 0, KERNEL.nbytes)])(group, folder)


def external_pipe(group: h5py.Group, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    declared_dataset(KERNEL.shape, "f4", external=[(str(folder / "pipe"), 0, KERNEL.nbytes)])(group, folder)


def virtual_dataset(group: h5py.Group, folder: Path) -> None:
    layout = h5py.VirtualLayout(KERNEL.shape, "f4")
    layout[:] = h5py.VirtualSource(other_file(folder), "kernel", KERNEL.shape)
    group.create_virtual_dataset("0", layout)


def external_link(group: h5py.Group, folder: Path) -> None:
    group["0"] = h5py.ExternalLink(other_file(folder), "kernel")


def soft_link(group: h5py.Group, folder: Path) -> None:
    group["/elsewhere"] = h5py.ExternalLink(other_file(folder), "/")
    group["0"] = h5py.SoftLink("/elsewhere/kernel")


FILE, LINK, NUMBERS = "are in another file", "is a link to another place or file", "not real numbers"
LARGE = "its numbers take 2.8 GiB, more than the limit of "


@pytest.mark.sampled
@pytest.mark.parametrize(("make", "said"), [
    (external_file, FILE),
    (external_pipe, FILE),
    (virtual_dataset, FILE),
    (external_link, LINK),
    (soft_link, LINK),
    (dataset_of(np.array([b"ab"] * 60).reshape(5, 12)), NUMBERS),
    (dataset_of(np.array(["ab"] * 60, object).reshape(5, 12)), NUMBERS),
    (dataset_of(np.zeros((5, 12), [("a", "f4")])), NUMBERS),
    (dataset_of(np.ones((5, 12), "c8")), NUMBERS),
    (dataset_of(np.zeros((5, 12), "V4")), NUMBERS),
    (dataset_of(np.ones((5, 12), bool)), NUMBERS),
    (declared_dataset((5, 12), h5py.ref_dtype), NUMBERS),
    (declared_dataset((5, 12), h5py.vlen_dtype(np.float32)), NUMBERS),
    (declared_dataset((5, 12), np.dtype(("f4", (2,)))), NUMBERS),
    (dataset_of(h5py.Empty("f4")), "is empty"),
    (lambda group, _: group.create_group("0"), "is not a dataset"),
    (declared_dataset((750_000_000,), "f4"), LARGE),
    (declared_dataset((750_000_000,), "f4", chunks=(10**6,), compression="gzip"), LARGE),
])  # fmt: skip
def test_what_is_no_plain_dataset_of_numbers(tmp_path: Path, make: Make, said: str) -> None:
    assert said in refusal_of(write_lstm(tmp_path / "w.weights.h5", make))


@pytest.mark.parametrize("name", ["model_weights", "layers"])
def test_no_group_behind_a_link_is_read(tmp_path: Path, name: str) -> None:
    other_file(tmp_path)
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file[name] = h5py.ExternalLink("other.h5", "/")
    assert LINK in refusal_of(tmp_path / "w.h5")


@pytest.mark.parametrize(("names", "weights", "said"), [
    (3, [b"kernel"], "its layer_names is not a list of names"),
    ([3], [b"kernel"], "its layer_names is not a list of names"),
    ([b"lstm"], 1.5, "its weight_names is not a list of names"),
    ([b"elsewhere"], [b"kernel"], LINK),
    ([b"lstm"], [b"bias"], "it lists bias, but does not contain it"),
])  # fmt: skip
def test_names_of_the_older_form(tmp_path: Path, names: Any, weights: Any, said: str) -> None:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["lstm/kernel"], file["elsewhere"] = KERNEL, h5py.ExternalLink(other_file(tmp_path), "/")
        file.attrs["layer_names"] = names
        file["lstm"].attrs["weight_names"] = weights
    assert said in refusal_of(tmp_path / "w.h5")


def doubled_groups(file: h5py.File) -> None:
    """Forty groups of two links each."""
    group = file.create_group("layers")
    for _ in range(40):
        below = group.create_group("a")
        group["b"] = below
        group = below


def link_to_itself(file: h5py.File) -> None:
    file["layers/lstm/again"] = file.create_group("layers")


def link_to_root(file: h5py.File) -> None:
    file["again"] = file["/"]


def deep_groups(file: h5py.File) -> None:
    file.create_group("/".join(["a"] * 2000))


TWICE = "a group in it appears in several places"


@pytest.mark.parametrize(("make", "said"), [
    (doubled_groups, TWICE), (link_to_itself, TWICE), (link_to_root, TWICE),
    (deep_groups, "nested more than"),
])  # fmt: skip
def test_links_without_end(tmp_path: Path, make: Callable[[h5py.File], None], said: str) -> None:
    """They are walked in no time; the child that reads them has a limit of its own."""
    with h5py.File(tmp_path / "w.h5", "w") as file:
        make(file)
    assert said in refusal_of(tmp_path / "w.h5")


def assert_no_child() -> None:
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.mark.parametrize(("broken", "said"), [
    (lambda *_: os.kill(os.getpid(), signal.SIGSEGV), "the HDF5 library could not read it"),
    (lambda *_: [None for _ in itertools.count() if False], "it took too long"),
    (lambda *_: bytearray(2**34), "it is not a Keras file, or it is damaged"),
])  # fmt: skip
@pytest.mark.slow
def test_crash_loop_and_explosion_of_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Callable[..., Any], said: str
) -> None:
    monkeypatch.setattr(keras_file, "_FileWalk", broken)
    monkeypatch.setattr(keras_file, "SECONDS", 0.5)
    assert said in refusal_of(write_lstm(tmp_path / "w.h5", dataset_of(KERNEL)))
    assert_no_child()


def test_a_library_that_waits_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras_file, "_FileWalk", lambda *_: time.sleep(60))
    monkeypatch.setattr(keras_file, "SECONDS", 0.1)
    monkeypatch.setattr(child_process, "PATIENCE", 1)
    assert "it took too long" in refusal_of(write_lstm(tmp_path / "w.h5", dataset_of(KERNEL)))
    assert_no_child()


@pytest.mark.slow
def test_a_crash_is_no_want_of_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However late it comes: the child waits here, as on a busy machine, for longer than its time.

    Ending a process as large as that of a test takes up to a tenth of a second of processor time.
    """

    def crash(*_: Any) -> None:
        time.sleep(0.7)
        os.kill(os.getpid(), signal.SIGSEGV)

    monkeypatch.setattr(keras_file, "_FileWalk", crash)
    monkeypatch.setattr(keras_file, "SECONDS", 0.5)
    assert "the HDF5 library could not read it" in refusal_of(
        write_lstm(tmp_path / "w.h5", dataset_of(KERNEL))
    )


def test_the_child_opens_nothing() -> None:
    def work(file: Any) -> None:
        try:
            Path(__file__).read_bytes()
        except OSError as error:
            file.write(str(error.errno).encode())

    with child_process.run_in_child(work, 5, 2**28) as answer:
        assert answer.take(2) == b"24"


@pytest.mark.slow
def test_the_numbers_arrive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also more than the library may take beyond the largest dataset."""
    kernel = np.arange(3_000_000, dtype=">f8").reshape(1000, 3000)
    monkeypatch.setattr(keras_file, "SPACE", 2**24)
    (layer,) = read_keras_layers(Source("w", path=write_lstm(tmp_path / "w.h5", dataset_of(kernel))))
    np.testing.assert_array_equal(layer.weights[0], kernel)
    np.testing.assert_array_equal(layer.weights[2], BIAS)
    assert_no_child()


@pytest.mark.skipif(sys.platform != "linux", reason="the children of a process are known otherwise elsewhere")
@pytest.mark.slow
def test_an_interrupted_command_leaves_no_child() -> None:
    """A file on which the HDF5 library never comes back."""
    path = Path(__file__).parents[1] / "inputs" / "corpus" / "binary" / "loop-1.h5"
    with subprocess.Popen(
        [sys.executable, "-m", "rnncli", "run", "--weights", str(path)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        until = time.monotonic() + PATIENCE
        while not (child := children.read_text().split()) and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)  # to the parent alone; a terminal tells both
        assert process.communicate(timeout=PATIENCE) == (b"", b"")
    assert process.returncode == 130
    assert not Path(f"/proc/{child[0]}").exists()
