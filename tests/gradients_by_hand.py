"""Gradients made by hand, for tests of their descriptions and charts; these need no engine."""

from dataclasses import replace
from typing import Any

import numpy as np
from part_labels import state
from results_by_hand import layers

from rnncli.commands.gradients.answer import GradientsAnswer
from rnncli.commands.gradients.curves import Curve, Gradients, GradientTarget
from rnncli.result import ModelHead, Result, join_layers


def curve(part: str, norms: Any, direction: str = "forward", skipped: Any = (), by_line: Any = None) -> Curve:
    norms = np.asarray(norms, np.float64)
    mask = np.zeros(len(norms), bool)
    mask[list(skipped)] = True
    return Curve(state(part), direction, norms, mask, by_line or {}, is_input=part == "input")


def decay(rate: float, steps: int = 5) -> np.ndarray:
    return np.asarray(np.sqrt(3) * rate ** np.arange(steps - 1, -1, -1.0))


def gradients(name: str, *curves: Curve, batch: int = 1) -> Gradients:
    target = GradientTarget(0, "hidden_state", 0, "hidden_state[0, :]", np.arange(3))
    header = Result(("tensorflow",), 42, layers(name), (batch, len(curves[0].norms), 4), "float32", ())
    return Gradients(header, target, curves)


SIMPLE = gradients("simple_rnn", curve("hidden", decay(0.1)), curve("input", decay(0.09)))
LSTM = gradients(
    "lstm",
    curve("hidden", decay(0.5), by_line={"input": decay(0.3), "output": decay(0.5)}),
    curve("cell", [*decay(0.9, 4), 0.0], by_line={"forget * cell": decay(0.9)}),
    curve("input", decay(0.4)),
)
GRU = gradients("gru", curve("hidden", decay(0.8)), curve("input", decay(0.7)))
MASKED = gradients(
    "bigru",
    curve("hidden", [1.2, 1.5, 1.7, 0.0, 0.0], skipped=(3, 4)),
    curve("hidden", [1.7, 0.3, 0.02, 0.02, 0.02], "backward", skipped=(3, 4)),
    curve("input", [0.8, 0.7, 0.9, 0.0, 0.0], "", skipped=(3, 4)),
    batch=2,
)
EXPLODING = gradients(
    "simple_rnn", curve("hidden", decay(2.0, 100)), curve("input", [*decay(2.0, 99), np.nan])
)
WHOLE = Gradients(
    replace(
        join_layers({}, ModelHead("Tagger (PyTorch)", "PyTorch", {"x": ((2, 5, 4), "float32")}, {})),
        engines=("PyTorch",),
    ),
    GradientTarget(0, "output", 1, "output[1, 4, :]", np.arange(3)),
    (curve("input", decay(0.4)),),
)

ANSWERS: dict[str, Any] = {
    "gradients": GradientsAnswer((LSTM,)),
    "gradients_against": GradientsAnswer((SIMPLE, LSTM, GRU)),
    "gradients_masked": GradientsAnswer((MASKED,)),
    "gradients_exploding": GradientsAnswer((EXPLODING,)),
    "gradients_whole": GradientsAnswer((WHOLE,), whole=True),
}
