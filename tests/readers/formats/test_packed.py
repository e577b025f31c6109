"""Large JSON is read in pieces, and comes to what the whole text comes to."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rnncli import arrays
from rnncli.errors import InputError
from rnncli.readers.formats import (
    Source,
    _json_packed,
    _json_text,
    read,
    read_states,
    read_tensor,
    read_weights,
)


@pytest.fixture(autouse=True, scope="module")
def _small_pieces() -> Any:
    """Pieces of some bytes, so that small texts come in many."""
    patch = pytest.MonkeyPatch()
    patch.setattr(arrays, "BLOCK", 16)
    patch.setattr(_json_packed, "LONG", 4)
    yield
    patch.undo()


def comes_to(reader: Any, text: str, large: int) -> Any:
    patch = pytest.MonkeyPatch()
    patch.setattr(_json_text, "LARGE", large)
    try:
        return reader(Source("x.json", text.encode()), "json")
    except InputError as error:
        return str(error)
    finally:
        patch.undo()


def plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return (value.shape, np.asarray(value, np.float64).tolist())
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def same(text: str) -> Any:
    found = None
    for reader in (read, read_weights, read_states):
        found, whole = comes_to(reader, text, 0), comes_to(reader, text, 10**9)
        assert str(plain(found)) == str(plain(whole)), text
    return found


@given(
    hnp.arrays(st.sampled_from([np.float64, np.int64]), hnp.array_shapes(min_dims=1, max_dims=4, max_side=5)),
    st.sampled_from([None, 1, "\t"]),
)
def test_any_array(array: Any, indent: Any) -> None:
    spelled = np.where(np.isfinite(array), array, 0).tolist()
    same(json.dumps(spelled, indent=indent))


@pytest.mark.parametrize(
    "value",
    [
        [[[1, 2], [3, 4]], [[5, 6]], [[7, 8], [9, 10], [11, 12]]],
        [[["NaN", 2], [3, "Infinity"]]],
        [[["NaN", 2], [3, "nat"]]],
        [[[1, 2], [3, 4]], [[5, 6, 7], [8, 9, 10]]],
        [[[1, 2], 3], [4, 5]],
        [[1, 2], [[3, 4], [5, 6]], [7, 8]],
        [[], []],
        [[[1, 2], []]],
        [1, 2.5, 3, "NaN", 5, 6, 7, 8, 9, 10],
        [1, 2.5, 3, "nat", 5, 6, 7, 8, 9, 10],
        [1, 2.5, 3, 4, [5], 6, 7, 8, 9, 10],
        {"inputs": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], "mask": [True, False]},
        [["[1, 2]", "[", 3, 4, 5, 6]],
        {"inputs": [[[1, 2], [3, 4]]], "initial_state": [[[1, 2, 3]], [[4, 5, 6]]], "seed": 4},
        {"inputs": [[[1, 2], [3, 4]]], "weights": {"kernel": [[1, 2], [3, 4]], "bias": [1.5, 2.5, 3.5]}},
        {"inputs": [[[1, 2], [3, 4]]], "weights": {"kernel": [[[1], [3, 4]], [[1, 2], [3]]]}},
        {"inputs": [[[1, 2], [3, 4]]], "layer": {"config": {"value": [[1, 2, 3], [4, 5, 6]]}}},
        {"schema": "rnncli/1", "outputs": [{"name": "hidden_states", "values": [[[1, 2, 3], [4, 5, 6]]]}]},
        {"seeds": [[1, 2, 3], [4, 5, 6]]},
        [[1e400, 2, 3], [4, 5, 6]],
        [[2**70, 2, 3], [4, 5, 6]],
    ],
    ids=str,
)
def test_other_values(value: Any) -> None:
    for indent in (None, 1):
        text = json.dumps(value, indent=indent)
        same(text)
        same(f"  {text}\n\n")


@given(
    st.integers(0, 2**32), st.sampled_from([b"[", b"]", b",", b'"', b" ", b"1", b"}", b"\n", b"NaN", b"]["])
)
def test_one_fault_in_a_text(number: int, fault: bytes) -> None:
    """Whatever stands in the wrong place, the whole text is at fault in the same place."""
    text = '{"inputs": [[[1, 2], [3, 4]], [[5.5, 6], [7, 8]]], "weights": {"kernel": [[1, 2], [3, 4]]}}'
    place = random.Random(number).randrange(len(text))
    for gone in (0, 1):
        same(text[:place] + fault.decode() + text[place + gone :])


def test_a_large_mask() -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(_json_text, "LARGE", 0)
    assert np.asarray(read_tensor(Source("m", b"[[1, 0, 1], [1, 1, 0]]"))).tolist() == [[1, 0, 1], [1, 1, 0]]
    patch.undo()


@pytest.mark.parametrize(
    ("suffix", "most", "wide"),
    [("json", 4, True), ("json", 4, False), ("ndjson", 4, True), ("csv", 2, True)],
)
@pytest.mark.parametrize("fault", ["", "x"])
def test_memory(tmp_path: Path, suffix: str, most: int, wide: bool, fault: str) -> None:
    """Beside what the program takes without it; of a whole file, and of one with a fault at its end."""
    drawn = np.random.default_rng(0).standard_normal((1000, 50))
    row = (drawn if wide else drawn.ravel()).tolist()
    file, times = tmp_path / f"large.{suffix}", 24
    with file.open("w") as out:
        if suffix == "csv":
            text = "".join(f"{','.join(map(str, numbers))}\n" for numbers in row)
        else:
            text = json.dumps(row) + ("," if suffix == "json" else "\n")
            text = text if wide else f"{text[1:-2]},"
        out.write("[" if suffix == "json" else "")
        out.write((text * times).removesuffix(","))
        out.write(fault + ("]" if suffix == "json" else ""))
    code = (
        "import resource, sys, numpy, orjson; from pathlib import Path\n"
        "from rnncli.readers.formats import *\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024; before = peak()\n"
        "from rnncli.errors import InputError\n"
        "try: read(Source('x', path=Path(sys.argv[1])))\n"
        "except InputError: assert sys.argv[2]\n"
        "print(peak() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file), fault], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < most * file.stat().st_size
