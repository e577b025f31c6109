"""Files of named arrays, JSON, npz and safetensors, with Keras's, PyTorch's or ONNX's names."""

from __future__ import annotations

import shlex
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from rnncli.errors import InputError, Message, inside
from rnncli.inputs import formats, named_arrays
from rnncli.models.modules import recognize

if TYPE_CHECKING:
    from rnncli.inputs.source import Source
    from rnncli.models.graph import Modules


def read_json(source: Source) -> Modules:
    """Read the recurrent layers in the file, and the shapes of its other tensors.

    Raises InputError, also for a case document, which describes a layer.
    """
    value = formats.load(source, "json")
    with inside(source.name):
        if isinstance(value, dict) and "inputs" in value:
            raise InputError(
                "it is a case document, which describes a layer.",
                "To run it: rnncli run {file}; for its weights: rnncli weights {file} --seed 1",
                file=shlex.quote(str(source.path or "-")),
            )
        return recognize.find_modules(source.name, named_arrays.to_weights(value))


def read_npz(source: Source) -> Modules:
    """Read the recurrent layers in the file, and the shapes of its other tensors.  Raises InputError."""
    return recognize.find_modules(source.name, formats.load(source, "npz"))


def read_safetensors(source: Source) -> Modules:
    """Read the recurrent layers in the file, and the shapes of its other tensors.  Raises InputError.

    A tensor that belongs to no recurrent layer, or has a dtype or a shape that NumPy lacks, is only a shape.
    """
    from rnncli.inputs.formats.safetensors import DTYPES, read_tensors, to_array

    save = Message("Write it with safetensors.torch.save_file(model.state_dict(), 'model.safetensors').")
    with inside(source.name):
        found = read_tensors(source, save)
    tensors: dict[str, Any] = {}
    for name, one in found:
        tensors[name] = SimpleNamespace(shape=tuple(one["shape"]))
        if one["dtype"] in DTYPES and recognize.is_recurrent(name):
            with suppress(ValueError):  # a shape that NumPy does not have
                tensors[name] = to_array(one)
    return recognize.find_modules(source.name, tensors)
