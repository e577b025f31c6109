"""Recurrent nodes of ONNX against ONNX Runtime and the standard's own cases; and what cannot be run."""

import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx_graphs
import pytest
from hypothesis import settings
from onnx import TensorProto, helper

from rnncli import compute
from rnncli.compute import trace as tracing
from rnncli.errors import EngineError, InputError, LayerError, UsageError
from rnncli.inputs.formats import Source
from rnncli.layers.case import Case
from rnncli.models import LayerUse, ModelRequest, ModelRun
from rnncli.models.onnx import runtime
from rnncli.models.onnx.model import Model
from rnncli.models.onnx.nodes import nodes_in
from rnncli.models.reading import read
from rnncli.result import Result

PATH = Path("model.onnx")


def saved_of(made: Any) -> Any:
    return read(Source("model.onnx", made.SerializeToString()))


def run(made: Any, feeds: Any, **options: Any) -> ModelRun:
    saved = saved_of(made)
    request = ModelRequest(Model(saved).fit_inputs(feeds), compute_numpy, **options)
    return Model(saved, PATH).run(request)


def compute_numpy(case: Case) -> Result:
    return compute.run(case, "numpy")


def tensors(found: ModelRun) -> dict[str, Any]:
    """Everything that the shown nodes return, as traced."""
    return {
        f"{part.layer}/{tensor.name}": tensor.values
        for part in found.parts
        for tensor in tracing.trace(part.case).outputs
    }


@pytest.mark.sampled
@pytest.mark.usefixtures("files_are_read_here")
@pytest.mark.parametrize("own_cell", [False, True])
@pytest.mark.parametrize("seed", range(2 * settings().max_examples))
def test_random_node_is_what_runtime_returns(seed: int, own_cell: bool) -> None:
    """Every tensor, as the model has it and as it is when the layer is asked to return other ones."""
    made, feeds = onnx_graphs.random_single(seed, own_cell=own_cell)
    saved = saved_of(made)
    request = ModelRequest(feeds, compute_numpy)
    (part,) = Model(saved, PATH).run(request).parts
    for sequences in (True, False):
        case = part.case._replace(stack=part.case.stack.with_returns(return_sequences=sequences))
        theirs = Model(saved, PATH).outputs(request, [LayerUse("rnn", case)])
        for tensor in tracing.trace(case).outputs:
            np.testing.assert_allclose(
                tensor.values, theirs[f"rnn/{tensor.name}"], rtol=2e-5, atol=1e-5, err_msg=tensor.name
            )


def standard_cases() -> Iterator[Any]:
    """The cases of the ONNX standard for its recurrent operators; each module makes its own on import."""
    from onnx.backend.test.case import node

    for operator in ("rnn", "gru", "lstm"):
        before = len(node._NodeTestCases)
        importlib.import_module(f"onnx.backend.test.case.node.{operator}")
        for case in node._NodeTestCases[before:]:
            yield pytest.param(case, id=case.name)


BATCH_FIRST = {"Y": (2, 0, 1, 3), "Y_h": (1, 0, 2), "Y_c": (1, 0, 2)}
"""The axes of an output in layout 0, in the order of layout 1."""
SHOWN: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "hidden_states": ("Y", lambda sequence: sequence.reshape(*sequence.shape[:2], -1)),
    "hidden_state": ("Y_h", lambda state: state.reshape(len(state), -1)),
    "last_hidden_state": ("Y_h", lambda state: state[:, 0]),
    "forward_last_hidden_state": ("Y_h", lambda state: state[:, 0]),
    "backward_last_hidden_state": ("Y_h", lambda state: state[:, 1]),
}
"""The tensors of rnncli, and how they are made from outputs in layout 1."""


