"""Tensors as npy, written as they come: chunk after chunk along the batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, NamedTuple

import numpy as np

from rnncli import mapped
from rnncli.renderers._storable import storable

if TYPE_CHECKING:
    from rnncli.case import Array
    from rnncli.page import Answer, Chunks


class Growing(NamedTuple):
    """The tensors of an answer in chunks.  batch: of all of them; None where there is just one chunk."""

    batch: int | None
    first: Mapping[str, Array]
    rest: Iterator[Mapping[str, Array]]

    def chunks(self) -> Iterator[Mapping[str, Array]]:
        """All of them; once."""
        yield self.first
        yield from self.rest


def growing(answer: Answer | Chunks) -> Growing:
    """`answer` in the chunks in which it comes, the first of them computed, or as one."""
    if hasattr(answer, "chunks"):
        batch, chunks = answer.chunks()
        return Growing(batch, next(chunks), chunks)
    return Growing(None, answer.tensors(), iter(()))


def begin(file: IO[bytes], array: Array, batch: int | None) -> None:
    """The header of a .npy file that will hold `batch` sequences like those of `array`."""
    descr = np.lib.format.dtype_to_descr(storable(array[:0]).dtype if array.ndim else array.dtype)
    shape = array.shape if batch is None else (batch, *array.shape[1:])
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def go_on(file: IO[bytes], array: Array) -> None:
    """Some more of its numbers, in copies of some megabytes."""
    for block in mapped.blocks(np.atleast_1d(array)):
        file.write(storable(block).tobytes())
