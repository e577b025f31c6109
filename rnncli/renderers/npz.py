"""npz: every tensor under its name."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import IO, TYPE_CHECKING
from zipfile import ZipFile

from rnncli.page import Answer, Chunks, View
from rnncli.renderers._growing import begin, go_on, growing

if TYPE_CHECKING:
    from rnncli.case import Array


def render(answer: Answer, view: View) -> bytes:  # noqa: ARG001 - a renderer's own form
    """What `numpy.load` reads; bfloat16 as float32, which holds the same numbers."""
    file = BytesIO()
    write(answer, file)
    return file.getvalue()


def write(answer: Answer | Chunks, file: IO[bytes]) -> None:
    """The same; the first tensor chunk by chunk as they come, the others, which are small, after it."""
    tensors = growing(answer)
    first, *others = tensors.first
    later: dict[str, list[Array]] = {name: [] for name in others}

    def firsts() -> Iterable[Array]:
        for chunk in tensors.chunks():
            for name in others:
                later[name].append(chunk[name])
            yield chunk[first]

    with ZipFile(file, "w") as archive:
        for name in tensors.first:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                begin(member, tensors.first[name], tensors.batch)
                for array in firsts() if name == first else later[name]:
                    go_on(member, array)
