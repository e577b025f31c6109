"""The oracle against ONNX Runtime and rnncli's NumPy engine; what one refuses, against onnx.reference, too.

What the text leaves open, and a few numbers besides, are worked out here.
"""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from rnncli.conformance.kit import model_of
from rnncli.conformance.oracle import (
    INPUTS,
    OUTPUTS,
    TOLERANCES,
    KitCase,
    compute,
    flip,
    list_cases,
    readings,
)
from rnncli.models.onnx.model import NodeCall
from rnncli.values import Array

ONNX = tuple(map(int, onnx.__version__.split(".")[:2]))
CASES = list_cases()
BY_NAME = {case.name: case for case in CASES}
CLOSED = [case for case in CASES if not case.is_open]
NO_SEQUENCES = {"gru_no_sequences", "lstm_no_sequences", "rnn_no_sequences"}
"""Cases that end the process of ONNX Runtime."""
NOT_IN_ONNX_RUNTIME = {
    "rnn_lower_case",
    *NO_SEQUENCES,
    *(case.name for case in CASES if "layout" in case.attributes or case.dtype == "float64"),
}


def names(case: KitCase) -> str:
    return case.name


def agree(case: KitCase, ours: dict[str, Array], theirs: dict[str, Array]) -> bool:
    """Return whether all outputs agree as closely as the case's type allows."""
    bound = TOLERANCES[case.dtype]
    assert ours.keys() == theirs.keys() == {*case.outputs}
    return all(
        ours[name].dtype == theirs[name].dtype == case.dtype
        and ours[name].shape == theirs[name].shape
        and np.allclose(ours[name], theirs[name], rtol=bound, atol=bound)
        for name in ours
    )


def in_onnx_runtime(case: KitCase) -> dict[str, Array]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    content = model_of(case, compute(case))
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    run = onnxruntime.RunOptions()
    run.log_severity_level = 4
    feeds = {name: case.inputs[name] for name in case.graph_inputs}
    return dict(zip(case.outputs, session.run(list(case.outputs), feeds, run), strict=True))


@pytest.mark.parametrize("case", [case for case in CLOSED if case.name not in NO_SEQUENCES], ids=names)
def test_onnx_runtime_returns_the_same_or_refuses(case: KitCase) -> None:
    try:
        returned = in_onnx_runtime(case)
    except Exception:
        assert case.name in NOT_IN_ONNX_RUNTIME
    else:
        assert case.name not in NOT_IN_ONNX_RUNTIME
        assert agree(case, compute(case), returned)


def in_rnncli(case: KitCase) -> dict[str, Array]:
    """Return what the engine `numpy` computes of the node, in the layout of the case."""
    names = OUTPUTS[case.operator]
    everything = case._replace(outputs=names)
    node = onnx.ModelProto.FromString(model_of(everything, compute(everything))).graph.node[0]
    time_first = ("X", "initial_h", "initial_c") if case.attributes.get("layout") else ()
    inputs = {
        name: array.swapaxes(0, 1) if name in time_first else array for name, array in case.inputs.items()
    }
    directions = 2 if case.attributes.get("direction") == "bidirectional" else 1
    state = np.zeros((directions, inputs["X"].shape[1], case.attributes["hidden_size"]))
    call = NodeCall(node, tuple(inputs.get(name) for name in INPUTS), (state,) * len(names))
    outputs = dict(zip(names, call.computed(), strict=True))
    axes = {"Y": (2, 0, 1, 3), "Y_h": (1, 0, 2), "Y_c": (1, 0, 2)}
    return {
        name: outputs[name].transpose(axes[name]) if time_first else outputs[name] for name in case.outputs
    }


@pytest.mark.parametrize("case", CLOSED, ids=names)
def test_rnnclis_own_engine_returns_the_same(case: KitCase) -> None:
    assert agree(case, compute(case), in_rnncli(case))


@pytest.mark.parametrize(
    "case",
    [
        case
        for case in CLOSED
        if (case.name in NOT_IN_ONNX_RUNTIME or case.dtype == "float16")
        and "sequence_lens" not in case.inputs
        and "activations" not in case.attributes
    ],
    ids=names,
)
@pytest.mark.skipif(ONNX < (1, 23), reason="the reference of older releases has one direction and no layout")
def test_the_reference_of_onnx_agrees_where_another_refuses(case: KitCase) -> None:
    """It takes no part in sequence lengths and in most activations, but computes layouts and all types."""
    evaluator = ReferenceEvaluator(onnx.ModelProto.FromString(model_of(case, compute(case))))
    feeds = {name: case.inputs[name] for name in case.graph_inputs}
    returned = dict(zip(case.outputs, evaluator.run(list(case.outputs), feeds), strict=True))
    assert agree(case, compute(case), returned)


@pytest.mark.parametrize("case", [case for case in CASES if "layout" in case.attributes], ids=names)
def test_layout_1_is_onnx_runtimes_answer_with_other_axes(case: KitCase) -> None:
    others = {name: value for name, value in case.attributes.items() if name != "layout"}
    turned = ("X", "initial_h", "initial_c")
    inputs = {name: array.swapaxes(0, 1) if name in turned else array for name, array in case.inputs.items()}
    returned = in_onnx_runtime(case._replace(attributes=others, inputs=inputs))
    axes = {"Y": (2, 0, 1, 3), "Y_h": (1, 0, 2), "Y_c": (1, 0, 2)}
    assert agree(case, compute(case), {name: array.transpose(axes[name]) for name, array in returned.items()})


