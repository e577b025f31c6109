"""Work in a child process, bounded in time and memory, for libraries that can crash or hang on bad bytes."""

from __future__ import annotations

import math
import os
import select
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import BinaryIO, NoReturn

from rnncli import signals

Work = Callable[[BinaryIO], None]

_begun: list[int] = []
"""In a child, bytes of address space that it began with, where the system says so."""


class BrokenOffError(Exception):
    """The child ended, or was ended, before it had written everything."""


class Answer:
    """What the child writes.  Raises BrokenOffError where it stops too early, or the time is over."""

    def __init__(self, descriptor: int, seconds: float) -> None:
        self._descriptor, self._end = descriptor, monotonic() + seconds

    def fill(self, buffer: memoryview) -> None:
        """As many bytes as `buffer` has."""
        done = 0
        while done < len(buffer):
            ready, _, _ = select.select([self._descriptor], [], [], max(0.0, self._end - monotonic()))
            if not ready:
                raise BrokenOffError("reading it took too long")
            read = os.readv(self._descriptor, [buffer[done:]])
            if not read:
                raise BrokenOffError("the HDF5 library could not read it")
            done += read

    def take(self, size: int) -> bytes:
        """So many bytes."""
        found = bytearray(size)
        self.fill(memoryview(found))
        return bytes(found)


@contextmanager
def working(work: Work, seconds: float, memory: int) -> Iterator[Answer]:
    """What `work` writes in a child process, which is gone at the end of the block, whatever ends it.

    The child is forked: `work` must have imported all that it needs before, and can open no file.

    Args:
        work: gets the file to write to; what it raises ends the child.
        seconds: how long the child may take.
        memory: bytes that the child may take beyond what this process has; see `allow`.
    """
    import resource  # noqa: F401 - for every child

    reading, writing = os.pipe()
    child = 0
    try:
        with signals.undisturbed(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python 3.12 warns of forks beside threads, such as NumPy's own
            child = os.fork()
            if not child:
                _work(work, writing, seconds, memory)
            os.close(writing)
        yield Answer(reading, seconds)
    finally:
        os.close(reading)
        if child:
            with suppress(OSError):
                os.kill(child, signal.SIGKILL)
            with suppress(OSError):
                os.waitpid(child, 0)


def allow(memory: int) -> None:
    """From here on the child may take so many bytes more than it began with."""
    if _begun:
        _limit("RLIMIT_AS", _begun[0] + memory)


def _work(work: Work, writing: int, seconds: float, memory: int) -> NoReturn:
    code = 1
    try:
        for name in ("SIGINT", "SIGPIPE", *signals.ENDING):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        if "faulthandler" in sys.modules:
            sys.modules["faulthandler"].disable()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (1, 2):  # what a crashing library says is said by the parent
            os.dup2(nowhere, descriptor)
        with open(writing, "wb") as file:
            with suppress(OSError, ValueError):
                _begun.append(_taken())
            allow(memory)
            for resource, most in (("CORE", 0), ("CPU", math.ceil(seconds) + 1), ("NOFILE", 0)):
                _limit(f"RLIMIT_{resource}", most)
            work(file)
        code = 0
    except BaseException:
        code = 1
    finally:
        os._exit(code)


def _limit(name: str, most: int) -> None:
    import resource  # not every system has it; `working` has imported it before the child cannot

    with suppress(OSError, ValueError):
        number = getattr(resource, name)
        _, hard = resource.getrlimit(number)
        within = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(number, (within, hard))


def _taken() -> int:
    """Bytes of address space; OSError where the system does not say."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
