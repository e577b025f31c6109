"""Cells whose states are matrices, beside an LSTM of as many units: one sequence of 512 steps.

What to aim for: each of the first ten in 20 ms where the LSTM takes 4.4, so in 4.5 times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from figures import Section, Sections, in_turn

from rnncli import compute, specs
from rnncli.ask.layer_files import read_layer
from rnncli.layers.case import Case

SAMPLES = Path(__file__).parents[2] / "samples/cells"
SIZES = {
    "linear_attention": "heads=4", "retnet": "heads=4", "gla": "heads=4", "deltanet": "heads=4",
    "gated_deltanet": "heads=4", "rwkv7": "heads=4", "mlstm": "heads=4", "hgrn2": "heads=4",
    "mamba": "numbers=16", "mamba2": "heads=4, numbers=16",
    "qwen3_next": "groups=2, repeats=2, keys=16, values=16", "mamba2_layer": "numbers=16",
}  # fmt: skip
UNITS, STEPS = 64, 512


def sections() -> Sections:
    """Yield milliseconds per call; ratios are relative to the LSTM."""
    calls = {"LSTM": _call(f"LSTM({UNITS})")}
    calls |= {name: _call(f"@'{SAMPLES}/{name}.toml'({UNITS}, {sizes})") for name, sizes in SIZES.items()}
    rows = {name: 1000 * seconds for name, seconds in in_turn(calls, 5).items()}
    yield Section(f"{STEPS} steps of {UNITS} units, four heads", "ms", "LSTM", rows)


def _call(text: str) -> Callable[[], object]:
    inputs = np.random.default_rng(0).standard_normal((1, STEPS, UNITS)).astype(np.float32)
    layer = read_layer(text) if text.startswith("@") else text
    case = Case(specs.from_flags([layer], {"return_sequences": True}), inputs, seed=1)
    answer = compute.prepare(case, "numpy")
    return lambda: answer(case)
