"""A process of its own for the engines that compute in native code, whose crash no exception reports.

On the command line, the process forks before the first such engine is loaded, when it is still small.  The
child goes on: it loads the engine, computes, and writes the answer.  This process waits, passes signals to
the child, exits as it does, and reports its crash as an error.  In Python (`rnncli.api`), engines stay in
the caller's process.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rnncli.errors import EngineError, Message
from rnncli.process import signals

CRASHES = ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV")
"""The signals that end a process because of an error in it."""
ENDING_SECONDS = 0.2
"""How long to wait for a thread that may be ending."""
PIPE_SIZE = 2**16
"""The most bytes that wait in a pipe."""
PR_SET_PDEATHSIG = 1
"""The request of Linux's prctl to send a signal to this process when its parent ends."""


class EngineCrash(BaseException):
    """An engine ended its process.  Not an Exception, which a fallback could take for a refusal."""

    def __init__(self, error: EngineError) -> None:
        self.error = error
        super().__init__(error)


def explain_crash(engine: str, number: int, advice: Message) -> EngineError | None:
    """Return the error for a process that this signal ended; None if it is not the signal of a crash."""
    name = signal.Signals(number).name
    if name not in CRASHES:
        return None
    return EngineError(Message("{engine} crashed ({name}).", engine=engine, name=name), advice)


class _State:
    """Whether engines are watched in this process; in a watched child, the pipe to the waiting process.

    told: the last words that were sent there.
    """

    enabled = False
    pipe: int | None = None
    told: tuple[str, ...] = ()


def enable() -> None:
    """Watch the engines of this process, the command line."""
    _State.enabled = hasattr(os, "fork")


def watch(engine: str, advice: Message) -> None:
    """Continue in a child process, if this process is the command line and has no engine yet.

    Returns in the child.  The waiting process exits, or raises EngineCrash.
    engine: the name to report if the child crashes before the next call.
    advice: what to try then; a template without fields.
    """
    if _State.pipe is None and _can_fork():
        _fork(engine, advice)
    _tell("engine", engine, advice.template)


def remove_after_crash(path: Path) -> None:
    """Let the waiting process remove this unfinished file if the child crashes."""
    _tell("file", str(path))


def _can_fork() -> bool:
    """Return whether no thread of Python would be missing in a child.

    Waits a moment for other threads: the thread of a progress bar may still be ending.
    """
    main = threading.main_thread()
    if not _State.enabled or threading.current_thread() is not main:
        return False
    for thread in threading.enumerate():
        if thread is not main:
            thread.join(ENDING_SECONDS)
    return threading.active_count() == 1


def _tell(*words: str) -> None:
    """Send words to the waiting process, which reads them after a crash."""
    import json

    if _State.pipe is not None and words != _State.told:
        _State.told = words
        with suppress(OSError):  # also for a full pipe
            os.write(_State.pipe, json.dumps(words).encode() + b"\n")


def _fork(engine: str, advice: Message) -> None:
    """Fork, and return in the child; the parent passes its signals to the child, and waits."""
    from rnncli.process.isolation import ignore_warnings

    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()  # else both processes would write what waits
    reading, writing = os.pipe()
    parent, child = os.getpid(), 0
    early: list[int] = []

    def forward(number: int, _: FrameType | None) -> None:
        if not child:
            early.append(number)
            return
        with suppress(OSError):
            os.kill(child, number)

    with signals.handle_signals(("SIGINT", *signals.ENDING), forward):
        with ignore_warnings():  # about the threads of NumPy's matrix products
            child = os.fork()
        if child:
            os.close(writing)
            for number in early:
                forward(number, None)
            try:
                status = os.waitpid(child, 0)[1]
            except BaseException:
                os.kill(child, signal.SIGKILL)
                raise
            _exit_as(status, [["engine", engine, advice.template], *_read_lines(reading)])
    if sys.platform == "linux":  # if its parent is killed, the child ends, too, and does not go on unseen
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    os.close(reading)
    os.set_blocking(writing, False)
    _State.pipe = writing
    for number in early:
        signal.raise_signal(number)


def _read_lines(reading: int) -> list[list[str]]:
    """Return what the child told, the words of each line; does not wait for a process that it left behind."""
    import json

    os.set_blocking(reading, False)
    with suppress(BlockingIOError):
        return [json.loads(line) for line in os.read(reading, PIPE_SIZE).splitlines()]
    return []


def _exit_as(status: int, told: Sequence[Sequence[str]]) -> NoReturn:
    """Exit as the child did, by the same signal or with the same code; raise EngineCrash if it crashed.

    told: `engine`, its name and the advice for each engine; `file` and its path for each unfinished file.
    """
    if os.WIFEXITED(status):
        os._exit(os.WEXITSTATUS(status))
    number = os.WTERMSIG(status)
    engine, advice = [words for kind, *words in told if kind == "engine"][-1]
    error = explain_crash(engine, number, Message(advice))
    if number == signal.SIGKILL:
        what = "the system ended the process in which {engine} ran, perhaps for want of memory."
        error = EngineError(what, "Make the input smaller, or close other programs.", engine=engine)
    for path in [words[0] for kind, *words in told if kind == "file"]:
        with suppress(OSError):
            Path(path).unlink(missing_ok=True)
    if error is not None:
        raise EngineCrash(error)
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(128 + number)
