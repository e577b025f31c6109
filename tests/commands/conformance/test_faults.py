"""The list of faults: names, and what shows each; ONNX's own node tests by the same judge."""

import importlib
from collections import defaultdict
from functools import cache
from typing import Any

import numpy as np
import pytest

from rnncli.commands.conformance.cases import INPUTS, OUTPUTS, KitCase, list_cases
from rnncli.commands.conformance.faults import FAULTS, ORDER, join_changes, list_traits
from rnncli.commands.conformance.judge import is_close, judge
from rnncli.commands.conformance.oracle import compute
from rnncli.commands.known import Known
from rnncli.values import Array

OPERATORS = ("RNN", "GRU", "LSTM")
ONLY_OTHER_OPERATORS_SHOW = {
    "RNN": {"Tanh", "HardSigmoid"},
    "GRU": {"Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh", "Softplus"},
    "LSTM": {"Tanh", "ThresholdedRelu", "Elu", "Softplus"},
}
"""Activations that the cases of an operator lack, or have only where they are the default."""

NUMBERS = {"RNN": (105, 103, 27, 0), "GRU": (143, 137, 71, 19), "LSTM": (244, 239, 50, 0)}
"""Faults, those that the kit shows, those that ONNX's own tests show; of these, wrong orders of gates."""


def kit(operator: str) -> list[KitCase]:
    cases = [case for case in list_cases() if case.operator == operator and case.inputs["X"].size]
    return sorted(cases, key=lambda case: case.inputs["X"].size)


def compute_with(fault: Known, case: KitCase) -> dict[str, Array]:
    """Return the outputs; none where the shapes do not fit."""
    if not fault.needs <= list_traits(case):
        return compute(case)
    try:
        with np.errstate(all="ignore"):
            return compute(case, join_changes([fault]))
    except (ValueError, IndexError):
        return {}


def shows(case: KitCase, fault: Known) -> bool:
    if not fault.needs <= list_traits(case):
        return False
    outputs = compute_with(fault, case)
    return bool(outputs) and not is_close(outputs, compute(case), case.dtype)


@cache
def own_tests(operator: str) -> list[tuple[KitCase, dict[str, Array]]]:
    """Return ONNX's node tests of an operator as cases, with the outputs that they expect."""
    tests: list[tuple[KitCase, dict[str, Array]]] = []

    def expect(node: Any, inputs: list[Array], outputs: list[Array], name: str) -> None:
        names = [INPUTS[at] for at, given in enumerate(node.input) if given]
        wanted = tuple(OUTPUTS[operator][at] for at, given in enumerate(node.output) if given)
        attributes = {item.name: item.s.decode() if item.s else item.i for item in node.attribute}
        tensors = dict(zip(names, inputs, strict=True))
        case = KitCase(
            name, operator, "own", attributes, tensors, tuple(names), wanted, "float32", 22, 10, False
        )
        tests.append((case, dict(zip(wanted, outputs, strict=True))))

    module: Any = importlib.import_module(f"onnx.backend.test.case.node.{operator.lower()}")
    before, module.expect, drawn = module.expect, expect, np.random.get_state()
    np.random.seed(0)  # its inputs are drawn
    try:
        for export in [name for name in dir(getattr(module, operator)) if name.startswith("export")]:
            getattr(getattr(module, operator), export)()
    finally:
        module.expect = before
        np.random.set_state(drawn)
    return tests


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.slow
def test_every_fault_has_a_name_and_numbers_of_its_own(operator: str) -> None:
    """Two faults with the same numbers in every case could not be told apart."""
    names = [fault.name for fault in FAULTS[operator]]
    assert len(names) == len(set(names))
    alike = [list(FAULTS[operator])]
    for case in kit(operator):
        parts: dict[tuple[Any, ...], list[Known]] = defaultdict(list)
        for number, faults in enumerate(alike):
            for fault in faults:
                outputs = compute_with(fault, case).values()
                key = [(array.shape, np.round(array, 3).tobytes()) for array in outputs]
                parts[number, *key].append(fault)
        alike = [faults for faults in parts.values() if len(faults) > 1]
    invisible = {f"{name} computed as the default activation" for name in ONLY_OTHER_OPERATORS_SHOW[operator]}
    rest = [{fault.name for fault in faults} - invisible for faults in alike]
    assert [names for names in rest if len(names) > 1] == []


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.slow
def test_the_tests_of_onnx_are_right_and_see_few_faults(operator: str) -> None:
    own = own_tests(operator)
    assert {judge(case, outputs).verdict for case, outputs in own} == {"right"}
    seen = {fault.name for fault in FAULTS[operator] if any(shows(case, fault) for case, _ in own)}
    in_kit = {fault.name for fault in FAULTS[operator] if any(shows(case, fault) for case in kit(operator))}
    orders = [fault.name for fault in FAULTS[operator] if fault.text is ORDER and fault.name in seen]
    assert (len(FAULTS[operator]), len(in_kit), len(seen), len(orders)) == NUMBERS[operator]
