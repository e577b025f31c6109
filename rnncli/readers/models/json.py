"""JSON objects of weights with Keras's, PyTorch's or ONNX's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.readers import formats
from rnncli.readers.models import _modules

if TYPE_CHECKING:
    from rnncli.model import Modules
    from rnncli.readers.formats import Source

SUFFIXES = (".json",)


def read(source: Source) -> Modules:
    """The recurrent layers in the file, and the shapes of its other tensors.  Errors: InputError."""
    return _modules.modules(source.name, formats.read_arrays(source))
