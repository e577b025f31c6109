"""Stored results in every form that --expect reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnncli.cli.language import localize
from rnncli.errors import InputError, UsageError
from rnncli.inputs.expected import ALONE, match_names, read_expected
from rnncli.inputs.formats import Source

HIDDEN = np.array([[0.5, -1.5, float("nan")]], np.float32)


def read(text: str) -> dict[str, Any]:
    return read_expected(Source("the text", data=text.encode()))


def write(path: Path, arrays: dict[str, Any]) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    elif path.suffix == ".npy":
        np.save(path, *arrays.values())
    elif path.suffix == ".safetensors":
        safetensors = pytest.importorskip("safetensors.numpy")
        safetensors.save_file(arrays, path)
    else:
        spelled = {name: array.astype(object) for name, array in arrays.items()}
        for array in spelled.values():
            array[array != array] = "NaN"
        path.write_text(json.dumps({name: array.tolist() for name, array in spelled.items()}))
    return path


@pytest.mark.parametrize("suffix", ["npz", "npy", "safetensors", "json"])
def test_every_format(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"e.{suffix}", {"hidden_state": HIDDEN})
    found = read_expected(Source(str(path), path=path))
    assert list(found) == [ALONE if suffix == "npy" else "hidden_state"]
    np.testing.assert_array_equal(next(iter(found.values())), HIDDEN)


def test_a_nested_list_has_no_name() -> None:
    assert list(read("[[1, 2]]")) == [ALONE]


def test_rnncli_s_own_output() -> None:
    outputs = [{"name": "hidden_state", "values": [[1, 2]]}]
    later = [{"outputs": [{"name": "call 1/hidden_state", "values": [[3, 4]]}]}]
    text = json.dumps({"schema": "rnncli/1", "outputs": outputs, "calls": later})
    found = {name: array.tolist() for name, array in read(text).items()}
    assert found == {"hidden_state": [[1, 2]], "call 1/hidden_state": [[3, 4]]}


def test_rnncli_s_own_numbers_have_the_dtype_that_it_names() -> None:
    third = np.float32(1) / np.float32(3)
    outputs = [{"name": "hidden_state", "dtype": "float32", "values": [[float(str(third))]]}]
    found = read(json.dumps({"schema": "rnncli/1", "outputs": outputs}))["hidden_state"]
    assert found.dtype == np.float32
    assert found[0, 0] == third


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{}", "it holds no tensors"),
        ("1,2\n3,4", "rnncli cannot read stored tensors from csv"),
        ('{"schema": "rnncli/2"}', "its schema is"),
        ('{"schema": "rnncli/1"}', "without values of outputs"),
        ('{"schema": "rnncli/1", "outputs": 5}', "without values of outputs"),
        ('{"schema": "rnncli/1", "outputs": [{"name": "a", "shape": [1, 3]}]}', "without values of outputs"),
        ('{"schema": "rnncli/1", "calls": [{"outputs": 5}]}', "without values of outputs"),
        ('{"schema": "rnncli/1", "trace": []}', "without values of outputs"),
        ('{"schema": "rnncli/1", "trace": [3]}', "not a step"),
        ('{"schema": "rnncli/1", "trace": [{"gates": 3}]}', "did not write"),
        ('{"a": {"b": 1}}', "a is an object"),
        ('{"a": [[1], [2, 3]]}', "a"),
        ("[[1, true]]", "true"),
    ],
)
def test_what_holds_no_tensors(text: str, says: str) -> None:
    with pytest.raises(InputError, match="the text") as caught:
        read(text)
    assert says in caught.value.what


def test_names_are_matched_and_the_others_noted() -> None:
    stored = {"b": np.zeros((1, 3)), "c": np.zeros(1)}
    shapes: dict[str, tuple[int, ...]] = {"a": (1, 3), "b": (1, 3)}
    found, remarks = match_names(stored, ["a", "b"], shapes, "e.npz")
    assert list(found) == ["b"]
    assert remarks == ("not compared: a (e.npz lacks it)", "not compared: c (only e.npz has it)")
    assert [localize(remark, "ko") for remark in remarks] == [
        "비교하지 않은 것: a (e.npz에 없음)",
        "비교하지 않은 것: c (e.npz에만 있음)",
    ]


def test_a_missing_batch_axis_is_added() -> None:
    found, remarks = match_names({ALONE: np.zeros(3)}, ["a"], {"a": (1, 3)}, "e.npy")
    assert found["a"].shape == (1, 3)
    assert remarks == ("e.npy: a: added a batch axis: (3,) -> (1, 3)",)


def test_a_tensor_without_a_name_belongs_to_one() -> None:
    shapes: dict[str, tuple[int, ...]] = {"a": (1, 3), "b": (1, 3)}
    with pytest.raises(UsageError, match="without a name"):
        match_names({ALONE: np.zeros(3)}, ["a", "b"], shapes, "e.npy")
    with pytest.raises(InputError, match=r"e\.npz: it holds c, but the result has a, b"):
        match_names({"c": np.zeros(3)}, ["a", "b"], shapes, "e.npz")
