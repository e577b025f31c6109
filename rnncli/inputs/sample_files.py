"""The built-in samples included in the package: small inputs, and published cells."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from rnncli.errors import InputError, Message, Text, did_you_mean


class Sample(NamedTuple):
    """A built-in sample.

    title: one-line description.
    hint: the flags that an input needs, as typed on the command line; empty if it needs none.
    command: the command that shows it best.
    """

    name: str
    file: str
    title: Text
    hint: str = ""
    command: str = "run"


SAMPLES = (
    Sample("sentence", "sentence.json", Message("one sentence of 4 words, each a vector of 5 (1, 4, 5)")),
    Sample(
        "sensors",
        "sensors.csv",
        Message("3 sensors, 6 scaled readings of temperature, humidity, pressure (3, 6, 3)"),
        "--batch-column sensor",
    ),
    Sample("series", "series.csv", Message("one series of 24 values (1, 24, 1)")),
    Sample(
        "ragged",
        "ragged.json",
        Message("3 sequences of 4, 3 and 2 time steps, 2 features (3, 4, 2)"),
        "--pad post",
    ),
    Sample(
        "case", "case.json", Message("a case document: layer, inputs, mask and seed in one file (2, 3, 2)")
    ),
    *(
        Sample(name, f"{name}.json", title, command="trace")
        for name, title in {
            "note": Message("trained: an LSTM(1) notes the temperature at a press (1, 6, 2)"),
            "review": Message("trained: a GRU(1) says whether a review is good or bad (1, 6, 3)"),
            "review_ko": Message("trained: a GRU(1) reads Korean reviews, negation last (1, 4, 3)"),
            "bank": Message("trained: a Bidirectional(GRU(1)) tells two kinds of bank apart (2, 3, 2)"),
            "brackets": Message("trained: an LSTM(1) counts the open brackets (1, 8, 3)"),
        }.items()
    ),
)
"""The inputs."""
CELLS = tuple(
    Sample(name, f"cells/{name}.toml", title)
    for name, title in (
        ("mgu", Message("a cell: the minimal gated unit, a GRU with one gate")),
        ("ugrnn", Message("a cell: the update gate RNN")),
        ("cifg", Message("a cell: an LSTM with coupled input and forget gates")),
        ("peephole_lstm", Message("a cell: an LSTM whose gates see the cell state")),
        ("layer_norm_lstm", Message("a cell: an LSTM with layer normalization")),
        ("min_gru", Message("a cell: a GRU whose gate does not see the state")),
        ("min_lstm", Message("a cell: an LSTM whose gates do not see the state")),
        ("indrnn", Message("a cell: each unit sees only its own state")),
        ("fastgrnn", Message("a cell: gate and candidate share their matrices")),
        ("janet", Message("a cell: an LSTM with the forget gate alone")),
        ("cornn", Message("a cell: coupled oscillators")),
        ("slstm", Message("a cell: an LSTM with exponential gates, of xLSTM")),
        ("linear_attention", Message("a cell with a matrix: attention without softmax")),
        ("retnet", Message("a cell with a matrix: each head forgets at a fixed rate")),
        ("gla", Message("a cell with a matrix: each row has a forget gate")),
        ("deltanet", Message("a cell with a matrix: the delta rule corrects what a key reads")),
        ("gated_deltanet", Message("a cell with a matrix: the delta rule with a forget gate")),
        ("rwkv7", Message("a cell with a matrix: the time mixing of RWKV-7")),
        ("mlstm", Message("a cell with a matrix: an LSTM with a matrix memory, of xLSTM")),
        ("hgrn2", Message("a cell with a matrix: what is forgotten is written anew")),
        ("mamba", Message("a cell with a matrix: the mixer of Mamba, with its convolution")),
        ("mamba2", Message("a cell with a matrix: the recurrence of Mamba-2")),
        ("qwen3_next", Message("a cell with a matrix: the linear-attention layer of Qwen3-Next")),
        ("mamba2_layer", Message("a cell with a matrix: the mixer of Mamba-2, with its convolution")),
    )
)


def names() -> tuple[str, ...]:
    """Return the names of all inputs; the first is `sentence`."""
    return tuple(sample.name for sample in SAMPLES)


def get(name: str) -> Sample:
    """Return the sample with this name.  Raises InputError if there is none."""
    known = {sample.name: sample for sample in (*SAMPLES, *CELLS)}
    if name in known:
        return known[name]
    raise InputError("there is no sample {name!r}.", did_you_mean(name, tuple(known)), name=name)


def path(name: str) -> Path:
    """Return the path of the file of the sample with this name.

    Looks in the installed package, then in the `samples` folder of a checkout.
    Raises InputError if the file is in neither.
    """
    sample, here = get(name), Path(__file__).parents[1]
    for folder in (here / "samples", here.parent / "samples"):
        if (folder / sample.file).is_file():
            return folder / sample.file
    raise InputError("the sample {name} was not installed.", "Install rnncli again.", name=name)
