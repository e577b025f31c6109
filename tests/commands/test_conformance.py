"""`rnncli conformance`: its flags, the cases that it keeps, and its answers."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from command import Run
from looks import check_looks
from onnx import helper

from rnncli.commands.conformance import SEES, CasesAnswer, ConformanceAnswer
from rnncli.conformance import choose_cases
from rnncli.conformance.cell_cases import ROWS
from rnncli.conformance.faults import name_faults
from rnncli.conformance.kit import model_of
from rnncli.conformance.oracle import compute, list_cases, readings
from rnncli.conformance.verdicts import Failure, judge

CASES = {case.name: case for case in list_cases()}
OPEN = "lstm_length_0_initial"


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of answers: clip is ignored, two cases are refused, one is open."""
    folder = tmp_path_factory.mktemp("answers")
    for name in ("lstm_forward", "lstm_clip", "lstm_clip_bidirectional", "rnn_clip"):
        attributes = {key: value for key, value in CASES[name].attributes.items() if key != "clip"}
        outputs: dict[str, Any] = compute(CASES[name]._replace(attributes=attributes))
        np.savez(folder / f"{name}.npz", **outputs)
    _, second = readings(CASES[OPEN]).values()
    np.savez(folder / f"{OPEN}.npz", Y=second["Y"], Y_h=second["Y_h"], Y_c=second["Y_c"])
    (folder / "gru_clip.txt").write_text("no clip in gru_clip")
    (folder / "gru_clip_bidirectional.txt").write_text("no clip in gru_clip_bidirectional")
    return folder


def test_every_attribute_says_what_its_cases_see() -> None:
    assert SEES.keys() == {case.attribute for case in CASES.values()} | {row.attribute for row in ROWS}


def test_the_list_is_that_of_the_kit(rnncli: Run, tmp_path: Path) -> None:
    """Beside the kit, --output with a suffix of a format is a file of the list."""
    shown = rnncli("conformance", "-o", str(tmp_path / "kit"), "--select", "reverse", "-f", "json", "-q")
    kit = json.loads((tmp_path / "kit" / "cases.json").read_text())["cases"]
    assert json.loads(shown.stdout)["cases"] == kit
    assert [case["name"] for case in kit] == [name for name in CASES if CASES[name].attribute == "reverse"]
    assert (tmp_path / "kit" / "lstm_reverse" / "test_data_set_0" / "output_2.pb").is_file()
    assert rnncli("conformance", "-o", str(tmp_path / "list.csv"), "--select", "reverse").stdout == ""
    with (tmp_path / "list.csv").open() as file:
        assert [row["name"] for row in csv.DictReader(file)] == [case["name"] for case in kit]


def test_a_kit_replaces_the_kit_that_is_there(rnncli: Run, tmp_path: Path) -> None:
    """Its folders are those of cases.json; a file beside them stays."""
    for select in ("clip", "rnn_reverse"):
        rnncli("conformance", "-o", str(tmp_path / "kit"), "--select", select)
        (tmp_path / "kit" / "notes.md").touch()
    assert [path.parent.name for path in (tmp_path / "kit").rglob("model.onnx")] == ["rnn_reverse"]
    assert (tmp_path / "kit" / "notes.md").exists()


