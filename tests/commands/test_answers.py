"""What is said: names, meanings, claims, documents, records, in two languages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from results_by_hand import ANSWERS, CELL, HIDDEN, SEQUENCE, matrix, of_size, report, result, sentence

from rnncli.addresses import label
from rnncli.case import format_shape
from rnncli.commands.matrix.answer import MatrixAnswer
from rnncli.commands.run.answer import RunAnswer
from rnncli.commands.shape.answer import ShapeAnswer
from rnncli.errors import UsageError
from rnncli.renderers.page import Grid, Numbers, Table, View, state_part
from rnncli.renderers.wording import WORDS, brief, meaning, say
from rnncli.result import NamedTensor
from rnncli.version import __version__

VIEW = View()

STATES = ("hidden_state", "hidden_states", "last_hidden_state", "last_cell_state")
NAMES = [f"{way}{state}" for way in ("", "forward_", "backward_") for state in STATES]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_every_name_of_a_result_has_a_meaning(name: Any, lang: Any) -> None:
    assert meaning(label(name), lang)
    assert brief(label(name), lang)


def test_meanings() -> None:
    assert meaning(label("hidden_state")) == "hidden state of the last time step"
    assert meaning(label("hidden_states")) == "hidden state at every time step"
    assert meaning(label("forward_hidden_states")) == "hidden state of the forward layer at every time step"
    last = "정방향 층이 마지막 시점을 마친 뒤의 셀 상태"
    assert meaning(label("forward_last_cell_state"), "ko") == last
    assert brief(label("backward_hidden_states")) == "backward, every step"
    assert meaning(label("last_cell_state"), "ko") == "마지막 시점의 셀 상태"
    assert meaning(label("hidden_states"), "ko") == "모든 시점의 은닉 상태"
    assert meaning(label("1/hidden_states")) == "layer 1: hidden state at every time step"
    assert meaning(label("something_else")) == ""
    assert meaning(label("0/forward/cell")) == "layer 0: cell"
    assert say("seed", "fr") == say("seed", "en")


def test_korean_has_the_words_of_the_lesson() -> None:
    said = " ".join(
        [*(korean for _, korean in WORDS.values()), *(meaning(label(name), "ko") for name in NAMES)]
    )
    for word in (
        "은닉 상태",
        "셀 상태",
        "마지막 시점의 은닉 상태",
        "모든 시점의 은닉 상태",
        "정방향",
        "역방향",
    ):
        assert word in said


def test_equal_tensors_stand_for_one_idea() -> None:
    assert state_part(label("hidden_states")) == state_part(label("1/backward_last_hidden_state")) == "hidden"
    assert state_part(label("0/forward_last_cell_state")) == "cell"
    assert state_part(label("gate")) == ""


@pytest.mark.parametrize(
    ("shape", "text"),
    [((1, 4, 3), "(1, 4, 3)"), ((12,), "(12,)"), ((None, "batch"), "(None, batch)"), ((), "()")],
)
def test_shapes_are_written_as_python_writes_them(shape: Any, text: Any) -> None:
    assert format_shape(shape) == text


def test_run_document_is_the_contract_s_in_its_order() -> None:
    document = RunAnswer(sentence()).document(VIEW)
    assert list(document) == [
        "schema",
        "version",
        "engine",
        "seed",
        "expression",
        "layer",
        "input",
        "outputs",
    ]
    assert document["schema"] == "rnncli/1"
    assert document["version"] == __version__
    assert document["input"] == {"shape": [1, 4, 5], "dtype": "float32"}
    assert document["layer"][0]["class_name"] == "LSTM"
    assert document["layer"][0]["config"]["units"] == 3
    assert [list(output) for output in document["outputs"]] == [
        ["name", "axes", "shape", "dtype", "meaning", "equals", "values"]
    ] * 3
    assert document["outputs"][1]["equals"] == ["hidden_states[:, -1, :]"]
    assert document["outputs"][0]["axes"] == ["batch", "timesteps", "units"]


def test_differences_are_said_only_after_a_check() -> None:
    assert "differences" not in RunAnswer(sentence()).document(VIEW)
    checked = RunAnswer(sentence(differences={"hidden_states": 3e-8}))
    assert checked.document(VIEW)["differences"] == {"hidden_states": 3e-8}


def test_run_page_has_a_row_a_tensor_with_its_numbers() -> None:
    page = RunAnswer(sentence()).page(VIEW)
    (table,) = page.parts
    assert isinstance(table, Table)
    rows: Any = table.rows
    assert [row[0][0][0].text for row in rows] == [
        "hidden_states",
        "last_hidden_state",
        "last_cell_state",
    ]
    numbers = [part for row in table.rows for cell in row for part in cell if isinstance(part, Numbers)]
    assert [part.values.shape for part in numbers] == [(1, 4, 3), (1, 3), (1, 3)]
    assert page.title[0].text == "LSTM(3, return_sequences=True, return_state=True)"
    assert page.notes[0][0].text == "input (1, 4, 5) float32 · seed 42 · engine numpy"


def test_without_a_seed_none_is_named() -> None:
    assert "seed" not in RunAnswer(sentence(seed=None)).page(VIEW).notes[0][0].text
    assert RunAnswer(sentence(seed=None)).document(VIEW)["seed"] is None


def test_records_leave_empty_what_a_tensor_lacks() -> None:
    header, rows = RunAnswer(sentence()).records(View())
    rows = list(rows)
    assert header == ("name", "batch", "timestep", "unit", "value")
    assert rows[0] == ("hidden_states", 0, 0, 0, "0.2131")
    assert rows[11] == ("hidden_states", 0, 3, 2, "-0.085")
    assert rows[12] == ("last_hidden_state", 0, "", 0, "0.2348")
    assert len(rows) == 12 + 3 + 3


def test_records_of_a_convolution_have_its_axes() -> None:
    axes = ("batch", "timesteps", "rows", "cols", "channels")
    tensor = NamedTensor(label("hidden_states"), axes, np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2, 1))
    header, rows = RunAnswer(result(tensor)).records(View())
    assert header == ("name", "batch", "timestep", "row", "col", "channel", "value")
    assert list(rows)[5] == ("hidden_states", 0, 1, 0, 1, 0, "5.0")


def test_tensors_by_name() -> None:
    tensors = RunAnswer(sentence()).tensors()
    assert list(tensors) == ["hidden_states", "last_hidden_state", "last_cell_state"]
    assert tensors["hidden_states"] is HIDDEN


@pytest.mark.parametrize("name", ["shape", "samples", "engines"])
def test_what_computes_nothing_has_no_tensors(name: Any) -> None:
    with pytest.raises(UsageError, match="returns no tensors"):
        ANSWERS[name].tensors()


def test_shape_document() -> None:
    document = ShapeAnswer(report()).document(VIEW)
    assert list(document) == [
        "schema",
        "version",
        "expression",
        "layer",
        "input",
        "weights",
        "parameters",
        "outputs",
    ]
    assert document["weights"][1] == {"name": "recurrent_kernel", "shape": [3, 12], "parameters": 36}
    assert document["parameters"] == 108
    assert document["outputs"][1] == {
        "name": "last_hidden_state",
        "axes": ["batch", "units"],
        "shape": ["batch", 3],
        "meaning": "hidden state of the last time step",
        "equals": ["hidden_states[:, -1, :]"],
    }


def test_shape_of_a_stack_names_weights_by_their_path_and_admits_what_it_does_not_know() -> None:
    document = ANSWERS["stack"].document(VIEW)
    assert document["weights"] == [
        {"name": "0/kernel", "shape": [None, 9], "parameters": None},
        {"name": "1/kernel", "shape": [3, 12], "parameters": 36},
    ]
    assert document["parameters"] is None
    assert document["input"]["shape"] == [None, 4, None]


def test_matrix_document() -> None:
    document = MatrixAnswer(matrix()).document(VIEW)
    assert list(document) == [
        "schema",
        "version",
        "engine",
        "seed",
        "expression",
        "layer",
        "input",
        "matrix",
        "identities",
    ]
    assert document["identities"] == [["hidden_states[:, -1, :]", "hidden_state", "last_hidden_state"]]
    choices = [(entry["return_sequences"], entry["return_state"]) for entry in document["matrix"]]
    assert choices == [(False, False), (False, True), (True, False), (True, True)]
    assert [len(entry["outputs"]) for entry in document["matrix"]] == [1, 3, 1, 3]


def _said_below_the_scheme(answer: Any) -> Any:
    grid, scheme, _, *lines = answer.page(VIEW).parts_in()
    assert isinstance(grid, Grid)
    assert isinstance(scheme, Table)
    return ["".join(span.text for span in line) for line in lines if line]


def test_matrix_says_what_is_equal_across_the_quadrants() -> None:
    (same,) = _said_below_the_scheme(MatrixAnswer(matrix()))
    words, names = same.split(": ")
    assert words == "identical in every combination that returns it"
    assert names == "hidden_state · hidden_states · last_hidden_state · last_cell_state"


def test_matrix_says_what_is_not_equal() -> None:
    said = _said_below_the_scheme(MatrixAnswer(matrix(spoilt=True)))
    assert said[1] == "different between combinations that return it: last_cell_state"
    assert "last_cell_state" not in said[0]


def test_matrix_tensors_are_told_apart() -> None:
    tensors = MatrixAnswer(matrix()).tensors()
    assert len(tensors) == 8
    assert np.array_equal(tensors["return_sequences=False,return_state=True/last_cell_state"], CELL)


def test_samples_say_how_to_run_them() -> None:
    commands = {sample["name"]: sample["command"] for sample in ANSWERS["samples"].document(VIEW)["samples"]}
    assert commands["sentence"] == "rnncli samples sentence | rnncli run"
    assert commands["sensors"] == "rnncli samples sensors | rnncli run --batch-column sensor"


def test_engines_document() -> None:
    assert ANSWERS["engines"].document(VIEW)["engines"][1] == {
        "name": "torch",
        "available": False,
        "version": "",
        "note": "pip install rnncli[torch]",
    }


def test_axes_of_large_results_are_those_of_the_tensors() -> None:
    for tensor in of_size(2, 3, 4).outputs:
        assert len(tensor.axes) == tensor.values.ndim
    assert of_size().outputs[0].axes == SEQUENCE
