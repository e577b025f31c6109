"""The layers that are not recurrent, in NumPy as Keras computes them; one file for each family.

A file says in `NAMES` which classes of Keras it holds, and its `compute(call)` gives the output and the mask
of one call.  The families are those of Keras's documentation.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from rnncli.errors import Message
from rnncli.models.operations._call import KERAS_2 as KERAS_2
from rnncli.models.operations._call import KERAS_3_0 as KERAS_3_0
from rnncli.models.operations._call import TODAY as TODAY
from rnncli.models.operations._call import OperationCall as OperationCall
from rnncli.models.operations._call import OperationOutput as OperationOutput
from rnncli.models.operations._call import UnknownLayerError as UnknownLayerError
from rnncli.models.operations._call import dtype_of as dtype_of

FAMILIES = (
    "rnncli.models.operations.core",  # first, as most models need no other, and others need not be loaded
    "rnncli.models.operations.activation",
    "rnncli.models.operations.attention",
    "rnncli.models.operations.convolution",
    "rnncli.models.operations.merging",
    "rnncli.models.operations.normalization",
    "rnncli.models.operations.pooling",
    "rnncli.models.operations.regularization",
    "rnncli.models.operations.reshaping",
    "rnncli.models.operations.tensorflow_ops",
    "rnncli.models.operations.wrapper",
)
OPS = "rnncli.models.operations.ops"
"""Keras 3's operations, which are not layers: `keras.ops.add`."""


def compute(call: OperationCall, module: str = "") -> OperationOutput:
    """Return the output and the mask.  Raises UnknownLayerError if the layer or its config is not known."""
    file = _find_file(call.class_name, module)
    if file is None:
        raise call.refuse(Message("is not supported"))
    if not is_operation(module) and any(arg is not None for arg in call.args):
        raise call.refuse(Message("is called with more arguments than are supported"))
    output: OperationOutput = file.compute(call)
    return (output[0], None) if module.startswith("keras.src.activations") else output


def is_known(class_name: str, module: str) -> bool:
    """Return whether a layer of this class is computed here; an option of it may still not be."""
    return _find_file(class_name, module) is not None


@cache
def _find_file(class_name: str, module: str) -> Any:
    """Return the module here that computes the class; None if there is none."""
    families = (OPS,) if is_operation(module) else FAMILIES if from_keras(module) else ()
    return next((file for file in map(import_module, families) if class_name in file.NAMES), None)


def is_operation(module: str) -> bool:
    """Return whether a class of this module is one of Keras 3's operations, not a layer."""
    return module.startswith(("keras.src.ops", "keras.ops"))


def from_keras(module: str | None) -> bool:
    """Return whether a class of this module is Keras's own; a config may leave the module out."""
    return not module or module.split(".")[0] in ("keras", "tf_keras", "tensorflow", "builtins")


def keras_may_know(class_name: str, module: str | None) -> bool:
    """Return whether Keras could compute a layer that is not known here: not a custom one, nor a function."""
    own = class_name in ("Lambda", "TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer")
    return from_keras(module) and not own and ">" not in class_name