def test_a_folder_of_other_files_is_not_written_into(rnncli: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.md").touch()
    assert "is not a kit" in rnncli("conformance", "-o", str(tmp_path)).refusal()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.md"]


@pytest.mark.slow
def test_answers_are_judged_and_their_fault_is_named(rnncli: Run, answers: Path) -> None:
    shown = rnncli("conformance", "--results", str(answers), "-f", "json")
    assert shown.returncode == 1
    document = json.loads(shown.stdout)
    verdicts = {case["name"]: (case["verdict"], case["explanations"]) for case in document["cases"]}
    assert verdicts == {
        "lstm_forward": ("right", []), "rnn_clip": ("wrong", ["clip ignored"]), "gru_clip": ("refused", []),
        "lstm_clip": ("wrong", ["clip ignored"]), "gru_clip_bidirectional": ("refused", []),
        "lstm_clip_bidirectional": ("wrong", ["clip ignored"]), OPEN: ("unclear", []),
    }  # fmt: skip
    (explanation,) = document["explanations"]
    assert explanation["name"] == "clip ignored"
    assert explanation["cases"] == ["rnn_clip", "lstm_clip", "lstm_clip_bidirectional"]
    rows = list(csv.reader(io.StringIO(rnncli("conformance", "--results", str(answers), "-f", "csv").stdout)))
    assert rows[0] == ["name", "attribute", "verdict", "explanations"]
    assert ["lstm_clip", "clip", "wrong", "clip ignored"] in rows
    assert "wrong, crashed or timed out: 3 of 7 cases" in shown.stderr


@pytest.mark.parametrize(
    ("select", "code"), [("lstm_forward", 0), (OPEN, 0), ("rnn_clip", 1), ("gru_clip", 3), ("float16", 2)]
)
def test_the_exit_code(rnncli: Run, answers: Path, select: str, code: int) -> None:
    assert rnncli("conformance", "--results", str(answers), "--select", select).returncode == code


@pytest.mark.parametrize(("line", "words"), [
    ("--results . --run x", "--run does not go with --results"),
    ("--select lstm_revers", "Did you mean lstm_reverse"),
    ("--implementation onnx", "not a valid choice"),
    ("--run x", "does not say where the files go"),
    ("--like none.onnx", "none.onnx"),
    ("--results .", "no answer to a case"),
    ("--results . -o answer.nothing", "no format has the suffix"),
    ("--timeout -1 --run x", "--timeout"),
    ("--timeout nan --run x", "--timeout: 'nan' is not a valid number"),
])  # fmt: skip
def test_a_mistake_is_refused(rnncli: Run, tmp_path: Path, line: str, words: str) -> None:
    assert words in rnncli("conformance", *line.split(), cwd=tmp_path).refusal()


def test_a_package_that_is_missing_is_named(rnncli: Run) -> None:
    missing = rnncli("conformance", "--implementation", "tract")
    assert (missing.returncode, missing.stderr) == (3, "rnncli: tract is not installed.\npip install tract\n")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_model_keeps_its_own_case(case: Any, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(model_of(case, compute(case)))
    kept = choose_cases(str(tmp_path / "m.onnx"), None)
    assert case in kept
    assert {other.operator for other in kept} == {case.operator}


def test_what_a_model_does_not_use_is_left_out(tmp_path: Path) -> None:
    """A GRU of PyTorch in both directions with lengths keeps neither reverse nor the other formula."""
    case = CASES["gru_bidirectional_lens"]
    case = case._replace(attributes={**case.attributes, "linear_before_reset": 1})
    (tmp_path / "m.onnx").write_bytes(model_of(case, compute(case)))
    kept = {other.name for other in choose_cases(str(tmp_path / "m.onnx"), None)}
    assert kept == {"gru_after", "gru_after_bidirectional", "gru_after_lens", "gru_after_one_step"} - {
        name for name in ("gru_after_one_step",) if "initial_h" in CASES[name].inputs
    }


@pytest.mark.parametrize(
    ("name", "other"), [("gru_forward", "gru_tanh_sigmoid"), ("rnn_forward", "rnn_sigmoid")]
)
def test_a_model_of_default_activations_keeps_no_others(name: str, other: str, tmp_path: Path) -> None:
    """Sigmoid and Tanh are defaults, but of a certain gate: Tanh and Sigmoid of a GRU are others."""
    (tmp_path / "m.onnx").write_bytes(model_of(CASES[name], compute(CASES[name])))
    kept = {case.name for case in choose_cases(str(tmp_path / "m.onnx"), None)}
    assert name in kept
    assert other not in kept


def test_the_type_of_weights_in_constant_nodes_counts(tmp_path: Path) -> None:
    case = CASES["lstm_float64"]
    model = onnx.ModelProto.FromString(model_of(case, compute(case)))
    constants = [
        helper.make_node("Constant", [], [tensor.name], value=tensor) for tensor in model.graph.initializer
    ]
    model.graph.ClearField("initializer")
    nodes = [*constants, *model.graph.node]
    model.graph.ClearField("node")
    model.graph.node.extend(nodes)
    onnx.save(model, tmp_path / "m.onnx")
    assert case in choose_cases(str(tmp_path / "m.onnx"), None)


def test_a_model_without_a_recurrent_node_is_refused(rnncli: Run, tmp_path: Path) -> None:
    tensor = [helper.make_tensor_value_info(name, 1, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", tensor[:1], tensor[1:])
    onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
    said = rnncli("conformance", "--like", str(tmp_path / "m.onnx")).refusal()
    assert "it has no RNN, GRU or LSTM node" in said


@pytest.mark.slow
def test_looks(answers: Path) -> None:
    check_looks(
        "conformance", "cases", CasesAnswer([case for case in CASES.values() if "clip" in case.name]), ["csv"]
    )
    judgements = [
        judge(
            case,
            dict(np.load(answers / f"{name}.npz")) if "gru" not in name else Failure("crashed", "SIGFPE"),
        )
        for name, case in CASES.items()
        if (answers / f"{name}.npz").exists() or "gru_clip" in name
    ]
    answer = ConformanceAnswer("mine 1.2", judgements, name_faults(judgements))
    check_looks("conformance", "answer", answer, ["json", "markdown", "html", "csv"])
