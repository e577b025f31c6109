"""HDF5 files that attack: what leads out of the file, crashes, hangs or explodes ends in one message."""

from __future__ import annotations

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

from rnncli.errors import InputError
from rnncli.inputs.formats import Source
from rnncli.models.keras import hdf5
from rnncli.models.weights import read_keras_layers, read_weights
from rnncli.process import child_process

KERNEL, RECURRENT, BIAS = np.ones((5, 12), "f4"), np.ones((3, 12), "f4"), np.ones(12, "f4")
Make = Callable[[h5py.Group, Path], None]


def written(path: Path, make: Make) -> Path:
    """An LSTM's weights as Keras 3 lays them out; `make` writes the kernel."""
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/lstm/cell/vars")
        make(group, path.parent)
        group["1"], group["2"] = RECURRENT, BIAS
    return path


def complaint(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_weights(Source(path.name, path=path))
    assert caught.value.what.startswith(f"{path.name}: ")
    return caught.value.what


def secret(folder: Path) -> str:
    path = folder / "secret"
    path.write_bytes(os.urandom(KERNEL.nbytes))
    return str(path)


def external(group: h5py.Group, folder: Path) -> None:
    group.create_dataset("0", KERNEL.shape, "f4", external=[(secret(folder), 0, KERNEL.nbytes)])


def pipe(group: h5py.Group, folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    group.create_dataset("0", KERNEL.shape, "f4", external=[(str(folder / "pipe"), 0, KERNEL.nbytes)])


def other(folder: Path) -> str:
    with h5py.File(folder / "other.h5", "w") as file:
        file["kernel"] = KERNEL
    return str(folder / "other.h5")


def virtual(group: h5py.Group, folder: Path) -> None:
    layout = h5py.VirtualLayout(KERNEL.shape, "f4")
    layout[:] = h5py.VirtualSource(other(folder), "kernel", KERNEL.shape)
    group.create_virtual_dataset("0", layout)


def linked(group: h5py.Group, folder: Path) -> None:
    group["0"] = h5py.ExternalLink(other(folder), "kernel")


def softly(group: h5py.Group, folder: Path) -> None:
    group["/elsewhere"] = h5py.ExternalLink(other(folder), "/")
    group["0"] = h5py.SoftLink("/elsewhere/kernel")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (external, "are in another file"),
        (pipe, "are in another file"),
        (virtual, "are in another file"),
        (linked, "is a link to another place or file"),
        (softly, "is a link to another place or file"),
    ],
)
def test_no_other_file_is_read(tmp_path: Path, make: Make, said: str) -> None:
    assert said in complaint(written(tmp_path / "w.weights.h5", make))


@pytest.mark.parametrize("name", ["model_weights", "layers"])
def test_nor_is_one_behind_a_link_to_a_group(tmp_path: Path, name: str) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["lstm/vars/0"] = KERNEL
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file[name] = h5py.ExternalLink("other.h5", "/")
    assert "is a link to another place or file" in complaint(tmp_path / "w.h5")


def legacy(path: Path, names: Any, weights: Any) -> Path:
    with h5py.File(path, "w") as file:
        file["lstm/kernel"], file["elsewhere"] = KERNEL, h5py.ExternalLink(other(path.parent), "/")
        file.attrs["layer_names"] = names
        file["lstm"].attrs["weight_names"] = weights
    return path


@pytest.mark.parametrize(
    ("names", "weights", "said"),
    [
        (3, [b"kernel"], "its layer_names is not a list of names"),
        ([3], [b"kernel"], "its layer_names is not a list of names"),
        ([b"lstm"], 1.5, "its weight_names is not a list of names"),
        ([b"elsewhere"], [b"kernel"], "is a link to another place or file"),
        ([b"lstm"], [b"bias"], "it lists bias, but does not contain it"),
    ],
)
def test_names_of_the_older_form(tmp_path: Path, names: Any, weights: Any, said: str) -> None:
    assert said in complaint(legacy(tmp_path / "w.h5", names, weights))


