"""Texts and bytes as sources, for the tests of the readers."""

import io
from typing import Any

import numpy as np
import pytest

from rnncli.errors import RnncliError, inside
from rnncli.inputs import formats
from rnncli.inputs.formats import ReadOptions, Source
from rnncli.inputs.named_arrays import choose_input
from rnncli.values import Document


def source(text: str | bytes, name: str = "notes.json") -> Source:
    return Source(name, text if isinstance(text, bytes) else text.encode())


def read(given: Source, format: str | None = None, options: ReadOptions | None = None) -> Document:
    """Read a document whose input is one array."""
    document = formats.read(given, format, options)
    with inside(given.name):
        if isinstance(document.inputs, dict):
            document = document._replace(inputs=choose_input(document.inputs))
    return document


def inputs(text: str | bytes, format: str = "json", **options: str) -> Any:
    return read(source(text), format, ReadOptions(**options)).inputs


def complaint(text: str | bytes, format: str = "json", **options: str) -> str:
    with pytest.raises(RnncliError) as caught:
        read(source(text), format, ReadOptions(**options))
    assert caught.value.exit_code == 2
    return str(caught.value)


def npy_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz_bytes(*arrays: np.ndarray, **named: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, *arrays, **named)
    return buffer.getvalue()
