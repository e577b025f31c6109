"""The answer of run: document, page, records and tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
from results_by_hand import HIDDEN, SEQUENCE, of_size, result, sentence

from rnncli import __version__
from rnncli.addresses import parse_label
from rnncli.commands.run.answer import RunAnswer
from rnncli.result import NamedTensor
from rnncli.show.layout import lay_out
from rnncli.show.page import Numbers, Table, View, text_of

VIEW = View()


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
    page = lay_out(RunAnswer(sentence()).page(VIEW), VIEW)
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
    assert "seed" not in text_of(lay_out(RunAnswer(sentence(seed=None)).page(VIEW), VIEW).notes[0])
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
    tensor = NamedTensor(
        parse_label("hidden_states"), axes, np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2, 1)
    )
    header, rows = RunAnswer(result(tensor)).records(View())
    assert header == ("name", "batch", "timestep", "row", "col", "channel", "value")
    assert list(rows)[5] == ("hidden_states", 0, 1, 0, 1, 0, "5.0")


def test_tensors_by_name() -> None:
    tensors = RunAnswer(sentence()).tensors()
    assert list(tensors) == ["hidden_states", "last_hidden_state", "last_cell_state"]
    assert tensors["hidden_states"] is HIDDEN


def test_axes_of_large_results_are_those_of_the_tensors() -> None:
    for tensor in of_size(2, 3, 4).outputs:
        assert len(tensor.axes) == tensor.values.ndim
    assert of_size().outputs[0].axes == SEQUENCE
