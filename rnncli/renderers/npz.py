"""npz: every tensor under its name."""

from __future__ import annotations

from typing import IO
from zipfile import ZipFile

from rnncli.page import Answer, GrowingAnswer
from rnncli.renderers._npy_file import write_npy


def write(answer: Answer | GrowingAnswer, file: IO[bytes]) -> None:
    """What `numpy.load` reads; bfloat16 as float32, which holds the same numbers."""
    tensors = answer.tensors()  # where there are none, not even an empty archive is written
    with ZipFile(file, "w") as archive:
        for name, array in tensors.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                write_npy(member, array)
