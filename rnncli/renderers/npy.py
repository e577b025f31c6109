"""npy: one tensor."""

from __future__ import annotations

from io import BytesIO
from typing import IO

from rnncli.errors import UsageError
from rnncli.page import Answer, GrowingAnswer, View
from rnncli.renderers._npy_file import write_npy


def render(answer: Answer, view: View) -> bytes:  # noqa: ARG001 - a renderer's own form
    """What `numpy.load` reads; UsageError for more tensors than one."""
    file = BytesIO()
    write(answer, file)
    return file.getvalue()


def write(answer: Answer | GrowingAnswer, file: IO[bytes]) -> None:
    """The same, as it comes."""
    tensors = answer.tensors()
    if len(tensors) != 1:
        raise UsageError(
            f"npy holds one tensor, and here are {len(tensors)}: {', '.join(tensors)}.",
            "Use npz, which holds all; rnncli run chooses one with --select NAME.",
        )
    write_npy(file, *tensors.values())
