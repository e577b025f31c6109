"""The built-in samples: small inputs included in the package."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from rnncli.errors import InputError, Message, Text, did_you_mean


class Sample(NamedTuple):
    """A built-in sample.

    title: one-line description.
    hint: the flags it needs, as typed on the command line; empty if it needs none.
    """

    name: str
    file: str
    title: Text
    hint: str = ""


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
)


def names() -> tuple[str, ...]:
    """Return the names of all samples; the first is `sentence`."""
    return tuple(sample.name for sample in SAMPLES)


def get(name: str) -> Sample:
    """Return the sample with this name.  Raises InputError if there is none."""
    for sample in SAMPLES:
        if sample.name == name:
            return sample
    raise InputError("there is no sample {name!r}.", did_you_mean(name, names()), name=name)


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
