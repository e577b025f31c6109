"""npz: every tensor under its name."""

from __future__ import annotations

from typing import IO
from zipfile import ZipFile

from rnncli.show.formats import Traits
from rnncli.show.formats._npy_file import write_npy
from rnncli.show.page import Answer, ChunkedAnswer, View

TRAITS = Traits(binary=True, only_values=True, incremental=True)


def write(answer: Answer | ChunkedAnswer, view: View, file: IO[bytes]) -> None:
    """Write a file for `numpy.load`; bfloat16 is stored as float32, which is lossless."""
    tensors = answer.tensors()  # raises before writing if there are none
    with ZipFile(file, "w") as archive:
        for name, array in tensors.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                write_npy(member, array)
