"""Binary files that attack or are broken: any bytes end in an answer or in an InputError, soon and small."""

import io
import json
import random
import resource
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import processor_time
from reader_sources import read

from rnncli.errors import InputError
from rnncli.inputs.formats import Source, read_states, read_tensor
from rnncli.inputs.formats import npy as npy_format
from rnncli.models.keras import file as _hdf5
from rnncli.models.keras import reader as keras_models
from rnncli.models.weight_files import keras_weights as weights_only
from rnncli.models.weights import read_weights
from rnncli.process import memory
from rnncli.process.memory import address_space

CORPUS = Path(__file__).parent / "corpus" / "binary"
"""What broke a reader once; the suffix says which."""

SECONDS, MEMORY = 10.0, 1536 * 2**20
READERS: tuple[Callable[[Source], Any], ...] = (read, read_weights, read_states, read_tensor)
KERAS: tuple[Callable[[Source], Any], ...] = (read_weights, keras_models.read, weights_only.read)


@contextmanager
def limited_time_and_memory() -> Iterator[None]:
    """What takes more processor time fails, and what takes more memory finds none."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (address_space() + MEMORY, before[1]))
    try:
        with processor_time(SECONDS):
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def check_refusal(data: bytes, suffix: str, reader: Callable[..., Any] = read_weights) -> str:
    """What is said of a file of these bytes."""
    with limited_time_and_memory(), pytest.raises(InputError) as caught:
        reader(Source("in", data), *([] if reader in KERAS[1:] else [suffix]))
    assert caught.value.exit_code == 2
    assert caught.value.what.startswith("in: ")
    assert len(str(caught.value)) < 2000
    return str(caught.value)


def check_readers(path: Path) -> None:
    """Every reader, an answer or an InputError of two lines."""
    for reader in KERAS if path.suffix in (".h5", ".keras") else READERS:
        try:
            with limited_time_and_memory():
                reader(Source("in", path=path))
        except InputError as error:
            said = str(error)
            assert (said[:4], len(said) < 2000) == ("in: ", True)


def npy(header: str, numbers: bytes = b"\0" * 64, version: int = 1) -> bytes:
    text = header.encode("latin1") + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + numbers


def npy_header(shape: str, descr: str = "'<f4'") -> str:
    return f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"


@pytest.mark.sampled
@pytest.mark.parametrize("header", [
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2", "{" * 300, "-" * 900 + "1",
    npy_header("(18446744073709551616,)"), npy_header("(-1,)"), npy_header("(9223372036854775807, 0)"),
    npy_header(f"({'1, ' * 40})"), npy_header("'ab'"), npy_header("(1,)", "'V0'"),
    npy_header("(1,)", "('<f4', (9999999999999,))"), npy_header("(1,)", "[('a', '<f4', -5)]"),
    npy_header("(2, 2)", "'>'"), "",
], ids=lambda header: header[-40:])  # fmt: skip
@pytest.mark.parametrize("version", [1, 2, 3])
def test_npy_headers(header: str, version: int, tmp_path: Path) -> None:
    data = npy(header, version=version)
    check_refusal(data, "npy", read)
    check_refusal(data, "npy", read_tensor)
    path = tmp_path / "large.npy"  # which would be read in its file
    path.write_bytes(data + b"\0" * 2**24)
    check_readers(path)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.npy", data)
    check_refusal(packed.getvalue(), "npz", read)


def npz_of_zeros(method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An .npz file of eight megabytes of zeros."""
    packed, array = io.BytesIO(), io.BytesIO()
    np.save(array, np.zeros((1, 500_000, 4), "f4"))
    with zipfile.ZipFile(packed, "w", method) as archive:
        archive.writestr("inputs.npy", array.getvalue())
    return packed.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_npz_that_numpy_does_not_write(method: int) -> None:
    data = npz_of_zeros(method)
    assert "which is not supported" in check_refusal(data, "npz", read)
    for place in range(0, len(data), len(data) // 40):
        broken = bytearray(data)
        broken[place] ^= 0x55
        check_refusal(bytes(broken), "npz", read)


def test_npz_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read up to a limit; and a directory that declares another size than there is."""
    data = npz_of_zeros()
    true = struct.pack("<I", 8_000_128)
    assert true in data
    huge, small, large = (data.replace(true, struct.pack("<I", size)) for size in (2**32 - 2, 100, 5 * 10**8))
    assert "would expand" in check_refusal(huge, "npz", read)
    check_refusal(small, "npz", read)
    with limited_time_and_memory():  # more than there is, and less than is refused: all that is there is read
        for read_whole in (data, large):
            assert read(Source("in", read_whole), "npz").inputs.shape == (1, 500_000, 4)  # type: ignore[union-attr]
    monkeypatch.setattr(memory, "EXPANDED", 2**20)
    assert "expand from 7.8 KiB to 7.6 MiB" in check_refusal(data, "npz", read)


@pytest.mark.parametrize("tensors", [
    {"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}},
    {"a": {"dtype": "F32", "shape": [2**63, 2**63], "data_offsets": [0, 16]}},
    {"a": {"dtype": "F32", "shape": [0, 2**62], "data_offsets": [0, 0]}},
    {"a": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}},
    {"a": {"dtype": "X32", "shape": [4], "data_offsets": [0, 16]}},
    [],
])  # fmt: skip
def test_safetensors_headers(tensors: Any) -> None:
    text = json.dumps(tensors).encode()
    check_refusal(struct.pack("<Q", len(text)) + text + b"\0" * 16, "safetensors")
    check_refusal(struct.pack("<Q", 2**63) + text + b"\0" * 16, "safetensors")


def hdf5() -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as written:
        group = written.create_group("layers/lstm/cell/vars")
        for place, shape in enumerate([(5, 12), (3, 12), (12,)]):
            group[str(place)] = np.ones(shape, "f4")
    return file.getvalue()


CONFIG = json.dumps(
    {"class_name": "Sequential", "config": {"layers": [{"class_name": "LSTM", "config": {}}]}}
)


def keras(weights: bytes, config: str = CONFIG, method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", config)
        archive.writestr("model.weights.h5", weights)
    return file.getvalue()


def test_model_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "EXPANDED", 2**20)
    for data in (
        keras(b"\0" * 2**23, method=zipfile.ZIP_DEFLATED),
        keras(hdf5(), " " * 2**23, zipfile.ZIP_DEFLATED),
    ):
        assert "to 8.0 MiB" in check_refusal(data, "keras", keras_models.read)
    assert "compressed with LZMA" in check_refusal(
        keras(hdf5(), method=zipfile.ZIP_LZMA), "keras", keras_models.read
    )


@pytest.mark.parametrize("config", [
    "[" * 900, "[" * 900 + "]" * 900, '{"config":' * 900 + "1" + "}" * 900, "5", '"a"', "[]", "null", "{}",
    '{"config": {"layers": 5}}', '{"config": {"layers": [5]}}', '{"config": {"layers": [{"config": 5}]}}',
    '{"config": {"layers": [{"class_name": [], "config": {"cells": 5, "layer": []}}]}}',
    '{"config": {"layers": [{"class_name": "LSTM", "inbound_nodes": 5, "name": []}]}}',
    '{"config": {"layers": [{"class_name": "LSTM", "inbound_nodes": [[["a", 0, 0]]], "config": {}}]}}',
], ids=lambda config: config[-40:])  # fmt: skip
@pytest.mark.slow
def test_configs(config: str, tmp_path: Path) -> None:
    path = tmp_path / "a.keras"
    path.write_bytes(keras(hdf5(), config))
    check_readers(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".safetensors", ".h5", ".keras"])
def test_a_file_of_holes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"large{suffix}"
    with path.open("wb") as file:
        file.truncate(2**42)
    check_readers(path)
    for reader in KERAS if suffix in (".h5", ".keras") else (read_weights,):
        with limited_time_and_memory(), pytest.raises(InputError, match=r"^in: it does not fit in memory"):
            reader(Source("in", path=path))


def small_files() -> dict[str, bytes]:
    """A small file of each kind."""
    from safetensors.numpy import save

    array, arrays = io.BytesIO(), io.BytesIO()
    np.save(array, np.ones((1, 2, 3), "f4"))
    np.savez_compressed(arrays, inputs=np.ones((1, 2, 3)), mask=np.ones((1, 2), bool))
    return {
        ".npy": array.getvalue(), ".npz": arrays.getvalue(), ".safetensors": save({"a": np.ones((2, 3))}),
        ".h5": hdf5(), ".keras": keras(hdf5(), method=zipfile.ZIP_DEFLATED),
    }  # fmt: skip


WHOLE = small_files()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any")


@given(st.sampled_from(sorted(WHOLE)), st.integers(1, 40), st.integers(0, 2**32), st.booleans())
@pytest.mark.slow
def test_any_bytes(folder: Path, suffix: str, count: int, seed: int, cut: bool) -> None:
    """A whole file, of which some bytes are others, most of them in its first part; or its end is missing."""
    data, drawn = bytearray(WHOLE[suffix]), random.Random(seed)
    for _ in range(count):
        end = drawn.choice((64, 600, 3000, len(data)))
        data[drawn.randrange(min(end, len(data)))] = drawn.choice((0, 255, drawn.randrange(256)))
    path = folder / f"any{suffix}"
    path.write_bytes(data[: drawn.randrange(len(data))] if cut else data)
    check_readers(path)


@given(st.sampled_from(sorted(WHOLE)), st.sampled_from((0, 4, 10, 16, 200)), st.binary(max_size=300))
@pytest.mark.slow
def test_any_bytes_at_all(folder: Path, suffix: str, start: int, data: bytes) -> None:
    path = folder / f"all{suffix}"
    path.write_bytes(WHOLE[suffix][:start] + data)
    check_readers(path)


@pytest.mark.parametrize("path", sorted(CORPUS.iterdir()), ids=lambda path: path.name)
@pytest.mark.slow
def test_what_broke_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_hdf5, "SECONDS", 0.1)
    check_readers(path)


@pytest.mark.parametrize("shape", [(0, 5, 3), (0,)])
def test_an_empty_array_keeps_its_shape(shape: tuple[int, ...]) -> None:
    data = npy(npy_header(str(shape)), b"")
    assert npy_format.read_array(io.BytesIO(data), len(data), "").shape == shape
    assert "not a valid .npy file" in check_refusal(
        npy(npy_header("(0, 1099511627776, 1099511627776)")), "npy", read
    )
