"""Sequences that --batch-column finds keep their names in every output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import keras

ROWS = "day,a,b\nmon,1,2\n<tue>,3,4\nmon,5,6\n<tue>,7,8\n"
NAMES = ["mon", "<tue>"]
LAYER = ("-l", "LSTM(3, return_sequences=True)", "--seed", "1")


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    path = tmp_path_factory.mktemp("days") / "days.csv"
    path.write_text(ROWS)
    return str(path), "--batch-column", "day"


def test_run_names_them_in_each_format(rnncli: Any, words: Any) -> None:
    (tensor,) = json.loads(rnncli("run", *words, *LAYER, "-f", "json").stdout)["outputs"]
    assert tensor["batch"] == NAMES
    assert list(tensor).index("batch") == list(tensor).index("axes") + 1
    rows = [row.split(",") for row in rnncli("run", *words, *LAYER, "-f", "csv").stdout.splitlines()]
    assert [row[1] for row in rows] == ["batch", *("mon",) * 6, *("<tue>",) * 6]
    for form, name in (("table", "<tue>  t=0"), ("markdown", "| \\<tue\\> | t=0 |"), ("html", "&lt;tue&gt;")):
        shown = rnncli("run", *words, *LAYER, "-f", form).stdout
        assert name in shown, form
        assert "batch 1" not in shown
    chunked = rnncli("run", *words, *LAYER, "-f", "csv", "--memory", "1K")
    assert [row.split(",") for row in chunked.stdout.splitlines()] == rows


def test_trace_and_gradients_name_them(rnncli: Any, words: Any) -> None:
    steps = json.loads(rnncli("trace", *words, *LAYER, "-f", "json").stdout)["trace"]
    assert all(step["batch"] == NAMES for step in steps)
    (step, *_) = json.loads(rnncli("trace", *words, *LAYER, "--batch", "1", "-f", "json").stdout)["trace"]
    assert step["batch"] == NAMES[1:]
    assert "\n<tue>  0" in rnncli("trace", *words, *LAYER).stdout
    assert ",<tue>,computed," in rnncli("trace", *words, *LAYER, "-f", "csv").stdout
    of = ("--of", "hidden_states[1]")
    assert "of hidden_states[1, :, :] (<tue>)," in rnncli("gradients", *words, *LAYER, *of).stdout
    document = json.loads(rnncli("gradients", *words, *LAYER, *of, "-f", "json").stdout)
    assert (document["of"]["batch"], document["of"]["sequence"]) == (1, "<tue>")


def test_a_saved_model_names_them(rnncli: Any, words: Any, tmp_path: Path) -> None:
    inputs = keras.Input((None, 2))
    model = keras.Model(inputs, keras.layers.Dense(2, name="dense")(keras.layers.GRU(3, name="gru")(inputs)))
    model.save(tmp_path / "m.keras")
    given = (*words, "--model", str(tmp_path / "m.keras"))
    tensors = json.loads(rnncli("run", *given, "--all-layers", "-f", "json").stdout)["outputs"]
    assert [tensor["batch"] for tensor in tensors] == [NAMES] * 2
    series = np.array([[[1, 2], [5, 6]], [[3, 4], [7, 8]]], "float32")
    np.testing.assert_allclose(tensors[1]["values"], model(series), atol=1e-6)
    assert "\n<tue>  0" in rnncli("trace", *given).stdout


def test_without_the_column_there_are_no_names(rnncli: Any) -> None:
    (tensor,) = json.loads(rnncli("run", "[[[1]], [[2]]]", "-l", "lstm", "-f", "json").stdout)["outputs"]
    assert "batch" not in tensor
    assert "batch 1" in rnncli("run", "[[[1]], [[2]]]", "-l", "lstm").stdout
