"""Run every benchmark and print one table: python tests/benchmarks/all.py

Takes a few minutes.  Nothing is checked: times differ between machines; ratios within one run differ less.
"""

from __future__ import annotations

from importlib import import_module

from figures import Sections, show

ROUNDS = {"cold_start": 7, "saved_model": 3, "peak_memory": 1, "reading": 3, "streaming": 1, "engines": 3}
"""Whole processes come first, while this one is small and none of its libraries keeps threads."""


def sections() -> Sections:
    """Yield the sections of every benchmark; load its libraries only when it runs."""
    for subject, rounds in ROUNDS.items():
        yield from import_module(subject).sections(rounds)


if __name__ == "__main__":
    show(sections())
