"""For every test: random cases are the same at every run, so that a failure is the change's own.

HYPOTHESIS_PROFILE=search looks for new ones; what it finds becomes a test of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from command import Completed, Run, environment
from hypothesis import HealthCheck, settings

PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}

settings.register_profile("same", derandomize=True, **PATIENT)
settings.register_profile("search", **PATIENT)
# A shell that starts something in the background has it ignore interrupts, and all that it starts in turn.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture
def rnncli() -> Run:
    """`rnncli ARGS` in a process of its own; stdin is the null device unless `input` or `stdin` says more."""

    def run(*args: str, env: Mapping[str, str] | None = None, **more: Any) -> Completed:
        if "input" not in more:
            more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("stdout", subprocess.PIPE)
        return subprocess.run(
            [sys.executable, "-m", "rnncli", *args],
            env=environment(env), stderr=subprocess.PIPE, text=True, encoding="utf-8", timeout=120, **more,
        )  # fmt: skip

    return run


@pytest.fixture
def shell() -> Run:
    """A line of bash, in which `rnncli` is the command under test."""

    def run(line: str, env: Mapping[str, str] | None = None, **more: Any) -> Completed:
        define = f'rnncli() {{ "{sys.executable}" -m rnncli "$@"; }}\n'
        more.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(
            ["bash", "-c", define + line], env=environment(env), capture_output=True, text=True,
            encoding="utf-8", timeout=120, **more,
        )  # fmt: skip

    return run
