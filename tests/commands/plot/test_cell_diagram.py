"""`rnncli plot --diagram`: names alone, or the numbers that `explain` and `run` give for a step."""

import json
import re
import struct
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import ROOT, Run

import rnncli as package
from rnncli.commands.plot import figure, fonts

MASKED = '{"inputs": [[[1, 2], [3, 4], [5, 6]]], "mask": [[true, true, false]]}'


@pytest.fixture
def drawn(rnncli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what draws an svg and returns its texts, from top to bottom as they were drawn."""
    monkeypatch.setitem(figure.SETTINGS, "svg.fonttype", "none")

    def draw(*words: str) -> list[str]:
        path = tmp_path / "cell.svg"
        done = rnncli("plot", "--diagram", *words, "--quiet", "-o", str(path))
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return [unescape(text) for text in re.findall(r">([^<>\n]+)</text>", path.read_text("utf-8"))]

    return draw


def test_without_an_input_it_has_names_alone(drawn: Any) -> None:
    texts = drawn("-l", "lstm")
    assert {"forget", "input", "candidate", "output", "σ", "tanh", "h[t−1]", "c[t]", "x[t]"} <= set(texts)
    assert not [text for text in texts if re.fullmatch(r"−?\d+\.\d\d", text)]


@pytest.mark.slow
def test_a_saved_model(drawn: Any, tmp_path: Path) -> None:
    """With its own weights; the layer is chosen as elsewhere."""
    import keras

    layers = [keras.layers.LSTM(2, return_sequences=True, name="first"), keras.layers.GRU(3, name="second")]
    model = keras.Sequential([keras.Input((4, 5)), *layers])
    model.save(tmp_path / "m.keras")
    whole = drawn("--model", str(tmp_path / "m.keras"))
    assert {"first", "second", "forget", "reset"} <= set(whole)
    assert any(text.endswith("m.keras: first, second") for text in whole)
    inputs = np.random.default_rng(1).normal(size=(1, 4, 5)).astype("float32")
    np.save(tmp_path / "x.npy", inputs)
    one = drawn(str(tmp_path / "x.npy"), "--model", f"{tmp_path / 'm.keras'}#second", "--step", "-1")
    assert "forget" not in one
    last = model.predict(inputs, verbose=0)[0]
    assert {f"{number:.2f}".replace("-", "−") for number in last} <= set(one)


def test_the_numbers_are_those_of_explain(drawn: Any, rnncli: Run) -> None:
    """An operator shows its own number: `forget * cell`, not the state behind it."""
    texts = drawn("-l", "lstm", "--seed", "1", "--step", "2", "--unit", "1")
    assert "t=2, unit 1, seed 1, engine numpy" in texts

    def value(address: str) -> float:
        done = rnncli("explain", address, "-l", "lstm", "--return-sequences", "--return-state", "--seed", "1",
                      "-f", "json", "--quiet")  # fmt: skip
        return float(json.loads(done.stdout)["explanation"]["value"])

    forget, input_, candidate = (value(f"{gate}[0,2,1]") for gate in ("forget", "input", "candidate"))
    before, after = value("cell[0,1,1]"), value("cell[0,2,1]")
    for number in (forget * before, input_ * candidate, after, forget, value("hidden[0,2,1]")):
        assert f"{number:.2f}".replace("-", "−") in texts


def test_a_masked_step_has_straight_rails(drawn: Any) -> None:
    texts = drawn(MASKED, "-l", "lstm", "--seed", "1", "--step", "2")
    assert "masked, carried" in texts
    assert not {"forget", "×", "x[t]"} & set(texts)
    assert "forget" in drawn(MASKED, "-l", "lstm", "--seed", "1", "--step", "1")


@pytest.mark.slow
def test_halves_layers_and_cells(drawn: Any) -> None:
    """Both halves of Bidirectional, the last layer of a stack or all, each cell of several."""
    both = drawn("-l", "bigru", "--seed", "1", "--step", "0")
    assert {"forward →", "← backward", "h[t−1]", "h[t+1]"} <= set(both)
    stack = ("-l", "lstm", "-l", "gru", "--seed", "1")
    assert "forget" not in drawn(*stack, "--step", "1")
    assert {"layer 0", "layer 1", "forget", "reset"} <= set(drawn(*stack, "--step", "1", "--all-layers"))
    assert {"cell_0", "cell_1"} <= set(drawn("-l", "RNN([LSTMCell(3), GRUCell(2)])"))


SAMPLES = sorted(path.stem for path in (ROOT / "samples/cells").glob("*.toml"))


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.slow
def test_every_sample_cell(sample: str, drawn: Any) -> None:
    cell = f"@'{ROOT}/samples/cells/{sample}.toml'"
    assert drawn("-l", cell, "--units", "8", "--seed", "1", "--step", "3", "--unit", "4", "--theme", "dark")


@pytest.mark.slow
def test_other_languages_and_names(drawn: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names from a file are data: shown as they are, shortened."""
    monkeypatch.setattr(fonts, "find_fonts", lambda _: ([fonts.DEFAULT_FONT], frozenset()))
    assert {"망각 게이트", "후보", "t=1, 유닛 0, 시드 1, 엔진 numpy"} <= set(
        drawn("-l", "lstm", "--seed", "1", "--step", "1", "--lang", "ko")
    )
    path = tmp_path / "wide.csv"
    path.write_text("$x^{2}$,<script>,a\n1,2,3\n4,5,6\n")
    assert {"$x^{2}$", "<script>"} <= set(drawn(str(path), "-l", "gru", "--seed", "1"))


@pytest.mark.parametrize(("words", "said"), [
    (["--diagram", "--what", "result"], "--diagram and --what cannot be combined."),
    (["--diagram", "--gate", "forget"], "--diagram and --gate cannot be combined."),
    (["--diagram", "--scale", "auto"], "--diagram and --scale cannot be combined."),
    (["--unit", "1"], "--unit applies only to a diagram."),
    (["--diagram", "--unit", "3"], "--unit 3: there is no such unit."),
    (["--diagram", "--step", "0:2"], "--diagram shows one time step, not 2."),
    (["--diagram", "--step", "9"], ": no time step is selected."),
    (["--diagram", "--step", "1", "--batch", "1"], "--batch 1: there is no such sequence."),
    (["--diagram", "-l", "Dense(2)"], "no layer here has a cell to draw."),
    (["--diagram", "-l", "ConvLSTM1D(2, 3)", "--input-shape", "1,3,5,2"],
     "--diagram draws cells of equations, which ConvLSTM1D has not."),
])  # fmt: skip
def test_what_cannot_be_drawn(words: list[str], said: str, rnncli: Run, tmp_path: Path) -> None:
    done = rnncli("plot", *words, "--seed", "1", "-o", str(tmp_path / "a.svg")).refusal()
    assert said in done.replace("\n", " ")
    assert not (tmp_path / "a.svg").exists()


def test_not_in_the_terminal(rnncli: Run) -> None:
    said = rnncli("plot", "--diagram", "--terminal").refusal()
    assert "--diagram and --terminal cannot be combined." in said


@pytest.mark.slow
def test_in_python(tmp_path: Path) -> None:
    picture = package.plot(layer="lstm", diagram=True, steps=2, unit=1, seed=1, size="800x500px")
    assert struct.unpack(">II", picture.render()[16:24]) == (800, 500)
    assert str(picture) == repr(picture)
    picture.save(tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
