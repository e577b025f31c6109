"""A NaN in the input is a remark; `--fail-on-nan` names the layer that made one."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import torch
from command import Run

import rnncli as package
from rnncli.ask.passage import explain_nan
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


@pytest.mark.parametrize("command", [
    "run x.json", "trace x.json", "run x.json --fail-on-nan", "run x.json --stream -f ndjson",
    "matrix x.json", "gradients x.json", "compare x.json", "explain hidden_state[0,0] x.json",
    "export x.json --to numpy", "report x.json -o page.html", "plot x.json -o a.svg",
])  # fmt: skip
def test_the_first_nan_of_the_input_is_a_remark_of_every_command(
    command: str, rnncli: Run, here: Path
) -> None:
    Path("x.json").write_text('[[[1, 2], ["NaN", 4]], [["NaN", 2], [3, 4]]]')
    done = rnncli(*command.split(), "-l", "lstm", "--seed", "1")
    assert done.returncode == ("--fail-on-nan" in command), done.stderr
    assert done.stderr.count("the input contains NaN, first at index [0, 1, 0]") == 1


@pytest.mark.parametrize(("file", "more", "said"), [
    ("x.csv", (), "the input contains NaN, first at index [0, 1, 0]\n"),
    ("x.npy", (), "the input contains NaN, first at index [0, 1, 0]\n"),
    ("x.npy", ("--lang", "ko"), "입력에 NaN이 있습니다. 처음 나오는 인덱스: [0, 1, 0]\n"),
    ("x.npy", ("--model", "m.keras"), "the input contains NaN, first at index [0, 1, 0]\n"),
    ("two.npz", ("--model", "two.keras"), "the input b contains NaN, first at index [0, 1, 0]\n"),
    ("infinite.npy", (), ""),
    ("x.npy", ("-q",), ""),
])  # fmt: skip
def test_a_nan_in_a_file(file: str, more: tuple[str, ...], said: str, rnncli: Run, here: Path) -> None:
    x = np.array([[[1, 2], [np.nan, 4]]], "float32")
    Path("x.csv").write_text("1,2\nNaN,4\n")
    np.save("x.npy", x)
    np.save("infinite.npy", np.array([[[np.inf, 2], [-np.inf, 4]]], "float32"))
    np.savez("two.npz", a=np.ones((1, 2, 2), "float32"), b=x)
    if "--model" in more:
        a, b = (keras.Input((2, 2), name=name) for name in "ab")
        keras.Sequential([keras.Input((2, 2)), keras.layers.GRU(2)]).save("m.keras")
        keras.Model([a, b], keras.layers.GRU(2)(keras.layers.Add()([a, b]))).save("two.keras")
    done = rnncli("run", file, *(more if "--model" in more else ("-l", "lstm", "--seed", "1", *more)))
    notes = [line for line in done.success().stderr.splitlines(keepends=True) if "NaN" in line]
    assert "".join(notes).endswith(said)
    assert bool(notes) == bool(said)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.slow
def test_a_nan_that_a_live_object_is_given(*, whole: bool) -> None:
    x = np.array([[[1, 2], [3, np.nan]]], "float32")
    keras_model = keras.Sequential([keras.Input((2, 2)), keras.layers.GRU(2)])
    for model in (keras_model, torch.nn.GRU(2, 2, batch_first=True), None):
        asked = {"layer": "lstm"} if model is None else {"model": model}
        result = package.gradients(x, **asked, whole=True) if whole else package.run(x, **asked)
        assert str(result.remarks[0]) == "the input contains NaN, first at index [0, 1, 1]"


def test_a_nan_in_a_masked_step_is_a_remark(rnncli: Run) -> None:
    """Though it reaches no output."""
    words = ('[[[1, 2], ["NaN", 4]]]', "-l", "lstm", "--seed", "1", "--fail-on-nan", "--lengths", "1")
    assert "note: the input contains NaN, first at index [0, 1, 0]" in rnncli("run", *words).success().stderr


def test_the_last_finite_layer_and_the_next_are_named_where_none_made_it() -> None:
    layers = [Passed("a", True, True), Passed("b", True, True), Passed("c", False, False)]
    text = str(explain_nan(layers, "c[0]"))
    assert text == (
        "the output contains NaN, first in c[0]: the output of b is finite, and the input of c is not."
    )
