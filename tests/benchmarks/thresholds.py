"""Number of steps from which ONNX Runtime beats NumPy: python tests/benchmarks/thresholds.py [ROUNDS]

Divides the seconds that loading its packages takes by the seconds that it saves per step.  Use an idle
machine: other work slows NumPy's products of wide layers most.  Copy the steps into FEWEST_STEPS in
rnncli/compute/engines/__init__.py, whose sizes are the numbers in a state, batch * units.
"""

from __future__ import annotations

import subprocess
import sys
from time import perf_counter

import numpy as np
from figures import in_turn, machine

from rnncli import compute, specs
from rnncli.compute.engines import FEWEST_STEPS
from rnncli.layers.case import Case

SIZES = ((1, 3), (1, 50), (2, 64), (1, 1000), (8, 250), (32, 300), (64, 1000))
"""Batch and units; the number of features equals the units."""
STEPS = 100_000
"""Approximate number of state values to compute, in at least 20 steps."""
LOAD = "import time; t = time.perf_counter(); import onnx, onnxruntime; print(time.perf_counter() - t)"


def loading(rounds: int) -> float:
    """Return the seconds to import the packages in a new process."""
    command = [sys.executable, "-c", LOAD]
    times = [float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(rounds)]
    return sorted(times)[rounds // 2]


def saved(kind: str, batch: int, units: int, rounds: int) -> tuple[float, float]:
    """Return the seconds saved per step compared with NumPy, and the extra seconds to build the graph."""
    steps = max(20, min(2000, STEPS // (batch * units)))
    case = Case(
        specs.from_flags([f"{kind}({units})"], {}), np.zeros((batch, steps, units), np.float32), seed=1
    )
    made, calls = {}, {}
    for engine in ("numpy", "onnx"):
        begun = perf_counter()
        call = compute.prepare(case, engine)
        call(case)
        made[engine] = perf_counter() - begun
        calls[engine] = lambda call=call: call(case)
    seconds = in_turn(calls, rounds)
    extra = {engine: made[engine] - seconds[engine] for engine in made}
    return (seconds["numpy"] - seconds["onnx"]) / steps, max(0.0, extra["onnx"] - extra["numpy"])


def main(rounds: int) -> None:
    """Print one line per layer and size."""
    load = loading(rounds)
    import onnxruntime  # noqa: F401 - imported here, so that no timed call includes the import

    print(f"loading {load:.3f} s\n{'':12}{'numbers':>10}{'steps':>12}{'now':>12}")
    for kind, pairs in FEWEST_STEPS.items():
        for batch, units in SIZES:
            step, extra = saved(kind, batch, units, rounds)
            steps = f"{(load + extra) / step:,.0f}" if step > 0 else "never"
            now = next((f"{least:,}" for most, least in pairs if batch * units <= most), "never")
            print(
                f"{kind:12}{batch * units:10,}{steps:>12}{now:>12}   batch {batch}, {units} units", flush=True
            )
    print(f"\n{machine()}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
