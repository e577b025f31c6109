"""The notebook lesson that rnncli grew out of, step by step."""

from __future__ import annotations

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
LAST = "last_hidden_state"
STEPS: list[tuple[str, str, dict[str, str]]] = [
    ("SimpleRNN(3)", "hidden_state", {}),
    ("SimpleRNN(3, return_sequences=True)", "hidden_states", {}),
    *(
        (f"{layer}(3, {flags})", f"{first} {states}", {"last_hidden_state": equal})
        for layer, states in (("SimpleRNN", LAST), ("LSTM", f"{LAST} last_cell_state"))
        for flags, first, equal in (
            ("return_state=True", "hidden_state", "hidden_state"),
            ("return_sequences=True, return_state=True", "hidden_states", "hidden_states[:, -1, :]"),
        )
    ),
    *(
        (f"Bidirectional(LSTM(3, {flags}return_state=True))",
         f"{first} forward_last_hidden_state forward_last_cell_state "
         "backward_last_hidden_state backward_last_cell_state",
         {"forward_last_hidden_state": f"{first}[:, {forward}:3]",
          "backward_last_hidden_state": f"{first}[:, {backward}3:]"})
        for flags, first, forward, backward in (
            ("", "hidden_state", "", ""), ("return_sequences=True, ", "hidden_states", "-1, ", "0, "),
        )
    ),
]  # fmt: skip
"""Each layer of the lesson, the tensors that it returns, and what they equal."""


def test_the_sentence_is_the_built_in_sample_with_a_batch_axis_in_front() -> None:
    for text in (sample_files.path(sample_files.get("sentence")).read_text(), str(SENTENCE.tolist())):
        read = formats.read(formats.Source("sentence", text.encode()), "json")
        np.testing.assert_array_equal(arrange.arrange(read).inputs, SENTENCE[None])


@pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
@pytest.mark.parametrize(("layer", "names", "equal"), STEPS)
def test_a_step_of_the_lesson(layer: str, names: str, equal: dict[str, str], engine: str) -> None:
    """A new layer, called once, returns what Keras returns for the same seed."""
    result = oracle.asked([layer], SENTENCE[None], engine, seed=3)
    oracle.keras.utils.set_random_seed(3)
    oracle.alike(result, oracle.called(oracle.made(layer), SENTENCE[None])[-1], atol=4e-6)
    assert [tensor.name for tensor in result.outputs] == names.split()
    found = {tensor.name: tensor.equals for tensor in result.outputs if tensor.equals}
    assert found == {name: (claim(text),) for name, text in equal.items()}
