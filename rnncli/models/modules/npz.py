"""Archives of NumPy with PyTorch's or Keras's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.errors import inside
from rnncli.inputs.formats import npz
from rnncli.models.modules import _modules

if TYPE_CHECKING:
    from rnncli.inputs.source import Source
    from rnncli.models.graph import Modules


def read(source: Source) -> Modules:
    """Read the recurrent layers in the file, and the shapes of its other tensors.  Raises InputError."""
    with inside(source.name):
        arrays = npz.load(source)
    return _modules.find_modules(source.name, arrays)
