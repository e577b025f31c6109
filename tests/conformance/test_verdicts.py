"""Verdicts: names, shapes, types, tolerances and readings."""

from collections.abc import Callable

import numpy as np
import pytest

from rnncli.conformance.oracle import KitCase, compute, list_cases, readings
from rnncli.conformance.verdicts import Failure, judge
from rnncli.values import Array

CASES = {case.name: case for case in list_cases()}
LSTM = CASES["lstm_forward"]
RIGHT = compute(LSTM)


def rename(*names: str) -> dict[str, Array]:
    return dict(zip(names, RIGHT.values(), strict=True))


@pytest.mark.parametrize(("answer", "verdict"), [
    (RIGHT, "right"),
    (dict(reversed(RIGHT.items())), "right"),
    (RIGHT | {"more": np.zeros(3)}, "right"),
    (rename("arr_0", "arr_1", "arr_2"), "right"),
    (rename("y", "Y_h", "Y_c"), "right"),
    (rename("y", "h", "Y_c"), "right"),  # y and h have other shapes
    (rename("y", "h", "c"), "refused"),  # h and c do not
    (rename("arr_1", "arr_2", "arr_3"), "refused"),
    ({"Y": RIGHT["Y"], "Y_h": RIGHT["Y_h"]}, "refused"),
    ({"Y": RIGHT["Y"], "Y_h": RIGHT["Y_h"], "x": RIGHT["Y"]}, "refused"),  # of another shape than Y_c
    ({"Y": RIGHT["Y"], "Y_h": RIGHT["Y_h"], "c": RIGHT["Y_c"]}, "right"),
    ({"Y": RIGHT["Y"], "Y_h": RIGHT["Y_h"], "W": RIGHT["Y_h"]}, "refused"),  # an input, of the shape of Y_c
    ({}, "refused"),
    (RIGHT | {"Y": np.array(["no number"])}, "refused"),
    (RIGHT | {"Y_h": RIGHT["Y_c"]}, "wrong"),
    (RIGHT | {"Y": RIGHT["Y"].swapaxes(0, 1)}, "wrong"),
    (RIGHT | {"Y": RIGHT["Y"].astype(np.float64)}, "wrong"),
    (RIGHT | {"Y": RIGHT["Y"] + np.float32(1e-5)}, "right"),
    (RIGHT | {"Y": RIGHT["Y"] + np.float32(5e-5)}, "wrong"),
    (RIGHT | {"Y": RIGHT["Y"] * np.float32(np.nan)}, "wrong"),
    (Failure("crashed", "SIGSEGV"), "crashed"),
])  # fmt: skip
def test_outputs_are_matched_by_name_else_by_shape(answer: dict[str, Array] | Failure, verdict: str) -> None:
    assert judge(LSTM, answer).verdict == verdict


@pytest.mark.parametrize(
    "case", [case for case in CASES.values() if not case.is_open], ids=lambda case: case.name
)
def test_an_echo_of_the_input_is_taken_for_no_output_that_is_missing(case: KitCase) -> None:
    """Unless the output has its shape, an array of another name accuses nobody."""
    right = compute(case)
    for name, array in right.items():
        echo = np.zeros((*array.shape, 1), array.dtype)
        judgement = judge(case, {key: right[key] for key in right if key != name} | {"echo": echo})
        assert judgement.verdict == "refused", name
        assert name in str(judgement.reason)


@pytest.mark.parametrize(("change", "reason"), [
    (lambda y: y[0], "Y has shape (1, 3, 4), not (5, 1, 3, 4)."),
    (lambda y: y.astype(np.float64), "Y is float64, not float32."),
    (lambda y: np.where(np.arange(4) == 2, 9, y).astype(np.float32), "Y[0, 0, "),
])  # fmt: skip
def test_a_wrong_case_says_how_it_is_wrong(change: Callable[[Array], Array], reason: str) -> None:
    assert str(judge(LSTM, RIGHT | {"Y": change(RIGHT["Y"])}).reason).startswith(reason)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.is_open])
def test_each_reading_of_an_open_case_is_unclear_and_a_mix_of_them_is_wrong(name: str) -> None:
    case = CASES[name]
    outputs = readings(case)
    for text, numbers in outputs.items():
        judgement = judge(case, numbers)
        assert judgement.verdict == "unclear"
        assert all(str(other) in str(judgement.reason) for other in outputs), text
    first, second = outputs.values()
    assert judge(case, {key: first[key] + second[key] + 1 for key in first}).verdict == "wrong"


@pytest.mark.parametrize(("dtype", "relative"), [("float64", 1e-12), ("float32", 2e-5), ("float16", 8e-3)])
def test_the_tolerance_is_that_of_the_type(dtype: str, relative: float) -> None:
    case = CASES[f"rnn_{dtype}"] if dtype != "float32" else CASES["rnn_forward"]
    right = {name: array.astype(np.float64) for name, array in compute(case).items()}
    near = {name: (array + 0.5 * relative).astype(dtype) for name, array in right.items()}
    far = {name: (array + 3 * relative * (1 + abs(array))).astype(dtype) for name, array in right.items()}
    assert [judge(case, outputs).verdict for outputs in (near, far)] == ["right", "wrong"]
