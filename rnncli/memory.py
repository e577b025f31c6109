"""How much memory this machine has, so that what cannot fit is refused before it is allocated."""

from __future__ import annotations

import os
import re
from pathlib import Path

from rnncli.errors import InputError, UsageError

_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[KMGT]?)(?:i?B)?", re.IGNORECASE)
_UNITS = " KMGT"
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def refuse_beyond(needed: int, what: str = "the layers") -> None:
    """Raises InputError where the `needed` bytes of `what` are more than the machine has."""
    have = total()
    if needed > have:
        raise InputError(
            f"{what} would need {shown(needed)} of memory, and this machine has {shown(have)}.",
            "Take fewer units, or a smaller input.",
        )


def total() -> int:
    """Bytes of memory, or the limit of the container that this runs in, where that is smaller."""
    try:
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (ValueError, OSError, AttributeError):
        return 2**63
    for path in map(Path, _LIMITS):
        try:
            found.append(int(path.read_text()))
        except (OSError, ValueError):
            continue
    return min(found)


def spare() -> int:
    """Bytes that the work on one chunk may take where nobody says how many: a quarter of the memory."""
    return total() // 4


def parse(text: str) -> int:
    """`256MB`, `1.5G`, `64 MiB`, `4096` in bytes; K, M and G are powers of 1024."""
    match = _SIZE.fullmatch(text.strip())
    size = float(match["number"]) * 1024 ** _UNITS.index(match["unit"].upper() or " ") if match else 0
    if not match or not 1 <= size < 2**63:
        raise UsageError(f"--memory: {text!r} is no size.", "Such as 256MB or 1.5G.")
    return int(size)


def shown(size: float) -> str:
    """A size for the eye: `3.0 GiB`."""
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB"):
        if size < 1024 or unit == "PiB":
            return f"{size:,.0f} {unit}" if size >= 10 or unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return ""
