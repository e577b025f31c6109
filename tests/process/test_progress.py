"""Long computations report how far they are, and are the same in blocks."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import oracle
import pytest

from rnncli import arrays, compute
from rnncli.errors import Text
from rnncli.inputs import generated
from rnncli.process import progress


class Notebook:
    """Keeps what is said and reported."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.counts: dict[str, list[tuple[int, int]]] = {}

    def say(self, text: Text) -> None:
        self.said.append(str(text))

    def report(self, what: Text, done: int, total: int) -> None:
        self.counts.setdefault(str(what), []).append((done, total))


@contextmanager
def noted() -> Iterator[Notebook]:
    notebook = Notebook()
    with progress.watched_by(notebook):
        yield notebook


@pytest.mark.parametrize("fill", ["normal", "uniform"])
def test_numbers_drawn_in_blocks_are_those_of_one_draw(fill: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    whole = random.standard_normal((3, 7, 2)) if fill == "normal" else random.random((3, 7, 2))
    monkeypatch.setattr(generated, "BLOCK", 10)
    with noted() as notebook:
        found = generated.make_input((3, 7, 2), fill, 5, "float64")
    np.testing.assert_array_equal(found, whole)
    assert notebook.counts == {"random numbers": [(done, 42) for done in (0, 10, 20, 30, 40, 42)]}
    assert notebook.said == []


def test_a_large_input_says_what_it_needs() -> None:
    """From a GiB on, of which each number of the input takes 12 bytes."""
    with noted() as notebook:
        generated.make_input((1, 2, 1), "zeros", 5, "float64", beside=2**30 - 25)
        assert notebook.said == []
        generated.make_input((1, 2, 1), "zeros", 5, "float64", beside=2**30 - 24)
    assert notebook.said == ["an input of (1, 2, 1) and its layers need 1.0 GiB of memory."]
    assert progress._watcher.get() is None


@pytest.mark.sampled
@pytest.mark.parametrize(
    "flags", ["", ", return_sequences=True", ", go_backwards=True", ", activation='relu'"]
)
@pytest.mark.parametrize("name", ["LSTM", "GRU", "SimpleRNN"])
@pytest.mark.parametrize("engine", ["numpy", "onnx"])
def test_blocks_are_as_keras_has(engine: str, name: str, flags: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if engine == "onnx":
        pytest.importorskip("onnxruntime")
    inputs = np.random.default_rng(2).standard_normal((2, 23, 3)).astype(np.float32)
    case = oracle.case([f"{name}(4, return_state=True{flags})"], inputs, seed=3)
    theirs = compute.run(case, "tensorflow")
    monkeypatch.setattr(arrays, "BLOCK", 60)
    with noted() as notebook:
        found = compute.run(case, engine)
    for ours, expected in zip(found.outputs, theirs.outputs, strict=True):
        oracle.check_close(ours.values, expected.values)
    counts: Any = notebook.counts["time steps"]
    assert counts[0] == (0, 23)
    assert counts[-1] == (23, 23)
    assert len(counts) > 3
    assert counts == sorted(counts)
