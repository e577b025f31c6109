"""why: messages that Keras and TensorFlow really give, and fixes that Keras really accepts."""

from functools import cache
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from mistakes import PROVOKED, ones, provoked

from rnncli.commands.why.answer import attempt
from rnncli.commands.why.diagnosis import Diagnosis, diagnose, matches

pytestmark = [  # the mistakes are meant
    pytest.mark.filterwarnings("ignore:Do not pass an .input_shape.:UserWarning"),
    pytest.mark.filterwarnings("ignore:Argument .input_length. is deprecated:UserWarning"),
]

CODES = [code for _, code in PROVOKED]
LINE = "x = Bidirectional(LSTM(8, return_sequences=True, return_state=True, unroll=True))(x)"
"""A layer in the code of a user, which the fixes then use."""


@pytest.mark.sampled
@pytest.mark.parametrize(("cause", "code"), PROVOKED, ids=CODES)
def test_message_has_one_cause_and_fixes_that_run(cause: str, code: str) -> None:
    assert [match.diagnosis.cause for match in matches(provoked(code))] == [cause], provoked(code)
    diagnosis = diagnose(provoked(code))
    assert diagnosis.fixes
    check_shapes(diagnosis)
    check_shapes(diagnose(f"{LINE}\n{provoked(code)}"))


def check_shapes(diagnosis: Diagnosis) -> None:
    """No fix is refused, and Keras returns the shapes that the layers of each fix have here.

    Inputs of sequences have one size, so that Keras computes the same layers once for many messages.
    """
    for outcome in map(attempt, diagnosis.fixes):
        assert outcome is not None
        if outcome.stack is not None:
            sizes = (2, 4, 5) if len(outcome.sizes) == 3 else outcome.sizes
            asked = outcome.fix.layers, sizes, outcome.fix.mask, len(outcome.states)
            assert keras_shapes(*asked) == [info.shape for info in outcome.stack.outputs(sizes)]


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


RESHAPED = {
    "LSTM(3)(ones(1, 60))": ones(1, 60),
    "GRU(3)(ones(60))": ones(60),
    "SimpleRNN(3)(ones(1, 4, 5, 6))": ones(1, 4, 5, 6),
    "model(LSTM(3)).predict(ones(4, 5), verbose=0)": ones(4, 5),
    "x = keras.Input((4, 5)); keras.Model(x, LSTM(3)(x))(ones(1, 5, 4))": ones(1, 5, 4),
}


@pytest.mark.parametrize("code", RESHAPED)
def test_reshaping_gives_the_shape_that_it_says(code: str) -> None:
    reshaping = [fix for fix in diagnose(provoked(code)).fixes if fix.snippet.startswith("x")]
    assert reshaping
    for fix in reshaping:
        assert eval(fix.snippet, {"x": RESHAPED[code]}).shape == fix.shape


def test_forty_causes_and_more_are_provoked() -> None:
    assert len({cause for cause, _ in PROVOKED}) >= 40
