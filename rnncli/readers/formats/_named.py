"""Arrays by name -> Document: find the inputs among the arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.case import Array, Document
from rnncli.errors import InputError
from rnncli.readers.formats._named_arrays import numeric

if TYPE_CHECKING:
    from collections.abc import Mapping


def inputs_of(arrays: Mapping[str, Array], source_name: str) -> Document:
    """Return the array `inputs`, or the only array other than `mask`, and the mask if there is one.

    Raises InputError if there is no such array.
    """
    others = [name for name in arrays if name != "mask"]
    if "inputs" in others:
        name = "inputs"
    elif len(others) == 1:
        name = others[0]
    else:
        listed = [f"{name} {arrays[name].shape}" for name in others]
        listed[8:] = ["…"] if listed[8:] else []
        raise InputError(
            f"{source_name}: it contains {', '.join(listed) or 'nothing'}, but no array named `inputs`.",
            "Name the array to read `inputs`, or save it alone.",
        )
    return Document(inputs=numeric(arrays[name], f"{source_name}: {name}"), mask=arrays.get("mask"))
