"""npy, npz and safetensors: the tensors of an answer, without a loss; npy and npz in parts."""

from __future__ import annotations

from typing import IO, Any
from zipfile import ZipFile

import numpy as np

from rnncli import arrays
from rnncli.errors import UsageError
from rnncli.show.answer import Answer
from rnncli.show.page import View
from rnncli.values import Array


def write_npy(answer: Answer, view: View, file: IO[bytes]) -> None:
    """Write a file for `numpy.load`.  Raises UsageError if there is more than one tensor."""
    tensors = answer.tensors()
    if len(tensors) != 1:
        what = "npy stores one tensor, but there are {count}: {tensors}."
        advice = "Use npz, which stores all of them; rnncli run selects one with --select NAME."
        raise UsageError(what, advice, count=len(tensors), tensors=", ".join(tensors))
    _write(file, *tensors.values())


def write_npz(answer: Answer, view: View, file: IO[bytes]) -> None:
    """Write every tensor under its name, for `numpy.load`; bfloat16 is stored as float32."""
    tensors = answer.tensors()  # raises before writing if there are none
    with ZipFile(file, "w") as archive:
        for name, array in tensors.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                _write(member, array)


def write_safetensors(answer: Answer, view: View, file: IO[bytes]) -> None:
    """Write every tensor under its name, for `safetensors.numpy.load`."""
    from safetensors.numpy import save

    file.write(save({name: np.ascontiguousarray(array) for name, array in answer.tensors().items()}))


def _write(file: IO[bytes], array: Array | arrays.ChunkedArray) -> None:
    """Write a complete .npy file, a few megabytes at a time."""
    descr = np.lib.format.dtype_to_descr(_storable(np.empty(0, array.dtype)).dtype)
    header: Any = {"descr": descr, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(file, header)
    for block in arrays.blocks(array):
        file.write(_storable(block).tobytes())


def _storable(array: Array) -> Array:
    """Return `array`, or a float32 copy if NumPy does not support its float type."""
    return array if array.dtype.isbuiltin == 1 else array.astype(np.float32)
