"""The layers that are not recurrent, in NumPy as Keras computes them; one file for each family.

A file says in `NAMES` which classes of Keras it holds, and `compute(call)` gives the output and the mask
of one call.  A class with a file of its own is found by the file's stem, the others by `NAMES`.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from functools import cache
from typing import TYPE_CHECKING

from rnncli.compute.operations._operation import (
    KERAS_2,
    KERAS_3_0,
    TODAY,
    OperationCall,
    OperationOutput,
    UnknownLayerError,
    dtype_of,
)

if TYPE_CHECKING:
    from types import ModuleType

__all__ = [
    "KERAS_2",
    "KERAS_3_0",
    "TODAY",
    "OperationCall",
    "OperationOutput",
    "UnknownLayerError",
    "compute",
    "dtype_of",
    "is_known",
    "names",
]

OPERATIONS = "operation"
"""The file of Keras 3's operations, which are not layers: `keras.ops.add`."""


def compute(call: OperationCall, module: str = "") -> OperationOutput:
    """The output and the mask.  Raises UnknownLayerError where the layer, or its config, is not known."""
    found = _find(call.class_name, module)
    if found is None:
        raise call.refuse("is not supported")
    returned: OperationOutput = found.compute(call)
    return (returned[0], None) if module.startswith("keras.src.activations") else returned


def is_known(class_name: str, module: str) -> bool:
    """Whether a layer of this class is computed here; its config may still ask for what is not."""
    return _find(class_name, module) is not None


@cache
def names() -> tuple[str, ...]:
    """Every class of Keras that is computed here, operations left out."""
    return tuple(name for stem in _stems() if stem != OPERATIONS for name in _module(stem).NAMES)


@cache
def _find(class_name: str, module: str) -> ModuleType | None:
    if is_operation(module):
        found = _module(OPERATIONS)
        return found if class_name in found.NAMES else None
    if not from_keras(module):
        return None
    own = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", class_name).casefold()
    for stem in sorted(_stems(), key=lambda stem: stem != own):
        if stem != OPERATIONS and class_name in _module(stem).NAMES:
            return _module(stem)
    return None


def is_operation(module: str) -> bool:
    """Whether a class of this module is one of Keras 3's operations, not a layer."""
    return module.startswith(("keras.src.ops", "keras.ops"))


def from_keras(module: str | None) -> bool:
    """Whether a class of this module is Keras's own; a config may leave the module out."""
    return not module or module.split(".")[0] in ("keras", "tf_keras", "tensorflow", "builtins")


def keras_may_know(class_name: str, module: str | None) -> bool:
    """Whether Keras could compute a layer that is not known here: neither a custom one nor a function."""
    own = class_name in ("Lambda", "TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")
    return from_keras(module) and not own and ">" not in class_name


@cache
def _stems() -> tuple[str, ...]:
    return tuple(module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_")


def _module(stem: str) -> ModuleType:
    return importlib.import_module(f"{__name__}.{stem}")