KINDS = {
    "text": np.array([b"ab"] * 60).reshape(5, 12),
    "words": np.array(["ab"] * 60, object).reshape(5, 12),
    "compound": np.zeros((5, 12), [("a", "f4")]),
    "complex": np.ones((5, 12), "c8"),
    "opaque": np.zeros((5, 12), "V4"),
    "bool": np.ones((5, 12), bool),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_numbers(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path / "w.h5", lambda group, _: group.__setitem__("0", KINDS[kind]))
    assert "not real numbers" in complaint(path)


@pytest.mark.parametrize("dtype", [h5py.ref_dtype, h5py.vlen_dtype(np.float32), np.dtype(("f4", (2,)))])
def test_what_is_not_even_an_array_of_them(tmp_path: Path, dtype: Any) -> None:
    path = written(tmp_path / "w.h5", lambda group, _: group.create_dataset("0", (5, 12), dtype) and None)
    assert "not real numbers" in complaint(path)


def test_what_is_null_or_a_group(tmp_path: Path) -> None:
    path = written(tmp_path / "w.h5", lambda group, _: group.__setitem__("0", h5py.Empty("f4")))
    assert "is empty" in complaint(path)
    path = written(tmp_path / "v.h5", lambda group, _: group.create_group("0") and None)
    assert "is not a dataset" in complaint(path)


def test_links_without_end(tmp_path: Path) -> None:
    """Forty groups of two links each are walked in no time, and a cycle too."""
    with h5py.File(tmp_path / "many.h5", "w") as file:
        group = file.create_group("layers")
        for _ in range(40):
            below = group.create_group("a")
            group["b"] = below
            group = below
    with h5py.File(tmp_path / "cycle.h5", "w") as file:
        file["layers/lstm/again"] = file["layers"] if "layers" in file else file.create_group("layers")
    with h5py.File(tmp_path / "root.h5", "w") as file:
        file["again"] = file["/"]
    with h5py.File(tmp_path / "deep.h5", "w") as file:
        file.create_group("/".join(["a"] * 2000))
    for name in ("many", "cycle", "root"):  # the child that reads it has a limit of its own
        assert "a group in it appears in several places" in complaint(tmp_path / f"{name}.h5")
    assert "nested more than" in complaint(tmp_path / "deep.h5")


@pytest.mark.parametrize("more", [{}, {"chunks": (10**6,), "compression": "gzip"}])
def test_more_is_declared_than_there_is(tmp_path: Path, more: dict[str, Any]) -> None:
    path = written(
        tmp_path / "w.h5", lambda group, _: group.create_dataset("0", (750_000_000,), "f4", **more) and None
    )
    assert "its datasets declare 2.8 GiB, but the file is " in complaint(path)


class TestTheChild:
    """Whatever the library does there ends here."""

    @pytest.mark.parametrize(
        ("broken", "said"),
        [
            (lambda *_: os.kill(os.getpid(), signal.SIGSEGV), "the HDF5 library could not read it"),
            (lambda *_: time.sleep(60), "it took too long"),
            (lambda *_: [None for _ in itertools.count() if False], "it took too long"),
            (lambda *_: bytearray(2**34), "it is not a Keras file, or it is damaged"),
        ],
    )
    def test_crash_loop_and_explosion(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Callable[..., Any], said: str
    ) -> None:
        monkeypatch.setattr(hdf5, "_describe_contents", broken)
        monkeypatch.setattr(hdf5, "SECONDS", 0.5)
        path = written(tmp_path / "w.h5", lambda group, _: group.__setitem__("0", KERNEL))
        assert said in complaint(path)
        assert_no_child()

    def test_an_interrupt_ends_it_at_once(self) -> None:
        awake, waking = os.pipe()

        def work(_: Any) -> None:
            time.sleep(30)
            os.write(waking, b"awake")

        def interrupted() -> None:
            with child_process.run_in_child(work, 60, 2**28) as answer:
                os.kill(os.getpid(), signal.SIGINT)
                answer.take(1)

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert_no_child()
        os.close(waking)
        assert os.read(awake, 5) == b""  # the child ended in its sleep
        os.close(awake)

    def test_it_opens_nothing(self) -> None:
        def work(file: Any) -> None:
            try:
                Path(__file__).read_bytes()
            except OSError as error:
                file.write(str(error.errno).encode())

        with child_process.run_in_child(work, 5, 2**28) as answer:
            assert answer.take(2) == b"24"

    def test_the_numbers_arrive(self, tmp_path: Path) -> None:
        kernel = np.arange(3_000_000, dtype=">f8").reshape(1000, 3000)
        path = written(tmp_path / "w.h5", lambda group, _: group.__setitem__("0", kernel))
        (layer,) = read_keras_layers(Source("w", path=path))
        np.testing.assert_array_equal(layer.weights[0], kernel)
        np.testing.assert_array_equal(layer.weights[2], BIAS)
        assert_no_child()


def assert_no_child() -> None:
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def run(path: Path) -> subprocess.CompletedProcess[str]:
    args = ["run", "--weights", str(path), "-l", "lstm", "--quiet", "-f", "csv"]
    return subprocess.run(
        [sys.executable, "-m", "rnncli", *args],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_command_says_one_thing(tmp_path: Path) -> None:
    done = run(written(tmp_path / "w.h5", external))
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 2


def test_the_command_reads_what_is_right(tmp_path: Path) -> None:
    """In a process that has imported nothing before; the child imports nothing either."""
    path = written(tmp_path / "v.h5", lambda group, _: group.__setitem__("0", KERNEL))
    done = run(path)
    assert (done.returncode, done.stderr) == (0, "")
    other(tmp_path)
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["layer_names"] = [b"lstm"]
        file["lstm/a"], file["lstm/b"], file["lstm/c"] = KERNEL, RECURRENT, BIAS
        file["lstm"].attrs["weight_names"] = ["a", "b", "c"]
    assert run(tmp_path / "old.h5").stdout == done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="the children of a process are known otherwise elsewhere")
def test_an_interrupted_command_leaves_no_child() -> None:
    """A file on which the HDF5 library never comes back."""
    path = Path(__file__).parent / "corpus" / "binary" / "loop-1.h5"
    with subprocess.Popen(
        [sys.executable, "-m", "rnncli", "run", "--weights", str(path)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        until = time.monotonic() + 30
        while not (child := children.read_text().split()) and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)  # to the parent alone; a terminal tells both
        assert process.communicate(timeout=30) == (b"", b"")
    assert process.returncode == 130
    assert not Path(f"/proc/{child[0]}").exists()


def test_one_large_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than the library may take beyond it."""
    monkeypatch.setattr(hdf5, "SPACE", 2**24)
    kernel = np.zeros(10_000_000, "f4")
    path = written(tmp_path / "w.h5", lambda group, _: group.create_dataset("0", data=kernel) and None)
    (layer,) = read_keras_layers(Source("w", path=path))
    assert layer.weights[0].shape == kernel.shape
