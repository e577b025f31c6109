"""The result of a batch in chunks, whose tensors are written as they arrive and are never fully in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import chain
from math import prod
from typing import Any

from rnncli.compute import ChunkSummary
from rnncli.errors import UsageError
from rnncli.result import ChunkedTensor, Result
from rnncli.values import Array

IN_MEMORY = 2**24
"""Maximum bytes of a waiting tensor to keep in memory; a larger one is kept in a temporary file."""


class ChunkedResult:
    """The tensors of all chunks, none fully in memory; to be read one after another, from first to last.

    The first tensor is read while it is computed; the others are stored until they are read.

    result: the result without the tensors; available immediately.
    summary: information from the chunks so far; complete when the first tensor has been read.
    """

    def __init__(self, results: Iterator[Result], batch: int) -> None:
        from rnncli import arrays

        first = next(results)
        shape = (batch, *first.input_shape[1:])
        self.result = dataclasses.replace(first, input_shape=shape, outputs=())
        self.summary = ChunkSummary()
        self._waiting = tuple(_ArrayQueue() for _ in first.outputs[1:])
        parts = (self._iterate_parts(chain((first,), results)), *(queue.parts() for queue in self._waiting))
        self.outputs = tuple(
            ChunkedTensor(
                tensor.label,
                tensor.axes,
                arrays.ChunkedArray((batch, *tensor.values.shape[1:]), tensor.values.dtype, pieces),
                tensor.time,
                tensor.ends,
                tensor.names,
            )
            for tensor, pieces in zip(first.outputs, parts, strict=True)
        )

    def _iterate_parts(self, results: Iterator[Result]) -> Iterator[Array]:
        try:
            for result in results:
                self.summary.add(result)
                first, *others = result.outputs
                for waiting, tensor in zip(self._waiting, others, strict=True):
                    waiting.append(tensor.values)
                yield first.values
        except BaseException:  # nobody will read the others
            for waiting in self._waiting:
                waiting.file.close()
            raise


class _ArrayQueue:
    """A queue of arrays in a temporary file, which are read back after all of them have been added."""

    def __init__(self) -> None:
        from tempfile import SpooledTemporaryFile

        self.file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - closed when it was read
        self.headers: list[tuple[tuple[int, ...], Any]] = []

    def append(self, array: Array) -> None:
        from rnncli import arrays

        try:
            for block in arrays.blocks(array):
                self.file.write(block.tobytes())
        except OSError as error:
            what = "a temporary file cannot be written: {strerror}."
            advice = "Name a folder with more room in TMPDIR, or keep fewer tensors with {--select}."
            raise UsageError(what, advice, strerror=error.strerror or error) from None
        self.headers.append((array.shape, array.dtype))

    def parts(self) -> Iterator[Array]:
        import numpy as np

        self.file.seek(0)
        for shape, dtype in self.headers:
            yield np.frombuffer(self.file.read(prod(shape) * dtype.itemsize), dtype).reshape(shape)
        self.file.close()
