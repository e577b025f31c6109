"""Keras 3's operations, `keras.ops`, which are not layers: `x[:, -1]`, `a + b` and masks in a saved graph.

Keras 2 saves TensorFlow's functions instead, as TFOpLambda and SlicingOpLambda.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from rnncli.cells import activations
from rnncli.layers.plain import KerasCall, PlainOutput

if TYPE_CHECKING:
    Formula = Callable[[tuple[Any, ...], Mapping[str, Any]], Any]


def compute(call: KerasCall) -> PlainOutput:
    """Compute the operation; the output has no mask.

    Keras saves some arguments in the config of the operation, others in the `args` and `kwargs` of its call.
    """
    options = {name: value for name, value in {**call.config, **call.kwargs}.items() if name != "name"}
    args = (call.inputs, *call.args)
    if any(isinstance(arg, Mapping) and "class_name" in arg for arg in args):
        raise call.refuse("is called with an argument that is neither a number nor a tensor")
    with np.errstate(all="ignore"):
        try:
            output = _FORMULAS[call.class_name](args, options)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            what = "is called with arguments that are not supported ({error})"
            raise call.refuse(what, error=error) from None
    return _cast_as_keras(output, args), None


def _cast_as_keras(output: Any, args: tuple[Any, ...]) -> Any:
    """Return the result in Keras's dtype, float32 or int32 where NumPy makes float64 or int64."""
    if isinstance(output, tuple):
        return tuple(_cast_as_keras(part, args) for part in output)
    arrays = [arg for arg in args if isinstance(arg, np.ndarray)]
    output = np.asarray(output)
    if output.dtype == np.float64 and not any(array.dtype == np.float64 for array in arrays):
        return output.astype(np.float32)
    if output.dtype == np.int64 and not any(array.dtype == np.int64 for array in arrays):
        return output.astype(np.int32)
    return output


def _unary(name: str) -> Formula:
    return lambda args, _: getattr(np, name)(args[0])


def _binary(name: str) -> Formula:
    return lambda args, options: getattr(np, name)(args[0], args[1] if len(args) > 1 else options["x2"])


def _activation(name: str) -> Formula:
    return lambda args, _: activations.get(name)(args[0])


