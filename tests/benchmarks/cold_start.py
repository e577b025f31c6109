"""Cold start, compared in one run: python tests/benchmarks/cold_start.py [ROUNDS]

Compares whole commands with the bare imports of numpy, typer and rich (aim for `rnncli run`: at most 1.2
times), and with the same work as a Keras script (aim: 1/18 of its time, 1/12 of its memory).
"""

from __future__ import annotations

import sys
from pathlib import Path

from figures import Row, Section, Sections, alone
from processes import measure

PYTHON = sys.executable
RNNCLI = str(Path(PYTHON).with_name("rnncli"))
IMPORTS = "import numpy, typer; from rich.console import Console; from rich.table import Table"
SCRIPT = """
import keras, numpy as np
keras.utils.set_random_seed(42)
x = np.array([[[0.1, 4.2, 1.5, 1.1, 2.8], [1.0, 3.1, 2.5, 0.7, 1.1],
               [0.3, 2.1, 1.5, 2.1, 0.1], [2.2, 1.4, 0.5, 0.9, 1.1]]], "float32")
print(keras.layers.LSTM(3, return_sequences=True, return_state=True)(x))
"""
RUN = [RNNCLI, "run", "--layer", "lstm", "--return-sequences", "--return-state", "--seed", "42"]

COMMANDS = {
    "bare imports": [PYTHON, "-c", IMPORTS],
    "rnncli run": RUN,
    "rnncli run -f json": [*RUN, "-f", "json"],
    "rnncli shape": [RNNCLI, "shape", "--layer", "lstm"],
    "rnncli --help": [RNNCLI, "--help"],
    "rnncli run --help": [RNNCLI, "run", "--help"],
    "python -c pass": [PYTHON, "-c", "pass"],
}


def sections(rounds: int) -> Sections:
    """Yield seconds, then peak memory, of whole processes."""
    found = measure(COMMANDS, rounds)
    found |= measure({"the same Keras script": [PYTHON, "-c", SCRIPT]}, max(1, rounds // 5))
    seconds = tuple(Row(name, one.median) for name, one in found.items())
    yield Section("cold start", "seconds", "bare imports", seconds)
    memory = tuple(Row(name, max(one.megabytes)) for name, one in found.items())
    yield Section("peak memory of the same", "MB", "rnncli run", memory)


if __name__ == "__main__":
    alone(sections, 15)
