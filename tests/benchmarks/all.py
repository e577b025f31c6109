"""Compare speeds side by side, in one run: python tests/benchmarks/all.py [SUBJECT...]

Takes a few minutes.  Nothing is checked: times differ between machines; ratios within one run differ less.
What to aim for: `rnncli run` in 1.2 times the bare imports, 1/18 of the time and 1/12 of the memory of the
Keras script; a tensor of 200 MB from file to file in less than 300 MB; a stream of (1, 4, 5) 105 times as
fast as a loop in Keras.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

from figures import Section, Sections, in_turn, processes, show

PYTHON = [sys.executable, "-c"]
RNNCLI = str(Path(sys.executable).with_name("rnncli"))
RUN = [RNNCLI, "run", "--layer", "lstm", "--return-sequences", "--return-state", "--seed", "42"]
IMPORTS = "import numpy, typer; from rich.console import Console; from rich.table import Table"
SCRIPT = """
import keras, numpy as np
keras.utils.set_random_seed(42)
x = np.array([[[0.1, 4.2, 1.5, 1.1, 2.8], [1.0, 3.1, 2.5, 0.7, 1.1],
               [0.3, 2.1, 1.5, 2.1, 0.1], [2.2, 1.4, 0.5, 0.9, 1.1]]], "float32")
print(keras.layers.LSTM(3, return_sequences=True, return_state=True)(x))
"""
COLD_START: Mapping[str, Sequence[str]] = {
    "bare imports": [*PYTHON, IMPORTS],
    "rnncli run": RUN,
    "rnncli run -f json": [*RUN, "-f", "json"],
    "rnncli trace -f json": [RNNCLI, "trace", "-f", "json"],
    "rnncli shape": [RNNCLI, "shape", "--layer", "lstm"],
    "rnncli --help": [RNNCLI, "--help"],
    "rnncli run --help": [RNNCLI, "run", "--help"],
    "python -c pass": [*PYTHON, "pass"],
    "the same Keras script": [*PYTHON, SCRIPT],
}


def cold_start(folder: Path) -> Sections:
    """Yield whole commands beside the bare imports, and the same work as a Keras script."""
    report = {"rnncli report -o": [RNNCLI, "report", "-o", str(folder / "page.html")]}
    yield from processes("cold start", "bare imports", {**COLD_START, **report}, 7)


MAKE_MODEL = """
import sys, keras
from keras import layers as L
keras.Sequential([
    keras.Input((None,), dtype="int32"),
    L.Embedding(1000, 64, mask_zero=True),
    L.Bidirectional(L.LSTM(64, return_sequences=True)),
    L.GRU(32),
    L.Dense(5, activation="softmax"),
]).save(sys.argv[1])
"""
USE_MODEL = """
import json, sys, keras, numpy as np
model = keras.models.load_model(sys.argv[1])
probe = keras.Model(model.inputs, [layer.output for layer in model.layers])
for values in probe(np.array(json.load(open(sys.argv[2])))):
    print(values.numpy().tolist())
