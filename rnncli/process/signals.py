"""How this process ends: once, at a signal; deferred while a library loads; and by a crash of an engine.

An engine computes in native code, whose crash no exception reports.  So on the command line, the process
forks before the first engine is loaded, when it is still small.  The child goes on: it loads the engine,
computes, and writes the answer.  This process waits, passes signals to the child, exits as it does, and
reports its crash as an error.  In Python (`rnncli.api`), engines stay in the caller's process.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TypeVar

from rnncli.errors import EngineError, Message

if TYPE_CHECKING:
    from concurrent.futures import Future


ENDING = ("SIGTERM", "SIGHUP", "SIGQUIT")
"""Signals that end the process; not every system has all."""

PATIENCE = 1.0
"""Seconds in which further signals are ignored, while the first one's cleanup runs."""

Returned = TypeVar("Returned")
Handler = Callable[[int, FrameType | None], None]


class InterruptHandler:
    """Handler that interrupts the running code: raises KeyboardInterrupt, or SystemExit(128 + number)."""

    def __init__(self) -> None:
        self.last = -PATIENCE

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Raise once, however often the signal arrives."""
        now = monotonic()
        if now - self.last < PATIENCE:
            return
        self.last = now
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(128 + number)


interrupt_handler = InterruptHandler()
"""The handler of this process."""


@contextmanager
def exit_cleanly() -> Iterator[None]:
    """Let a signal leave the block as an exception does, so that cleanup runs."""
    with handle_signals(("SIGINT", *ENDING), interrupt_handler):
        yield


@contextmanager
def defer_signals() -> Iterator[None]:
    """Defer signals until the block ends: a partly loaded library would crash the process."""
    came: list[int] = []
    try:
        with handle_signals(("SIGINT", *ENDING), lambda number, _: came.append(number)):
            yield
    finally:
        for number in came:
            signal.raise_signal(number)


def call_in_thread(work: Callable[[], Returned]) -> Returned:
    """Return `work()`, called in a thread, so that a signal ends the wait for compiled code.

    Raises what `work` raises.  After a signal the thread goes on.
    """
    return start_in_thread(work).result()


def start_in_thread(work: Callable[[], Returned]) -> Future[Returned]:
    """Start `work` in a thread, which does not keep the process alive; return its future result."""
    from concurrent.futures import Future
    from threading import Thread

    future: Future[Returned] = Future()
    future.set_running_or_notify_cancel()

    def call() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=call, daemon=True).start()
    return future


@contextmanager
def handle_signals(names: Sequence[str], handler: Handler) -> Iterator[None]:
    """Handle these signals with `handler`, unless the parent process set them to be ignored."""
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    heard = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    try:
        before = {number: signal.signal(number, handler) for number in heard}
    except ValueError:  # only the main thread can set signal handlers, and only it receives signals
        yield
        return
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, signal.SIG_DFL if previous is None else previous)


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


def enable_watch() -> None:
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
    from warnings import catch_warnings

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

    with handle_signals(("SIGINT", *ENDING), forward):
        with catch_warnings(action="ignore"):  # about the threads of NumPy's matrix products
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
