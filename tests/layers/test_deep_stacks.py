"""A stack is answered in time linear in its depth."""

from __future__ import annotations

import cProfile
import pstats
from collections.abc import Callable

import numpy as np
import pytest

from rnncli import compute, specs
from rnncli.commands.run.answer import RunAnswer
from rnncli.commands.shape.answer import outline
from rnncli.compute import trace as tracing
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.show.page import View
from rnncli.values import Spec

X = np.ones((1, 2, 1), np.float32)
LAYER = "SimpleRNN(1, return_sequences=True, recurrent_initializer='zeros', kernel_initializer='zeros')"
TRAINED = LAYER.replace(")", ", dropout=0.5)")


def run(layers: tuple[Spec, ...], training: bool = False) -> None:
    case = Case(Stack(layers), X, seed=1, training=training, all_layers=True)
    RunAnswer(compute.run(case, "numpy")).page(View())


def calls(work: Callable[[], object]) -> int:
    """How many functions were called, those of C among them: the same at every run."""
    profile = cProfile.Profile()
    profile.runcall(work)
    return pstats.Stats(profile).total_calls  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    "work",
    [
        lambda depth: run(specs.from_flags([LAYER] * depth, {})),
        lambda depth: run(specs.from_flags([TRAINED] * depth, {}), training=True),
        lambda depth: outline(specs.from_flags([LAYER] * depth, {}), X.shape),
        lambda depth: specs.from_flags([LAYER] * depth, {"return_state": True}),
        lambda depth: tracing.trace(Case(specs.from_flags([LAYER] * depth, {}), X)),
    ],
    ids=["run", "training", "shape", "flags", "trace"],
)
@pytest.mark.slow
def test_four_times_the_layers_take_four_times_the_work(work: Callable[[int], object]) -> None:
    work(2)
    small, large = calls(lambda: work(50)), calls(lambda: work(200))
    assert large < 4.4 * small
