"""Files of arrays: npy, npz and safetensors, also as states and weights."""

import io
import json
import sys
from typing import Any

import numpy as np
import pytest
from reader_sources import complaint, inputs, npy_bytes, npz_bytes, read, source
from safetensors.numpy import save

from rnncli.errors import EngineError, InputError
from rnncli.inputs.formats import Source, read_states, read_tensor
from rnncli.inputs.formats.npy import MAGIC
from rnncli.models import reading as models
from rnncli.models.weights import read_weights

ONE, TWO = np.ones((1, 2, 3)), np.ones((1, 2), bool)


def packed(data: bytes, **tensors: Any) -> bytes:
    """A safetensors file with this header."""
    header = json.dumps(tensors).encode()
    return len(header).to_bytes(8, "little") + header + data


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint32", ">f4"])
def test_npy(dtype: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(dtype)
    np.testing.assert_array_equal(inputs(npy_bytes(array), "npy"), array)


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_a_npy_file_that_ends_before_its_numbers(version: Any) -> None:
    file = io.BytesIO()
    np.lib.format.write_array(file, ONE, version)
    data, start = file.getvalue(), len(file.getvalue()) - ONE.nbytes
    for end in range(len(MAGIC), start):  # also inside the version and the length of the header
        reason = "is not a valid .npy file"
        assert reason in complaint(data[:end], "npy"), end
    for end in (start, len(data) - 1):
        assert "is truncated: its header declares more numbers" in complaint(data[:end], "npy"), end


@pytest.mark.parametrize(("format", "data", "mask"), [
    ("npz", npz_bytes(anything=ONE), None),
    ("npz", npz_bytes(other=TWO, inputs=ONE), None),
    ("npz", npz_bytes(x=ONE, mask=TWO), [[True, True]]),
    ("safetensors", save({"x": ONE, "mask": TWO}), [[True, True]]),
])  # fmt: skip
def test_an_array_by_name_or_alone(format: str, data: bytes, mask: Any) -> None:
    document: Any = read(source(data), format)
    assert document.inputs.shape == (1, 2, 3)
    assert (None if document.mask is None else document.mask.tolist()) == mask


@pytest.mark.parametrize("kind", ["f", "i", "u"])
def test_every_size_of_numbers_in_safetensors(kind: str) -> None:
    for size in (2, 4, 8) if kind == "f" else (1, 2, 4, 8):
        array = np.arange(6, dtype=f"{kind}{size}").reshape(2, 3)
        found: Any = read_weights(source(save({"x": array})), "safetensors")
        np.testing.assert_array_equal(found["x"], array, strict=True)


def test_bfloat16_of_safetensors_is_read_as_float32() -> None:
    data = packed(b"\x80\x3f\x20\xc0", x={"dtype": "BF16", "shape": [1, 2], "data_offsets": [0, 4]})
    assert inputs(data, "safetensors").tolist() == [[1.0, -2.5]]
    found: Any = read_weights(source(data), "safetensors")
    assert found["x"].dtype == np.float32


@pytest.mark.parametrize("shape", [[0, 2**62], [1] * 100 + [0]])
def test_a_shape_that_numpy_lacks(shape: list[int]) -> None:
    entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}
    data = packed(b"", weight_ih_l0=entry, weight_hh_l0=entry)
    assert "it is not a valid safetensors file" in complaint(data, "safetensors")
    found: Any = models.read(Source("notes.safetensors", data))
    assert (found.modules, list(found.other_shapes.values())) == ((), [tuple(shape)] * 2)


FLOAT8 = packed(b"\0\0", x={"dtype": "F8_E5M2", "shape": [2], "data_offsets": [0, 2]})
OBJECTS = np.array([{"a": 1}], dtype=object)
MANY = npy_bytes(np.ones(4)).replace(b"(4,), }" + b" " * 12, b"(4000000000000,), }")


@pytest.mark.parametrize(("format", "data", "said"), [
    ("npz", npz_bytes(a=np.ones(2), b=np.ones(3)), "it contains a (2,), b (3,), but"),
    ("npz", npz_bytes(), "it contains no array named `inputs`."),
    ("safetensors", save({name: np.ones(1) for name in "fbdaec"}),
     "it contains a (1,), b (1,), c (1,), d (1,), e (1,), f (1,), but"),
    ("safetensors", FLOAT8, "x has dtype F8_E5M2, which is not supported.\nSave it as float32."),
    ("npy", npy_bytes(OBJECTS), "it holds Python objects"),
    ("npz", npz_bytes(OBJECTS), "arr_0 in it holds Python objects"),
    ("npy",
     npy_bytes(np.ones(1)).replace(b"'descr': '<f8'", b"'descr': open()"),
     "it is not a valid .npy file"),
    ("npy", MANY, "it is truncated: its header declares more numbers."),
    ("npy", npy_bytes(np.ones(4)).replace(b"(4,), }" + b" " * 17, b"(%d,), }" % 2**59), "it is truncated: "),
    ("csv", b"\xef\xbb\xbf", "it has no rows"),
])  # fmt: skip
def test_what_cannot_be_read_is_named(format: str, data: bytes, said: str) -> None:
    assert f"notes.json: {said}" in complaint(data, format)


