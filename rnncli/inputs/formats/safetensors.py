"""Safetensors files: arrays by name, in a format that cannot contain code."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

import numpy as np

from rnncli.errors import InputError, Message, Text, recognize, shorten
from rnncli.inputs.source import Source
from rnncli.process.packages import import_package
from rnncli.values import Array

ADVICE = Message("Write it with safetensors.numpy.save_file.")
REASONS = (
    "Error while deserializing: header too small",
    "Error while deserializing: header too large",
    "Error while deserializing: invalid header length",
    "Error while deserializing: incomplete metadata, file not fully covered",
    "Error while deserializing: invalid JSON in header: {fault}",
    "Error while deserializing: invalid UTF-8 in header: {fault}",
    "Error while deserializing: invalid shape, data type, or offset for tensor",
    "Error while deserializing: invalid offset for tensor {name}",
    "Error while deserializing: overflow computing buffer size from shape and/or element type",
    "Error while deserializing: {fault}",
)
"""The library's messages."""
DTYPES = {
    "BF16": "<u2",
    "BOOL": "?",
    "C64": "<c8",
    **{f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": f"<f{size}" for size in (2, 4, 8)},
}


def load(source: Source) -> dict[str, Array]:
    """Return all arrays by name."""
    arrays: dict[str, Array] = {}
    for name, tensor in read_tensors(source, ADVICE):
        if tensor["dtype"] not in DTYPES:
            what = "{name} has dtype {tensor}, which is not supported."
            raise InputError(what, "Save it as float32.", name=name, tensor=tensor["dtype"])
        try:
            arrays[name] = to_array(tensor)
        except ValueError as error:  # NumPy refuses too many axes, and a huge axis even beside one of size 0
            raise _explain_fault(error, ADVICE) from None
    return arrays


def read_tensors(source: Source, advice: Text) -> list[tuple[str, Mapping[str, Any]]]:
    """Return all tensors and their names, in alphabetical order; the library returns them in random order.

    advice: how to write such a file.  Raises InputError if it is not one.
    """
    library = import_package("safetensors.numpy", Message("safetensors files"))
    data = source.content(advice)
    try:
        return sorted(library.deserialize(data), key=itemgetter(0))
    except Exception as error:  # of the library's own kind
        raise _explain_fault(error, advice) from None


def _explain_fault(error: Exception, advice: Text) -> InputError:
    reason = shorten(str(error).rstrip("."), 200) or "broken"
    return InputError(
        "it is not a valid safetensors file ({reason}).", advice, reason=recognize(reason, REASONS)
    )


def to_array(tensor: Mapping[str, Any]) -> Array:
    """Return a tensor of one of DTYPES; bfloat16, which NumPy lacks, becomes float32 without loss.

    Raises ValueError for a shape that NumPy does not have.
    """
    numbers = np.frombuffer(tensor["data"], DTYPES[tensor["dtype"]])
    if tensor["dtype"] == "BF16":  # the upper half of a float32
        numbers = (numbers.astype("<u4") << 16).view("<f4")
    return numbers.reshape(tensor["shape"])