def _reduce(name: str) -> Formula:
    def formula(args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        if options.get("initial") is not None:
            raise ValueError("initial")
        axis, keepdims = _axes(options.get("axis")), bool(options.get("keepdims"))
        return getattr(np, name)(args[0], axis=axis, keepdims=keepdims)

    return formula


def _axes(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, (list, tuple)) else axis


def _like(value: int) -> Formula:
    return lambda args, options: np.full(args[0].shape, value, options.get("dtype") or args[0].dtype)


def _get_item(args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    key = args[1] if len(args) > 1 else options["key"]
    return args[0][tuple(key) if isinstance(key, list) else key]


def _softmax(args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    axis = options.get("axis", -1)
    return np.moveaxis(activations.get("softmax")(np.moveaxis(args[0], axis, -1)), -1, axis)


def _cast(args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    dtype = options["dtype"]
    if dtype not in ("float32", "float64", "int32", "int64", "bool", "uint8", "int8", "int16"):
        raise ValueError(f"dtype {dtype}")
    return args[0].astype(dtype)


def _pad(args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
    if options.get("mode", "constant") != "constant":
        raise ValueError(f"mode {options['mode']}")
    return np.pad(args[0], options["pad_width"], constant_values=options.get("constant_values") or 0)


_FORMULAS: Mapping[str, Formula] = {
    **{
        name: _unary(function)
        for name, function in {
            "Absolute": "abs", "Abs": "abs", "Exp": "exp", "Expm1": "expm1", "Log": "log", "Log1p": "log1p",
            "Sqrt": "sqrt", "Square": "square", "Tanh": "tanh", "Negative": "negative", "Sign": "sign",
            "Floor": "floor", "Ceil": "ceil", "Sin": "sin", "Cos": "cos", "LogicalNot": "logical_not",
            "Reciprocal": "reciprocal", "Isnan": "isnan", "Isfinite": "isfinite",
        }.items()
    },
    **{
        name: _binary(function)
        for name, function in {
            "Add": "add", "Subtract": "subtract", "Multiply": "multiply", "Divide": "true_divide",
            "TrueDivide": "true_divide", "Maximum": "maximum", "Minimum": "minimum", "Power": "power",
            "LogicalAnd": "logical_and", "LogicalOr": "logical_or", "LogicalXor": "logical_xor",
            "Equal": "equal", "NotEqual": "not_equal", "Greater": "greater", "Less": "less",
            "GreaterEqual": "greater_equal", "LessEqual": "less_equal", "Matmul": "matmul",
        }.items()
    },
    **{
        name: _activation(function)
        for name, function in {
            "Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid", "Softplus": "softplus",
            "Softsign": "softsign", "Silu": "silu", "Selu": "selu", "HardSigmoid": "hard_sigmoid",
        }.items()
    },
    **{
        name: _reduce(name.casefold()) for name in ("Any", "All", "Sum", "Mean", "Max", "Min", "Prod")
    },
    "ZerosLike": _like(0),
    "OnesLike": _like(1),
    "GetItem": _get_item,
    "Softmax": _softmax,
    "Cast": _cast,
    "Pad": _pad,
    "Clip": lambda args, options: np.clip(args[0], options["x_min"], options["x_max"]),
    "Take": lambda args, options: np.take(
        args[0], np.asarray(args[1] if len(args) > 1 else options["indices"]), axis=options.get("axis")
    ),
    "ConvertToTensor": lambda args, options: _cast(args, options) if options.get("dtype") else args[0],
    "Split": lambda args, options: tuple(
        np.split(args[0], options["indices_or_sections"], axis=options.get("axis", 0))
    ),
    "ExpandDims": lambda args, options: np.expand_dims(args[0], _axes(options["axis"])),
    "Squeeze": lambda args, options: np.squeeze(args[0], _axes(options.get("axis"))),
    "Reshape": lambda args, options: args[0].reshape(
        [-1 if size is None else size for size in options["newshape"]]
    ),
    "Transpose": lambda args, options: np.transpose(args[0], options.get("axes")),
    "Swapaxes": lambda args, options: np.swapaxes(args[0], options["axis1"], options["axis2"]),
    "Moveaxis": lambda args, options: np.moveaxis(args[0], options["source"], options["destination"]),
    "Concatenate": lambda args, options: np.concatenate(args[0], axis=options.get("axis", 0)),
    "Stack": lambda args, options: np.stack(args[0], axis=options.get("axis", 0)),
    "Flip": lambda args, options: np.flip(args[0], _axes(options.get("axis"))),
    "Repeat": lambda args, options: np.repeat(args[0], options["repeats"], axis=options.get("axis")),
    "Tile": lambda args, options: np.tile(args[0], options["repeats"]),
    "BroadcastTo": lambda args, options: np.broadcast_to(args[0], options["shape"]),
    "Where": lambda args, _: np.where(*args),
    "Einsum": lambda args, options: np.einsum(options["subscripts"], *args),
}  # fmt: skip

OPERATIONS = dict.fromkeys(_FORMULAS, compute)

TENSORFLOW: Mapping[str, str] = {
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
"""Keras 3's operations by TensorFlow's functions between layers, which Keras 2 saves as TFOpLambda."""

_NAMES: Mapping[str, str] = {"perm": "axes", "shape": "newshape", "slice_spec": "key", "multiples": "repeats"}
"""Keras 3's names of arguments by TensorFlow's, where they differ."""

_SECOND = ("y", "x2")
"""TensorFlow's names for the second argument of a function, which is passed by position."""


def compute_tensorflow(call: KerasCall) -> PlainOutput:
    """Compute a function of TensorFlow by the operation of Keras 3 that replaces it, without a mask."""
    function = str(call.config.get("function"))
    name = TENSORFLOW.get(function)
    if name is None:
        raise call.refuse("is TensorFlow's {function}, which is not supported", function=function)
    given: dict[str, Any] = {key: value for key, value in call.kwargs.items() if key != "name"}
    second = [given.pop(key) for key in _SECOND if key in given]
    options = {_NAMES.get(key, key): value for key, value in given.items()}
    return compute(call._replace(class_name=name, config=options, kwargs={}, args=(*call.args, *second)))