@pytest.mark.usefixtures("files_are_read_here")
@pytest.mark.parametrize("case", list(standard_cases()))
def test_case_of_the_standard(case: Any) -> None:
    (arrays, expected), *_ = case.data_sets
    made = case.model
    made.ir_version, made.opset_import[0].version = 8, 14
    node = made.graph.node[0]
    feeds = {value.name: array for value, array in zip(made.graph.input, arrays, strict=True)}
    found = {name.partition("/")[2]: array for name, array in tensors(run(made, feeds)).items()}
    named = dict(zip([name for name in node.output if name], expected, strict=True))
    first = any(attribute.name == "layout" and attribute.i for attribute in node.attribute)
    outputs = named if first else {name: named[name].transpose(BATCH_FIRST[name]) for name in named}
    shown = {name: show(outputs[output]) for name, (output, show) in SHOWN.items() if name in found}
    assert {SHOWN[name][0] for name in shown} == {"Y", "Y_h"} & named.keys()
    for name, theirs in shown.items():
        np.testing.assert_allclose(found[name], theirs, rtol=1e-5, atol=1e-6, err_msg=name)


def two_ways(condition: bool) -> tuple[Any, dict[str, Any]]:
    """A model with an If: a GRU in one branch, in the other an If in the If with an LSTM."""
    random = np.random.default_rng(5)
    gru, lstm = (onnx_graphs.weights(random, name, 3, 2) for name in ("GRU", "LSTM"))
    x = random.normal(size=(4, 2, 3)).astype(np.float32)

    def branch(name: str, node: Any, output: str) -> Any:
        return helper.make_graph(
            [node], name, [], [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
        )

    def recurrent(operator: str, prefix: str) -> Any:
        inputs = ["X", *(f"{prefix}{name}" for name in "WRB")]
        return helper.make_node(operator, inputs, ["", "Y_h"], name=prefix, hidden_size=2)

    inner = helper.make_node(
        "If", ["condition"], ["inner"], name="inner",
        then_branch=branch("a", helper.make_node("Identity", ["X"], ["Y_h"]), "Y_h"),
        else_branch=branch("b", recurrent("LSTM", "lstm"), "Y_h"),
    )  # fmt: skip
    outer = helper.make_node(
        "If", ["condition"], ["last"], name="outer",
        then_branch=branch("c", recurrent("GRU", "gru"), "Y_h"),
        else_branch=branch("d", inner, "inner"),
    )  # fmt: skip
    constants = {f"gru{name}": array for name, array in gru.items()}
    constants |= {f"lstm{name}": array for name, array in lstm.items()}
    feeds = {"X": x, "condition": np.array(condition)}
    return onnx_graphs.model([outer], feeds, constants, ["last"]), feeds


@pytest.mark.parametrize(("condition", "branch", "taken"), [(True, "then", "gru"), (False, "else", "lstm")])
@pytest.mark.slow
def test_branch_that_the_input_takes_is_followed(condition: bool, branch: str, taken: str) -> None:
    import onnxruntime

    made, feeds = two_ways(condition)
    found = run(made, feeds)
    assert [part.layer for part in found.parts] == [taken]
    (expected,) = onnxruntime.InferenceSession(made.SerializeToString()).run(None, feeds)
    np.testing.assert_allclose(tensors(found)[f"{taken}/hidden_state"], expected[0], atol=1e-6)
    assert found.notes[0] == f"outer (If): the input takes the {branch} branch."


def test_node_of_a_branch_that_is_not_taken() -> None:
    """It is an error to ask for it, and no obstacle that it cannot be computed."""
    made, feeds = two_ways(True)
    with pytest.raises(InputError, match="the branch that this input takes does not have lstm"):
        run(made, feeds, layers=["lstm"])
    lstm = next(node for node in nodes_in(made.graph) if node.op_type == "LSTM")
    lstm.attribute.append(helper.make_attribute("clip", -1.0))
    assert [part.layer for part in run(made, feeds).parts] == ["gru"]
    feeds["condition"] = np.array(False)
    with pytest.raises(LayerError, match=r"its clip is -1\.0, not"):
        run(made, feeds)


def in_a_loop() -> tuple[Any, dict[str, Any]]:
    """A model with a GRU in a Loop, and one before it."""
    random = np.random.default_rng(6)
    arrays = onnx_graphs.weights(random, "GRU", 3, 3)
    inside = onnx_graphs.node("GRU", {**arrays, "X": 1}, name="inside", outputs=["", "Y_h"])
    inside.input[0] = "Y1"
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), inside], "body",
        [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, [])],
        [info("on", TensorProto.BOOL, []), info("Y_h", TensorProto.FLOAT, None)],
    )  # fmt: skip
    before = onnx_graphs.node("GRU", {**arrays, "X": 1}, name="before", outputs=["Y0"])
    squeeze = helper.make_node("Squeeze", ["Y0", "one"], ["Y1"])
    loop = helper.make_node("Loop", ["count", ""], ["all"], name="repeat", body=body)
    feeds = {"X": random.normal(size=(4, 2, 3)).astype(np.float32)}
    constants = {**arrays, "one": np.array([1]), "count": np.array(2)}
    return onnx_graphs.model([before, squeeze, loop], feeds, constants, ["all"]), feeds


