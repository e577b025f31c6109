"""npz: every tensor under its name."""

from __future__ import annotations

from typing import IO
from zipfile import ZipFile

from rnncli.renderers.formats import Traits
from rnncli.renderers.formats._npy_file import write_npy
from rnncli.renderers.page import Answer, GrowingAnswer, View

TRAITS = Traits(binary=True, only_values=True, incremental=True)


def write(answer: Answer | GrowingAnswer, view: View, file: IO[bytes]) -> None:  # noqa: ARG001
    """What `numpy.load` reads; bfloat16 as float32, which holds the same numbers."""
    tensors = answer.tensors()  # where there are none, not even an empty archive is written
    with ZipFile(file, "w") as archive:
        for name, array in tensors.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                write_npy(member, array)
