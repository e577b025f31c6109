"""Shared by all tests: random cases are the same in every run, so a failure comes from the change.

`pytest --hypothesis-profile=thorough` looks for new and for many more; each failure becomes a test.
"""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from command import UNWANTED, Completed, Run, run_here, run_process, run_words
from documents import hold_documents
from hypothesis import HealthCheck, settings
from limits import PATIENCE

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("same", PATIENT, derandomize=True, max_examples=30)
settings.register_profile("thorough", PATIENT, max_examples=400)
settings.load_profile("same")

# The objects of three frameworks stay: to look through them for garbage takes up to a tenth of the time.
gc.set_threshold(100_000, 50, 100)

if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # under nohup; tests send it to what they start
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

hold_documents()

# The terminal and the language of who runs the tests change none of them.
for name in UNWANTED:
    os.environ.pop(name, None)
os.environ["LANG"] = "C.UTF-8"

# A shell makes its background jobs ignore these two, and their child processes inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGQUIT, signal.SIG_DFL)


SLOW = 1.0
"""Seconds above which a test without the mark `slow` is named, on a machine that is not busy."""
SLOW_FIXTURES = {"browser", "rnncli_process", "shell"}
"""What they start takes more than a quarter of a second, so a test that uses one is slow without the mark."""
EVERY = 7
"""The quick run tries one in so many cases of a test that is `sampled`, or as many as `sampled(N)` says.

Primes, so that every parameter varies.
"""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow the tests that start a process, and the cases of a `sampled` test that are left out."""
    cases: Counter[str] = Counter()
    for item in items:
        name = item.nodeid.partition("[")[0]
        sampled = item.get_closest_marker("sampled")
        left_out = sampled and cases[name] % (sampled.args or (EVERY,))[0]
        cases[name] += 1
        if left_out or SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name the tests that should be marked slow; times differ, so that none fails for it."""
    took: dict[str, float] = {}
    for report in (each for kind in ("passed", "failed") for each in terminalreporter.getreports(kind)):
        if "slow" not in report.keywords:
            took[report.nodeid] = took.get(report.nodeid, 0) + report.duration
    late = {name: seconds for name, seconds in took.items() if seconds > SLOW}
    for name, seconds in sorted(late.items(), key=lambda item: -item[1])[:20]:
        terminalreporter.write_line(f"{seconds:.1f} s, and not marked slow: {name}")


@pytest.fixture(autouse=True)
def _keras_in_this_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Load Keras once for all tests; those marked with own_process load it in a new process as users do."""
    if "own_process" in request.keywords:
        return
    from rnncli.process import child_process

    @contextmanager
    def run_here(
        work: str, asked: bytes, seconds: float, library: str = "", **variables: str
    ) -> Iterator[child_process.WorkOutput]:
        module, _, name = work.partition(":")
        file = io.BytesIO()
        getattr(import_module(module), name)(asked, file)
        file.seek(0)
        yield child_process.WorkOutput(file.readinto, library)

    monkeypatch.setattr(child_process, "run_in_new_process", run_here)


@pytest.fixture
def files_are_read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let libraries read files in this process: a fork of it, with three frameworks, takes 30 ms.

    For tests of what is computed from a good file; tests of readers, and of bad files, read in a child.
    """
    from rnncli.process import child_process

    @contextmanager
    def work_here(
        work: Callable[[BinaryIO], None], seconds: float, memory: int, library: Any = "the library"
    ) -> Iterator[child_process.WorkOutput]:
        file = io.BytesIO()
        with suppress(Exception):  # which would end the child before it has written everything
            work(file)
        file.seek(0)
        yield child_process.WorkOutput(file.readinto, library)

    monkeypatch.setattr(child_process, "run_in_child", work_here)


@pytest.fixture(autouse=True)
def _no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, only the processor time of a child limits it."""
    from rnncli.process import child_process

    monkeypatch.setattr(child_process, "PATIENCE", PATIENCE)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of the test's own, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def rnncli() -> Run:
    """Run `rnncli ARGS`; see run_here."""
    return run_here


@pytest.fixture
def rnncli_process() -> Run:
    """Run `rnncli ARGS` in a process of its own."""
    return run_process


@pytest.fixture
def shell() -> Run:
    """Run a line of bash in which `rnncli` is the command under test."""

    def run(line: str, **more: Any) -> Completed:
        define = f'rnncli() {{ "{sys.executable}" -m rnncli "$@"; }}\n'
        return run_words("bash", "-c", define + line, **more)

    return run
