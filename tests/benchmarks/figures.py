"""Shared by the benchmarks: times of functions and of whole processes, in turn, and the printed table.

A B C A B C ...: what changes the speed of the machine changes that of all of them.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import NamedTuple

SHORTEST = 0.05
"""A function that takes fewer seconds than this is called several times in a row."""
REST = 0.2
"""Seconds to wait before timing: the previous contestant's threads keep the processors busy for a while."""


class Section(NamedTuple):
    """One block of the table.  against: name of the row that ratios are relative to."""

    title: str
    unit: str
    against: str
    rows: Mapping[str, float]


Sections = Iterator[Section]


def in_turn(contestants: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return median seconds of one call, after a first call of each that is not counted."""
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


def processes(title: str, against: str, commands: Mapping[str, Sequence[str]], rounds: int) -> Sections:
    """Yield median seconds, then peak memory, of whole processes, after a round that warms the caches."""
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            run = _once(command)
            if number:
                runs[name].append(run)
    seconds = {name: statistics.median(one for one, _ in own) for name, own in runs.items()}
    yield Section(title, "seconds", against, seconds)
    memory = {name: max(one for _, one in own) for name, own in runs.items()}
    yield Section(f"{title}, peak memory", "MB", against, memory)


def _once(command: Sequence[str]) -> tuple[float, float]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    nothing, begun = subprocess.DEVNULL, time.perf_counter()
    process = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {process.returncode}")
    return seconds, usage.ru_maxrss / 1024


def show(sections: Sections) -> None:
    """Print every section as soon as it is complete, then the machine."""
    for title, unit, against, rows in sections:
        print(f"\n{title:44}{unit:>12}   ratio to {against}")
        for name, value in rows.items():
            print(f"  {name:42}{value:12.4g}{value / rows[against]:9.2f}", flush=True)
    print(f"\n{machine()}")


def machine() -> str:
    """Describe the machine that the measurements come from."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    lines = [f"{platform.machine()}, {os.cpu_count()} CPUs{load}; Python {platform.python_version()}"]
    for package in ("numpy", "tensorflow", "keras", "onnxruntime", "torch", "orjson"):
        try:
            lines.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            continue
    lines += [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("OPENBLAS_")]
    return ", ".join(lines)
