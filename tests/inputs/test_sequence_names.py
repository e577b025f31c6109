"""Sequences that --batch-column finds keep their names in every output."""

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import keras

import rnncli
from rnncli.ask import Ask, subject_of
from rnncli.inputs import arrange
from rnncli.values import Document

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


def test_explain_names_the_sequence_beside_its_index(rnncli: Any, words: Any) -> None:
    address = "hidden_states[1,1,0]"
    shown = rnncli("explain", address, *words, *LAYER).stdout
    assert shown.startswith("hidden_states[1, 1, 0] = ")
    assert shown.splitlines()[1] == "hidden state at every time step · batch 1 (<tue>) · unit 0 · t=1"
    assert "(&lt;tue&gt;)" in rnncli("explain", address, *words, *LAYER, "-f", "html").stdout
    document = json.loads(rnncli("explain", address, *words, *LAYER, "-f", "json").stdout)
    assert document["explanation"]["sequence"] == "<tue>"


@pytest.mark.slow
def test_plot_names_the_sequence_that_it_draws(rnncli: Any, words: Any, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for what in ("trace", "result"):
        chosen = (*words, *LAYER, "--what", what, "--batch", "1")
        rnncli("plot", *chosen, "-o", str(tmp_path / "tue.svg")).success()
        assert "batch 1 of 0..1 (&lt;tue&gt;)" in (tmp_path / "tue.svg").read_text()
        assert "batch 1 of 0..1 (<tue>)" in rnncli("plot", *chosen, "--terminal").stdout


def test_csv_of_gradients_has_the_name_in_each_row(rnncli: Any, words: Any) -> None:
    for of in ("hidden_states[1]", "kernel"):
        header, *rows = rnncli("gradients", *words, *LAYER, "--of", of, "-f", "csv").stdout.splitlines()
        column = header.split(",").index("batch")
        assert {row.split(",")[column] for row in rows} == {NAMES["kernel" not in of]}


def test_the_page_of_report_names_them(rnncli: Any, words: Any, tmp_path: Path) -> None:
    assert rnncli("report", *words, *LAYER, "-o", str(tmp_path / "page.html")).returncode == 0
    page = (tmp_path / "page.html").read_text()
    assert '"sequences":["mon","\\u003ctue>"]' in page
    assert ">&lt;tue&gt;" in page  # in the tables for readers without scripts


def test_explore_names_the_sequence_under_the_cursor(words: Any) -> None:
    from rnncli.commands.explore import state
    from rnncli.commands.explore.experiment import compute_experiment, start
    from rnncli.commands.explore.lines import title
    from rnncli.commands.tour.command_line import CommandLine

    first, _ = start(CommandLine.parse(shlex.join(["rnncli", "run", *words, *LAYER])).values["ask"])
    computed = compute_experiment(first)
    shown = state.settle(state.State(computed.experiment, computed))
    assert title(shown).plain.endswith("sequence 0 (0-1) mon")
    assert title(state.next_sequence(shown, 1)).plain.endswith("sequence 1 (0-1) <tue>")


def test_python_has_them_in_data_frames(words: Any) -> None:
    pandas = pytest.importorskip("pandas")
    layer: Any = {"layer": "gru", "return_sequences": True, "seed": 1}
    for given in (words[0], pandas.read_csv(words[0])):
        frame = rnncli.run(given, batch_column="day", **layer).to_dataframe()
        assert frame["batch"].drop_duplicates().tolist() == NAMES
        assert set(rnncli.trace(given, batch_column="day", **layer).to_dataframe()["batch"]) == set(NAMES)
        assert set(rnncli.gradients(given, batch_column="day", **layer).to_dataframe()["batch"]) == {"mon"}
        assert "(<tue>)" in str(rnncli.explain("hidden_states[1,0,0]", given, batch_column="day", **layer))
        assert "(<tue>)" in str(rnncli.plot(given, batch_column="day", batch=1, **layer))


@pytest.mark.slow
def test_a_live_object_has_them_where_its_layer_reads_them_in_their_order(words: Any) -> None:
    torch, pandas = pytest.importorskip("torch"), pytest.importorskip("pandas")
    lstm = torch.nn.LSTM(2, 3, batch_first=True)

    class Sorting(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.lstm = lstm

        def forward(self, x: Any) -> Any:
            return self.lstm(x.flip(0).float())

    for given in (words[0], pandas.read_csv(words[0])):
        frame = rnncli.run(given, lstm, batch_column="day").to_dataframe()
        assert frame["batch"].drop_duplicates().tolist() == NAMES
        assert set(rnncli.trace(given, lstm, batch_column="day").to_dataframe()["batch"]) == set(NAMES)
        model = keras.Sequential([keras.Input((2, 2)), keras.layers.GRU(3), keras.layers.Dense(2)])
        outputs = rnncli.run(given, model, batch_column="day", all_layers=True).outputs
        assert [tensor.names.sequences for tensor in outputs] == [tuple(NAMES)] * len(outputs)
        frame = rnncli.run(given, Sorting(), batch_column="day").to_dataframe()
        assert frame["batch"].drop_duplicates().tolist() == [0, 1]


@pytest.mark.slow
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


def test_they_move_with_their_axis() -> None:
    given = Document(np.zeros((2, 3, 4)), feature_names=tuple("wxyz"), sequence_names=("mon", "tue"))
    moved = arrange.reorder_axes(given, ("features", "time", "batch"))
    assert isinstance(moved.inputs, np.ndarray)
    assert moved.inputs.shape == (4, 3, 2)
    assert (moved.feature_names, moved.sequence_names) == (("mon", "tue"), tuple("wxyz"))
    assert arrange.reorder_axes(given, ("time", "batch", "features")).sequence_names == ()


def test_a_sequence_alone_has_its_name(words: Any) -> None:
    whole = subject_of(Ask(input=words[0], batch_column="day", layer=["gru"], seed=1)).returned()
    assert [case.names.sequences for case in whole.cases.values()] == [tuple(NAMES)]
    assert [case.names.sequences for case in whole.of_sequence(1, cut=True).cases.values()] == [("<tue>",)]


def test_without_the_column_there_are_no_names(rnncli: Any) -> None:
    (tensor,) = json.loads(rnncli("run", "[[[1]], [[2]]]", "-l", "lstm", "-f", "json").stdout)["outputs"]
    assert "batch" not in tensor
    assert "batch 1" in rnncli("run", "[[[1]], [[2]]]", "-l", "lstm").stdout
