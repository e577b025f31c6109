"""Run libraries that can crash or hang on bad bytes in a child process with limited time and memory."""

from __future__ import annotations

import io
import math
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from time import monotonic
from typing import BinaryIO, NoReturn

from rnncli import signals
from rnncli.case import Array
from rnncli.specs.isolation import ignore_warnings
from rnncli.specs.memory import address_space

Work = Callable[[BinaryIO], None]

PATIENCE = 4
"""On a busy machine, work that takes a second of processor time may take this many seconds."""

MORE_TIME = "RNNCLI_SECONDS"
"""Environment variable: seconds that a file may take, where they are more than the limit."""

_memory_at_start: list[int] = []
"""In a child: the bytes of address space that it started with; empty if the system does not report them."""


class IncompleteOutputError(Exception):
    """The child exited, or was killed, before it wrote everything."""


class WorkOutput:
    """What `work` wrote.  Reading raises IncompleteOutputError if it ends early or the time is up.

    read: fills the start of a buffer; returns the number of bytes, 0 at the end.
    """

    def __init__(self, read: Callable[[memoryview], int], library: str) -> None:
        self._read, self._library = read, library

    def fill(self, buffer: memoryview) -> None:
        """Read bytes until `buffer` is full."""
        done = 0
        while done < len(buffer):
            read = self._read(buffer[done:])
            if not read:
                raise IncompleteOutputError(f"{self._library} could not read it")
            done += read

    def take(self, size: int) -> bytearray:
        """Read and return `size` bytes."""
        found = bytearray(size)
        self.fill(memoryview(found))
        return found

    def take_text(self, most: int) -> bytearray:
        """Read what `write_text` wrote; not more than `most` bytes of it."""
        return self.take(min(int.from_bytes(self.take(8), "little"), most))

    def take_array(self, shape: Sequence[int], dtype: str) -> Array:
        """Read the numbers of an array."""
        import numpy as np

        array: Array = np.empty(shape, dtype)
        if array.size:
            self.fill(array.reshape(-1).view(np.uint8).data)
        return array


def write_text(file: BinaryIO, text: bytes) -> None:
    """Write a text of any length, after the length."""
    file.write(len(text).to_bytes(8, "little") + text)


def write_array(file: BinaryIO, array: Array) -> None:
    """Write the numbers of a contiguous array."""
    import numpy as np

    if array.size:
        file.write(array.reshape(-1).view(np.uint8).data)


@contextmanager
def run_in_child(
    work: Work, seconds: float, memory: int, library: str = "the library"
) -> Iterator[WorkOutput]:
    """Run `work` in a child process and yield its output; the child is always killed when the block ends.

    The child is forked; on a system without fork, `work` runs in this process, without limits.  Everything
    that it needs must already be imported, because the child cannot open files.
    work: called with the file to write to; an exception in it ends the child.
    seconds: limit on the processor time of the child; in real time, it may take PATIENCE times as long.
    memory: bytes that the child may allocate beyond what this process already has; see `limit_memory`.
    library: what the child runs, in messages.
    """
    if not hasattr(os, "fork"):
        whole = io.BytesIO()
        work(whole)
        whole.seek(0)
        yield WorkOutput(whole.readinto, library)
        return
    import resource  # noqa: F401 - imported here for the child

    seconds = allow(seconds)
    reading, writing = os.pipe()
    child = 0
    try:
        with signals.defer_signals(), ignore_warnings():  # about fork() with threads, such as NumPy's
            child = os.fork()
            if not child:
                _run_child(work, writing, seconds, memory)
            os.close(writing)
        yield WorkOutput(partial(_read_in_time, reading, monotonic(), seconds), library)
    finally:
        os.close(reading)
        if child:
            with suppress(OSError):
                os.kill(child, signal.SIGKILL)
            with suppress(OSError):
                os.waitpid(child, 0)


def allow(seconds: float) -> float:
    """Return the seconds that something may take: `seconds`, or what the user allows if that is more."""
    with suppress(ValueError):
        return max(seconds, min(float(os.environ.get(MORE_TIME, "0")), 1e6))
    return seconds


def advise_more(seconds: float) -> str:
    """Return how to allow more time than these seconds."""
    return f"{MORE_TIME}={math.ceil(4 * seconds)} allows more"


def _read_in_time(descriptor: int, start: float, seconds: float, buffer: memoryview) -> int:
    left = max(0.0, start + PATIENCE * seconds - monotonic())
    ready, _, _ = select.select([descriptor], [], [], left)
    read = os.readv(descriptor, [buffer]) if ready else 0
    if not read and monotonic() > start + seconds:
        raise IncompleteOutputError(f"reading it took too long ({advise_more(seconds)})")
    return read


def limit_memory(memory: int) -> None:
    """Limit the address space of the child, in which this runs, to `memory` bytes more than at its start."""
    if _memory_at_start:
        _limit("RLIMIT_AS", _memory_at_start[0] + memory)


def _run_child(work: Work, writing: int, seconds: float, memory: int) -> NoReturn:
    code = 1
    try:
        for name in ("SIGINT", "SIGPIPE", *signals.ENDING):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        if "faulthandler" in sys.modules:
            sys.modules["faulthandler"].disable()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in (1, 2):  # hide the output of a crashing library; the parent reports the error
            os.dup2(nowhere, descriptor)
        with open(writing, "wb") as file:
            with suppress(OSError, ValueError):
                _memory_at_start.append(address_space())
            limit_memory(memory)
            for resource, most in (("CORE", 0), ("CPU", math.ceil(seconds)), ("NOFILE", 0)):
                _limit(f"RLIMIT_{resource}", most)
            work(file)
        code = 0
    except BaseException:
        code = 1
    finally:
        os._exit(code)


def _limit(name: str, most: int) -> None:
    import resource  # Unix only; `run_in_child` imported it, as the child cannot

    with suppress(OSError, ValueError):
        number = getattr(resource, name)
        _, hard = resource.getrlimit(number)
        within = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(number, (within, hard))