"""


def saved_model(folder: Path) -> Sections:
    """Yield `run --model` of a .keras file, and the shortest script that prints the same tensors."""
    model, ids = str(folder / "m.keras"), folder / "ids.json"
    subprocess.run([*PYTHON, MAKE_MODEL, model], check=True)
    ids.write_text(json.dumps([[1 + (7 * row + step) % 999 for step in range(40)] for row in range(8)]))
    run = [RNNCLI, "run", str(ids), "--model", model, "--all-layers"]
    script = [*PYTHON, USE_MODEL, model, str(ids)]
    commands = {"rnncli run": run, "rnncli run -f json": [*run, "-f", "json"], "the Keras script": script}
    yield from processes("a saved model of Keras", "rnncli run", commands, 3)


MAKE_BIG = (
    "import sys, numpy as np; np.save(sys.argv[1], np.random.default_rng(0).random((5000, 400, 25), 'f4'))"
)
COPY = "import sys, numpy; numpy.save(sys.argv[2], numpy.load(sys.argv[1]))"


def large_file(folder: Path) -> Sections:
    """Yield 200 MB from file to file, beside NumPy only reading and writing them."""
    big, out = str(folder / "big.npy"), str(folder / "out.npy")
    # Made in another process: a child process's peak memory includes that of its parent.
    subprocess.run([*PYTHON, MAKE_BIG, big], check=True)
    gru = [RNNCLI, "run", big, "--layer", "gru", "--units", "4", "--return-sequences", "-o"]
    commands = {
        "the sample": [RNNCLI, "run"],
        "numpy, load and save": [*PYTHON, COPY, big, out],
        "rnncli, npy to npy": [*gru, out],
        "rnncli, npy to npy, numpy": [*gru, out, "--engine", "numpy"],
        "rnncli, npy to ndjson": [*gru, str(folder / "out.ndjson")],
    }
    yield from processes("a file of 200 MB", "the sample", commands, 1)


def reading(folder: Path) -> Sections:
    """Yield MB per second of rnncli's readers, and of only the libraries that they use."""
    import numpy as np
    import orjson

    from rnncli.inputs import formats

    numbers = np.random.default_rng(0).standard_normal((10_000, 100)).astype(np.float32)
    text = orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)
    (folder / "numbers.json").write_bytes(text)
    (folder / "numbers.csv").write_bytes(text[2:-2].replace(b"],[", b"\n") + b"\n")
    np.save(folder / "numbers.npy", np.tile(numbers, (20, 1)))
    libraries: dict[str, Callable[[Path], np.ndarray]] = {
        "json": lambda path: np.array(orjson.loads(path.read_bytes())),
        "csv": partial(np.loadtxt, delimiter=","),
        "npy": np.load,
    }
    for suffix, library in libraries.items():
        path = folder / f"numbers.{suffix}"
        source = formats.Source(path.name, path=path)
        contestants: dict[str, Callable[[], object]] = {
            "the library alone": partial(lambda library, path: library(path).sum(), library, path),
            "rnncli": partial(lambda source: np.asarray(formats.read(source).inputs).sum(), source),
        }
        megabytes = path.stat().st_size / 1e6
        rates = {name: megabytes / seconds for name, seconds in in_turn(contestants, 3).items()}
        yield Section(f"reading {suffix}, {megabytes:.0f} MB", "MB a second", "the library alone", rates)


STREAM = [*RUN[:-2], "--stream", "--seed", "1", "--format", "ndjson", "--quiet"]


def streaming(_: Path) -> Sections:
    """Yield records of (1, 4, 5) per second: all at once, each after the previous answer, and in Keras.

    What starting takes is not counted.
    """
    rows = {
        "Keras eager, a loop": _keras(300, compiled=False),
        "Keras tf.function, a loop": _keras(300, compiled=True),
        "rnncli, one after the other": _one_by_one(1000),
        "rnncli, running ahead": 50_000 / (_whole(50_001) - _whole(1)),
    }
    yield Section("a stream of (1, 4, 5)", "records/s", "Keras eager, a loop", rows)


def _keras(count: int, *, compiled: bool) -> float:
    import keras
    import numpy as np
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
    with subprocess.Popen(STREAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        for place, line in enumerate(_lines(count + 1)):
            process.stdin.write(line)
            process.stdin.flush()
            process.stdout.readline()
            if not place:
                begun = time.perf_counter()
        return count / (time.perf_counter() - begun)


def _whole(count: int) -> float:
    lines = b"".join(_lines(count))
    begun = time.perf_counter()
    subprocess.run(STREAM, input=lines, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - begun


def _lines(count: int) -> list[bytes]:
    import numpy as np
    import orjson

    records = np.random.default_rng(0).standard_normal((count, 1, 4, 5)).astype(np.float32)
    flags = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
    return [orjson.dumps(record, option=flags) for record in records]


def engines(_: Path) -> Sections:
    """Yield the loop over time of every layer in several sizes."""
    from engines import sections

    yield from sections()


def matrices(_: Path) -> Sections:
    """Yield cells whose states are matrices, beside an LSTM of as many units."""
    from matrices import sections

    yield from sections()


SUBJECTS = (cold_start, saved_model, large_file, reading, streaming, engines, matrices)
"""Whole processes come first, while this one is small and none of its libraries keeps threads."""


def chosen(names: Sequence[str]) -> Sections:
    """Yield the sections of the subjects of these names, or of all."""
    for subject in SUBJECTS:
        if not names or subject.__name__ in names:
            with TemporaryDirectory() as folder:
                yield from subject(Path(folder))


if __name__ == "__main__":
    show(chosen(sys.argv[1:]))
