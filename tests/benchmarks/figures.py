"""Shared by the benchmarks: timing of functions in turn, and the printed table."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from typing import NamedTuple

SHORTEST = 0.05
"""A function that takes fewer seconds than this is called several times in a row."""
REST = 0.2
"""Seconds to wait before timing: the previous contestant's threads keep the processors busy for a while."""


class Row(NamedTuple):
    """One line: the measurement, in the section's unit, and its ratio to the first or named line."""

    name: str
    value: float
    note: str = ""


class Section(NamedTuple):
    """One block of the table.  against: name of the row that ratios are relative to."""

    title: str
    unit: str
    against: str
    rows: tuple[Row, ...]


Sections = Iterator[Section]


def in_turn(contestants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return median seconds of one call: A B C A B C ..., after a first call of each that is not counted."""
    repeats = {name: _repeats(call) for name, call in contestants.items()}
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, call in contestants.items():
            seconds[name].append(_timed(call, repeats[name]))
    return {name: statistics.median(times) for name, times in seconds.items()}


def _repeats(call: Callable[[], object]) -> int:
    call()
    return max(1, min(1000, round(SHORTEST / max(_timed(call, 1), 1e-7))))


def _timed(call: Callable[[], object], times: int) -> float:
    time.sleep(REST)
    begun = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - begun) / times


def show(sections: Sections) -> None:
    """Print every section as soon as it is complete, then the machine."""
    for title, unit, against, rows in sections:
        base = next(row.value for row in rows if row.name == against)
        print(f"\n{title:44}{unit:>12}   ratio to {against}")
        for name, value, note in rows:
            print(f"  {name:42}{value:12.4g}{value / base:9.2f}  {note}".rstrip(), flush=True)
    print(f"\n{machine()}")


def machine() -> str:
    """Describe the machine that the measurements come from."""
    packages = ("numpy", "tensorflow", "keras", "onnxruntime", "torch", "orjson")
    found = [f"{name} {version}" for name in packages if (version := _version(name))]
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    tuned = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("OPENBLAS_")]
    return "\n".join(
        [
            f"{platform.machine()}, {os.cpu_count()} CPUs{load}; Python {platform.python_version()}",
            ", ".join(found),
            *(["NumPy's library of products is tuned here: " + ", ".join(tuned)] if tuned else []),
        ]
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def alone(sections: Callable[[int], Sections], rounds: int) -> None:
    """Run one benchmark as a command: FILE.py [ROUNDS]."""
    show(sections(int(sys.argv[1]) if len(sys.argv) > 1 else rounds))