@pytest.mark.slow
def test_node_in_a_loop_is_refused_by_name_and_the_others_run() -> None:
    made, feeds = in_a_loop()
    with pytest.raises(LayerError, match=r"inside: .*it is inside the Loop repeat") as refused:
        run(made, feeds)
    assert refused.value.advice == "To run the others: --model model.onnx#before"
    found = run(made, feeds, layers=["before"], everything=True)
    assert [part.layer for part in found.parts] == ["before"]
    assert found.other_outputs["Y1/output"].shape == (4, 2, 3)
    assert found.order[:2] == ("before", "Y1")
    for name, said in (
        ("befor", r"there is no layer befor\.\nDid you mean before\?"),
        ("reapeat", r"there is no layer reapeat\.\nDid you mean repeat\?"),
        ("Y1", r"the layer Y1 \(Squeeze\) is not recurrent"),
    ):
        with pytest.raises(UsageError, match=said):
            run(made, feeds, layers=[name])


def test_model_without_recurrent_nodes() -> None:
    feeds = {"X": np.ones((2, 3), np.float32)}
    relu = helper.make_node("Relu", ["X"], ["Y"])
    quantized = helper.make_node("DynamicQuantizeLSTM", ["X"], ["Y"], name="rnn", domain="com.microsoft")
    for node, advice in (
        (relu, "rnncli supports only these"),
        (quantized, "rnn (com.microsoft DynamicQuantizeLSTM) is recurrent"),
    ):
        with pytest.raises(InputError, match="no LSTM, GRU or RNN node") as caught:
            run(onnx_graphs.model([node], feeds, {}, ["Y"]), feeds)
        assert advice in str(caught.value.advice)


@pytest.mark.parametrize(("attributes", "reason"), [
    ({"activations": ["Sigmoid", "Tanh", "Affine"]}, "Affine lacks alpha or beta"),
    ({"activations": ["Sigmoid", "Tanh", "Swish"]}, "Swish is not one of ONNX's"),
    ({"activations": ["Sigmoid"]}, "names 1 activations, not 3"),
])  # fmt: skip
def test_what_is_not_computed_is_refused_by_name(attributes: dict[str, Any], reason: str) -> None:
    arrays = onnx_graphs.weights(np.random.default_rng(0), "LSTM", 3, 2)
    made, feeds = onnx_graphs.single("LSTM", {**arrays, "X": np.ones((2, 1, 3), np.float32)}, **attributes)
    with pytest.raises(LayerError, match=rf"rnn: rnncli does not compute it: .*{reason}"):
        run(made, feeds)


@pytest.mark.slow
def test_states_that_are_left_out_are_zeros_with_a_note() -> None:
    random = np.random.default_rng(1)
    arrays = onnx_graphs.weights(random, "LSTM", 3, 2)
    arrays |= {name: np.zeros((1, 4, 2), np.float32) for name in "hc"}
    arrays["X"] = random.normal(size=(5, 4, 3)).astype(np.float32)
    made, feeds = onnx_graphs.single("LSTM", arrays)
    for value in made.graph.input:
        value.type.tensor_type.shape.dim[1].dim_param = "batch"
        if value.name != "X":
            value.type.tensor_type.shape.dim[0].dim_value = 1
            value.type.tensor_type.shape.dim[2].dim_value = 2
    without = run(made, {"X": feeds["X"]})
    assert without.notes == (
        "initial states that were not given are zeros: h, c.",
        "rnn: shown batch first; in the file, X and Y have time first.",
    )
    for name, array in tensors(run(made, feeds)).items():
        np.testing.assert_array_equal(tensors(without)[name], array)
    with pytest.raises(InputError, match=r"missing input: X\.") as missing:
        run(made, {"h": feeds["h"]})
    assert "h: (1, batch, 2), float32; c: (1, batch, 2), float32; X: (X0, " in str(missing.value.advice)


