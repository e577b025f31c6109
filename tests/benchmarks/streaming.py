"""Records per second, compared in one run: python tests/benchmarks/streaming.py [ROUNDS]

Runs (1, 4, 5) tensors through an LSTM: a loop in Keras, and `rnncli run --stream`, which gets all of them
at once, or each only after the previous answer.  Startup is not counted.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import numpy as np
import orjson
from figures import Row, Section, Sections, alone

FLAGS = ["--layer", "lstm", "--return-sequences", "--seed", "1", "--format", "ndjson", "--quiet"]
COMMAND = [sys.executable, "-m", "rnncli", "run", "--stream", *FLAGS]


def sections(rounds: int) -> Sections:
    """Yield records per second, compared with Keras called in a loop."""
    contestants: dict[str, Callable[[], float]] = {
        "Keras eager, a loop": lambda: _keras(300, compiled=False),
        "Keras tf.function, a loop": lambda: _keras(300, compiled=True),
        "rnncli, one after the other": lambda: _one_by_one(1000),
        "rnncli, running ahead": lambda: _ahead(50_000),
    }
    rates: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, rate in contestants.items():
            rates[name].append(rate())
    rows = tuple(Row(name, statistics.median(found)) for name, found in rates.items())
    yield Section("a stream of (1, 4, 5)", "records/s", rows[0].name, rows)


def _keras(count: int, *, compiled: bool) -> float:
    import keras
    import tensorflow as tf

    layer = keras.layers.LSTM(3, return_sequences=True)
    call = tf.function(layer) if compiled else layer
    records = np.random.default_rng(0).standard_normal((count, 1, 4, 5)).astype(np.float32)
    call(records[0])
    begun = time.perf_counter()
    for record in records:
        call(record).numpy()
    return count / (time.perf_counter() - begun)


def _one_by_one(count: int) -> float:
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        for place, line in enumerate(_lines(count + 1)):
            process.stdin.write(line)
            process.stdin.flush()
            process.stdout.readline()
            if not place:
                begun = time.perf_counter()
        return count / (time.perf_counter() - begun)


def _ahead(count: int) -> float:
    return count / (_whole(count + 1) - _whole(1))


def _whole(count: int) -> float:
    """Return the seconds of a whole process, from start to end."""
    lines = b"".join(_lines(count))
    begun = time.perf_counter()
    subprocess.run(COMMAND, input=lines, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def _lines(count: int) -> list[bytes]:
    records = np.random.default_rng(0).standard_normal((count, 1, 4, 5)).astype(np.float32)
    flags = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    return [orjson.dumps(record, option=flags) for record in records]


if __name__ == "__main__":
    alone(sections, 3)
