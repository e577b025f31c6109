"""Large files through the real command: memory, progress, and nothing half-written."""

import contextlib
import io
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pytest
from command import Run, environment
from limits import PATIENCE

from rnncli import compute, specs
from rnncli.commands.run import ChunkedRunAnswer
from rnncli.compute import ChunkedResult
from rnncli.layers.case import Case
from rnncli.result import Result
from rnncli.show import formats
from rnncli.show.page import View

PEAK = """
import re, sys
from pathlib import Path
from rnncli.cli.app import main
code = main(sys.argv[1:])
print(code, *re.findall(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text()))
"""
SIZE = 40 * 2**20
COMMAND = [sys.executable, "-m", "rnncli"]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 MB of float32: (2621, 100, 40)."""
    path = tmp_path_factory.mktemp("large") / "large.npy"
    np.save(path, np.random.default_rng(0).standard_normal((SIZE // 16000, 100, 40), dtype=np.float32))
    return path


def peak(*args: str) -> float:
    """Megabytes at most, of `rnncli ARGS` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *args], env=environment(), capture_output=True, text=True,
        timeout=PATIENCE, stdin=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    code, kilobytes = done.stdout.splitlines()[-1].split()
    assert code == "0", done.stderr
    return int(kilobytes) / 1024


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> float:
    """Megabytes at most of a run of one short sequence."""
    small = str(tmp_path_factory.mktemp("small") / "small.npz")
    return peak("run", "--input-shape", "1,4,5", "--engine", "numpy", "--quiet", "-o", small)


@pytest.mark.skipif(sys.platform != "linux", reason="a process knows its peak otherwise elsewhere")
@pytest.mark.slow
class TestMemory:
    def test_the_file_is_never_held(self, large: Path, tmp_path: Path, nothing: float) -> None:
        flags = ["--engine", "numpy", "--return-sequences", "--quiet"]
        some = ["run", str(large), *flags, "--memory", "8MB", "-o", str(tmp_path / "out.npz")]
        assert peak(*some) < nothing + 25

    def test_nor_where_it_is_cast(self, large: Path, tmp_path: Path, nothing: float) -> None:
        flags = ["--engine", "numpy", "--quiet", "--dtype", "float64", "--memory", "8MB"]
        assert peak("run", str(large), *flags, "-o", str(tmp_path / "out.npy")) < nothing + 50

    def test_nor_are_the_results(self, large: Path, tmp_path: Path, nothing: float) -> None:
        """76 MB of them as numbers, in text two and a half times as many."""
        flags = ["--engine", "numpy", "--units", "38", "-l", "gru", "-l", "gru"]
        flags += ["--return-sequences", "--all-layers"]
        some = ["run", str(large), *flags, "--quiet", "--memory", "8MB", "-o", str(tmp_path / "out.ndjson")]
        assert peak(*some) < nothing + 60


DOCUMENT = ("schema", "version", "seed", "expression", "layer", "input")


@pytest.mark.parametrize("format", ["json", "ndjson", "csv"])
@pytest.mark.parametrize(
    "flags", [("-l", "lstm", "--return-state"), ("-l", "bigru", "--return-sequences", "--merge-mode", "none")]
)
def test_text_written_as_it_comes(tmp_path: Path, rnncli: Run, format: str, flags: tuple[str, ...]) -> None:
    """The same text as at once, except that json says at its end what only the last chunk decides."""
    numbers = np.random.default_rng(0).standard_normal((300, 7, 4)).astype(np.float32)
    numbers[200, 3, 2] = np.nan
    np.save(tmp_path / "in.npy", numbers)
    args = ["run", str(tmp_path / "in.npy"), *flags, "--seed", "5", "--engine", "numpy", "-f", format]
    whole, parts = rnncli(*args), rnncli(*args, "--memory", "20K")
    note = "rnncli: note: the input contains NaN, first at index [200, 3, 2]\n"
    assert whole.stderr == parts.stderr == note
    assert ("NaN" in whole.stdout) is True
    if format == "csv":
        assert whole.stdout == parts.stdout
        return
    assert len(whole.stdout.splitlines()) == len(parts.stdout.splitlines())
    assert json.loads(whole.stdout) == json.loads(parts.stdout)
    assert list(json.loads(parts.stdout)) == [*DOCUMENT, "outputs", "engine"]


