"""The cases of the kit: what they hold, and that their numbers tell weights and axes apart."""

from collections import Counter

import numpy as np
import pytest

from rnncli.conformance.oracle import GATES, INPUTS, OUTPUTS, WEIGHTS, KitCase, NodeRun, compute, list_cases
from rnncli.values import Array

CASES = list_cases()


def names(case: KitCase) -> str:
    return case.name


def test_the_list_is_of_cases_with_names_of_their_own() -> None:
    assert 160 <= len(CASES) <= 170
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(case.name.startswith(f"{case.operator.lower()}_") for case in CASES)


def test_every_attribute_and_input_is_in_a_case_of_each_operator_that_has_it() -> None:
    common = {
        "direction", "activations", "activation_alpha", "activation_beta", "clip", "layout", "hidden_size",
    }  # fmt: skip
    attributes = {"RNN": common, "GRU": common | {"linear_before_reset"}, "LSTM": common | {"input_forget"}}
    inputs = {"RNN": INPUTS[:6], "GRU": INPUTS[:6], "LSTM": INPUTS}
    for operator in GATES:
        mine = [case for case in CASES if case.operator == operator]
        assert {name for case in mine for name in case.attributes} == attributes[operator]
        assert {name for case in mine for name in case.inputs} == {*inputs[operator]}
        assert {name for case in mine for name in case.graph_inputs} >= {*inputs[operator]} - {"P"}
        assert len({case.outputs for case in mine}) == 2 ** len(OUTPUTS[operator]) - 1
        assert {case.dtype for case in mine} == {"float16", "float32", "float64"}
        assert Counter((case.opset, case.ir_version) for case in mine).keys() == {(7, 4), (14, 7), (22, 10)}
        assert sum(case.opset != 14 for case in mine) == 2


@pytest.mark.parametrize("case", CASES, ids=names)
def test_no_two_weights_are_equal_and_none_is_zero(case: KitCase) -> None:
    weights = np.concatenate([case.inputs[name].ravel() for name in WEIGHTS if name in case.inputs])
    assert len(np.unique(weights)) == len(weights)
    others = [case.inputs[name].ravel() for name in ("X", "initial_h", "initial_c") if name in case.inputs]
    assert len(np.unique(np.concatenate(others))) == sum(map(np.size, others))
    assert weights.all()


@pytest.mark.parametrize("case", CASES, ids=names)
def test_arrays_are_of_the_case_and_no_type_rounds_them(case: KitCase) -> None:
    for name, array in case.inputs.items():
        assert array.dtype == (np.int32 if name == "sequence_lens" else case.dtype)
        assert np.array_equal(array, array.astype(np.float16))
        assert not array.flags.writeable


def test_sizes_of_the_axes_differ() -> None:
    """So that a transposed output has another shape, or other numbers."""
    case = next(case for case in CASES if case.name == "lstm_bidirectional")
    assert compute(case)["Y"].shape == (5, 2, 3, 4)


def test_the_numbers_are_the_same_each_time() -> None:
    """Values that NumPy's frozen generator draws for a name, written down once."""
    case = next(case for case in CASES if case.name == "lstm_reverse_lens")
    assert (case.inputs["W"][0, :2] * 512).tolist() == [[82, 143], [-427, 60]]
    again = next(other for other in list_cases.__wrapped__() if other.name == case.name)
    assert all(np.array_equal(again.inputs[name], case.inputs[name]) for name in case.inputs)


@pytest.mark.parametrize("case", [case for case in CASES if "clip" in case.attributes], ids=names)
def test_clip_bounds_what_activations_take(case: KitCase) -> None:
    """Of each gate, something lies beyond the bound; the cell state does only in the case that is open."""
    bound, taken, cells = case.attributes["clip"], dict[tuple[int, int], float](), [0.0]

    def watch(value: Array, node: NodeRun, d: int, index: int, x: Array) -> Array:
        if index < 2:  # h is of the cell
            taken[d, index] = max(taken.get((d, index), 0.0), float(np.abs(x).max()))
        return value

    def watch_cell(value: Array, node: NodeRun, d: int, c: Array) -> Array:
        cells.append(float(np.abs(c).max()))
        return value

    compute(case, {"activated": [watch], "activated_cell": [watch_cell]})
    assert min(taken.values()) > 1.5 * bound
    assert (max(cells) > bound) == case.is_open
