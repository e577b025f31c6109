"""The answer of matrix: document, equalities and tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
from results_by_hand import CELL, matrix

from rnncli.commands.matrix.answer import MatrixAnswer
from rnncli.show.layout import lay_out
from rnncli.show.page import Grid, Table, View, text_of

VIEW = View()


def test_matrix_document() -> None:
    document = MatrixAnswer(matrix()).document(VIEW)
    assert list(document) == [
        "schema",
        "version",
        "engine",
        "seed",
        "expression",
        "layer",
        "input",
        "matrix",
        "identities",
    ]
    assert document["identities"] == [["hidden_states[:, -1, :]", "hidden_state", "last_hidden_state"]]
    choices = [(entry["return_sequences"], entry["return_state"]) for entry in document["matrix"]]
    assert choices == [(False, False), (False, True), (True, False), (True, True)]
    assert [len(entry["outputs"]) for entry in document["matrix"]] == [1, 3, 1, 3]


def _said_below_the_scheme(answer: Any) -> Any:
    grid, scheme, _, *lines = lay_out(answer.page(VIEW), VIEW).parts
    assert isinstance(grid, Grid)
    assert isinstance(scheme, Table)
    return [text_of(part) for part in lines if part and not isinstance(part, Grid | Table)]


def test_matrix_says_what_is_equal_across_the_quadrants() -> None:
    (same,) = _said_below_the_scheme(MatrixAnswer(matrix()))
    words, names = same.split(": ")
    assert words == "identical in every combination that returns it"
    assert names == "hidden_state · hidden_states · last_hidden_state · last_cell_state"


def test_matrix_says_what_is_not_equal() -> None:
    said = _said_below_the_scheme(MatrixAnswer(matrix(spoilt=True)))
    assert said[1] == "different between combinations that return it: last_cell_state"
    assert "last_cell_state" not in said[0]


def test_matrix_tensors_are_told_apart() -> None:
    tensors = MatrixAnswer(matrix()).tensors()
    assert len(tensors) == 8
    assert np.array_equal(tensors["return_sequences=False,return_state=True/last_cell_state"], CELL)