@pytest.mark.parametrize(("given", "message"), [
    ({"x": 1}, "has no input 'x'. Did you mean X?"),
    ({"X": np.ones((2, 3))}, r"X: the model expects \(X0, X1, X2\), float32; got shape \(2, 3\)"),
    ({"X": [["a"]]}, "something other than an array of numbers"),
    ({"X": np.ones((2, 1, 4))}, "ONNX Runtime cannot take these inputs"),
])  # fmt: skip
def test_inputs_that_do_not_fit(given: Any, message: str) -> None:
    arrays = onnx_graphs.weights(np.random.default_rng(0), "GRU", 3, 2)
    arrays["X"] = np.ones((2, 1, 3), np.float32)
    made, _ = onnx_graphs.single("GRU", arrays)
    with pytest.raises(InputError, match=message):
        run(made, given)
    closed = onnx_graphs.model([onnx_graphs.node("GRU", arrays)], {}, arrays, ["Y"])
    more: Any
    for more in ({}, given, given.get("X")):
        with pytest.raises(InputError, match="the model takes no input; all of its numbers are in the file"):
            run(closed, more)


@pytest.mark.slow
def test_numbers_that_runtime_computes_otherwise_are_an_error() -> None:
    """Its Relu makes 0 of NaN."""
    arrays = onnx_graphs.weights(np.random.default_rng(0), "RNN", 3, 2)
    made, feeds = onnx_graphs.single(
        "RNN", {**arrays, "X": np.full((2, 1, 3), np.nan, np.float32)}, activations=["Relu"]
    )
    with pytest.raises(EngineError, match="rnn: rnncli's result differs from ONNX Runtime's"):
        run(made, feeds)


@pytest.mark.slow
def test_long_sequence_is_held_to_what_rounding_allows() -> None:
    """A state that grows for a thousand steps: the two round apart, and agree relative to its size."""
    random = np.random.default_rng(3)
    arrays = onnx_graphs.weights(random, "RNN", 3, 8)
    arrays["R"] = (1.02 * np.linalg.qr(random.normal(size=(8, 8)))[0][None]).astype(np.float32)
    arrays["X"] = random.normal(size=(500, 2, 3)).astype(np.float32)
    made, feeds = onnx_graphs.single(
        "RNN", arrays, activations=["Affine"], activation_alpha=[1.0], activation_beta=[0.0]
    )
    assert np.abs(tensors(run(made, feeds))["rnn/hidden_states"]).max() > 1000


@pytest.mark.usefixtures("files_are_read_here")
@pytest.mark.parametrize("operator", ["LSTM", "GRU", "RNN", "LSTM with P"])
@pytest.mark.parametrize("lengths", [None, [5, 2]])
@pytest.mark.slow
def test_reverse_node_is_computed_by_keras_too(operator: str, lengths: list[int] | None) -> None:
    """In the order of the input, which a layer of Keras alone does not return."""
    random = np.random.default_rng(2)
    operator, _, own = operator.partition(" ")
    arrays = onnx_graphs.weights(random, operator, 3, 2)
    if own:
        arrays["P"] = random.normal(size=(1, 6)).astype(np.float32)
    arrays["X"] = random.normal(size=(5, 2, 3)).astype(np.float32)
    if lengths:
        arrays["lens"] = np.array(lengths, np.int32)
    made, feeds = onnx_graphs.single(operator, arrays, direction="reverse")
    (part,) = run(made, feeds).parts
    mine = compute.run(part.case, "numpy").outputs
    for engine in ("tensorflow", *([] if own else ["onnx"])):
        for tensor, other in zip(mine, compute.run(part.case, engine).outputs, strict=True):
            np.testing.assert_allclose(tensor.values, other.values, atol=1e-6, err_msg=engine)


@pytest.mark.slow
def test_lines_of_a_stream_share_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    made, feeds = onnx_graphs.random_single(11)
    built, build = [], onnxruntime.InferenceSession

    def counted(*words: Any, **options: Any) -> Any:
        built.append(words)
        return build(*words, **options)

    monkeypatch.setattr(onnxruntime, "InferenceSession", counted)
    first = tensors(run(made, feeds))
    other = tensors(run(made, {name: array * 1 for name, array in feeds.items()}))
    assert len(built) == 1
    for name, array in first.items():
        np.testing.assert_array_equal(array, other[name])


