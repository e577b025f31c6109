"""Memory of this machine, so that requests that cannot fit are refused before allocation."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, RLock, Thread, get_ident

from rnncli.errors import EngineError, InputError, Message, Text, UsageError

_SIZE = r"(?ai)(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[KMGT]?)(?:i?B)?"
_UNITS = " KMGT"
ROOM, PER_BYTE = 2**30, 256
"""What a model may allocate: bytes in all, and bytes for each byte of its file and inputs."""
EXPANDED, EXPANSION = 2**29, 16
"""Bytes that any compressed file may expand to, so that a small one cannot fill the memory; and the multiple
of its size that a larger one may: real weights and series compress to half at best."""
PERIOD = 0.01
"""Seconds between two looks at the memory of a process whose system has no limit for it."""
_growth = RLock()
"""Locked while the limit of the process is changed, as another thread would restore the changed limit."""
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def expansion_limit(packed: int) -> int:
    """Return how many bytes a file of `packed` bytes may expand to; at most the memory of the machine."""
    return min(max(EXPANDED, EXPANSION * packed), total())


def refuse_beyond(needed: int, what: Text = Message("the layers"), *, free_now: bool = False) -> None:
    """Raise InputError if `what` needs more bytes (`needed`) than the machine has.

    free_now: or than what other programs leave of it.
    """
    have, text = total(), "{what} would need {size} of memory, but this machine has {have}."
    if free_now and (left := free()) < have:
        have, text = left, "{what} would need {size} of memory, but {have} are free."
    if needed > have:
        advice = "Use fewer units, or a smaller input."
        raise InputError(text, advice, what=what, size=format_size(needed), have=format_size(have))


def total() -> int:
    """Return the bytes of memory of the machine, or of its container if that has fewer."""
    try:
        sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (ValueError, OSError, AttributeError):
        return 2**63
    for path in map(Path, _LIMITS):
        try:
            sizes.append(int(path.read_text()))
        except (OSError, ValueError):
            continue
    return min(sizes)


def free() -> int:
    """Return the bytes of memory that no program uses, as far as the system says."""
    try:
        line = re.search(r"MemAvailable: *(\d+)", Path("/proc/meminfo").read_text())
    except OSError:
        line = None
    return 1024 * int(line[1]) if line else total()


@contextmanager
def limit_growth(size: int, used: int = 0) -> Iterator[None]:
    """In the block, let allocations fail beyond ROOM bytes plus PER_BYTE bytes for each of `size` bytes.

    So a model file of a few bytes cannot fill the memory.  Where the system does not say what is allocated, a
    thread watches; see `watch_growth`.
    size: the bytes of the file and the inputs.  used: bytes of these that were allocated before the block.
    """
    most = max(0, ROOM + PER_BYTE * size - used)
    with _growth:
        try:
            import resource

            soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
            limits = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
            limits.append(allocated_bytes() + most)
            resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
        except (ImportError, OSError, ValueError):
            ended, thread = Event(), get_ident()
            watcher = watch_growth(most, lambda: _raise_in(thread), ended)
            try:
                yield
            finally:
                ended.set()
                watcher.join()
            return
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def watch_growth(most: int, beyond: Callable[[], None], ended: Event | None = None) -> Thread:
    """Start a thread that calls `beyond` once this process has had `most` bytes more in memory than before.

    It stops when `ended` is set.  Raises EngineError on a system that does not say what a process has.
    """
    start, ended = _peak(), ended or Event()

    def watch() -> None:
        while not ended.wait(PERIOD):
            if _peak() - start > most:
                beyond()
                return

    thread = Thread(target=watch, daemon=True)
    thread.start()
    return thread


def _raise_in(thread: int) -> None:
    """Raise MemoryError in a thread, at its next instruction of Python."""
    import ctypes

    error = ctypes.py_object(MemoryError)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), error)


def _peak() -> int:
    """Return the most bytes that this process has had in memory."""
    try:
        import resource
    except ImportError:
        advice = "Use Linux, macOS, or Windows Subsystem for Linux."
        raise EngineError("this system cannot limit the memory that a file takes.", advice) from None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def address_space() -> int:
    """Return the bytes of address space in use.  Raises OSError if /proc does not exist."""
    return allocated_bytes(0)


def allocated_bytes(field: int = 5) -> int:
    """Return the bytes of data and stacks, which RLIMIT_DATA limits.  Raises OSError as `address_space`."""
    return int(Path("/proc/self/statm").read_text().split()[field]) * os.sysconf("SC_PAGE_SIZE")


def parse(text: str) -> int:
    """Parse `256MB`, `1.5G`, `64 MiB` or `4096` into bytes; K, M and G are powers of 1024."""
    match = re.fullmatch(_SIZE, text.strip())
    size = float(match["number"]) * 1024 ** _UNITS.index(match["unit"].upper() or " ") if match else 0
    if not match or not 1 <= size < 2**63:
        raise UsageError("{--memory}: {text!r} is not a size.", "For example 256MB or 1.5G.", text=text)
    return int(size)


def format_size(size: float) -> str:
    """Format a size for display: `3.0 GiB`."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if size < 1024 or unit == "PiB":
            break
        size /= 1024
    return f"{size:,.0f} {unit}" if size >= 10 or unit == "bytes" else f"{size:.1f} {unit}"
