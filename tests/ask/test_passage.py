"""`--fail-on-nan` names the layer that made a NaN, and a NaN in the input."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from command import Run

from rnncli.ask.passage import Passage
from rnncli.models import Passed

HUGE = "Dense(2, kernel_initializer=Constant(3e38), use_bias=False)"
INPUT = "[[[1, 2], [3, 4]]]"
FIRST = "is the first layer with a finite input and an output that is not."

pytestmark = pytest.mark.usefixtures("files_are_read_here")


@pytest.mark.parametrize("command", ["run", "trace"])
def test_a_layer_of_a_stack_is_named(command: str, rnncli: Run) -> None:
    layers = ("LSTM(2, return_sequences=True)", HUGE, HUGE, "GRU(2)")
    words = [word for layer in layers for word in ("-l", layer)]
    done = rnncli(command, INPUT, *words, "--seed", "1", "--fail-on-nan")
    assert done.returncode == 1
    assert f": layer 2 (Dense) {FIRST}" in done.stderr
    assert "the input contains NaN" not in done.stderr


@pytest.mark.parametrize("command", ["run", "trace"])
def test_a_layer_of_a_model_that_is_not_recurrent_is_named(command: str, rnncli: Run, tmp_path: Path) -> None:
    layers = [keras.layers.LSTM(2, return_sequences=True, name="a"), keras.layers.Dense(2, name="middle")]
    model = keras.Sequential([keras.Input((2, 2)), *layers, keras.layers.GRU(2, name="b")])
    layers[1].set_weights([np.full((2, 2), np.nan), np.zeros(2)])
    model.save(tmp_path / "m.keras")
    done = rnncli(command, INPUT, "--model", str(tmp_path / "m.keras"), "--fail-on-nan")
    assert done.returncode == 1
    assert "the output contains NaN, first in b/" in done.stderr
    assert f": middle (Dense) {FIRST}" in done.stderr


@pytest.mark.parametrize("command", ["run", "trace"])
def test_a_nan_in_the_input_is_a_remark(command: str, rnncli: Run) -> None:
    odd = '[[[1, 2], ["NaN", 4]], [[1, 2], [3, 4]]]'
    note = "note: the input contains NaN, first at index [0, 1, 0]"
    done = rnncli(command, odd, "-l", "lstm", "--seed", "1", "--fail-on-nan")
    assert (done.returncode, note in done.stderr, FIRST in done.stderr) == (1, True, False)
    done = rnncli(command, odd, "-l", "lstm", "--seed", "1", "--fail-on-nan", "--lengths", "1,2")
    assert (done.returncode, note in done.stderr) == (0, True)


def test_the_last_finite_layer_and_the_next_are_named_where_none_made_it() -> None:
    layers = [Passed("a", True, True), Passed("b", True, True), Passed("c", False, False)]
    text = str(Passage({}, lambda: layers).explain("c[0]"))
    assert text == (
        "the output contains NaN, first in c[0]: the output of b is finite, and the input of c is not."
    )
