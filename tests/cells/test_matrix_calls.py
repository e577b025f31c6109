"""Calls of stateful cells whose states are matrices, against loops that are written apart from them."""

import numpy as np
import pytest
from matrix_cases import BATCH, MASK, case_of, expected, layer_of
from matrix_loops import SMALL, UNITS

from rnncli import compute


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("mask", [None, MASK], ids=["whole", "masked"])
def test_a_second_call_goes_on_from_the_states_of_the_first(name: str, mask: np.ndarray | None) -> None:
    loop = {"return_sequences": True, "return_state": True, "dtype": "float64", "stateful": True}
    case = case_of(layer_of(name, **loop), started=False, calls=2, mask=mask)
    _, states = expected(name, case, mask=mask)
    handed_over = case._replace(initial_state=(np.zeros((BATCH, UNITS)), *states))
    outputs, last = expected(name, handed_over, mask=mask)
    tensors = compute.run(case, "numpy").outputs
    if mask is None:  # a masked first step repeats the output of the first call
        np.testing.assert_allclose(tensors[0].values, outputs, rtol=1e-11, atol=1e-12)
    for tensor, wanted in zip(tensors[2:], last, strict=True):
        np.testing.assert_allclose(tensor.values, wanted, rtol=1e-11, atol=1e-12)
