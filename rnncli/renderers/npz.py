"""npz: every tensor under its name."""

from __future__ import annotations

from io import BytesIO
from typing import IO
from zipfile import ZipFile

from rnncli.page import Answer, GrowingAnswer, View
from rnncli.renderers._npy_file import write_npy


def render(answer: Answer, view: View) -> bytes:  # noqa: ARG001 - a renderer's own form
    """What `numpy.load` reads; bfloat16 as float32, which holds the same numbers."""
    file = BytesIO()
    write(answer, file)
    return file.getvalue()


def write(answer: Answer | GrowingAnswer, file: IO[bytes]) -> None:
    """The same, as it comes."""
    with ZipFile(file, "w") as archive:
        for name, array in answer.tensors().items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                write_npy(member, array)
