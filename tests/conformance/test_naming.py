"""Planted faults get their names, from all cases together."""

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from networks import MISTAKES, answer

from rnncli.conformance import faults as naming
from rnncli.conformance.faults import FAULTS, NOT_FOUND, join_changes, list_traits, name_faults
from rnncli.conformance.oracle import Changes, KitCase, compute, list_cases, list_readings
from rnncli.conformance.verdicts import Failure, Judgement, judge
from rnncli.known import Known
from rnncli.values import Array


@pytest.fixture(scope="module", autouse=True)
def _each_fault_is_computed_once() -> Iterator[None]:
    """Let the searches of all tests share numbers: every search tries the same faults with the same cases."""
    changes: dict[tuple[object, ...], Changes] = {}
    outputs: dict[tuple[int, int], dict[str, Array]] = {}

    def join_once(faults: list[Known], reading: Changes) -> Changes:
        key = (*map(id, faults), *reading)  # the faults are constants
        if key not in changes:
            changes[key] = join_changes(faults, reading)
        return changes[key]

    def compute_once(case: KitCase, joined: Changes, _: object = None) -> dict[str, Array]:
        key = id(case), id(joined)  # the cases are list_cases(), which stays
        if key not in outputs:
            outputs[key] = compute(case, joined)
        return outputs[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(naming, "join_changes", join_once)
        patch.setattr(naming, "compute", compute_once)
        yield


def of(operator: str) -> list[KitCase]:
    return [case for case in list_cases() if case.operator == operator]


def judge_network(operator: str, *mistakes: str) -> list[Judgement]:
    """Judge the networks of the tests; what they cannot compute is refused."""
    judgements = []
    for case in of(operator):
        outputs: Mapping[str, Array] | Failure
        try:
            outputs = answer(case, *mistakes)
        except (ValueError, IndexError):
            outputs = Failure("refused")
        judgements.append(judge(case, outputs))
    return judgements


def judge_planted(operator: str, *names: str) -> list[Judgement]:
    """Judge the oracle with faults of the list."""
    faults = [fault for fault in FAULTS[operator] if fault.name in names]
    judgements = []
    for case in of(operator):
        outputs: Mapping[str, Array] | Failure
        try:
            with np.errstate(all="ignore"):
                outputs = compute(case, join_changes([f for f in faults if f.needs <= list_traits(case)]))
        except (ValueError, IndexError):
            outputs = Failure("refused")
        judgements.append(judge(case, outputs))
    return judgements


def check(judgements: list[Judgement], *names: str) -> None:
    """Check the names, and that every wrong case has one of them."""
    explanations = name_faults(judgements)
    assert sorted(explanation.name for explanation in explanations) == sorted(names)
    wrong = {judgement.case.name for judgement in judgements if judgement.verdict == "wrong"}
    assert wrong == {case for explanation in explanations for case in explanation.cases}


@pytest.mark.parametrize("operator", ["RNN", "GRU", "LSTM"])
def test_the_networks_are_right_without_a_mistake(operator: str) -> None:
    verdicts = {(judgement.verdict, judgement.case.is_open) for judgement in judge_network(operator)}
    assert verdicts == {("right", False), ("unclear", True)}


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("operator", "mistake"), [(operator, name) for operator, names in MISTAKES.items() for name in names]
)
def test_a_mistake_of_a_network_gets_its_name(operator: str, mistake: str) -> None:
    check(judge_network(operator, mistake), mistake)


OF_THE_LIST = {
    "RNN": ("Y_h taken from the last row of Y", "final states of short sequences are 0",
            "final states taken before the first step", "halves swapped in Y",
            "halves swapped in Y_h and Y_c", "directions behind the batch in Y, in the shape of Y",
            "direction=reverse with X read forward, Y reversed",
            "the backward half with X and Y reversed over all steps, not within sequence_lens",
            "direction=reverse with Y reversed over all steps, not within sequence_lens",
            "the backward half is 0", "activations of the backward half ignored",
            "activation_alpha and activation_beta are 0 where left out",
            "the first activation_alpha and activation_beta used for all functions",
            "ScaledTanh computed as the default activation", "length 0 computed as 1",
            "length 0 computed as the number of steps", "sequence_lens one step short",
            "the longest of sequence_lens used for all", "Y reshaped, not transposed, for layout=1",
            "Y_h and Y_c reshaped, not transposed, for layout=1",
            "directions before the steps in Y of layout=1", "W read column by column", "Wb ignored",
            "Wb used for Rb, too", "B added twice", "initial states of the first sequence used for all"),
    "GRU": ("Wb and Rb swapped", "Wbh inside the reset gate", "clip ignored for g", "activation f ignored",
            "B read as Wb and Rb of each gate in turn", "the reset gate ignored"),
    "LSTM": ("initial_h used for initial_c, too", "initial_h ignored where initial_c is missing",
             "Y_h taken after the padding", "peephole of f ignored", "peepholes read in the order o, f, i",
             "clip bounds Ct itself", "layout ignored for Y_c, with its halves swapped"),
}  # fmt: skip


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("operator", "name"), [(operator, name) for operator, names in OF_THE_LIST.items() for name in names]
)
def test_a_fault_of_the_list_gets_its_name(operator: str, name: str) -> None:
    check(judge_planted(operator, name), name)


