"""A native crash of an engine is an error of the command line, never a dead process."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import onnx_graphs
import pytest
from command import Completed, Run, environment, run_program
from limits import PATIENCE
from onnx import helper

import rnncli as package
from rnncli.errors import Message
from rnncli.process import signals
from rnncli.process.signals import CRASHES

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")

LINE = ("run", "[[[1, 2], [3, 4]]]", "-l", "lstm", "--seed", "1")
BROKEN = """
import os, signal, sys, rnncli.__main__ as program
from rnncli.compute.engines import onnx
onnx.Layers._session = lambda *_: os.kill(os.getpid(), signal.{name})
program.main()
"""
"""The command line with an ONNX Runtime that ends the process."""
WAITING = """
import os, signal, time
from rnncli.errors import Message
from rnncli.process import signals
signals.enable_watch()
signal.signal(signal.SIGINT, signals.interrupt_handler)
signals.watch("engine", Message(""))
try:
    print(os.getpid(), flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    os._exit(130)
"""


def run_broken(name: str, *args: str) -> Completed:
    return run_program(BROKEN.format(name=name), *args)


@pytest.mark.parametrize("name", CRASHES)
@pytest.mark.slow
def test_a_crash_is_an_error_that_says_which_engine_and_what_to_try(name: str) -> None:
    done = run_broken(name, *LINE, "--engine", "onnx")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        f"rnncli: ONNX Runtime crashed ({name}).\n"
        "Try --engine numpy without --check, another --dtype, or another version of the engine.\n"
    )
    assert run_broken(name, *LINE, "--engine", "numpy").returncode == 0


@pytest.mark.slow
def test_a_process_that_the_system_kills_is_an_error_too() -> None:
    done = run_broken("SIGKILL", *LINE, "--engine", "onnx")
    assert (done.returncode, done.stdout) == (3, "")
    assert "the system ended the process in which ONNX Runtime ran" in done.stderr


@pytest.mark.slow
def test_any_other_signal_ends_both() -> None:
    done = run_broken("SIGTERM", *LINE, "--engine", "onnx")
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGTERM, "", "")


@pytest.mark.slow
def test_a_file_stays_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "answer.json").write_text("old")
    done = run_broken("SIGSEGV", *LINE, "--engine", "onnx", "-o", str(tmp_path / "answer.json"))
    assert done.returncode == 3
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("answer.json", "old")]


def test_an_unfinished_file_is_removed_and_the_last_engine_named(tmp_path: Path) -> None:
    program = """
import os, sys
from pathlib import Path
from rnncli.cli.files import open_output
from rnncli.errors import Message
from rnncli.process import signals
signals.enable_watch()
try:
    signals.watch("first", Message(""))
    signals.watch("second", Message("Try again."))
    with open_output(sys.argv[1]) as file:
        file.write(b"half")
        file.flush()
        assert len(list(Path(sys.argv[1]).parent.iterdir())) == 1
        os.abort()
except signals.EngineCrash as crash:
    print(crash.error)
"""
    done = run_program(program, str(tmp_path / "answer.json"))
    assert done.stdout == "second crashed (SIGABRT).\nTry again.\n"
    assert not list(tmp_path.iterdir())


@contextmanager
def waiting() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that waits for its child, and the number of the child."""
    with subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert child != process.pid
        yield process, child
        assert process.stdout.read() == ""  # nobody holds the other end


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", -15), ("SIGHUP", -1)])
def test_a_signal_ends_the_child_and_this_process(name: str, code: int) -> None:
    with waiting() as (process, child):
        process.send_signal(getattr(signal, name))
        assert process.wait(PATIENCE) == code
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_a_killed_process_takes_its_child_with_it() -> None:
    with waiting() as (process, _):
        process.kill()
        assert process.wait(PATIENCE) == -signal.SIGKILL


def test_the_streams_are_the_terminals_own(shell: Run) -> None:
    line = "rnncli run '[[[1, 2]]]' -l 'LSTM(400)' --seed 1 -f csv --engine onnx"
    done = shell(f"{line} | head -n 1; echo ${{PIPESTATUS[@]}}")
    assert (done.stdout, done.stderr) == ("name,batch,timestep,unit,value\n0 0\n", "")
    done = shell("echo '[[[1, 2]]]' | rnncli run --stream -l lstm --seed 1 --engine onnx -f ndjson")
    assert json.loads(done.stdout)["engine"] == "onnx"


def test_numpy_never_forks(rnncli_process: Run, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os\ndel os.fork\nos.fork = None\n")
    paths = os.pathsep.join((str(tmp_path), str(Path(package.__file__).parents[1])))
    for line in (LINE, ("trace", *LINE[1:]), ("gradients", *LINE[1:])):
        assert rnncli_process(*line, env={"PYTHONPATH": paths}).returncode == 0


def test_in_python_an_engine_stays_in_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise AssertionError

    monkeypatch.setattr(os, "fork", refuse)
    assert package.run(np.ones((1, 2, 3), np.float32), "LSTM(2)", engine="onnx").engine == "onnx"


def test_a_process_with_threads_does_not_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would be missing in the child."""
    monkeypatch.setattr(signals._State, "enabled", True)
    monkeypatch.setattr(os, "fork", None)
    end = Event()
    thread = Thread(target=end.wait)
    thread.start()
    try:
        signals.watch("engine", Message(""))
    finally:
        end.set()
        thread.join()


def test_a_thread_that_ends_is_waited_for() -> None:
    """A bar of progress is erased before its thread has ended."""
    program = """
import os, threading, time
from rnncli.errors import Message
from rnncli.process import signals
signals.enable_watch()
signals.ENDING_SECONDS = 60  # on a busy machine
before = os.getpid()
threading.Thread(target=time.sleep, args=(0.05,)).start()
signals.watch("engine", Message(""))
print(os.getppid() == before)
"""
    assert run_program(program).success().stdout == "True\n"


def test_a_long_stream_does_not_wait_for_the_process_that_waits() -> None:
    """The pipe between them is never read meanwhile, and holds 64 KiB."""
    program = """
from rnncli.errors import Message
from rnncli.process import signals
signals.enable_watch()
for number in range(20_000):
    signals.watch(f"engine {number % 2}", Message("Try again."))
"""
    run_program(program).success()


def test_tensorflow_crashes_without_a_dead_process(rnncli_process: Run) -> None:
    """On some processors, its float16 product for AVX2 does."""
    kernels = {"OPENBLAS_CORETYPE": "Haswell", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    line = (*LINE, "--dtype", "float16", "--engine", "tensorflow")
    done = rnncli_process(*line, env=kernels)
    if done.returncode == 0:
        pytest.skip("TensorFlow's float16 kernel does not crash on this processor")
    assert (done.returncode, done.stdout) == (3, "")
    assert "rnncli: TensorFlow crashed (SIG" in done.stderr
    assert rnncli_process(*LINE, "--dtype", "float16", "--engine", "numpy", env=kernels).returncode == 0


def model_that_drops_every_step(tmp_path: Path, operator: str) -> tuple[str, str]:
    """A model that cuts every step from its input before the node, which is found only by computing."""
    random = np.random.default_rng(0)
    arrays = onnx_graphs.weights(random, operator, 3, 4)
    own = onnx_graphs.node(operator, {**arrays, "X": 1})
    own.input[0] = "none"
    cut = helper.make_node("Slice", ["X", "end", "end"], ["none"])
    feeds = {"X": random.normal(size=(5, 2, 3)).astype(np.float32)}
    constants: Any = {**arrays, "end": np.array([0])}
    return onnx_graphs.save(tmp_path, onnx_graphs.model([cut, own], feeds, constants, ["Y"]), feeds)


def test_onnx_runtime_crashes_without_a_dead_process(tmp_path: Path, rnncli_process: Run) -> None:
    model, feeds = model_that_drops_every_step(tmp_path, "GRU")
    done = rnncli_process("run", feeds, "--model", model)
    if done.returncode == 2:
        pytest.skip("this ONNX Runtime does not crash without steps")
    assert (done.returncode, done.stdout) == (3, "")
    assert "rnncli: ONNX Runtime crashed (SIGABRT).\nGive different inputs, or try another" in done.stderr


def run_with_shape(tmp_path: Path, run: Run, operator: str, shape: tuple[int, int, int]) -> Completed:
    """Run a node of 3 features and 4 units with an input (timesteps, batch, features) of zeros."""
    arrays = onnx_graphs.weights(np.random.default_rng(0), operator, 3, 4)
    made, feeds = onnx_graphs.single(operator, {**arrays, "X": np.zeros(shape, np.float32)})
    model, _ = onnx_graphs.save(tmp_path, made)
    np.savez(tmp_path / "inputs.npz", **feeds)
    return run("run", str(tmp_path / "inputs.npz"), "--model", model, "-f", "json")


@pytest.mark.parametrize("operator", ["LSTM", "GRU", "RNN"])
def test_an_empty_batch_is_an_answer(tmp_path: Path, rnncli_process: Run, operator: str) -> None:
    done = run_with_shape(tmp_path, rnncli_process, operator, (5, 0, 3))
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)  # a note: time first in the file
    assert json.loads(done.stdout)["outputs"][0]["shape"] == [0, 5, 4]


@pytest.mark.parametrize("operator", ["LSTM", "GRU", "RNN"])
def test_no_steps_are_refused_before_onnx_runtime(tmp_path: Path, rnncli_process: Run, operator: str) -> None:
    said = run_with_shape(tmp_path, rnncli_process, operator, (0, 2, 3)).refusal()
    assert "rnn gets an empty input.\nGive at least one sequence of one step." in said
