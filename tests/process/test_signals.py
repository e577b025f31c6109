"""Signals that are deferred, and signals that clean up first."""

import os
import signal
import threading
from itertools import pairwise
from pathlib import Path

import pytest
from command import run_program

from rnncli.process import signals
from rnncli.process.packages import import_package
from rnncli.process.signals import call_in_thread, defer_signals, exit_cleanly


@pytest.fixture(autouse=True)
def nothing_came_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "interrupt_handler", signals.InterruptHandler())


@pytest.mark.parametrize("failure", [None, ImportError()])
def test_a_signal_waits_until_the_block_has_ended(failure: Exception | None) -> None:
    """It counts more than what went wrong meanwhile."""
    done = []

    def loading() -> None:
        with defer_signals():
            signal.raise_signal(signal.SIGINT)
            done.append("loaded")
            if failure:
                raise failure

    with pytest.raises(KeyboardInterrupt):
        loading()
    assert done == ["loaded"]


def test_a_signal_waits_until_a_package_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled packages such as orjson crash the process when their loading is interrupted."""
    text = "import signal\nsignal.raise_signal(signal.SIGINT)\nLOADED = True\n"
    (tmp_path / "interrupted_package.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        import_package("interrupted_package", "nothing")
    assert import_package("interrupted_package", "nothing").LOADED


@pytest.mark.parametrize("name", signals.ENDING)
def test_what_ends_the_process_leaves_as_an_error_does(name: str) -> None:
    number, cleaned = getattr(signal, name), []

    def writing() -> None:
        with exit_cleanly():
            try:
                signal.raise_signal(number)
            finally:
                cleaned.append(True)

    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as left:
        writing()
    assert (left.value.code, cleaned) == (128 + number, [True])
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(("first", "code"), [("SIGINT", None), ("SIGTERM", 143)])
def test_the_cleaning_up_is_not_interrupted(first: str, code: int | None) -> None:
    cleaned = []

    def writing() -> None:
        with exit_cleanly():
            try:
                signal.raise_signal(getattr(signal, first))
            finally:
                for name in ("SIGINT", "SIGTERM", "SIGHUP", first):
                    signal.raise_signal(getattr(signal, name))
                cleaned.append(True)

    with pytest.raises((KeyboardInterrupt, SystemExit)) as left:
        writing()
    assert (getattr(left.value, "code", None), cleaned) == (code, [True])


def test_later_a_signal_counts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The exception of the first signal may have been swallowed."""
    monkeypatch.setattr(signals, "PATIENCE", 0.0)
    with exit_cleanly():
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_what_is_ignored_stays_ignored(name: str) -> None:
    """As with nohup, or for a background job of a shell."""
    number, done = getattr(signal, name), []
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with defer_signals(), exit_cleanly():
            signal.raise_signal(number)
            done.append(signal.getsignal(number))
    finally:
        signal.signal(number, before)
    assert done == [signal.SIG_IGN]


def test_another_thread_is_left_alone() -> None:
    done = []

    def work() -> None:
        with defer_signals(), exit_cleanly():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


@pytest.mark.parametrize("module", ["signal", "rnncli.process.signals", "rnncli.cli.app", "typer"])
def test_an_interrupt_of_a_command_that_loads_says_nothing(module: str) -> None:
    code = (
        "import os, sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), 2)\n"
        "sys.meta_path.insert(0, Finder())\n"
        "sys.modules.pop('signal', None)\n"
        "from rnncli.__main__ import main\n"
        "main()"
    )
    done = run_program(code, "engines")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_a_signal_ends_the_wait_for_compiled_code() -> None:
    """A lock that is never released stands for a library that does not return."""
    lock = threading.Lock()
    lock.acquire()
    # A shell that starts the tests in the background lets them ignore SIGINT.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
    try:
        with pytest.raises(KeyboardInterrupt), exit_cleanly():
            call_in_thread(lock.acquire)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_thread_gives_back_what_the_work_does() -> None:
    assert call_in_thread(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        call_in_thread(lambda: 1 // 0)


def test_orjson_is_loaded_only_while_signals_wait() -> None:
    """An interrupt in the middle of its loading crashes the process, one time in some hundred."""
    package = Path(signals.__file__).parents[1]
    for path in package.rglob("*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        for before, line in pairwise(lines):
            if line.strip() == "import orjson":
                assert before.strip().startswith("with defer_signals()"), path
