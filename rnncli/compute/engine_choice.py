"""The engine that `auto` chooses: the fastest one that gives Keras's numbers, by measured sizes.

Measure the sizes again with `python tests/benchmarks/thresholds.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from math import inf

from rnncli.case import Case, Spec, walk
from rnncli.compute import engines

FEWEST_STEPS: Mapping[str, tuple[tuple[float, int], ...]] = {
    "SimpleRNN": ((150, 70_000), (1_000, 35_000)),
    "LSTM": ((50, 18_000), (1_000, 12_000), (10_000, 2_300), (30_000, 1_000), (inf, 250)),
    "GRU": ((50, 15_000), (500, 12_500), (2_000, 6_000), (10_000, 3_000), (30_000, 1_500), (inf, 300)),
}
"""By layer, pairs (numbers, steps), ascending: if a state has at most `numbers` numbers (batch * units), ONNX
Runtime is faster than NumPy for `steps` time steps or more, including the time to import its packages.

With more numbers than in the last pair, it is never faster.
"""


def choose(case: Case) -> str:
    """Return the fastest engine that gives Keras's numbers for this case; tensorflow if no other does."""
    if case.hold:
        return engines.find("holds_gates")
    if engines.get("numpy").refusal(case):
        return "tensorflow"
    if not has_many_steps(case):  # the usual case, which should not load another engine
        return "numpy"
    onnx = engines.get("onnx")
    installed = all(map(find_spec, onnx.ABOUT.packages))
    return "onnx" if installed and not onnx.refusal(case) else "numpy"


def has_many_steps(case: Case) -> bool:
    """Return whether the loops have enough steps for ONNX Runtime to be faster than NumPy.

    Always False for stateful layers: after a NaN, another engine could not continue from their states.
    """
    batch, timesteps = case.inputs.shape[:2]
    share = 0.0
    for spec in (loop for outer in case.specs for loop in _loops(outer)):
        if spec.config["stateful"]:
            return False
        numbers = batch * spec.config["units"]
        least = next((steps for most, steps in FEWEST_STEPS[spec.class_name] if numbers <= most), None)
        if least is None:
            return False
        share += timesteps * case.calls / least
    return share > 1


def _loops(layer: Spec) -> list[Spec]:
    """Return every layer that loops over time; a layer in Bidirectional counts twice."""
    loops = [spec for spec in walk((layer,)) if spec.class_name in FEWEST_STEPS]
    return loops * 2 if layer.class_name == "Bidirectional" and len(loops) == 1 else loops