def test_the_case_of_letters_does_not_matter() -> None:
    """ONNX Runtime refuses `relu` in an RNN, and takes small letters in a GRU."""
    case = BY_NAME["rnn_lower_case"]
    returned = in_onnx_runtime(case._replace(attributes={**case.attributes, "activations": ["Relu"]}))
    assert agree(case, compute(case), returned)


@pytest.mark.parametrize("name", sorted(NO_SEQUENCES))
def test_a_batch_of_none_returns_tensors_without_numbers(name: str) -> None:
    shapes = {key: array.shape for key, array in compute(BY_NAME[name]).items()}
    assert shapes.pop("Y") == (5, 1, 0, 4)
    assert {*shapes.values()} == {(1, 0, 4)}


@pytest.mark.parametrize("case", [case for case in CASES if case.is_open], ids=names)
def test_onnx_runtime_follows_the_second_reading_of_what_is_open(case: KitCase) -> None:
    first, second = readings(case).values()
    assert agree(case, first, compute(case))
    assert not agree(case, first, second)
    assert agree(case, second, in_onnx_runtime(case))


def test_only_open_cases_have_readings() -> None:
    assert {case.name for case in CASES if readings(case)} == {case.name for case in CASES if case.is_open}


@pytest.mark.parametrize("operator", ["rnn", "gru", "lstm"])
def test_an_empty_sequence_ends_in_its_initial_state_or_in_zeros(operator: str) -> None:
    case = BY_NAME[f"{operator}_length_0_initial"]
    first, second = readings(case).values()
    for name in case.outputs[1:]:
        assert np.array_equal(first[name][0, 1], case.inputs[f"initial_{name[-1]}"][0, 1])
        assert not second[name][0, 1].any()
        assert np.array_equal(first[name][0, [0, 2]], second[name][0, [0, 2]])


def test_clip_bounds_the_cell_state_before_its_activation_or_not() -> None:
    """The first step of one sequence, worked out gate by gate."""
    case = BY_NAME["lstm_clip_cell"]._replace(outputs=("Y", "Y_c"))
    w, r, b = (case.inputs[name][0].astype(np.float64) for name in "WRB")
    x, h, c = case.inputs["X"][0, 0], case.inputs["initial_h"][0, 0], case.inputs["initial_c"][0, 0]
    wb, rb = np.split(b, 2)
    i, o, f, g = np.split(np.clip(w @ x + r @ h + wb + rb, -0.25, 0.25), 4)
    i, o, f = (1 / (1 + np.exp(-gate)) for gate in (i, o, f))
    new = f * c + i * np.tanh(g)
    assert (np.abs(new) > 0.25).any()
    first, second = (outputs["Y"][0, 0, 0] for outputs in readings(case).values())
    assert first == pytest.approx(o * np.tanh(np.clip(new, -0.25, 0.25)), abs=1e-6)
    assert second == pytest.approx(o * np.tanh(new), abs=1e-6)


def test_a_gru_of_one_unit_by_hand() -> None:
    """Weights of 1, 2, 3 and so on over 10; both places of the reset gate."""

    def sigmoid(number: float) -> float:
        return 1 / (1 + float(np.exp(-number)))

    case = BY_NAME["gru_initial_h"]
    numbers = {"X": [[[0.5]]], "initial_h": [[[2]]], "B": [[0.7, 0.8, 0.9, 1.0, 1.1, 1.2]]}
    numbers |= {"W": [[[0.1], [0.2], [0.3]]], "R": [[[0.4], [0.5], [0.6]]]}
    inputs = {name: np.array(values) for name, values in numbers.items()}
    z, r = sigmoid(0.05 + 0.8 + 0.7 + 1.0), sigmoid(0.1 + 1.0 + 0.8 + 1.1)
    wanted = {
        0: (1 - z) * np.tanh(0.15 + r * 2.0 * 0.6 + 0.9 + 1.2) + z * 2.0,
        1: (1 - z) * np.tanh(0.15 + r * (2.0 * 0.6 + 1.2) + 0.9) + z * 2.0,
    }
    for after, number in wanted.items():
        small = case._replace(
            attributes={"hidden_size": 1, "linear_before_reset": after}, inputs=inputs, dtype="float64"
        )
        assert compute(small)["Y_h"].item() == pytest.approx(number, rel=1e-14)


def test_a_value_that_is_changed_changes_the_numbers() -> None:
    """What makes the comparisons above able to fail."""
    unpadded = {"padded": [lambda value, node, h: h]}
    seen = {case.name for case in CASES if not agree(case, compute(case), compute(case, unpadded))}
    assert seen == {case.name for case in CASES if min(case.inputs.get("sequence_lens", [5])) < 5}


def test_flip_reverses_each_sequence_within_its_length() -> None:
    flipped = flip(np.arange(12.0).reshape(4, 3, 1), np.array([4, 2, 0]))[..., 0]
    assert flipped.T.tolist() == [[9, 6, 3, 0], [4, 1, 7, 10], [2, 5, 8, 11]]
