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
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rnncli.errors import EngineError, Message
from rnncli.process import signals

CRASHES = ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV")
"""The signals that end a process because of an error in it."""
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
    """Whether engines are watched in this process; in a watched child, the pipe to the waiting process."""

    enabled = False
    pipe: int | None = None


def enable() -> None:
    """Watch the engines of this process, the command line."""
    _State.enabled = hasattr(os, "fork")


def watch(engine: str, advice: Message) -> None:
    """Continue in a child process, if this process is the command line and has no engine yet.

    Returns in the child.  The waiting process exits, or raises EngineCrash.
    engine: what crashed, if the child crashes before the next call.
    advice: what to try then; a template without fields.
    """
    if _State.pipe is None and _can_fork():
        _fork()
    _tell("engine", engine, advice.template)


def remove_after_crash(path: Path) -> None:
    """Let the waiting process remove this unfinished file if the child crashes."""
    _tell("file", str(path))


def _can_fork() -> bool:
    """Return whether no thread of Python would be missing in a child."""
    alone = threading.active_count() == 1 and threading.current_thread() is threading.main_thread()
    return _State.enabled and alone


def _tell(*words: str) -> None:
    """Send words to the waiting process, which reads them after a crash."""
    import json

    if _State.pipe is not None:
        with suppress(OSError):
            os.write(_State.pipe, json.dumps(words).encode() + b"\n")


def _fork() -> None:
    """Fork; returns in the child."""
    from rnncli.process.isolation import ignore_warnings

    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):
            stream.flush()  # else both processes would write what waits
    reading, writing = os.pipe()
    parent = os.getpid()
    with signals.defer_signals(), ignore_warnings():  # about the threads of NumPy's matrix products
        child = os.fork()
        if not child:
            _end_with(parent)
            os.close(reading)
            _State.pipe = writing
            return
    os.close(writing)
    try:
        status = _wait(child)
    finally:
        with suppress(OSError):
            os.kill(child, signal.SIGKILL)  # after an error here; else it has ended
    if os.WIFEXITED(status):
        os._exit(os.WEXITSTATUS(status))
    with os.fdopen(reading, encoding="utf-8") as told:
        _report(os.WTERMSIG(status), told.read())


def _end_with(parent: int) -> None:
    """End this child as soon as its parent is killed, so that it does not go on unseen.  Linux only."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _wait(child: int) -> int:
    """Return the status with which the child ends; pass on the signals that this process gets."""

    def forward(number: int, _: FrameType | None) -> None:
        with suppress(OSError):
            os.kill(child, number)

    with signals.handle_signals(("SIGINT", *signals.ENDING), forward):
        return os.waitpid(child, 0)[1]


def _report(number: int, told: str) -> NoReturn:
    """Raise EngineCrash for a crash; end this process by any other signal that ended the child.

    told: the lines that the child sent.
    """
    import json

    lines = [json.loads(line) for line in told.splitlines()]
    engine, advice = [words for kind, *words in lines if kind == "engine"][-1]
    killed = signal.Signals(number).name == "SIGKILL"
    error = explain_crash(engine, number, Message(advice))
    if killed:
        error = EngineError(
            "the system ended the process in which {engine} ran, perhaps for want of memory.",
            "Make the input smaller, or close other programs.",
            engine=engine,
        )
    for path in [words[0] for kind, *words in lines if kind == "file"]:
        with suppress(OSError):
            Path(path).unlink(missing_ok=True)
    if error is not None:
        raise EngineCrash(error)
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
    os._exit(128 + number)
