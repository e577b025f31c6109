"""The notebook lesson that rnncli grew out of, step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest
from claims import claim

from rnncli.inputs import arrange, formats, sample_files

SENTENCE = np.array(
    [
        [0.1, 4.2, 1.5, 1.1, 2.8],
        [1.0, 3.1, 2.5, 0.7, 1.1],
        [0.3, 2.1, 1.5, 2.1, 0.1],
        [2.2, 1.4, 0.5, 0.9, 1.1],
    ],
    np.float32,
)
ENGINES = pytest.mark.parametrize("engine", ["numpy", "tensorflow"])

LSTM = ("last_hidden_state", "last_cell_state")
BOTH = tuple(f"{direction}_{state}" for direction in ("forward", "backward") for state in LSTM)
LAST, ROW = "hidden_state", "hidden_states[:, -1, :]"
STEPS: list[tuple[str, dict[str, tuple[int, ...]], dict[str, str]]] = [
    ("SimpleRNN(3)", {"hidden_state": (1, 3)}, {}),
    ("SimpleRNN(3, return_sequences=True)", {"hidden_states": (1, 4, 3)}, {}),
    (
        "SimpleRNN(3, return_state=True)",
        {"hidden_state": (1, 3), "last_hidden_state": (1, 3)},
        {"last_hidden_state": LAST},
    ),
    (
        "SimpleRNN(3, return_sequences=True, return_state=True)",
        {"hidden_states": (1, 4, 3), "last_hidden_state": (1, 3)},
        {"last_hidden_state": ROW},
    ),
    (
        "LSTM(3, return_state=True)",
        {"hidden_state": (1, 3), **dict.fromkeys(LSTM, (1, 3))},
        {"last_hidden_state": LAST},
    ),
    (
        "LSTM(3, return_sequences=True, return_state=True)",
        {"hidden_states": (1, 4, 3), **dict.fromkeys(LSTM, (1, 3))},
        {"last_hidden_state": ROW},
    ),
    (
        "Bidirectional(LSTM(3, return_state=True))",
        {"hidden_state": (1, 6), **dict.fromkeys(BOTH, (1, 3))},
        {
            "forward_last_hidden_state": "hidden_state[:, :3]",
            "backward_last_hidden_state": "hidden_state[:, 3:]",
        },
    ),
    (
        "Bidirectional(LSTM(3, return_sequences=True, return_state=True))",
        {"hidden_states": (1, 4, 6), **dict.fromkeys(BOTH, (1, 3))},
        {
            "forward_last_hidden_state": "hidden_states[:, -1, :3]",
            "backward_last_hidden_state": "hidden_states[:, 0, 3:]",
        },
    ),
]
"""Each layer of the lesson, the tensors that it returns, and what they equal."""


def test_the_sentence_is_the_built_in_sample_with_a_batch_axis_in_front() -> None:
    for text in (sample_files.path(sample_files.get("sentence")).read_text(), str(SENTENCE.tolist())):
        read = formats.read(formats.Source("sentence", text.encode()), "json")
        np.testing.assert_array_equal(arrange.arrange(read).inputs, SENTENCE[None])


@pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
@pytest.mark.parametrize(("layer", "shapes", "equal"), STEPS)
def test_a_step_of_the_lesson(layer: str, shapes: dict[str, Any], equal: dict[str, str], engine: str) -> None:
    """A new layer, called once, returns what Keras returns for the same seed."""
    result = oracle.asked([layer], SENTENCE[None], engine, seed=3)
    oracle.keras.utils.set_random_seed(3)
    oracle.alike(result, oracle.called(oracle.made(layer), SENTENCE[None])[-1], atol=4e-6)
    assert {tensor.name: tensor.values.shape for tensor in result.outputs} == shapes
    found = {tensor.name: tensor.equals for tensor in result.outputs if tensor.equals}
    assert found == {name: (claim(text),) for name, text in equal.items()}
