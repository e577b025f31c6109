"""Every benchmark in one run, one table: python tests/benchmarks/all.py

Some minutes.  Nothing is judged here: machines differ, and ratios within one run less so.
"""

from __future__ import annotations

from importlib import import_module

from figures import Sections, show

ROUNDS = {"cold_start": 7, "peak_memory": 1, "reading": 3, "streaming": 1, "engines": 3}
"""Whole processes come first, while this one is small and no library of it keeps threads."""


def sections() -> Sections:
    """Every subject's, its libraries loaded when its turn comes."""
    for subject, rounds in ROUNDS.items():
        yield from import_module(subject).sections(rounds)


if __name__ == "__main__":
    show(sections())
