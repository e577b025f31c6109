"""Peak memory of whole processes: python tests/benchmarks/peak_memory.py [ROUNDS]

Processes tensors of 200 MB from file to file (aim: below 300 MB), and compares with NumPy only reading
and writing them.
"""

from __future__ import annotations

import subprocess
import sys
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory

from figures import Row, Section, Sections, alone
from processes import measure

RNNCLI = [sys.executable, "-m", "rnncli", "run"]
SHAPE = (5000, 400, 25)
MAKE = "import sys, numpy; numpy.save(sys.argv[1], numpy.random.default_rng(0).random({}, numpy.float32))"
COPY = "import sys, numpy; numpy.save(sys.argv[2], numpy.load(sys.argv[1]))"


def sections(rounds: int) -> Sections:
    """Yield MB, then seconds, of the same processes."""
    with TemporaryDirectory() as folder:
        big, out = Path(folder, "big.npy"), Path(folder, "out.npy")
        # Made in another process: a child process's peak memory includes that of its parent.
        subprocess.run([sys.executable, "-c", MAKE.format(SHAPE), str(big)], check=True)
        gru = [*RNNCLI, str(big), "--layer", "gru", "--units", "4", "--return-sequences", "-o", str(out)]
        commands = {
            "the sample": RNNCLI,
            "numpy, load and save": [sys.executable, "-c", COPY, str(big), str(out)],
            "rnncli, npy to npy": gru,
            "rnncli, npy to npy, numpy": [*gru, "--engine", "numpy"],
            "rnncli, npy to ndjson": [*gru[:-1], str(Path(folder, "out.ndjson"))],
        }
        found = measure(commands, rounds)
    megabytes = tuple(Row(name, max(one.megabytes)) for name, one in found.items())
    title = f"peak memory, npy of {prod(SHAPE) * 4 / 1e6:.0f} MB"
    yield Section(title, "MB", "the sample", megabytes)
    seconds = tuple(Row(name, one.median) for name, one in found.items())
    yield Section("time of the same", "seconds", "the sample", seconds)


if __name__ == "__main__":
    alone(sections, 1)