HUGE: dict[str, tuple[list[Any], str]] = {
    "ConstantOfShape": ([[2**29]], "2.0 GiB"),
    "Range": ([0, 2**28, 1], "2.0 GiB"),
    "Pad": ([[0, 0, 0, 0, 2**27, 0]], "6.0 GiB"),
}
"""The operands of an operator that makes a tensor of this size."""


@pytest.mark.parametrize("operator", HUGE)
@pytest.mark.slow
def test_a_tensor_much_larger_than_file_and_inputs_is_rejected(operator: str) -> None:
    """What Pad makes depends on the input, so that nothing but the allocation can tell."""
    random = np.random.default_rng(3)
    constants = onnx_graphs.weights(random, "RNN", 3, 2)
    values, size = HUGE[operator]
    sizes = {f"size{place}": np.array(value, "i8") for place, value in enumerate(values)}
    feeds = {"x": random.normal(size=(4, 1, 3)).astype("f4")}
    nodes = [
        helper.make_node(operator, [*(["x"] if operator == "Pad" else []), *sizes], ["huge"]),
        helper.make_node("Cast", ["huge"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["floats"], ["most"], keepdims=0),
        helper.make_node("Mul", ["x", "most"], ["X"]),
        onnx_graphs.node("RNN", {**constants, "X": feeds["x"]}),
    ]
    if operator == "Pad":  # the sizes are computed from the input
        nodes[0].input[1] = "padding"
        nodes[:0] = [
            helper.make_node("Shape", ["x"], ["shape"]),
            helper.make_node("Sub", ["shape", "shape"], ["nothing"]),
            helper.make_node("Concat", ["nothing", "nothing"], ["zeros"], axis=0),
            helper.make_node("Add", ["zeros", "size0"], ["padding"]),
        ]
    with pytest.raises(InputError, match=f"the model needs a tensor of {re.escape(size)}"):
        run(onnx_graphs.model(nodes, feeds, {**constants, **sizes}, ["Y"]), feeds)
    small = {name: np.minimum(size, 8) for name, size in sizes.items()}
    run(onnx_graphs.model(nodes, feeds, {**constants, **small}, ["Y"]), feeds)


RANDOM = np.random.default_rng(1)
NUMBERS, IDS = RANDOM.normal(size=(4, 2, 5)).astype("f4"), np.array([[1], [2], [3], [44]])
GATHER = helper.make_node("Gather", ["table", "given"], ["X"], name="embedding")
RESHAPE = helper.make_node("Reshape", ["given", "sizes"], ["X"], name="reshape")
SIZES = "Give inputs of the sizes and values that the model was made for."


@pytest.mark.parametrize(("node", "given", "said"), [
    (GATHER, IDS, "idx=44 must be within the inclusive range [-9,8]."),
    (RESHAPE, NUMBERS, "cannot be reshaped to the requested shape"),
])  # fmt: skip
@pytest.mark.slow
def test_what_runtime_refuses(node: Any, given: Any, said: str) -> None:
    """Its reason without places in its source, and advice that fits it."""
    arrays = onnx_graphs.weights(RANDOM, "LSTM", 5, 3)
    more = {"table": RANDOM.normal(size=(9, 5)).astype("f4"), "sizes": np.array([3, 7, 5])}
    own = onnx_graphs.node("LSTM", {**arrays, "X": 1}, outputs=["Y"])
    made = onnx_graphs.model([node, own], {"given": given}, {**arrays, **more}, ["Y"], opset=17)
    made.graph.input[0].type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(given.dtype)
    with pytest.raises(InputError) as caught:
        run(made, {"given": given})
    assert said in caught.value.what
    assert "onnxruntime/" not in caught.value.what
    assert caught.value.advice == SIZES


def test_a_long_reason_of_runtime_is_cut_between_words() -> None:
    reason = runtime._reason(RuntimeError("[ONNXRuntimeError] : 2 : FAIL : " + "some words " * 40))
    assert reason.endswith("words…")
    assert len(reason) <= 201
