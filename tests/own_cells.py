"""Cells of one's own, and loops written by hand that compute every line of them in float64."""

from pathlib import Path
from typing import Any

import numpy as np


def samples(*, with_axes: bool = False) -> list[Path]:
    """Return the files of samples/cells whose axes have no names, or those whose axes have."""
    files = sorted((Path(__file__).parents[1] / "samples/cells").glob("*.toml"))
    return [file for file in files if ("[shapes]" in file.read_text(encoding="utf-8")) == with_axes]


MGU = """
name = "MGU"
states = ["hidden"]
gates = ["forget", "candidate"]
[options]
activation = "tanh"
[weights]
peephole = { shape = ["units"], initializer = "random_normal" }
bias = { forget = "ones" }
[step]
forget = "sigmoid(x @ kernel + hidden @ recurrent_kernel + bias + peephole * hidden)"
candidate = "activation(x @ kernel + (forget * hidden) @ recurrent_kernel + bias)"
hidden = "(1 - forget) * hidden + forget * candidate"
"""

NASTY = """
name = "Nasty"
states = ["hidden", "memory", "norm"]
[initial]
norm = 1.0
[options]
activation = "tanh"
squash = "softmax"
eps = 0.001
power = 2.5
[weights]
scale = { shape = ["units"], initializer = "random_normal" }
shift = { shape = [1], initializer = "ones" }
mixer = { shape = ["features", "units"] }
back = { shape = ["units", "features"] }
inner = { shape = ["features"], initializer = "random_normal" }
bias = { forget = "ones", raw = "random_normal" }
[step]
seen = "x * inner + hidden @ back"
half = "0.5"
level = "mean(seen) / (variance(seen) + eps)"
total = "sum(hidden * scale) - shift"
attention = "squash(seen @ mixer + bias)"
forget = "sigmoid(x @ kernel + hidden @ recurrent_kernel + bias + scale * memory)"
raw = "tanh((forget * hidden - memory) @ recurrent_kernel + (x * inner) @ kernel + bias + recurrent_bias)"
limited = "clip(raw, -0.5, 0.5) + maximum(raw, forget) * minimum(forget, half)"
big = "sqrt(abs(level) + eps) + exp(-abs(total)) - (log(abs(limited) + 1) - norm / 8)"
norm = "(norm ** 2 + eps) ** 0.5 / (1 + abs(big))"
memory = "forget * memory + (1 - forget) * (raw - hidden) * attention"
hidden = "-half * activation(memory) + (limited - memory) / (abs(norm) + 1) ** power"
"""
"""Every function and operator, two more states, lines of units, features and one number."""

ACCUMULATOR = """
name = "Accumulator"
states = ["hidden"]
[step]
hidden = "tanh(x @ kernel + hidden)"
"""
"""A cell without gates."""

Steps = list[dict[str, Any]]


def sigmoid(values: Any) -> Any:
    return 1 / (1 + np.exp(-values))


def mgu(inputs: Any, weights: Any) -> Steps:
    """Return every line at every step, each (batch, its size)."""
    h = np.zeros((len(inputs), len(weights["recurrent_kernel"])))
    (kf, kc), (uf, uc) = (np.split(weights[name], 2, axis=1) for name in ("kernel", "recurrent_kernel"))
    bf, bc = np.split(weights["bias"], 2)
    steps: Steps = []
    for x in inputs.swapaxes(0, 1):
        forget = sigmoid(x @ kf + h @ uf + bf + weights["peephole"] * h)
        candidate = np.tanh(x @ kc + (forget * h) @ uc + bc)
        h = (1 - forget) * h + forget * candidate
        steps.append({"forget": forget, "candidate": candidate, "hidden": h})
    return steps


def nasty(inputs: Any, w: Any) -> Steps:
    units = len(w["recurrent_kernel"])
    (kf, kr), (uf, ur) = (np.split(w[name], 2, axis=1) for name in ("kernel", "recurrent_kernel"))
    (ba, bf, br), (_, _, second) = (np.split(row, 3) for row in w["bias"])
    h, memory = np.zeros((2, len(inputs), units))
    norm = np.ones((len(inputs), units))
    steps: Steps = []
    for x in inputs.swapaxes(0, 1):
        seen = x * w["inner"] + h @ w["back"]
        half = np.full((len(x), 1), 0.5)
        level = seen.mean(-1, keepdims=True) / (seen.var(-1, keepdims=True) + 0.001)
        total = (h * w["scale"]).sum(-1, keepdims=True) - w["shift"]
        powers = np.exp(seen @ w["mixer"] + ba)
        attention = powers / powers.sum(-1, keepdims=True)
        forget = sigmoid(x @ kf + h @ uf + bf + w["scale"] * memory)
        raw = np.tanh((forget * h - memory) @ ur + (x * w["inner"]) @ kr + br + second)
        limited = np.clip(raw, -0.5, 0.5) + np.maximum(raw, forget) * np.minimum(forget, half)
        big = (
            np.sqrt(np.abs(level) + 0.001) + np.exp(-np.abs(total)) - (np.log(np.abs(limited) + 1) - norm / 8)
        )
        norm = (norm**2 + 0.001) ** 0.5 / (1 + np.abs(big))
        memory = forget * memory + (1 - forget) * (raw - h) * attention
        h = -half * np.tanh(memory) + (limited - memory) / (np.abs(norm) + 1) ** 2.5
        steps.append(
            {
                "seen": seen, "half": half, "level": level, "total": total, "attention": attention,
                "forget": forget, "raw": raw, "limited": limited, "big": big, "norm": norm,
                "memory": memory, "hidden": h,
            }
        )  # fmt: skip
    return steps
