"""npy: one tensor."""

from __future__ import annotations

from typing import IO

from rnncli.errors import UsageError
from rnncli.show.formats import Traits
from rnncli.show.formats._npy_file import write_npy
from rnncli.show.page import Answer, ChunkedAnswer, View

TRAITS = Traits(binary=True, only_values=True, incremental=True)


def write(answer: Answer | ChunkedAnswer, view: View, file: IO[bytes]) -> None:
    """Write a file for `numpy.load`.  Raises UsageError if there is more than one tensor."""
    tensors = answer.tensors()
    if len(tensors) != 1:
        raise UsageError(
            "npy stores one tensor, but there are {count}: {tensors}.",
            "Use npz, which stores all of them; rnncli run selects one with --select NAME.",
            count=len(tensors),
            tensors=", ".join(tensors),
        )
    write_npy(file, *tensors.values())
