"""How a comparison looks: golden files in every format."""

import dataclasses

import numpy as np
import pytest
from looks import SUFFIXES, check_looks
from results_by_hand import CELL, HIDDEN, sentence

from rnncli.commands.compare.answer import CompareAnswer
from rnncli.commands.compare.comparison import REAL
from rnncli.commands.compare.engine_pairs import RefusedEngine
from rnncli.compute.compare import measure
from rnncli.errors import Message, Text

NEAR = np.nextafter(HIDDEN, np.float32(1))
FAR = HIDDEN.copy()
FAR[0, 2, 1] += 0.25
FAR[0, 3, 0] = np.nan

RESULT = sentence()
SEQUENCE, LAST, CELLS = RESULT.outputs


def pairs(first: Text, second: Text, sequence: np.ndarray, cells: np.ndarray) -> CompareAnswer:
    sides = (first, second)
    differences = (
        measure(SEQUENCE, sequence, sides, 1e-6, 1e-5),
        measure(LAST, HIDDEN[:, -1], sides, 1e-6, 1e-5),
        measure(CELLS, cells, sides, 1e-6, 1e-5),
    )
    header = dataclasses.replace(RESULT, engines=("numpy", "torch"))
    return CompareAnswer(header, differences, (1e-6, 1e-5))


ANSWERS = {
    "engines": dataclasses.replace(
        pairs("numpy", "torch", NEAR, CELL),
        refused=(RefusedEngine("onnx", "it has no node for RNN of cells"),),
    ),
    "stored": pairs("numpy", "expected.npz", FAR, CELL[:, :2]),
    "pieces": dataclasses.replace(
        pairs(Message("one call"), Message("pieces of {steps}", steps=2), FAR, CELL), conclusion=REAL
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_look_as_they_did(name: str) -> None:
    check_looks("compare", name, ANSWERS[name], SUFFIXES if name == "stored" else ("json",))
