"""Files of arrays: npy, npz and safetensors, also as states and weights."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reader_sources import complaint, inputs, npy_bytes, npz_bytes, source

from rnncli.errors import EngineError, InputError, RnncliError
from rnncli.inputs.formats import (
    FORMATS,
    Source,
    read,
    read_states,
    read_tensor,
)
from rnncli.models import reading as models
from rnncli.models.weights import read_weights


class TestArrays:
    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint32", ">f4"])
    def test_npy(self, dtype: Any) -> None:
        array = np.arange(6).reshape(2, 3).astype(dtype)
        np.testing.assert_array_equal(inputs(npy_bytes(array), "npy"), array)

    def test_npz_by_name_or_alone(self) -> None:
        one, two = np.ones((1, 2, 3)), np.zeros((1, 2))
        assert inputs(npz_bytes(anything=one), "npz").shape == (1, 2, 3)
        assert inputs(npz_bytes(other=two, inputs=one), "npz").shape == (1, 2, 3)
        document = read(source(npz_bytes(x=one, mask=two == 0)), "npz")
        assert document.mask.tolist() == [[True, True]]

    def test_safetensors(self) -> None:
        from safetensors.numpy import save

        document: Any = read(
            source(save({"x": np.ones((1, 2, 3)), "mask": np.ones((1, 2), bool)})), "safetensors"
        )
        assert document.inputs.shape == (1, 2, 3)
        assert document.mask.tolist() == [[True, True]]

    def test_bfloat16_of_safetensors_is_read_as_float32(self) -> None:
        header = b'{"x":{"dtype":"BF16","shape":[1,2],"data_offsets":[0,4]}}'
        data = len(header).to_bytes(8, "little") + header + b"\x80\x3f\x20\xc0"
        assert inputs(data, "safetensors").tolist() == [[1.0, -2.5]]
        found: Any = read_weights(source(data), "safetensors")
        assert found["x"].dtype == np.float32

    @pytest.mark.parametrize("shape", [[0, 2**62], [1] * 100 + [0]])
    def test_a_shape_that_numpy_lacks(self, shape: list[int]) -> None:
        entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}
        header = json.dumps({"weight_ih_l0": entry, "weight_hh_l0": entry}).encode()
        data = len(header).to_bytes(8, "little") + header
        assert "it is not a valid safetensors file" in complaint(data, "safetensors")
        found: Any = models.read(Source("notes.safetensors", data))
        assert (found.modules, list(found.other_shapes.values())) == ((), [tuple(shape)] * 2)

    def test_a_dtype_that_numpy_lacks_is_named(self) -> None:
        header = b'{"x":{"dtype":"F8_E5M2","shape":[2],"data_offsets":[0,2]}}'
        data = len(header).to_bytes(8, "little") + header + b"\0\0"
        said = "notes.json: x has dtype F8_E5M2, which is not supported.\nSave it as float32."
        assert complaint(data, "safetensors") == said

    @pytest.mark.parametrize("array", [np.array([True]), np.array([1j]), np.array(["a"]), np.zeros((0, 3))])
    def test_what_is_not_numbers(self, array: Any) -> None:
        assert "notes.json: " in complaint(npy_bytes(array), "npy")
        assert "inputs" in complaint(npz_bytes(inputs=array), "npz")

    def test_the_arrays_of_safetensors_are_listed_in_the_same_order_in_every_run(self) -> None:
        from safetensors.numpy import save

        said = complaint(save({name: np.ones(1) for name in "fbdaec"}), "safetensors")
        assert f"it contains {', '.join(f'{name} (1,)' for name in 'abcdef')}, but" in said

    @pytest.mark.parametrize("format", ["npy", "npz", "safetensors", "h5"])
    def test_an_empty_file_is_no_text(self, format: Any) -> None:
        with pytest.raises(InputError, match=r"(?s)it is empty.*Write.*with (numpy|safetensors|model)"):
            read_weights(source(b""), format)

    @pytest.mark.parametrize(
        ("package", "format", "data"),
        [
            ("safetensors.numpy", "safetensors", b"x"),
            ("h5py", "h5", b"x"),
            ("orjson", "json", b"[[1]]"),
        ],
    )
    def test_a_missing_package_is_named(
        self, monkeypatch: pytest.MonkeyPatch, package: Any, format: Any, data: Any
    ) -> None:
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(EngineError, match=f"(?s){package.split('.')[0]} is not installed.*pip install"):
            read_weights(source(data), format)

    def test_pickles_stay_closed(self) -> None:
        objects = np.array([{"a": 1}], dtype=object)
        assert "Python objects" in complaint(npy_bytes(objects), "npy")
        assert "Python objects" in complaint(npz_bytes(objects), "npz")
        call = npy_bytes(np.ones(1)).replace(b"'descr': '<f8'", b"'descr': open()")
        assert "it is not a valid .npy file" in complaint(call, "npy")

    def test_several_arrays_are_named(self) -> None:
        assert "a (2,), b (3,)" in complaint(npz_bytes(a=np.ones(2), b=np.ones(3)), "npz")

    def test_a_file_without_arrays(self) -> None:
        assert "notes.json: it contains no array named `inputs`." in complaint(npz_bytes(), "npz")
        with pytest.raises(InputError, match=r"the document contains no mask\.\nWrite true or false"):
            read_tensor(source(npz_bytes()), "npz")

    @pytest.mark.parametrize("format", ["npy", "npz", "safetensors", "h5"])
    def test_broken_files(self, format: Any) -> None:
        from safetensors.numpy import save

        whole = {
            "npy": npy_bytes(np.ones(900)),
            "npz": npz_bytes(np.ones(900)),
            "h5": npz_bytes(np.ones(9)),
        }
        data = whole.get(format) or save({"a": np.ones(900)})
        for cut in (1, 4, 8, 9, 12, 60, 130, len(data) // 2, len(data) - 1):
            with pytest.raises(InputError, match=r"^notes\.json: "):
                read_weights(source(data[:cut]), format)
            with pytest.raises(InputError, match=r"^notes\.json: "):
                read(source(data[:cut]), format)

    @given(st.binary(min_size=1, max_size=200), st.sampled_from(sorted(FORMATS)))
    def test_rubbish_is_refused_in_words(self, data: Any, format: Any) -> None:
        starts = {"npy": b"\x93NUMPY\x01\x00", "npz": b"PK\x03\x04", "h5": b"\x89HDF\r\n\x1a\n"}
        for content in (data, starts.get(format, b"[") + data):
            for reader in (read, read_weights, read_states, read_tensor):
                try:
                    reader(source(content), format)
                except RnncliError as error:
                    assert error.what.startswith("notes.json: ")  # noqa: PT017 - rubbish may also be read

    def test_a_mark_and_nothing_else(self) -> None:
        assert "it has no rows" in complaint(b"\xef\xbb\xbf", "csv")

    def test_a_header_that_promises_too_much(self) -> None:
        data = npy_bytes(np.ones(4)).replace(b"(4,), }" + b" " * 12, b"(4000000000000,), }")
        assert b"4000000000000" in data
        assert "truncated" in complaint(data, "npy")


class TestOtherInputs:
    def test_weights_of_every_format(self) -> None:
        from safetensors.numpy import save

        kernel = np.arange(4.0).reshape(2, 2)
        sources: dict[str, str | bytes] = {
            "json": json.dumps({"forward": {"kernel": kernel.tolist()}}),
            "npz": npz_bytes(**{"forward/kernel": kernel}),
            "safetensors": save({"forward/kernel": kernel}),
        }
        for input_format, data in sources.items():
            found: Any = read_weights(source(data), input_format)
            assert list(found) == ["forward/kernel"]
            np.testing.assert_array_equal(found["forward/kernel"], kernel)

    def test_weights_of_a_case_document(self) -> None:
        text = '{"inputs": [[1]], "weights": {"bias": [1]}}'
        assert list(read_weights(source(text), "json")) == ["bias"]

    @pytest.mark.parametrize("text", ["[1]", "{}", '{"kernel": 1}', '{"kernel": [[1], [1, 2]]}'])
    def test_no_weights(self, text: Any) -> None:
        with pytest.raises(InputError, match=r"^notes\.json: "):
            read_weights(source(text), "json")

    def test_a_mask(self) -> None:
        assert read_tensor(source("[[true, false]]"), "json") == [[True, False]]
        assert read_tensor(source('{"mask": [[1]]}'), "json") == [[1]]
        assert read_tensor(source(npz_bytes(mask=np.ones((1, 2), bool), x=np.ones(2))), "npz").shape == (1, 2)
        assert read_tensor(source("1,0\n"), "csv").tolist() == [[1, 0]]
        with pytest.raises(InputError, match="no mask"):
            read_tensor(source(npz_bytes(a=np.ones(2), b=np.ones(2))), "npz")

    def test_states(self) -> None:
        states: Any = read_states(source("[[[1, 2]], [[3, 4]]]"), "json")
        assert [state.tolist() for state in states] == [[[1, 2]], [[3, 4]]]
        by_place: Any = read_states(source(npz_bytes(np.ones((1, 2)), np.zeros((1, 2)))), "npz")
        assert [state.tolist() for state in by_place] == [[[1, 1]], [[0, 0]]]
        named: Any = read_states(source(npz_bytes(last_hidden_state=np.ones((1, 2)))), "npz")
        assert named["last_hidden_state"].shape == (1, 2)
        assert len(read_states(source(npy_bytes(np.ones((1, 2)))), "npy")) == 1
        with pytest.raises(InputError, match=r"notes\.json: \[1\]\[0\] is true"):
            read_states(source("[[1], [true]]"), "json")
