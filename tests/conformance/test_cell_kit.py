"""The kit of a cell: its cases, its judge, and the names of faults that are planted into a kernel."""

import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import ROOT, Run
from delta_kernels import chunked
from faulty_delta import kernel
from matrix_loops import SMALL

from rnncli import compute
from rnncli.conformance import faults as naming
from rnncli.conformance.cell_cases import list_cell_cases
from rnncli.conformance.faults import NOT_FOUND, name_faults
from rnncli.conformance.oracle import KitCase
from rnncli.conformance.oracle import compute as compute_case
from rnncli.conformance.verdicts import Judgement, judge
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.values import Array

CELL = f"@'{ROOT}/samples/cells/gated_deltanet.toml'(8)"
PROGRAM = f"{sys.executable} {ROOT}/tests/faulty_delta.py {{kit}} {{results}}"

PLANTED = {
    "starts from zeros": "memory", "padding is read": "memory", "lost at 64": "memory",
    "lengths ignored": "hidden, memory",
    "returned transposed": "memory", "query and key swapped": "query, key", "no silu of the query": "query",
    "no silu of the key": "key", "relu of the value": "value", "no exp of A_log": "alpha",
    "no dt_bias": "alpha", "relu for softplus": "alpha", "heads of the value swapped": "value",
    "eps outside of the key's root": "unit_key", "key not normalized": "unit_key", "unscaled": "unit_query",
    "scaled by keys": "unit_query", "decay after the update": "memory", "no decay": "decayed",
    "undecayed memory is corrected": "memory", "no correction": "memory", "correction added": "memory",
    "beta only on the value": "memory", "no beta": "memory", "outer product transposed": "memory",
    "reads before the update": "hidden", "memory read transposed": "hidden",
}  # fmt: skip
"""The faults of the kernel, with the line that each changes."""


@cache
def cases() -> tuple[KitCase, ...]:
    return list_cell_cases(CELL)


def judged(*faults: str) -> list[Judgement]:
    with np.errstate(all="ignore"):
        return [judge(case, kernel(case.inputs, faults)) for case in cases()]


@pytest.mark.slow
@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_named(fault: str) -> None:
    """Another line is named only where its fault gives the same numbers in every case."""
    judgements = judged(fault)
    wrong = [judgement.case.name for judgement in judgements if judgement.verdict == "wrong"]
    assert wrong
    explanations = name_faults(judgements)
    lines = {explanation.name.split(":")[0] for explanation in explanations}
    assert PLANTED[fault] in lines or (fault == "no decay" and "alpha" in lines)
    for explanation in explanations:  # each explains every wrong case alone
        assert {*wrong} == {*explanation.cases}
    assert NOT_FOUND not in lines


@pytest.mark.slow
@pytest.mark.parametrize(
    "faults",
    [("no beta", "unscaled"), ("lost at 64", "no dt_bias"), ("no silu of the key", "starts from zeros")],
)
def test_two_faults_at_once(faults: tuple[str, str]) -> None:
    """Both are named, or neither."""
    names = {explanation.name for explanation in name_faults(judged(*faults))}
    lines = {part.split(":")[0] for name in names for part in name.split(" + ")}
    assert names == {NOT_FOUND} or {PLANTED[fault] for fault in faults} <= lines


def across_heads(outputs: Array) -> Array:
    return outputs.reshape(*outputs.shape[:2], 2, -1).swapaxes(1, 2).reshape(outputs.shape)


NEITHER = np.float32(np.nan), np.float32(np.inf)
ODD: dict[str, tuple[str, Callable[[Array], Array]]] = {
    "outputs, last_hidden, last_memory: whole numbers (int64)": ("", lambda array: array.astype("int64")),
    "every number is NaN": ("", lambda array: array * np.nan),
    "every number is infinite": ("", lambda array: np.full_like(array, -np.inf)),
    "every number is NaN or infinite": ("", lambda array: np.where(array > 0, *NEITHER)),
    "last_memory: every number is NaN": ("last_memory", lambda array: array * np.nan),
    "outputs: returned as (timesteps, batch, units)": ("outputs", lambda array: array.swapaxes(0, 1)),
    "outputs: (batch, heads, timesteps, values) reshaped, not transposed": ("outputs", across_heads),
    "memory: the last state transposed (heads and values)": (
        "last_memory", lambda array: array.swapaxes(1, 3).reshape(array.shape),
    ),
    "memory: the last state is returned as (heads, batch, keys, values)": (
        "last_memory", lambda array: array.swapaxes(0, 1),
    ),
    "memory: the last state is returned as zeros": ("last_memory", lambda array: 0 * array),
}  # fmt: skip
"""What right answers become, all or one of them, and how it is called."""


