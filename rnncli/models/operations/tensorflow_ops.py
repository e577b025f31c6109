"""TensorFlow's functions between layers, which Keras 2 saves as TFOpLambda and SlicingOpLambda."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnncli.models.operations import OperationCall, OperationOutput

NAMES = ("TFOpLambda", "SlicingOpLambda")

_OPERATIONS: Mapping[str, str] = {
    "math.not_equal": "NotEqual", "math.equal": "Equal", "math.greater": "Greater", "math.less": "Less",
    "math.greater_equal": "GreaterEqual", "math.less_equal": "LessEqual", "math.add": "Add",
    "math.logical_and": "LogicalAnd", "math.logical_or": "LogicalOr", "math.logical_not": "LogicalNot",
    "math.subtract": "Subtract", "math.multiply": "Multiply", "math.truediv": "TrueDivide",
    "math.divide": "TrueDivide", "math.maximum": "Maximum", "math.minimum": "Minimum",
    "math.reduce_any": "Any", "math.reduce_all": "All", "math.reduce_sum": "Sum", "math.reduce_max": "Max",
    "math.reduce_mean": "Mean", "math.reduce_min": "Min", "math.tanh": "Tanh", "math.sigmoid": "Sigmoid",
    "math.abs": "Absolute", "math.exp": "Exp", "math.square": "Square", "math.sqrt": "Sqrt",
    "math.negative": "Negative", "math.pow": "Power", "math.log": "Log", "tile": "Tile",
    "nn.relu": "Relu", "nn.sigmoid": "Sigmoid", "nn.tanh": "Tanh", "nn.softmax": "Softmax",
    "cast": "Cast", "expand_dims": "ExpandDims", "squeeze": "Squeeze", "reshape": "Reshape",
    "concat": "Concatenate", "stack": "Stack", "transpose": "Transpose", "zeros_like": "ZerosLike",
    "ones_like": "OnesLike", "compat.v1.transpose": "Transpose", "reverse": "Flip",
    "__operators__.add": "Add", "__operators__.getitem": "GetItem",
}  # fmt: skip

_NAMES: Mapping[str, str] = {"perm": "axes", "shape": "newshape", "slice_spec": "key", "multiples": "repeats"}
"""Keras 3's names of arguments by TensorFlow's, where they differ."""

_SECOND = ("y", "x2")


def is_known(function: str) -> bool:
    """Return whether TensorFlow's function of this name is computed here."""
    return function in _OPERATIONS


def compute(call: OperationCall) -> OperationOutput:
    """Compute the same operation of Keras 3 with the same arguments; the output has no mask."""
    from rnncli.models.operations import ops

    function = str(call.config.get("function"))
    name = _OPERATIONS.get(function)
    if name is None:
        raise call.refuse("is TensorFlow's {function}, which is not supported", function=function)
    given: dict[str, Any] = {key: value for key, value in call.kwargs.items() if key != "name"}
    second = [given.pop(key) for key in _SECOND if key in given]
    options = {_NAMES.get(key, key): value for key, value in given.items()}
    if "key" in options:
        options["key"] = [options["key"]] if isinstance(options["key"], Mapping) else options["key"]
    inner = call._replace(
        class_name=name, config=options, kwargs={}, args=(*call.args, *second), layer=call.layer
    )
    return ops.compute(inner)
