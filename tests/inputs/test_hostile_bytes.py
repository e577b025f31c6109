"""Any bytes into any reader of text: an answer or exit 2, in a short time and little memory.

What broke once stands in the corpus; --hypothesis-profile=thorough looks for more.
"""

import contextlib
import io
import random
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from limits import processor_time

from rnncli.cli import app

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.*"))
INPUT = "[[[0.5, -1.0], [2.0, 0.25]]]"
SECONDS, KILOBYTES = 10, 1_500_000
WAYS: dict[str, Callable[[str], list[str]]] = {
    "input": lambda file: [file],
    "stream": lambda file: [file, "--stream", "--keep-going"],
    "mask": lambda file: [INPUT, "--mask", file],
    "states": lambda file: [INPUT, "--initial-state", file],
    "weights": lambda file: [INPUT, "--weights", file],
    "layer": lambda file: [INPUT, "--layer", f"@{file}"],
    "grouped": lambda file: [file, "--batch-column", "0", "--pad", "post"],
    "commas": lambda file: [file, "--decimal", ","],
}

SEEDS = {
    "json": [
        b"[[[0.1, 4.2], [1.0, 3.1]], [[5, 6]]]",
        b'[[["NaN", 2], ["-Infinity", 1e30]]]',
        b'{"layer": "LSTM(3, return_sequences=True)", "inputs": [[[0.1, 4.2], [1.0, 3.1]]], "mask": [[true, '
        b'false]], "initial_state": [[[0, 0, 0]], [[0, 0, 0]]], "seed": 42, "training": false}',
        b'{"inputs": [[1, 2]], "layer": [{"class_name": "GRU", "config": {"units": 2, '
        b'"return_sequences": true}}, "lstm"], "weights": {"0/kernel": [[1, 2], [3, 4]], "bias": [1]}}',
        b'{"schema": "rnncli/1", "outputs": [{"name": "hidden_states", "shape": [1, 1, 2], '
        b'"values": [[[1, 2]]]}]}',
        b'{"class_name": "Bidirectional", "config": {"merge_mode": "sum", "layer": {"class_name": '
        b'"LSTM", "config": {"units": 3, "kernel_initializer": '
        b'{"class_name": "Constant", "config": {"value": 0.1}}}}}}',
        b'{"class_name": "RNN", "config": {"cell": {"class_name": "StackedRNNCells", "config": {"cells": [{'
        b'"class_name": "GRUCell", "config": {"units": 2}}]}}, "dtype": {"config": {"name": "float32"}}}}',
        b'{"class_name": "Sequential", "config": {"layers": [{"class_name": "InputLayer", "config": {}}, {'
        b'"class_name": "Dense", "config": {"units": 2, "activation": "relu"}}]}}',
    ],
    "ndjson": [b"[[1, 2], [3, 4]]\n[[5, 6]]\n\n", b'{"inputs": [[1, 2]], "mask": [[true]]}\n[[1, 2]]\n'],
    "csv": [
        b"a,b\n1,2\n3.5,-4e1\n",
        b"1;2,5\n3;4,5\n",
        b'id\tx\ty\n"a"\t1\t2\nb\t3\tNaN\n',
        b'"x, y"|z\r\n1|inf\r\n',
    ],
}  # fmt: skip
TOKENS = [
    b"", b"[",
    b"]", b"{", b"}", b",", b";", b":", b'"', b"\\", b"\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"'",
    b"null", b"true", b"NaN", b"1e", b"1e999", b"-", b".", b"9" * 400, b"0", b"[[", b"[]", b"{}", b" ", b"\t",
    b'"config"', b'"units"', b'"class_name"', "１".encode(), "é".encode(), b"\x1b[2J", b'"inputs":', b'{"a":',
]  # fmt: skip


def start_peak() -> int:
    """Forget the peak of what ran before in this process, where the system can; return the memory in use."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak_memory()


def peak_memory() -> int:
    """Return the most memory of this process, in kilobytes."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lines = status.read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def check_run(data: bytes, suffix: str, way: str) -> None:
    """Run it as the command does, and hold it to what every input is held to."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"any.{suffix}"
        file.write_bytes(data)
        said, out = io.StringIO(), io.TextIOWrapper(io.BytesIO())
        streams = contextlib.redirect_stderr(said), contextlib.redirect_stdout(out)
        before = start_peak()
        with processor_time(SECONDS), streams[0], streams[1]:
            code = app.main(["run", "--seed", "1", "--engine", "numpy", *WAYS[way](str(file))])
    text = said.getvalue()
    assert code in ((0, 1, 2) if way == "stream" else (0, 2)), text
    assert peak_memory() - before < KILOBYTES
    if code == 2 and way != "stream":
        assert len(text) < 4000  # remarks, and the message
        assert text.count("\n") < 40


def edit_bytes(data: bytes, number: int) -> bytes:
    """One to four edits, the same for the same number."""
    chance = random.Random(number)
    for _ in range(chance.randrange(1, 5)):
        place, token = chance.randrange(len(data) + 1), chance.choice(TOKENS)
        length = chance.choice((0, 0, 1, 2, 8))
        times = chance.choice((1, 1, 1, 1, 2, 70, 1200))
        kind = chance.random()
        if kind < 0.2:
            other = chance.randrange(len(data) + 1)
            token = data[min(place, other) : max(place, other)]
        data = data[:place] + token * times + data[place + length :]
    return data[:300_000]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.name)
def test_what_broke_once(file: Path, way: str) -> None:
    check_run(file.read_bytes(), file.suffix[1:], way)


@pytest.mark.parametrize("suffix", SEEDS)
@given(st.integers(0, 2**48), st.sampled_from(sorted(WAYS)))
@pytest.mark.slow
def test_a_changed_text(suffix: str, number: int, way: str) -> None:
    check_run(edit_bytes(random.Random(number).choice(SEEDS[suffix]), number), suffix, way)


@given(st.binary(max_size=300), st.sampled_from(sorted(SEEDS)), st.sampled_from(sorted(WAYS)))
@example(b"\xff\xfe1\0,\x002\0", "csv", "input")
def test_any_bytes(data: bytes, suffix: str, way: str) -> None:
    check_run(data, suffix, way)
