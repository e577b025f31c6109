"""A saved model against a Keras script: python tests/benchmarks/saved_model.py [ROUNDS]

Embedding, Bidirectional LSTM, GRU and Dense in a .keras file: `rnncli run` and the shortest script that
prints the same tensors, as whole processes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from figures import Row, Section, Sections, alone
from processes import measure

RNNCLI = str(Path(sys.executable).with_name("rnncli"))
BATCH, TIMESTEPS, WORDS = 8, 40, 1000
MAKE = """
import sys, keras
from keras import layers as L
keras.Sequential([
    keras.Input((None,), dtype="int32"),
    L.Embedding({words}, 64, mask_zero=True),
    L.Bidirectional(L.LSTM(64, return_sequences=True)),
    L.GRU(32),
    L.Dense(5, activation="softmax"),
]).save(sys.argv[1])
"""
SCRIPT = """
import json, sys, keras, numpy as np
model = keras.models.load_model(sys.argv[1])
probe = keras.Model(model.inputs, [layer.output for layer in model.layers])
for values in probe(np.array(json.load(open(sys.argv[2])))):
    print(values.numpy().tolist())
"""


def sections(rounds: int) -> Sections:
    """Yield seconds, then peak memory, of whole processes."""
    with TemporaryDirectory() as folder:
        model, ids = str(Path(folder, "m.keras")), Path(folder, "ids.json")
        subprocess.run([sys.executable, "-c", MAKE.format(words=WORDS), model], check=True)
        rows = [[1 + (7 * row + step) % (WORDS - 1) for step in range(TIMESTEPS)] for row in range(BATCH)]
        ids.write_text(json.dumps(rows))
        run = [RNNCLI, "run", str(ids), "--model", model, "--all-layers"]
        commands = {
            "rnncli run --model": run,
            "rnncli run --model -f json": [*run, "-f", "json"],
            "the shortest Keras script": [sys.executable, "-c", SCRIPT, model, str(ids)],
        }
        found = measure(commands, rounds)
    seconds = tuple(Row(name, one.median) for name, one in found.items())
    yield Section("a saved model of Keras", "seconds", "rnncli run --model", seconds)
    memory = tuple(Row(name, max(one.megabytes)) for name, one in found.items())
    yield Section("peak memory of the same", "MB", "rnncli run --model", memory)


if __name__ == "__main__":
    alone(sections, 3)
