"""Which entries of the tensors of a matrix are the same numbers, drawn and as data."""

import re
from dataclasses import replace
from typing import Any

import numpy as np
import oracle
import pytest
from claims import claim
from looks import drawn as table_of
from results_by_hand import CELL, matrix

from rnncli import layers, specs
from rnncli.commands.matrix import MatrixAnswer, build_equality_table, combinations
from rnncli.commands.shape import outline
from rnncli.layers.case import Case
from rnncli.result import Label, evaluate

INPUTS = np.linspace(-2, 2, 2 * 4 * 3, dtype=np.float32).reshape(2, 4, 3)


def matrix_of(expression: str, **rest: Any) -> Any:
    return combinations(Case(specs.from_flags([expression], {}), INPUTS, seed=7, **rest))


def rows_of(text: str) -> dict[str, list[str]]:
    """The entries of each row of the drawing, by the column in which they stand."""
    lines = text.splitlines()
    start = next(place for place, line in enumerate(lines) if line.endswith("t=3"))
    columns = [match.start() for match in re.finditer("t=", lines[start])]
    found = {}
    for line in lines[start + 1 :]:
        if line.startswith("same letter"):
            break
        name = line[: columns[0]].split("  ")[0].strip()
        found[name] = [line[column : column + 1].strip() for column in columns]
    return found


def test_the_last_row_is_the_last_state() -> None:
    drawn = rows_of(table_of(MatrixAnswer(matrix_of("LSTM(3)")), width=80))
    assert drawn == {
        "hidden_states[:, t, :]": ["·", "·", "·", "a"],
        "hidden_state": ["", "", "", "a"],
        "last_hidden_state": ["", "", "", "a"],
        "last_cell_state": ["", "", "", "·"],
    }


def test_the_backward_state_is_the_backward_half_of_the_first_row() -> None:
    drawn = rows_of(table_of(MatrixAnswer(matrix_of("Bidirectional(LSTM(3))")), width=80))
    assert drawn == {
        "hidden_states[:, t, :3]": ["·", "·", "·", "a"],
        "hidden_states[:, t, 3:]": ["b", "·", "·", "·"],
        "hidden_state[:, :3]": ["", "", "", "a"],
        "hidden_state[:, 3:]": ["b", "", "", ""],
        "forward_last_hidden_state": ["", "", "", "a"],
        "forward_last_cell_state": ["", "", "", "·"],
        "backward_last_hidden_state": ["b", "", "", ""],
        "backward_last_cell_state": ["·", "", "", ""],
    }


@pytest.mark.parametrize("merge", ["sum", "mul", "ave"])
def test_merged_outputs_equal_no_state(merge: Any) -> None:
    assert (
        build_equality_table(matrix_of(f"Bidirectional(GRU(3), merge_mode='{merge}')").results).identities()
        == []
    )


def test_two_outputs_stay_apart() -> None:
    found = build_equality_table(matrix_of("Bidirectional(GRU(3), merge_mode=None)").results).identities()
    assert found == [
        ["forward_hidden_states[:, -1, :]", "forward_hidden_state", "forward_last_hidden_state"],
        ["backward_hidden_states[:, 0, :]", "backward_hidden_state", "backward_last_hidden_state"],
    ]


def test_steps_that_a_mask_repeats_are_equal() -> None:
    mask = np.array([[True, True, False, False]] * 2)
    (same,) = build_equality_table(matrix_of("GRU(2)", mask=mask).results).identities()
    assert same[:3] == ["hidden_states[:, 1, :]", "hidden_states[:, 2, :]", "hidden_states[:, -1, :]"]


def test_other_numbers_are_not_called_equal() -> None:
    results = dict(matrix().results)
    (last, *states) = results[False, True].outputs
    moved = last._replace(values=np.nextafter(last.values, np.float32(1)))
    results[False, True] = replace(results[False, True], outputs=(moved, *states))
    assert build_equality_table(results).identities() == [["hidden_states[:, -1, :]", "last_hidden_state"]]


@pytest.mark.parametrize(
    "expression",
    ["SimpleRNN(2, go_backwards=True)", "Bidirectional(LSTM(2))", "RNN([GRUCell(2), LSTMCell(3)])"],
)
def test_every_identity_holds_for_what_keras_returns(expression: Any) -> None:
    def returned(sequences: bool, state: bool) -> dict[Label, np.ndarray]:
        (spec,) = specs.from_flags([expression], {})
        spec = layers.make(spec).with_returns(return_sequences=sequences, return_state=state)
        (layer,) = oracle.build_layers(oracle.make_layers(specs.to_config(spec)), INPUTS)
        labels = [info.label for info in outline((spec,), INPUTS.shape).outputs]
        oracle.fill_weights([layer], np.random.default_rng(3))
        return dict(zip(labels, oracle.call_layers([layer], INPUTS)[-1], strict=True))

    tensors = {**returned(False, True), **returned(True, True)}
    found = build_equality_table(matrix_of(expression).results).identities()
    assert found
    for same in found:
        first, *others = (evaluate(claim(entry), tensors) for entry in same)
        for other in others:
            assert first is not None
            assert other is not None
            np.testing.assert_allclose(first, other, atol=1e-7)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_long_sequences_show_their_ends(width: Any) -> None:
    made = combinations(Case(specs.from_flags(["LSTM(2)"], {}), np.zeros((1, 50, 3), np.float32), seed=1))
    text = table_of(MatrixAnswer(made), width=width)
    assert "t=49" in text
    assert "t=25" not in text
    assert max(map(len, text.splitlines())) <= width


def test_other_numbers_of_a_tensor_are_said_to_differ() -> None:
    same, different = table_of(MatrixAnswer(matrix(spoilt=True)), width=200).splitlines()[-2:]
    assert different == "different numbers where they are returned: last_cell_state"
    assert same.startswith("the same numbers wherever they are returned")
    assert "last_cell_state" not in same


def test_tensors_are_told_apart() -> None:
    tensors = MatrixAnswer(matrix()).tensors()
    assert len(tensors) == 8
    assert np.array_equal(tensors["return_sequences=False,return_state=True/last_cell_state"], CELL)


@pytest.mark.parametrize(
    "expression", ["LSTM(3)", "Bidirectional(GRU(2), merge_mode='sum')", "RNN([LSTMCell(2)])"]
)
@pytest.mark.parametrize("engine", ["numpy", "tensorflow"])
@pytest.mark.slow
def test_all_four_share_their_weights_and_are_keras_four(expression: str, engine: str) -> None:
    matrix = combinations(oracle.case([expression], INPUTS, seed=6), engine)
    assert list(matrix.results) == [(False, False), (False, True), (True, False), (True, True)]
    for (sequences, state), result in matrix.results.items():
        text = specs.describe(result.specs[0])
        assert ("return_sequences=True" in text) == sequences
        assert ("return_state=True" in text) == state
        oracle.keras.utils.set_random_seed(6)
        oracle.check_outputs(result, oracle.call_layers(oracle.make_layers(text), INPUTS)[-1], 4e-6)
    kept = [list(result.weights.values()) for result in matrix.results.values()]
    for other in kept[1:]:
        for one, two in zip(kept[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_changes_the_last_layer_alone() -> None:
    matrix = combinations(oracle.case(["LSTM(3, return_sequences=True)", "GRU(2)"], INPUTS))
    assert matrix.results[True, True].outputs[0].values.shape == (2, 4, 2)
