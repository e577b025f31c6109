"""npy: one tensor."""

from __future__ import annotations

from io import BytesIO
from typing import IO

from rnncli.errors import UsageError
from rnncli.page import Answer, Chunks, View
from rnncli.renderers._growing import begin, go_on, growing


def render(answer: Answer, view: View) -> bytes:  # noqa: ARG001 - a renderer's own form
    """What `numpy.load` reads; UsageError for more tensors than one."""
    file = BytesIO()
    write(answer, file)
    return file.getvalue()


def write(answer: Answer | Chunks, file: IO[bytes]) -> None:
    """The same, chunk by chunk as they come."""
    tensors = growing(answer)
    names = list(tensors.first)
    if len(names) != 1:
        raise UsageError(
            f"npy holds one tensor, and here are {len(names)}: {', '.join(names)}.",
            "Use npz, which holds all; rnncli run chooses one with --select NAME.",
        )
    begin(file, tensors.first[names[0]], tensors.batch)
    for chunk in tensors.chunks():
        go_on(file, chunk[names[0]])
