"""Memory of this machine, so that requests that cannot fit are refused before allocation."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from rnncli.errors import InputError, Message, Text, UsageError

_SIZE = r"(?ai)(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[KMGT]?)(?:i?B)?"
_UNITS = " KMGT"
ROOM, PER_BYTE = 2**30, 256
"""What a model may allocate: bytes in all, and bytes for each byte of its file and inputs."""
EXPANDED, EXPANSION = 2**29, 16
"""Bytes that any compressed file may expand to, so that a small one cannot fill the memory; and the multiple
of its size that a larger one may: real weights and series compress to half at best."""
_growth = RLock()
"""Locked while the limit of the process is changed, as another thread would restore the changed limit."""
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def expansion_limit(packed: int) -> int:
    """Return how many bytes a file of `packed` bytes may expand to; at most the memory of the machine."""
    return min(max(EXPANDED, EXPANSION * packed), total())


def refuse_beyond(needed: int, what: Text = Message("the layers")) -> None:
    """Raise InputError if `what` needs more bytes (`needed`) than the machine has."""
    have = total()
    if needed > have:
        raise InputError(
            "{what} would need {size} of memory, but this machine has {have}.",
            "Use fewer units, or a smaller input.",
            what=what,
            size=format_size(needed),
            have=format_size(have),
        )


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


@contextmanager
def limit_growth(size: int, used: int = 0) -> Iterator[None]:
    """In the block, let allocations fail beyond ROOM bytes plus PER_BYTE bytes for each of `size` bytes.

    So a model file of a few bytes cannot fill the memory.  Works only on Linux; elsewhere this does nothing.
    size: the bytes of the file and the inputs.  used: bytes of these that were allocated before the block.
    """
    with _growth:
        try:
            import resource

            soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
            limits = [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY]
            limits.append(allocated_bytes() + max(0, ROOM + PER_BYTE * size - used))
            resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))
        except (ImportError, OSError, ValueError):
            yield
            return
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def address_space() -> int:
    """Return the bytes of address space in use.  Raises OSError if /proc does not exist."""
    return _statm(0)


def allocated_bytes() -> int:
    """Return the bytes of data and stacks, which RLIMIT_DATA limits.  Raises OSError as `address_space`."""
    return _statm(5)


def _statm(field: int) -> int:
    return int(Path("/proc/self/statm").read_text().split()[field]) * os.sysconf("SC_PAGE_SIZE")


def default_budget() -> int:
    """Return the default number of bytes for processing one chunk: a quarter of the memory."""
    return total() // 4


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
