"""Cold start, side by side in one run: python tests/benchmarks/cold_start.py [ROUNDS]

Prints each command's median as a ratio to the bare imports of numpy, typer and rich, and says how
the aims stand.  It judges nothing and is no test: machines differ, ratios less so.
"""

from __future__ import annotations

import sys
from pathlib import Path

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


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    figures = measure(COMMANDS, rounds)
    figures |= measure({"the same Keras script": [PYTHON, "-c", SCRIPT]}, max(3, rounds // 5))
    bare, ours = figures["bare imports"].median, figures["rnncli run"].median
    print(f"{'command':24}{'seconds':>9}{'x bare imports':>16}{'peak MB':>9}")
    for name, of_one in figures.items():
        print(f"{name:24}{of_one.median:9.3f}{of_one.median / bare:16.2f}{max(of_one.megabytes):9.0f}")
    script = figures["the same Keras script"].median
    print(f"\nrnncli run is {script / ours:.1f} times as fast as the script,")
    print(f"and takes {ours / bare:.2f} times the bare imports (aim: at most 1.25).")


if __name__ == "__main__":
    main()
