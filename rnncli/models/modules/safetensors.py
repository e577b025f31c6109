"""Safetensors files with PyTorch's or Keras's names."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from rnncli.errors import Message, inside
from rnncli.inputs.formats.safetensors import DTYPES, read_tensors, to_array
from rnncli.models.modules import _modules

if TYPE_CHECKING:
    from rnncli.inputs.source import Source
    from rnncli.models.graph import Modules

ADVICE = Message("Write it with safetensors.torch.save_file(model.state_dict(), 'model.safetensors').")


def read(source: Source) -> Modules:
    """Read the recurrent layers in the file, and the shapes of its other tensors.  Raises InputError."""
    with inside(source.name):
        found = read_tensors(source, ADVICE)
    return _modules.find_modules(source.name, {name: _read_tensor(name, tensor) for name, tensor in found})


def _read_tensor(name: str, one: Mapping[str, Any]) -> Any:
    """Return an array; only its shape if it belongs to no recurrent layer, or has an unknown dtype."""
    shape = tuple(one["shape"])
    if one["dtype"] not in DTYPES or not _modules.is_recurrent(name):
        return SimpleNamespace(shape=shape)
    with suppress(ValueError):  # a shape that NumPy does not have
        return to_array(one)
    return SimpleNamespace(shape=shape)
