"""The smallest benchmark runs without errors; its measurements are not checked."""

import subprocess
import sys
from pathlib import Path

import pytest
from limits import PATIENCE

BENCHMARKS = Path(__file__).parent / "benchmarks"


@pytest.mark.slow
def test_the_smallest_subject_prints_its_ratios_and_the_machine() -> None:
    command = [sys.executable, str(BENCHMARKS / "all.py"), "reading"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    ratios = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("  rnncli")]
    assert len(ratios) == 3
    assert all(float(ratio) > 0 for ratio in ratios)
    assert "CPUs" in done.stdout
