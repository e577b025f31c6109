"""A result that comes chunk by chunk, taken tensor by tensor, so that none need be whole in memory."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Sequence
from itertools import chain
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rnncli import mapped
from rnncli.chunks import Agreed
from rnncli.errors import UsageError
from rnncli.result import Result

if TYPE_CHECKING:
    from rnncli.case import Array

IN_MEMORY = 2**24
"""Bytes of a tensor that wait in memory; more of them wait in a temporary file."""


class GrowingTensor(NamedTuple):
    """A returned tensor whose values come part after part."""

    name: str
    axes: tuple[str, ...]
    values: mapped.Growing
    time: Sequence[int] = ()


class Unfolded:
    """The tensors of all chunks; they are to be taken one after the other, from the first to the last.

    The first comes as it is computed.  The others wait meanwhile, until it is their turn.

    result: what is known at once, without the tensors.
    agreed: what the chunks say that came so far; of all of them once the first tensor was taken.
    """

    def __init__(self, results: Iterator[Result], batch: int) -> None:
        first = next(results)
        shape = (batch, *first.input_shape[1:])
        self.result = dataclasses.replace(first, input_shape=shape, outputs=())
        self.agreed = Agreed()
        self._waiting = tuple(_Waiting() for _ in first.outputs[1:])
        parts = (self._computed(chain((first,), results)), *(one.parts() for one in self._waiting))
        self.outputs = tuple(
            GrowingTensor(
                tensor.name,
                tensor.axes,
                mapped.Growing((batch, *tensor.values.shape[1:]), tensor.values.dtype, own),
                tensor.time,
            )
            for tensor, own in zip(first.outputs, parts, strict=True)
        )

    def _computed(self, results: Iterator[Result]) -> Iterator[Array]:
        """The parts of the first tensor."""
        for result in results:
            self.agreed.add(result)
            first, *others = result.outputs
            for waiting, tensor in zip(self._waiting, others, strict=True):
                waiting.put(tensor.values)
            yield first.values


class _Waiting:
    """Arrays, put in one after the other, and taken out again when all of them are there."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - gone with this
        self._held: list[tuple[tuple[int, ...], Any]] = []

    def put(self, array: Array) -> None:
        """Raises UsageError where the temporary file cannot hold it."""
        try:
            for block in mapped.blocks(array):
                self._file.write(block.tobytes())
        except OSError as error:
            raise UsageError(
                f"a temporary file cannot be written: {error.strerror or error}.",
                "Name a folder with more room in TMPDIR, or keep fewer tensors with --select.",
            ) from None
        self._held.append((array.shape, array.dtype))

    def parts(self) -> Iterator[Array]:
        self._file.seek(0)
        for shape, dtype in self._held:
            yield np.frombuffer(self._file.read(prod(shape) * dtype.itemsize), dtype).reshape(shape)
        self._file.close()
