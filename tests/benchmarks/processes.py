"""Whole processes, timed in turn: A B C A B C ..., so that changes in machine speed affect all of them."""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figures:
    """Seconds and peak MB of each run of one command."""

    seconds: tuple[float, ...]
    megabytes: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median seconds."""
        return statistics.median(self.seconds)


def measure(commands: Mapping[str, Sequence[str]], rounds: int) -> dict[str, Figures]:
    """Run every command `rounds` times in turn, after one round that warms the caches and is not counted."""
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            run = _once(command)
            if number:
                runs[name].append(run)
    return {name: Figures(*map(tuple, zip(*figures, strict=True))) for name, figures in runs.items()}


def _once(command: Sequence[str]) -> tuple[float, float]:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    begun = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {process.returncode}")
    return seconds, usage.ru_maxrss / 1024
