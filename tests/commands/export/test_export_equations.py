"""`--to cell` writes a file that gives the same numbers; `--to latex` writes equations that LaTeX reads."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import own_cells
import pytest
from looks import matches_golden

from rnncli.cells.text import to_toml
from rnncli.specs.build import read_equations

OWN = """\
# A cell with everything that a file can have.
name = "Own"
states = ["hidden", "pace"]
source = "Anon \\"2020\\" \\u001b[2J"
gates = ["second", "first"]
[initial]
pace = 1.5
[options]
activation = "relu"
rate = 0.25
[weights]
mix = { shape = ["units", "units"] }
scale = { shape = ["units"], initializer = "ones" }
bias = { second = "ones" }
kernel = { initializer = "he_normal" }
[step]
first = "activation(x @ kernel + hidden @ recurrent_kernel + bias) ** 2"
second = "-(rate - first) / (1 + abs(x @ kernel + bias)) * scale"
pace = "rate * pace + (1 - rate) * maximum(second, -0.5) @ mix"
hidden = "softmax(second - mean(pace)) - 2e-05 * hidden"
"""
LAYERS = [
    "LSTM(3, return_state=True)",
    "LSTM(3, unit_forget_bias=False, bias_initializer='ones', kernel_initializer='he_normal')",
    "LSTM(3, bias_initializer='ones', recurrent_initializer='probe')",
    "GRU(3, return_sequences=True)",
    "GRU(3, kernel_initializer=Constant(0.25), bias_initializer='random_normal')",
    "GRU(3, reset_after=False, activation='relu')",
    "GRU(3, use_bias=False)",
    "SimpleRNN(3)",
    "Bidirectional(GRU(3))",
    "@own.toml(3)",
    "@own.toml(3, rate=0.5, bias_initializer='ones', use_bias=True)",
    "@own.toml(3, use_bias=False)",
]


@pytest.fixture(autouse=True)
def folder(here: Path) -> Path:
    (here / "own.toml").write_text(OWN, encoding="utf-8")
    return here


@pytest.mark.parametrize("layer", LAYERS)
def test_a_cell_gives_the_same_numbers_for_the_same_seed(layer: str, rnncli: Any, folder: Path) -> None:
    done = rnncli("export", "-l", layer, "--to", "cell", "-o", "new.toml", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    options = [
        f"--{name.replace('_', '-')}" for name in ("return_state", "return_sequences") if name in layer
    ]
    options += ["--no-use-bias"] if "use_bias=False" in layer and "@" not in layer else []
    options += ["--bidirectional"] if "Bidirectional" in layer else []
    written = rnncli(
        "run", "-l", "@new.toml", "--units", "3", *options, "--seed", "7", "-f", "csv", "--quiet"
    )
    expected = rnncli("run", "-l", layer, "--seed", "7", "-f", "csv", "--quiet")
    assert written.stdout == expected.stdout != ""


def test_the_file_of_ones_own_cell_stays_as_written(rnncli: Any) -> None:
    assert rnncli("export", "-l", "@own.toml", "--to", "cell", "--quiet").stdout == OWN
    changed = rnncli("export", "-l", "@own.toml(3, rate=0.5)", "--to", "cell", "--quiet").stdout
    assert "rate = 0.5" in changed
    assert "#" not in changed
    assert "\x1b" not in changed


def test_what_is_written_is_read_as_the_same_cell() -> None:
    cell = read_equations(OWN)
    again = read_equations(to_toml(cell, {**cell.options, "use_bias": True}, cell.initializers))
    assert again._replace(written="", spans={}) == cell._replace(written="", spans={})


@pytest.mark.parametrize(("layer", "reason"), [
    ("GRU(3, kernel_initializer=RandomNormal(stddev=2.0))",
     "it draws its initializers in the order of the weights"),
    ("LSTM(3, bias_initializer='random_normal')", "it draws each part of a bias from a seed"),
    ("RNN([LSTMCell(3), GRUCell(3)])", "it holds one cell, and these are 2"),
    ("Dense(3)", "Dense has no cell"),
    ("ConvLSTM1D(2, 3)", "ConvLSTM1D has no cell"),
])  # fmt: skip
def test_what_a_file_of_a_cell_cannot_express(layer: str, reason: str, rnncli: Any) -> None:
    said = rnncli(
        "export", "--input-shape", "2,3,5,4" if "Conv" in layer else "2,3,4", "-l", layer, "--to", "cell"
    ).refusal()
    assert reason in said


@pytest.mark.parametrize(
    ("name", "layer"),
    [("lstm", "LSTM(3)"), ("gru", "GRU(3)"), ("own", "@own.toml(3, activation='softplus')")],
)
@pytest.mark.parametrize("target", ["cell", "latex"])
def test_equations_look_like_this(name: str, layer: str, target: str, rnncli: Any) -> None:
    done = rnncli("export", "-l", layer, "--to", target, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert matches_golden("export", f"{name}_{target}.txt", done.stdout)


SAMPLES = own_cells.samples()


@pytest.mark.sampled
@pytest.mark.parametrize(("layer", "count"), [
    *((layer, 1) for layer in LAYERS),
    *(pytest.param(f"@'{path}'(3)", 1, id=path.stem) for path in SAMPLES),
    ("RNN([LSTMCell(3), GRUCell(3)])", 2),
])  # fmt: skip
def test_latex_is_well_formed(layer: str, count: int, rnncli: Any) -> None:
    """Matplotlib draws the part of LaTeX that these equations use: each line, and both its sides."""
    mathtext = pytest.importorskip("matplotlib.mathtext")
    text = rnncli("export", "-l", layer, "--to", "latex", "--quiet").stdout
    blocks = re.findall(r"\\begin{align\*}\n(.+?)\n\\end{align\*}", text, re.DOTALL)
    assert len(blocks) == count
    for line in (line for block in blocks for line in block.split("\\\\\n")):
        left, right = line.strip().split(" &= ")
        for side in (left, right, f"{left} = {right}"):
            width, *_ = mathtext.MathTextParser("path").parse(f"${side}$")
            assert 0 < width < np.inf