@pytest.mark.slow
@pytest.mark.parametrize("name", ODD)
def test_arrays_that_are_written_wrongly(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no number is finite, or none has a fraction, no fault is searched for."""
    one, change = ODD[name]
    answers = [(case, compute_case(case)) for case in cases()]
    judgements = [
        judge(case, {key: change(array) if one in key else array for key, array in arrays.items()})
        for case, arrays in answers
    ]
    wrong = {judgement.case.name for judgement in judgements if judgement.verdict == "wrong"}
    assert wrong >= {case.name for case in cases()} - {"length_1"}
    if "number" in name:
        monkeypatch.delattr(naming, "compute")
    (explanation,) = name_faults(judgements)
    assert (explanation.name, {*explanation.cases}) == (name, wrong)


@pytest.mark.slow
def test_a_fault_explains_an_answer_without_a_number() -> None:
    """An overflow in one case has the name of the fault that all cases show."""
    answers = [kernel(case.inputs, ["no beta"]) for case in cases()]
    answers[0] = {name: array * np.nan for name, array in answers[0].items()}
    assert [(each.name, len(each.cases)) for each in name_faults([*map(judge, cases(), answers)])] == [
        ("memory: beta is missing", len(cases()) - 1),
        ("every number is NaN", 1),
    ]


@pytest.mark.slow
def test_a_number_that_is_too_large_is_not_nan(tmp_path: Path) -> None:
    """The state of a cell that no weight keeps small is Inf in float32, and NaN is wrong."""
    (tmp_path / "growing.toml").write_text(
        'name = "Growing"\nstates = ["hidden"]\n[step]\nhidden = "4 * hidden + x @ kernel"\n'
    )
    case = next(
        case for case in list_cell_cases(f"@'{tmp_path}/growing.toml'(4)") if case.name == "length_129"
    )
    right = compute_case(case)
    assert np.isinf(right["last_hidden"]).all()
    assert judge(case, right).verdict == "right"
    for wrong in (np.nan, 1e38, -right["last_hidden"]):
        last = np.broadcast_to(np.float32(wrong), right["last_hidden"].shape)
        assert judge(case, right | {"last_hidden": last}).verdict == "wrong"


@pytest.mark.slow
def test_what_no_fault_explains() -> None:
    names = {explanation.name for explanation in name_faults(judged("beta up to 2", "mean of squares"))}
    assert NOT_FOUND in names


def test_a_right_kernel() -> None:
    """The loop, and the form in chunks: right in every case, also in float32."""
    assert {judgement.verdict for judgement in judged()} == {"right"}
    for case in cases():
        answers = []
        for b, length in enumerate(case.inputs["lengths"]):
            one = {"x": case.inputs["x"][b : b + 1, :length]}, case.inputs
            outputs, states = chunked(*one, {"memory": case.inputs["initial_memory"][b : b + 1]}, size=64)
            whole = np.full((1, case.inputs["x"].shape[1], 8), np.nan, outputs.dtype)  # padding is not judged
            whole[:, :length] = outputs
            answers.append((whole, outputs[:, -1], states["memory"]))
        joined = [np.concatenate(parts) for parts in zip(*answers, strict=True)]
        verdict = judge(case, dict(zip(("outputs", "last_hidden", "last_memory"), joined, strict=True)))
        assert (verdict.verdict, verdict.reason) == ("right", "")


def test_the_first_wrong_number() -> None:
    """Of outputs the first time step; of a state its index."""
    first = {judgement.case.name: judgement.first for judgement in judged("lost at 64")}
    found = first["length_129"] or {}
    assert found["tensor"] == "outputs"
    assert found["step"] == found["index"][1] == 64
    assert first["length_64"] is None
    assert all(
        judgement.first["tensor"] == "memory" and judgement.first["step"] is None
        for judgement in judged("returned transposed") if judgement.first
    )  # fmt: skip


OTHERS = ("mgu", "layer_norm_lstm", "min_lstm", "slstm", "cornn")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SMALL, *OTHERS])
def test_expected_numbers_are_those_of_the_engine(name: str) -> None:
    """The kit computes step by step in float64; the engine compiles the same equations."""
    options = "".join(f", {key}={value}" for key, value in SMALL.get(name, (0, {}))[1].items())
    text = f"@'{ROOT}/samples/cells/{name}.toml'(12{options})"
    for case in list_cell_cases(text):
        if case.name not in ("basic", "padding_initial_state", "weak_decay", "float64"):
            continue
        form, inputs = case.attributes["form"], case.inputs
        spec = form.cell.spec
        stack = Stack([_layer(text)])
        steps = np.arange(inputs["x"].shape[1]) < inputs["lengths"][:, None]
        states = tuple(inputs[f"initial_{state}"].astype(np.float64) for state in form.names.values())
        weights = {key: inputs[key].astype(np.float64) for key in form.cell.weight_shapes(inputs["x"].shape)}
        found = compute.run(
            Case(stack, inputs["x"].astype(np.float64), mask=steps, initial_state=states, weights=weights),
            "numpy",
        )
        assert spec.config["units"] == 12
        tensors = {tensor.name: tensor.values for tensor in found.outputs}
        expected = compute_case(case)
        rtol = 1e-10 if case.dtype == "float64" else 1e-5
        np.testing.assert_allclose(
            np.where(steps[..., None], tensors["hidden_states"], 0), expected["outputs"], rtol, rtol
        )
        for tensor, state in zip(found.outputs[1:], form.names.values(), strict=True):
            np.testing.assert_allclose(tensor.values, expected[f"last_{state}"], rtol, rtol)
        assert np.abs(expected["outputs"]).max() > 1e-3


def _layer(text: str) -> Any:
    from rnncli import specs
    from rnncli.ask.layer_files import read_layer

    layer = f"{text[:-1]}, dtype='float64', return_sequences=True, return_state=True)"
    return specs.from_flags([read_layer(layer)], {})[0]


@pytest.mark.slow
def test_the_files_of_the_kit(rnncli: Run, tmp_path: Path) -> None:
    rnncli("conformance", "--cell", CELL.replace("(8)", "(8, heads=4)"), "-o", "kit", cwd=tmp_path).success()
    kit = tmp_path / "kit"
    listed = json.loads((kit / "cases.json").read_text())["cases"]
    assert {path.parent.name for path in kit.glob("*/inputs.npz")} == {case["name"] for case in listed}
    case = next(case for case in listed if case["name"] == "padding_129")
    inputs, outputs = (np.load(kit / "padding_129" / f"{kind}.npz") for kind in ("inputs", "outputs"))
    assert sorted(inputs.files) == sorted(case["inputs"])
    assert sorted(inputs.files) == [
        "A_log", "dt_bias", "initial_hidden", "initial_memory", "kernel", "lengths", "x",
    ]  # fmt: skip
    assert inputs["x"].shape == (2, 129, 8)
    assert inputs["lengths"].tolist() == [129, 65]
    assert inputs["initial_memory"].shape == outputs["last_memory"].shape == (2, 4, 2, 2)
    assert case["type"] == "float32"
    assert case["tolerance"] == 2e-5
    assert "heads = 4" in (kit / "cell.toml").read_text()
    rnncli("run", "-l", "@kit/cell.toml(8)", "--input-shape", "1,3,8", cwd=tmp_path).success()
    assert rnncli("conformance", "--cell", CELL, "-o", "kit", cwd=tmp_path).returncode == 0


@pytest.mark.slow
def test_a_program(rnncli: Run, tmp_path: Path) -> None:
    """All cases at once, one by one, and as a folder of results."""
    words = ["conformance", "--cell", CELL, "-f", "json"]
    assert rnncli(*words, "--run", PROGRAM).answer()["verdicts"]["right"] == len(cases())
    done = rnncli(*words, "--run", f"{PROGRAM} 'reads before the update'")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert [each["name"] for each in found["explanations"]] == ["hidden: memory before its update"]
    assert {case["first"]["step"] for case in found["cases"]} == {0}
    (tmp_path / "one.py").write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(ROOT / 'tests')!r})\n"
        "import numpy as np, faulty_delta\n"
        "assert 'GatedDeltaNet' in open(sys.argv[1]).read()\n"
        "np.savez(sys.argv[3], **faulty_delta.kernel(dict(np.load(sys.argv[2])), sys.argv[4:]))\n"
    )
    one = f"{sys.executable} {tmp_path}/one.py {{model}} {{inputs}} {{outputs}} unscaled"
    done = rnncli(*words, "--select", "basic", "--select", "length_1", "--run", one)
    found = json.loads(done.stdout)
    assert [case["verdict"] for case in found["cases"]] == ["wrong", "wrong"]
    assert found["explanations"][0]["name"] == "unit_query: / sqrt(keys) is missing"
    np.savez(tmp_path / "basic.npz", **kernel(cases()[0].inputs))
    (tmp_path / "length_1.txt").write_text("no such length")
    done = rnncli(*words, "--results", str(tmp_path))
    assert [case["verdict"] for case in json.loads(done.stdout)["cases"]] == ["right", "refused"]


@pytest.mark.parametrize(("words", "said"), [
    (["--cell", "lstm"], "is not a cell of a file"),
    (["--cell", f"Bidirectional({CELL})"], "is not a cell of a file"),
    (["--cell", CELL, "--like", "x.onnx"], "--like is for nodes of ONNX"),
    (["--cell", CELL, "--implementation", "rnncli"], "--implementation is for nodes of ONNX"),
    (["--cell", CELL, "--select", "lstm_forward"], "there is no case 'lstm_forward'"),
    (["--cell", "@none.toml(4)"], "none.toml"),
    (["--cell", CELL.replace("(8)", "(2000)")], "Give smaller sizes"),
])  # fmt: skip
def test_what_is_refused(words: list[str], said: str, rnncli: Run, tmp_path: Path) -> None:
    assert said in rnncli("conformance", *words, cwd=tmp_path).refusal()