@pytest.mark.slow
@pytest.mark.parametrize("format", ["ndjson", "json", "csv", "npy", "npz"])
def test_the_first_numbers_come_before_the_last_are_computed(format: str) -> None:
    """Each chunk is asked for when the one before it has been written."""
    case = Case(specs.from_flags(["LSTM(64, return_sequences=True)"], {}), np.zeros((40, 50, 4), np.float32))
    plan, written, seen = tuple(slice(start, start + 10) for start in range(0, 40, 10)), bytearray(), []

    def watched() -> Iterator[Result]:
        for result in compute.run_chunks(case, "numpy", plan):
            seen.append(len(written))
            yield result

    class File(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            written.extend(data)
            return len(data)

    answer = ChunkedRunAnswer(ChunkedResult(watched(), 40))
    formats.FORMATS[format].write(answer, View(), cast("IO[bytes]", File()))
    assert len(seen) == 4
    assert seen[1] < seen[2] < seen[3] < len(written)
    assert seen[2] > len(written) / 8


@pytest.mark.parametrize("suffix", ["npz", "npy"])
@pytest.mark.slow
def test_the_numbers_of_a_whole_batch(large: Path, tmp_path: Path, rnncli: Run, suffix: str) -> None:
    path = tmp_path / f"out.{suffix}"
    args = ["run", str(large), "--seed", "5", "--memory", "3MB", "--engine", "numpy", "-o", str(path)]
    assert rnncli(*args).stderr == ""
    whole = compute.run(Case(specs.from_flags([], {}), np.load(large), seed=5), "numpy", 2**40)
    found = np.load(path)
    mine = found["hidden_state"] if suffix == "npz" else found
    np.testing.assert_allclose(mine, whole.outputs[0].values, rtol=0, atol=1e-6)


def test_into_a_pipe_and_behind_what_was_there(large: Path, tmp_path: Path, shell: Run) -> None:
    path = tmp_path / "out.npy"
    line = f"rnncli run {shlex.quote(str(large))} --seed 5 --memory 3MB -f npy"
    assert shell(f"{line} | cat > out.npy; {line} >> out.npy", cwd=tmp_path).stderr == ""
    with path.open("rb") as file:
        first, second = np.load(file), np.load(file)
    assert np.array_equal(first, second)
    assert first.shape == (SIZE // 16000, 3)


def on_terminal(*args: str, both: bool = False, command: list[str] = COMMAND) -> str:
    """What `rnncli ARGS` says on a stderr that is a terminal, as stdout may be, too."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*command, *args], stdin=subprocess.DEVNULL, stdout=theirs if both else subprocess.DEVNULL,
        stderr=theirs, env=environment({"TERM": "xterm"}),
    ) as process:  # fmt: skip
        os.close(theirs)
        said = all_of(ours)
        assert process.wait(timeout=PATIENCE) == 0
    return said.decode()


def all_of(terminal: int) -> bytes:
    """What is written to it until its other end is closed."""
    said = b""
    with contextlib.suppress(OSError):  # on Linux the end of a terminal is an error
        while part := os.read(terminal, 4096):
            said += part
    os.close(terminal)
    return said


@pytest.mark.slow
class TestProgress:
    args = ("--seed", "1", "--memory", "2MB", "--engine", "numpy", "-f", "npy")

    def test_on_a_terminal(self, large: Path) -> None:
        said = on_terminal("run", str(large), *self.args)
        assert "2621/2621" in said
        assert re.search(r"[\d,]+/s", said)
        assert re.search(r"\d:\d\d:\d\d", said)

    def test_not_if_quiet(self, large: Path) -> None:
        assert on_terminal("run", str(large), *self.args, "--quiet") == ""

    def test_not_among_the_numbers(self, large: Path) -> None:
        said = on_terminal("run", str(large), *self.args[:-1], "csv", both=True)
        assert "sequences" not in said
        assert "\x1b" not in said
        assert said.count("\n") == 1 + 3 * 2621


@pytest.mark.slow
def test_a_file_that_is_cut_short_meanwhile(large: Path, tmp_path: Path) -> None:
    """Exit 2, and not the end of a process that has read a page that is gone."""
    path, folder = tmp_path / "in.npy", tmp_path / "out"
    path.write_bytes(large.read_bytes())
    folder.mkdir()
    args = ["run", str(path), "--memory", "1", "--engine", "numpy", "-o", str(folder / "out.npz")]
    with subprocess.Popen(
        [*COMMAND, *args], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(), text=True
    ) as process:
        until = time.monotonic() + PATIENCE
        while not list(folder.iterdir()) and time.monotonic() < until:
            time.sleep(0.005)
        os.truncate(path, 2**20)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert "in.npy: it became shorter while it was being read.\n" in said
    assert list(folder.iterdir()) == []


@pytest.mark.slow
def test_a_bar_leaves_the_terminal_as_it_was() -> None:
    """Its cursor is there again, whatever ends the run, and the pipe has no colors in it."""
    flags = ["--input-shape", "3000,99,9", "--memory", "1", "--units", "99", "-f", "ndjson"]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "run", *flags], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs,
        env=environment({"TERM": "xterm"}),
    ) as process:  # fmt: skip
        os.close(theirs)
        assert process.stdout is not None
        assert process.stdout.read(9) == b'{"schema"'
        process.send_signal(signal.SIGTERM)
        process.stdout.close()
        said = all_of(ours)
        assert process.wait(timeout=PATIENCE) == 143
    assert said.rfind(b"\x1b[?25h") > said.rfind(b"\x1b[?25l") >= 0


@pytest.mark.slow
def test_nor_does_one_whose_other_tensors_wait(tmp_path: Path) -> None:
    """stderr is a terminal, which has a bar."""
    program = (
        "import sys, time\nfrom rnncli import compute\nfrom rnncli.cli import app\n"
        "def slow(self):\n"
        "    print('writing', flush=True); time.sleep(30)\n"
        "    yield\n"
        "compute._ArrayQueue.parts = slow\n"
        "sys.exit(app.main(sys.argv[1:]))"
    )
    flags = ["--input-shape", "50,9,9", "--memory", "1", "--return-state", "-o", str(tmp_path / "out.npz")]
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", program, "run", *flags], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=theirs, text=True, env=environment({"TERM": "xterm"}),
    ) as process:  # fmt: skip
        os.close(theirs)
        threading.Thread(target=all_of, args=[ours], daemon=True).start()
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        assert len(list(tmp_path.iterdir())) == 1
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=PATIENCE) == 129
    assert list(tmp_path.iterdir()) == []


IMPATIENT = """
import sys
from rnncli.cli import app, output
from rnncli.inputs import generated
output.PATIENCE, generated.LARGE, generated.BLOCK = -1.0, 2**20, 2**15
sys.exit(app.main(sys.argv[1:]))
"""
"""The command as it is for much longer inputs."""


@pytest.mark.slow
class TestLongInputs:
    args = ("run", "--input-shape", "1,40000,8", "--seed", "1", "--engine", "numpy")
    command = (sys.executable, "-c", IMPATIENT)

    def test_what_it_needs_is_said_before_bars_of_numbers_and_steps(self) -> None:
        shown = on_terminal(*self.args, "-l", "gru", "--units", "32", command=[*self.command])
        said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
        needs = "note: an input of (1, 40000, 8) and its layers need 3.7 MiB of memory."
        numbers, steps = said.index("/320000 random numbers"), said.index("/40000 time steps")
        assert said.index(needs) < numbers < steps
        assert re.search(r"time steps.*\d:\d\d:\d\d", said)
        assert (shown.count("\x1b[?25l"), shown.count("\x1b[?25h")) == (2, 2)  # the cursor is back

    def test_in_korean(self) -> None:
        said = on_terminal(*self.args, "--lang", "ko", command=[*self.command])
        assert "(1, 40000, 8) 입력과 층에는 메모리 3.7 MiB가 필요합니다." in said
        assert re.search(r"/320000\S* 난수", said)

    def test_not_if_quiet(self) -> None:
        assert on_terminal(*self.args, "--quiet", command=[*self.command]) == ""

    def test_into_a_file_only_what_it_needs(self) -> None:
        done = subprocess.run(
            [*self.command, *self.args], env=environment(), capture_output=True, text=True, check=True
        )
        assert done.stderr.count("\n") == 1
        assert "of memory." in done.stderr
