"""The notebook lesson that rnncli grew out of, step by step, with the numbers that it prints."""

from __future__ import annotations

from typing import Any

import numpy as np
import oracle
import pytest
from claims import claim

from rnncli.commands.matrix.answer import combinations
from rnncli.inputs import arrange, formats, sample_files
from rnncli.result import Result

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

CONSTANT = (
    "Bidirectional(LSTM(3, return_sequences={}, return_state=True, kernel_initializer=Constant(0.1), "
    "recurrent_initializer=Constant(0.1), bias_initializer=Constant(0)))"
)
FORWARD = [0.35906473, 0.5511133, 0.59115744, 0.63031393]
BACKWARD = [0.7038734, 0.58863586, 0.3951699, 0.21942244]


def run(layer: str, engine: str) -> Result:
    """Run as the notebook does: a new layer, called once, compared with Keras for the same seed."""
    inputs = SENTENCE[None]
    result = oracle.asked([layer], inputs, engine, seed=3)
    oracle.keras.utils.set_random_seed(3)
    oracle.alike(result, oracle.called(oracle.made(layer), inputs)[-1], atol=4e-6)
    return result


def read(text: str) -> arrange.Arrangement:
    return arrange.arrange(formats.read(formats.Source("sentence", text.encode()), "json"))


def shapes(result: Result) -> list[tuple[str, tuple[int, ...]]]:
    return [(tensor.name, tensor.values.shape) for tensor in result.outputs]


def values(result: Result) -> dict[str, Any]:
    return {tensor.name: tensor.values for tensor in result.outputs}


def test_step_0_the_sentence_is_the_built_in_sample_with_a_batch_axis_in_front() -> None:
    np.testing.assert_array_equal(
        read(sample_files.path(sample_files.get("sentence")).read_text()).inputs, SENTENCE[None]
    )
    arranged = read(str(SENTENCE.tolist()))
    np.testing.assert_array_equal(arranged.inputs, SENTENCE[None])
    assert len(arranged.remarks) == 1


@ENGINES
def test_step_1_simple_rnn_returns_the_hidden_state_of_the_last_time_step(engine: str) -> None:
    assert shapes(run("SimpleRNN(3)", engine)) == [("hidden_state", (1, 3))]


@ENGINES
def test_step_2_with_return_sequences_the_hidden_state_of_every_time_step(engine: str) -> None:
    result = run("SimpleRNN(3, return_sequences=True)", engine)
    assert shapes(result) == [("hidden_states", (1, 4, 3))]
    np.testing.assert_array_equal(
        values(result)["hidden_states"][:, -1], values(run("SimpleRNN(3)", engine))["hidden_state"]
    )


@ENGINES
def test_step_3_with_return_state_two_tensors_that_are_equal(engine: str) -> None:
    result = run("SimpleRNN(3, return_state=True)", engine)
    assert shapes(result) == [("hidden_state", (1, 3)), ("last_hidden_state", (1, 3))]
    np.testing.assert_array_equal(*values(result).values())
    assert result.outputs[1].equals == (claim("hidden_state"),)


@ENGINES
def test_step_4_with_both_the_second_is_the_last_row_of_the_first(engine: str) -> None:
    result = run("SimpleRNN(3, return_sequences=True, return_state=True)", engine)
    assert shapes(result) == [("hidden_states", (1, 4, 3)), ("last_hidden_state", (1, 3))]
    sequence, last = values(result).values()
    np.testing.assert_array_equal(sequence[:, -1], last)
    assert result.outputs[1].equals == (claim("hidden_states[:, -1, :]"),)


@ENGINES
def test_step_5_lstm_returns_three_and_the_cell_state_is_another_one(engine: str) -> None:
    result = run("LSTM(3, return_state=True)", engine)
    assert shapes(result) == [
        (name, (1, 3)) for name in ("hidden_state", "last_hidden_state", "last_cell_state")
    ]
    output, hidden, cell = values(result).values()
    np.testing.assert_array_equal(output, hidden)
    assert (abs(hidden - cell) > 1e-3).all()


@ENGINES
def test_step_6_lstm_with_both(engine: str) -> None:
    result = run("LSTM(3, return_sequences=True, return_state=True)", engine)
    assert shapes(result) == [
        ("hidden_states", (1, 4, 3)),
        ("last_hidden_state", (1, 3)),
        ("last_cell_state", (1, 3)),
    ]
    sequence, hidden, _ = values(result).values()
    np.testing.assert_array_equal(sequence[:, -1], hidden)


STATES = [
    (f"{direction}_last_{part}_state", (1, 3))
    for direction in ("forward", "backward")
    for part in ("hidden", "cell")
]


@ENGINES
def test_step_7_bidirectional_returns_five(engine: str) -> None:
    result = run(CONSTANT.format(False), engine)
    assert shapes(result) == [("hidden_state", (1, 6)), *STATES]
    found = values(result)
    oracle.near(found["hidden_state"], np.array([[0.63031393] * 3 + [0.7038734] * 3], np.float32))
    oracle.near(found["forward_last_hidden_state"], np.array([[0.63031393] * 3], np.float32))
    oracle.near(found["backward_last_hidden_state"], np.array([[0.7038734] * 3], np.float32))


@ENGINES
def test_step_8_bidirectional_with_every_time_step(engine: str) -> None:
    result = run(CONSTANT.format(True), engine)
    assert shapes(result) == [("hidden_states", (1, 4, 6)), *STATES]
    found = values(result)
    rows = [[forward] * 3 + [backward] * 3 for forward, backward in zip(FORWARD, BACKWARD, strict=True)]
    oracle.near(found["hidden_states"], np.array([rows], np.float32))
    oracle.near(found["forward_last_hidden_state"], np.array([[FORWARD[-1]] * 3], np.float32))
    oracle.near(found["backward_last_hidden_state"], np.array([[BACKWARD[0]] * 3], np.float32))
    assert result.outputs[1].equals == (claim("hidden_states[:, -1, :3]"),)
    assert result.outputs[3].equals == (claim("hidden_states[:, 0, 3:]"),)


def test_the_matrix_walks_steps_5_to_6_at_once() -> None:
    matrix = combinations(oracle.case(["LSTM(3)"], SENTENCE[None], seed=3))
    assert {flags: len(result.outputs) for flags, result in matrix.results.items()} == {
        (False, False): 1,
        (False, True): 3,
        (True, False): 1,
        (True, True): 3,
    }
    last = matrix.results[True, True].outputs[1].values
    np.testing.assert_array_equal(matrix.results[False, False].outputs[0].values, last)
