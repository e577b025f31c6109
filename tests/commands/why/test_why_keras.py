"""why: messages that Keras and TensorFlow really give, and fixes that Keras really accepts."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from mistakes import PROVOKED, message_of, ones

from rnncli.commands.why.diagnosis import Diagnosis, diagnose, matches
from rnncli.commands.why.trial import Outcome, attempt

pytestmark = [  # the mistakes are meant
    pytest.mark.filterwarnings("ignore:Do not pass an .input_shape.:UserWarning"),
    pytest.mark.filterwarnings("ignore:Argument .input_length. is deprecated:UserWarning"),
]

for path in sorted(Path(__file__).parent.glob("mistakes_in_*.py")):
    importlib.import_module(path.stem)

NAMES = [provoke.__name__ for _, provoke in PROVOKED]


@cache
def provoked(name: str) -> str:
    return message_of(PROVOKED[NAMES.index(name)][1])


def outcomes_of(found: Diagnosis) -> list[Outcome | None]:
    return [attempt(fix) for fix in found.fixes]


@pytest.mark.parametrize(("cause", "name"), [(cause, provoke.__name__) for cause, provoke in PROVOKED])
def test_message_has_one_cause(cause: str, name: str) -> None:
    assert [found.diagnosis.cause for found in matches(provoked(name))] == [cause], provoked(name)


@pytest.mark.parametrize("name", NAMES)
def test_no_fix_is_refused(name: str) -> None:
    found = diagnose(provoked(name))
    assert found.fixes
    assert None not in outcomes_of(found), provoked(name)


@pytest.mark.parametrize("name", NAMES)
def test_keras_returns_the_shapes_that_a_fix_shows(name: str) -> None:
    for outcome in outcomes_of(diagnose(provoked(name))):
        assert outcome is not None
        if outcome.stack is not None:
            asked = outcome.fix.layers, outcome.sizes, outcome.fix.mask, len(outcome.states)
            assert keras_shapes(*asked) == [info.shape for info in outcome.stack.outputs(outcome.sizes)]


@cache
def keras_shapes(
    written: tuple[str, ...], sizes: tuple[int, ...], mask: bool, states: int
) -> list[tuple[int, ...]]:
    """Return the shapes that Keras returns for these expressions on an input of these sizes."""
    x: Any = tf.ones(sizes)
    for index, text in enumerate(written):
        layer = eval(text, {**vars(layers), "Constant": keras.initializers.Constant})
        given: dict[str, Any] = {}
        if mask and not index:
            given["mask"] = np.ones(sizes[:2], bool)
        if states and not index:
            inner = getattr(layer, "forward_layer", layer)
            given["initial_state"] = [tf.zeros((sizes[0], inner.units)) for _ in range(states)]
        x = layer(x, **given)
    tensors = x if isinstance(x, (list, tuple)) else [x]
    return [tuple(tensor.shape) for tensor in tensors]


@pytest.mark.parametrize("name", NAMES)
def test_keras_takes_the_fixes_of_a_layer_in_the_user_s_code(name: str) -> None:
    code = "x = Bidirectional(LSTM(8, return_sequences=True, return_state=True, unroll=True))(x)"
    for outcome in outcomes_of(diagnose(f"{code}\n{provoked(name)}")):
        assert outcome is not None
        if outcome.stack is not None:
            asked = outcome.fix.layers, outcome.sizes, outcome.fix.mask, len(outcome.states)
            assert keras_shapes(*asked) == [info.shape for info in outcome.stack.outputs(outcome.sizes)]


RESHAPED = ("two_axes", "one_axis", "four_axes", "missing_batch", "swapped_axes")


@pytest.mark.parametrize("name", RESHAPED)
def test_reshaping_gives_the_shape_that_it_says(name: str) -> None:
    found = diagnose(provoked(name))
    x = {
        "two_axes": ones(1, 60),
        "one_axis": ones(60),
        "four_axes": ones(1, 4, 5, 6),
        "missing_batch": ones(4, 5),
        "swapped_axes": ones(1, 5, 4),
    }[name]
    reshaping = [fix for fix in found.fixes if fix.snippet.startswith("x")]
    assert reshaping
    for fix in reshaping:
        assert eval(fix.snippet, {"x": x}).shape == fix.shape


def test_forty_causes_and_more_are_provoked() -> None:
    assert len({cause for cause, _ in PROVOKED}) >= 40
