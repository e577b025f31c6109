"""JSON objects of weights with Keras's, PyTorch's or ONNX's names."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rnncli.errors import InputError, inside
from rnncli.inputs import formats, named_arrays
from rnncli.models.modules import _modules

if TYPE_CHECKING:
    from rnncli.inputs.source import Source
    from rnncli.models.graph import Modules


def read(source: Source) -> Modules:
    """Read the recurrent layers in the file, and the shapes of its other tensors.

    Raises InputError, also for a case document, which describes a layer.
    """
    value = formats.load(source, "json")
    if isinstance(value, dict) and "inputs" in value:
        file = shlex.quote(str(source.path or "-"))
        with inside(source.name):
            raise InputError(
                "it is a case document, which describes a layer.",
                "To run it: rnncli run {file}; for its weights: rnncli weights {file} --seed 1",
                file=file,
            )
    with inside(source.name):
        weights = named_arrays.to_weights(value)
    return _modules.find_modules(source.name, weights)
