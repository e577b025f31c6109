"""The answer of run: document, page, records and tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
from results_by_hand import result, sentence

from rnncli.addresses import parse_label
from rnncli.commands.run.answer import RunAnswer
from rnncli.result import NamedTensor
from rnncli.show.layout import lay_out
from rnncli.show.page import Numbers, Table, View, text_of

VIEW = View()


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


def test_records_of_a_convolution_have_its_axes() -> None:
    axes = ("batch", "timesteps", "rows", "cols", "channels")
    tensor = NamedTensor(
        parse_label("hidden_states"), axes, np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2, 1)
    )
    header, rows = RunAnswer(result(tensor)).records(View())
    assert header == ("name", "batch", "timestep", "row", "col", "channel", "value")
    assert list(rows)[5] == ("hidden_states", 0, 1, 0, 1, 0, "5.0")
