"""npy: one tensor."""

from __future__ import annotations

from typing import IO

from rnncli.errors import UsageError
from rnncli.renderers.formats._npy_file import write_npy
from rnncli.renderers.page import Answer, GrowingAnswer


def write(answer: Answer | GrowingAnswer, file: IO[bytes]) -> None:
    """What `numpy.load` reads; UsageError for more tensors than one."""
    tensors = answer.tensors()
    if len(tensors) != 1:
        raise UsageError(
            f"npy holds one tensor, and here are {len(tensors)}: {', '.join(tensors)}.",
            "Use npz, which holds all; rnncli run chooses one with --select NAME.",
        )
    write_npy(file, *tensors.values())