PAIRS = (
    ("RNN", "sequence_lens ignored", "clip ignored", ""),
    ("RNN", "layout ignored for Y_h and Y_c", "initial_h ignored", ""),
    ("RNN", "B ignored", "direction=reverse computed forward", ""),
    ("RNN", "halves swapped in all outputs", "final states taken after the padding", ""),
    ("RNN", "R transposed in each gate", "activations ignored", ""),
    ("GRU", "linear_before_reset=0 computed as 1", "Rbh outside the reset gate", ""),
    ("GRU", "gates z and r swapped", "gates r and h swapped in R", ""),
    ("GRU", "sequence_lens ignored", "linear_before_reset=1 computed as 0", ""),
    ("LSTM", "peepholes ignored", "input_forget ignored", ""),
    ("GRU", "z and 1 - z swapped", "gates z and r swapped", "gates z and r swapped + z and 1 - z swapped"),
    ("LSTM", "peepholes i and o swapped", "peephole of o reads Ct-1",
     "peepholes i and o swapped + peephole of o reads Ct-1"),
    ("RNN", "B ignored", "Rb ignored", "B ignored"),
    ("GRU", "sequence_lens ignored", "the first of sequence_lens used for all", "sequence_lens ignored"),
    ("LSTM", "input_forget ignored", "input_forget couples i to f", "input_forget couples i to f"),
)  # fmt: skip
"""Operator, two mistakes, and the only name; empty for the names of both."""


@pytest.mark.sampled
@pytest.mark.parametrize(("operator", "first", "second", "name"), PAIRS)
def test_two_mistakes_get_both_names_or_the_pairs(operator: str, first: str, second: str, name: str) -> None:
    check(judge_network(operator, first, second), *([name] if name else [first, second]))


@pytest.mark.slow
def test_many_faults_at_once_are_named() -> None:
    names = ("sequence_lens ignored", "direction=reverse computed forward", "layout ignored", "clip ignored",
             "linear_before_reset=0 computed as 1", "Rbh outside the reset gate")  # fmt: skip
    check(judge_planted("GRU", *names), *names)


@pytest.mark.slow
def test_faults_of_one_case_that_explain_nothing_alone_get_a_name_together() -> None:
    """OpenCV's only answer to layout=1; it refuses the other cases."""
    names = ("X reshaped, not transposed, for layout=1", "layout ignored for Y_c, with its halves swapped")
    judgements = judge_planted("LSTM", *names)
    answered = [item for item in judgements if "layout" not in item.case.attributes]
    answered += [item for item in judgements if item.case.name == "lstm_layout_bidirectional"]
    check(answered, " + ".join(names))


def test_a_case_that_shows_two_faults_is_in_both_lists() -> None:
    judgements = judge_network("RNN", "sequence_lens ignored", "initial_h ignored")
    shown = {explanation.name: set(explanation.cases) for explanation in name_faults(judgements)}
    assert shown["sequence_lens ignored"] & shown["initial_h ignored"] >= {"rnn_initial_lens"}
    assert "rnn_lens" not in shown["initial_h ignored"]


def test_names_that_give_the_same_numbers_are_all_named() -> None:
    """Of one case, activations ignored and f ignored are the same; with all cases only one fits."""
    judgements = judge_planted("LSTM", "activation f ignored")
    single = [judgement for judgement in judgements if judgement.case.name == "lstm_f_softsign"]
    names = {explanation.name for explanation in name_faults(single)}
    assert names >= {
        "activations ignored",
        "activation f ignored",
        "Softsign computed as the default activation",
    }
    check(judgements, "activation f ignored")


def test_a_name_that_is_certain_for_one_operator_is_taken_for_another() -> None:
    relu = [item for item in judge_network("RNN", "activations ignored") if item.case.name == "rnn_relu"]
    assert len(name_faults(relu)) > 1
    check([*relu, *judge_planted("GRU", "activations ignored")], "activations ignored")


def test_numbers_of_no_fault_have_no_cause() -> None:
    cases = [case for case in of("RNN") if case.name in ("rnn_forward", "rnn_lens")]
    judgements = [
        judge(case, {name: array + np.float32(0.125) for name, array in compute(case).items()})
        for case in cases
    ]
    check(judgements, NOT_FOUND)


def test_a_fault_that_makes_an_empty_sequence_is_named_in_either_reading() -> None:
    """One step less of lengths 3, 1 and 4 leaves a sequence of none, which ends in zeros in ONNX Runtime."""
    judgements = []
    for case in of("RNN"):
        outputs = compute(case)
        if "sequence_lens" in case.inputs:
            lengths = np.maximum(case.inputs["sequence_lens"] - 1, 0)
            _, zeros = list_readings(case).values()
            outputs = compute(case._replace(inputs={**case.inputs, "sequence_lens": lengths}), zeros)
        judgements.append(judge(case, outputs))
    check(judgements, "sequence_lens one step short")


def test_another_type_is_named_beside_the_fault() -> None:
    case = next(case for case in list_cases() if case.name == "lstm_float64")
    outputs = answer(case)
    assert [item.name for item in name_faults([judge(case, outputs)])] == []
    single = {name: array.astype(np.float32) for name, array in outputs.items()}
    check([judge(case, single)], "float64 computed as float32")
    both = answer(case._replace(dtype="float32"), "gates i and f swapped")
    check([judge(case, both)], "gates i and f swapped", "float64 computed as float32")


@pytest.mark.slow
def test_a_fault_of_one_type_is_named_with_the_type() -> None:
    pairs = zip(judge_network("GRU"), judge_network("GRU", "gates z and r swapped"), strict=True)
    judgements = [wrong if wrong.case.dtype == "float64" else right for right, wrong in pairs]
    check(judgements, "gates z and r swapped in float64")
