"""--window and --stride cut one series into the sequences of a batch; --columns and --drop choose columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import keras

import rnncli as package
from rnncli.errors import InputError, UsageError

SERIES = np.random.default_rng(1).normal(size=(7, 3)).astype("float32")


@pytest.mark.parametrize(("window", "stride"), [(3, None), (3, 2), (7, 1), (1, 1)])
def test_each_window_is_a_sequence(window: int, stride: int | None) -> None:
    found = package.run(SERIES, "LSTM(2)", window=window, stride=stride, seed=1)
    starts = range(0, len(SERIES) - window + 1, stride or 1)
    batch = np.stack([SERIES[start : start + window] for start in starts])
    np.testing.assert_array_equal(found.hidden_state, package.run(batch, "LSTM(2)", seed=1).hidden_state)
    assert f"{len(batch)} windows of {window} steps" in " ".join(map(str, found.remarks))


def test_what_is_no_single_series_is_refused() -> None:
    with pytest.raises(InputError, match="takes one series"):
        package.run(np.stack([SERIES, SERIES]), "LSTM(2)", window=3)
    with pytest.raises(InputError, match="longer than the series, which has 7 time steps"):
        package.run(SERIES, "LSTM(2)", window=8)
    with pytest.raises(UsageError, match="stride=2 needs window"):
        package.run(SERIES, "LSTM(2)", stride=2)
    with pytest.raises(UsageError, match="takes one series, whose rows are time steps"):
        package.run(SERIES, "LSTM(2)", window=2, input_axes="time,features")


def test_a_stateful_layer_gets_a_note(rnncli: Any, tmp_path: Path) -> None:
    inputs = keras.Input(batch_shape=(2, 3, 3))
    model = keras.Model(inputs, keras.layers.LSTM(2, stateful=True)(inputs))
    model.save(tmp_path / "m.keras")
    words = ("run", json.dumps(SERIES.tolist()), "--window", "3", "--stride", "3", "-f", "json")
    note = "stateful: each window starts anew"
    assert note in rnncli(*words, "-l", "LSTM(2, stateful=True)").stderr
    done = rnncli(*words, "--model", str(tmp_path / "m.keras"))
    assert note in done.stderr
    (returned,) = json.loads(done.stdout)["outputs"]
    np.testing.assert_allclose(returned["values"], model(SERIES[:6].reshape(2, 3, 3)), atol=1e-6)
    assert note not in rnncli(*words, "-l", "LSTM(2)").stderr


@pytest.fixture
def table(tmp_path: Path) -> str:
    path = tmp_path / "days.csv"
    path.write_text("day,a,b,c\nmon,1,2,3\ntue,4,5,6\nmon,7,8,9\ntue,1,1,1\n")
    return str(path)


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        (("--drop", "day"), [[[1, 2, 3], [4, 5, 6], [7, 8, 9], [1, 1, 1]]]),
        (("--columns", "c,a"), [[[3, 1], [6, 4], [9, 7], [1, 1]]]),
        (("--columns", "b", "--window", "2", "--stride", "2"), [[[2], [5]], [[8], [1]]]),
        (("--batch-column", "day", "--drop", "a,b"), [[[3], [9]], [[6], [1]]]),
        (("--batch-column", "day", "--columns", "day,b"), [[[2], [8]], [[5], [1]]]),
    ],
)
def test_columns_of_csv_are_chosen(rnncli: Any, table: str, words: Any, rows: Any) -> None:
    mine = rnncli("run", table, *words, "-l", "GRU(2)", "--seed", "1", "-f", "json")
    assert mine.returncode == 0, mine.stderr
    theirs = rnncli("run", json.dumps(rows), "-l", "GRU(2)", "--seed", "1", "-f", "json")
    (named,), plain = (json.loads(done.stdout)["outputs"] for done in (mine, theirs))
    assert named.pop("batch", ["mon", "tue"]) == ["mon", "tue"]
    assert [named] == plain


def test_a_column_that_is_not_there_and_none_left(rnncli: Any, table: str) -> None:
    done = rnncli("run", table, "--columns", "a,d")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no column 'd'." in done.stderr
    done = rnncli("run", table, "--drop", "day,a,b,c")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no column is left to read." in done.stderr
