"""The list of faults: names, and what shows each; ONNX's own node tests; faults in loops of cells."""

import importlib
import inspect
from collections import defaultdict
from functools import cache
from typing import Any

import matrix_loops
import numpy as np
import pytest
from command import ROOT
from matrix_loops import SMALL, UNITS

from rnncli.conformance.cell_cases import list_cell_cases
from rnncli.conformance.faults import FAULTS, NOT_FOUND, ORDER, join_changes, list_traits, name_faults
from rnncli.conformance.oracle import INPUTS, OUTPUTS, KitCase, compute, list_cases
from rnncli.conformance.verdicts import Judgement, is_close, judge
from rnncli.known import Known
from rnncli.values import Array

pytestmark = pytest.mark.slow

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
def test_the_tests_of_onnx_are_right_and_see_few_faults(operator: str) -> None:
    own = own_tests(operator)
    assert {judge(case, outputs).verdict for case, outputs in own} == {"right"}
    seen = {fault.name for fault in FAULTS[operator] if any(shows(case, fault) for case, _ in own)}
    in_kit = {fault.name for fault in FAULTS[operator] if any(shows(case, fault) for case in kit(operator))}
    orders = [fault.name for fault in FAULTS[operator] if fault.text is ORDER and fault.name in seen]
    assert (len(FAULTS[operator]), len(in_kit), len(seen), len(orders)) == NUMBERS[operator]


PLANTED = [
    ("linear_attention", "+ 1e-6", "", "hidden: 1e-06 is missing"),
    ("linear_attention", "normalizer[h] += k[h]", "pass", "normalizer: key is missing"),
    ("gla", "q[h] / np.sqrt(size)", "q[h]", "query: / sqrt(keys) is missing"),
    ("gla", "** (1 / 16)", "", "forget: ** 0.0625 is missing"),
    ("deltanet", "step * np.outer(key, key)", "np.outer(key, key)", "memory: beta only on value"),
    ("deltanet", "np.outer(key, silu(v[h]))", "np.outer(key, v[h])", "value: silu of x @ kernel is missing"),
    ("rwkv7", "removal / max(np.linalg.norm(removal), 1e-12)", "removal", "removal: / maximum("),
    ("rwkv7", "(1 + (rate - 1) * ", "(1 + rate * ", "written: 1 is missing in rate - 1"),
    ("rwkv7", "removal * rate)", "removal)", "memory: rate is missing"),
    ("rwkv7", " / np.sqrt(np.e)", "", "decay: 0.606531 is missing"),
    ("rwkv7", "64e-5", "1e-5", "normalized: 1e-05 instead of 0.00064"),
    ("rwkv7", "r[h] * written * w", "r[h] * k[h] * w", "direct: key instead of written"),
    ("rwkv7", "np.tanh(mixed", "np.asarray(mixed", "decay: tanh of (x + change * mix_decay) @ decay_down is"),
    ("mlstm", "k[h] / np.sqrt(size)", "k[h]", "key: / sqrt(keys) is missing"),
    ("mlstm", "max(abs(q[h] @ norm[h]), 1)", "abs(q[h] @ norm[h])", "read: exp(-stabilizer) is missing"),
    ("mlstm", "abs(q[h] @ norm[h])", "(q[h] @ norm[h])", "read: abs of query @ normalizer is missing"),
    ("mlstm", "sigmoid(o[h]) * ", "", "hidden: output is missing"),
    ("mlstm", "v, i, f, o", "v, f, i, o", "log_input, log_forget: columns swapped"),
    ("mlstm", "np.outer(key, v[h])", "np.outer(v[h], key)", "memory: outer(key, value) transposed"),
    ("hgrn2", "np.outer(1 - forget, v[h])", "np.outer(forget, v[h])", "memory: forget instead of 1 - forget"),
    ("mamba", 'w["convolution"])', 'w["convolution"][::-1])', "signal: convolution reversed along taps"),
    ("mamba", "np.exp(-delta[j]", "np.exp(delta[j]", "memory: step has the wrong sign"),
    ("mamba2", "step * np.outer", "np.outer", "memory: step is missing"),
    ("mamba2", ' + w["D"][h] * v[h]', "", "hidden: D * value is missing"),
    ("mamba2", 'np.exp(w["A_log"][h])', 'w["A_log"][h]', "decay: exp of A_log is missing"),
    ("mamba2", "v, b, c, dt", "v, c, b, dt", "input, output: columns swapped"),
    ("mamba2", '(dt[h] + w["step_bias"][h])', '(dt[h]) + w["step_bias"][h]', ""),
    ("qwen3_next", "(read**2).mean()", "(read**2).sum()", "sum instead of mean"),
    ("qwen3_next", "v[g, r])\n", "v[g, (r + 1) % 3])\n", ""),
    ("mamba2_layer", "y = y * silu(z)\n", "y = y * sigmoid(z)\n", "gate: sigmoid instead of silu"),
]  # fmt: skip
"""The cell, a part of its loop, what stands there instead, and what is named; nothing is known of some."""


@cache
def cases(cell: str) -> tuple[KitCase, ...]:
    options = "".join(f", {name}={size}" for name, size in SMALL[cell][1].items())
    return list_cell_cases(f"@'{ROOT}/samples/cells/{cell}.toml'({UNITS}{options})")


def answer(loop: Any, cell: str, case: KitCase) -> dict[str, Any]:
    """Return the outputs of a loop, sequence after sequence."""
    names = [name for name in case.outputs if name not in ("outputs", "last_hidden")]
    outputs = np.zeros((*case.inputs["x"].shape[:2], UNITS), case.dtype)
    answers: dict[str, Any] = {"outputs": outputs, **{name: [] for name in case.outputs[1:]}}
    for at, length in enumerate(case.inputs["lengths"]):
        before = [case.inputs[name.replace("last", "initial")][at] for name in names]
        rows, states = loop(
            case.inputs, case.inputs["x"][at, :length], {"units": UNITS, **SMALL[cell][1]}, *before
        )
        outputs[at, :length] = rows
        for name, last in zip(["last_hidden", *names], [rows[-1], *states], strict=True):
            answers[name].append(last)
    return {name: np.asarray(value, case.dtype) for name, value in answers.items()}


def judged(cell: str, old: str, new: str) -> list[Judgement]:
    text = inspect.getsource(SMALL[cell][0])
    assert old in text
    made = dict(vars(matrix_loops))
    exec(text.replace(old, new), made)
    with np.errstate(all="ignore"):
        return [judge(case, answer(made[cell], cell, case)) for case in cases(cell)]


@pytest.mark.parametrize("cell", SMALL)
def test_a_loop_is_right(cell: str) -> None:
    assert {judgement.verdict for judgement in judged(cell, "", "")} == {"right"}


@pytest.mark.parametrize(("cell", "old", "new", "name"), PLANTED)
def test_a_fault_of_a_loop_is_named(cell: str, old: str, new: str, name: str) -> None:
    judgements = judged(cell, old, new)
    wrong = {judgement.case.name for judgement in judgements if judgement.verdict == "wrong"}
    assert wrong
    explanations = name_faults(judgements)
    if name:
        named = {case for each in explanations for case in each.cases if name in each.name}
        assert named <= wrong
        assert wrong - named <= {item.case.name for item in judgements if not has_digits(item)}
    else:
        assert [each.name for each in explanations] == [NOT_FOUND]


def has_digits(judgement: Judgement) -> bool:
    """Return False if a memory is so large that its normalized read is nothing but rounding, in float32."""
    return not np.abs(judgement.outputs.get("last_memory", 0.0)).max() > 1e20  # NaN is to be named