@pytest.mark.parametrize("array", [np.array([True]), np.array([1j]), np.array(["a"]), np.zeros((0, 3))])
def test_what_is_not_numbers(array: Any) -> None:
    assert "notes.json: " in complaint(npy_bytes(array), "npy")
    assert "inputs" in complaint(npz_bytes(inputs=array), "npz")


@pytest.mark.parametrize("format", ["npy", "npz", "safetensors", "h5"])
def test_an_empty_file(format: str) -> None:
    with pytest.raises(InputError, match=r"(?s)it is empty.*Write.*with (numpy|safetensors|model)"):
        read_weights(source(b""), format)


@pytest.mark.parametrize(
    ("package", "format", "data"),
    [("safetensors.numpy", "safetensors", b"x"), ("h5py", "h5", b"x"), ("orjson", "json", b"[[1]]")],
)
def test_missing_packages(monkeypatch: pytest.MonkeyPatch, package: str, format: str, data: bytes) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(EngineError, match=f"(?s){package.split('.')[0]} is not installed.*pip install"):
        read_weights(source(data), format)


KERNEL = np.arange(4.0).reshape(2, 2)


@pytest.mark.parametrize(("format", "data"), [
    ("json", json.dumps({"forward": {"kernel": KERNEL.tolist()}})),
    ("json", json.dumps({"inputs": [[1]], "weights": {"forward/kernel": KERNEL.tolist()}})),
    ("npz", npz_bytes(**{"forward/kernel": KERNEL})),
    ("safetensors", save({"forward/kernel": KERNEL})),
])  # fmt: skip
def test_weights(format: str, data: str | bytes) -> None:
    found: Any = read_weights(source(data), format)
    assert {name: array.tolist() for name, array in found.items()} == {"forward/kernel": KERNEL.tolist()}


@pytest.mark.parametrize("text", ["[1]", '{"kernel": 1}', '{"kernel": [[1], [1, 2]]}'])
def test_no_weights(text: str) -> None:
    with pytest.raises(InputError, match=r"^notes\.json: "):
        read_weights(source(text), "json")


def test_a_mask() -> None:
    assert read_tensor(source("[[true, false]]"), "json") == [[True, False]]
    assert read_tensor(source('{"mask": [[1]]}'), "json") == [[1]]
    assert read_tensor(source('{"valid": [[1]]}'), "json") == [[1]]  # the only entry may have any name
    assert read_tensor(source(npz_bytes(mask=TWO, x=np.ones(2))), "npz").shape == (1, 2)
    assert read_tensor(source("1,0\n"), "csv").tolist() == [[1, 0]]
    for arrays in ({"a": np.ones(2), "b": np.ones(2)}, {}):
        with pytest.raises(InputError, match=r"contains (a, b, but )?no mask"):
            read_tensor(source(npz_bytes(**arrays)), "npz")


def test_a_column_of_words_in_a_mask() -> None:
    with pytest.raises(InputError, match="Write NaN for a missing number"):
        read_tensor(source("1,0\n1,NA\n"), "csv")


@pytest.mark.parametrize(
    ("text", "said"), [("5", "the number 5"), ('"h"', 'the text "h"'), ("[]", "a list of 0")]
)
def test_no_states(text: str, said: str) -> None:
    with pytest.raises(InputError, match=f"{said}, not a list of states"):
        read_states(source(text), "json")


def test_the_widest_empty_array_of_numpy_is_read() -> None:
    widest = np.empty((0, 2**58))  # a bit more, and NumPy has no such array
    assert read_tensor(source(npy_bytes(widest)), "npy").shape == widest.shape


@pytest.mark.parametrize(("format", "data", "states"), [
    ("json", "[[[1, 2]], [[3, 4]]]", [[[1, 2]], [[3, 4]]]),
    ("npz", npz_bytes(np.ones((1, 2)), np.zeros((1, 2))), [[[1, 1]], [[0, 0]]]),
    ("npy", npy_bytes(np.ones((1, 2))), [[[1, 1]]]),
])  # fmt: skip
def test_states(format: str, data: str | bytes, states: list[Any]) -> None:
    found: Any = read_states(source(data), format)
    assert [state.tolist() for state in found] == states


def test_states_by_name_and_bad_ones() -> None:
    named: Any = read_states(source(npz_bytes(last_hidden_state=np.ones((1, 2)))), "npz")
    assert named["last_hidden_state"].shape == (1, 2)
    with pytest.raises(InputError, match=r"notes\.json: \[1\]\[0\] is true"):
        read_states(source("[[1], [true]]"), "json")
