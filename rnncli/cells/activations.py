"""Activations by name, as functions on arrays with the definitions of Keras 3.

Every function keeps shape and dtype and emits no warnings.  Formulas take numpy as their first argument,
so that names can be checked without importing it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.errors import LayerError, Message, Text, did_you_mean, fold_name, format_names
from rnncli.values import Array

if TYPE_CHECKING:
    Activation = Callable[[Array], Array]

Formula = Callable[[Any, Any], Any]

# Klambauer et al., "Self-normalizing neural networks", 2017.
SELU_SCALE = 1.0507009873554805
SELU_BELOW = 1.7580993408473766

# TensorFlow stores these two as float32, and uses the rounded values in float64 too.
LEAK = 0.20000000298023224
ROOT_OF_HALF = 0.7071067690849304


def _sigmoid(np: Any, x: Any) -> Any:
    """1 / (1 + exp(-x)), within 2 units in the last place for positive and negative x.

    If exp overflows, 1 / inf gives the correct result, 0.
    """
    powers = np.asarray(-x)  # in place from here: allocating megabytes takes longer than adding
    np.exp(powers, out=powers)
    powers += 1
    return np.reciprocal(powers, out=powers)


def _clip(np: Any, x: Any, low: float, high: float) -> Any:
    return np.minimum(np.maximum(x, low), high)  # several times faster than np.clip on small arrays


def _gelu(np: Any, x: Any) -> Any:
    scaled = np.asarray(-ROOT_OF_HALF * x, np.float64)
    tails = np.fromiter(map(math.erfc, scaled.ravel().tolist()), np.float64, scaled.size)
    return 0.5 * x * tails.reshape(scaled.shape).astype(x.dtype)


def _softmax(np: Any, x: Any) -> Any:
    """Return NaN for every number of a row that contains NaN or +inf, or only -inf.

    TensorFlow does the same in float64 and under XLA.  In float32 its oneDNN kernel gives 0 for some of
    these numbers; for which of them depends on the instruction set of the CPU.
    """
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def _log_softmax(np: Any, x: Any) -> Any:
    below = x - x.max(axis=-1, keepdims=True)
    return below - np.log(np.exp(below).sum(axis=-1, keepdims=True))


def _sparsemax(np: Any, x: Any) -> Any:
    """Martins and Astudillo, "From softmax to sparsemax", 2016, algorithm 1."""
    falling = -np.sort(-x, axis=-1)
    if (broken := np.isnan(x).any(axis=-1)).any():  # TensorFlow's sort decides where NaN goes
        falling[broken] = [_std_sort(row) for row in x[broken].tolist()]
    sums = np.cumsum(falling, axis=-1, dtype=x.dtype)
    counts = np.arange(1, x.shape[-1] + 1, dtype=x.dtype)
    support = falling - (sums - 1) / counts > 0
    total = np.where(support, sums, 0).sum(axis=-1, keepdims=True)
    size = support.sum(axis=-1, keepdims=True).astype(x.dtype)
    return np.maximum(x - (total - 1) / size, 0)


_FORMULAS: Mapping[str, Formula] = {
    "linear": lambda _, x: x,
    "tanh": lambda np, x: np.tanh(x),
    "sigmoid": _sigmoid,
    "hard_sigmoid": lambda np, x: _clip(np, x + 3, 0, 6) / 6,
    "relu": lambda np, x: np.maximum(x, 0),
    "relu6": lambda np, x: _clip(np, x, 0, 6),
    "leaky_relu": lambda np, x: np.where(x > 0, x, LEAK * x),
    # exp(x) - 1 as in TensorFlow, 0 at -1e-20
    "elu": lambda np, x: np.where(x < 0, np.exp(np.minimum(x, 0)) - 1, x),
    "selu": lambda np, x: np.where(x < 0, SELU_BELOW * (np.exp(np.minimum(x, 0)) - 1), SELU_SCALE * x),
    "celu": lambda np, x: np.maximum(x, 0) + np.expm1(np.minimum(x, 0)),
    "gelu": _gelu,
    "silu": lambda np, x: x * _sigmoid(np, x),
    "hard_silu": lambda np, x: x * (_clip(np, x + 3, 0, 6) / 6),
    "mish": lambda np, x: x * np.tanh(np.logaddexp(x, 0)),
    "softplus": lambda np, x: np.logaddexp(x, 0),
    "softsign": lambda np, x: x / (np.abs(x) + 1),
    "squareplus": lambda np, x: (x + np.sqrt(np.square(x) + 4)) / 2,
    "exponential": lambda np, x: np.exp(x),
    "hard_tanh": lambda np, x: _clip(np, x, -1, 1),
    "tanh_shrink": lambda np, x: x - np.tanh(x),
    "hard_shrink": lambda np, x: np.where(np.abs(x) > 0.5, x, 0),
    "soft_shrink": lambda np, x: np.where(x > 0.5, x - 0.5, np.where(x < -0.5, x + 0.5, 0)),
    "sparse_plus": lambda np, x: np.where(x <= -1, 0, np.where(x < 1, 0.25 * np.square(x + 1), x)),
    "sparse_sigmoid": lambda np, x: _clip(np, 0.5 * (x + 1), 0, 1),
    "log_sigmoid": lambda np, x: -np.logaddexp(-x, 0),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "sparsemax": _sparsemax,
}

_EARLIER: Mapping[str, Formula] = {
    "hard_sigmoid_keras2": lambda np, x: _clip(np, 0.2 * x + 0.5, 0, 1),
}
"""Activations of models saved by earlier versions of Keras; Keras 3 no longer has them."""

_ALIASES: Mapping[str, str] = {"swish": "silu", "hard_swish": "hard_silu"}

_UNFIT: Mapping[str, Text] = {
    "glu": Message("halves its input, so no layer can use it as its activation"),
    "threshold": Message("needs two arguments that no layer gives to its activation"),
}

_TYPED = frozenset(
    {"linear", "tanh", "sigmoid", "relu", "relu6", "hard_sigmoid", "hard_sigmoid_keras2", "hard_tanh"}
)
"""Activations whose formula keeps the dtype; the values of the others are cast."""

_BOUNDS: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("sigmoid", "hard_sigmoid", *_EARLIER, "sparse_sigmoid"), (0.0, 1.0)),
    **dict.fromkeys(("softmax", "sparsemax"), (0.0, 1.0)),
    **dict.fromkeys(("tanh", "hard_tanh", "softsign"), (-1.0, 1.0)),
}

NAMES: tuple[str, ...] = (*_FORMULAS, *_ALIASES)
_BY_FOLDED = {fold_name(name): _ALIASES.get(name, name) for name in (*NAMES, *_EARLIER, *_UNFIT)}


def canonical_name(name: str | Mapping[str, Any] | None) -> str:
    """Return Keras's name of an activation; case, underscores and hyphens don't matter.  None means linear.

    name: may also be a Keras config, `{"class_name": "function", "config": "tanh"}`.
    Raises LayerError if the activation does not exist or cannot be used in a layer.
    """
    if name is None:
        return "linear"
    if isinstance(name, Mapping):
        if (value := name.get("class_name")) != "function":
            what = "the activation's config names the class {value}, and only functions are known."
            advice = 'Write its name, or {{"class_name": "function", "config": "tanh"}}.'
            raise LayerError(what, advice, value=value)
        name = name.get("config")
    if not isinstance(name, str):
        what = "an activation must be a name, not {name!r}."
        raise LayerError(what, "Write 'tanh', 'relu' or None.", name=name)
    known = _BY_FOLDED.get(fold_name(name))
    if known and known in _UNFIT:
        what, names = "the activation {known} {unfit}.", format_names(NAMES)
        raise LayerError(what, "Use one of {names}.", known=known, unfit=_UNFIT[known], names=names)
    if known is None:
        raise LayerError("there is no activation '{name}'.", did_you_mean(name, NAMES), name=name)
    return known


def names() -> tuple[str, ...]:
    """Return Keras's names of the activations that a layer can have."""
    return tuple(_FORMULAS)


def get(name: str | Mapping[str, Any] | None) -> Activation:
    """Return the activation function: float16, float32 or float64 array -> array of the same shape and dtype.

    softmax, log_softmax and sparsemax operate along the last axis.
    name: may also have parameters, `leaky_relu[alpha=0.01]`, see `parse_parametric`.
    Raises LayerError if the activation does not exist or cannot be used in a layer.
    """
    import numpy

    function = get_unguarded(name)

    def call_guarded(x: Array) -> Array:
        with numpy.errstate(all="ignore"):
            return function(x)

    return call_guarded


def get_unguarded(name: str | Mapping[str, Any] | None) -> Activation:
    """Return the function as `get` does; the caller must use `np.errstate(all="ignore")`.

    For loops, because entering that context takes as long as a typical function.
    """
    parametric = parse_parametric(name)
    return parametric.function() if parametric else _function(canonical_name(name))


def array_functions(np: Any) -> dict[str, Callable[..., Any]]:
    """Return the functions of equations that are not activations, by name.  np: NumPy, or keras.ops."""
    return {
        "exp": np.exp,
        "log": np.log,
        "sqrt": np.sqrt,
        "abs": np.abs,
        "cos": np.cos,
        "sin": np.sin,
        "maximum": np.maximum,
        "minimum": np.minimum,
        "clip": lambda value, low, high: np.minimum(np.maximum(value, low), high),
        "mean": lambda value: np.mean(value, axis=-1, keepdims=True),
        "variance": lambda value: np.var(value, axis=-1, keepdims=True),
        "sum": lambda value: np.sum(value, axis=-1, keepdims=True),
    }


def compute_constant(name: str, arguments: Sequence[float]) -> float:
    """Return the value of a function or an activation, in float64: `compute_constant("exp", [0.0])` is 1.0.

    Each argument is an array of shape (1,), so `mean` and `softmax` work, too.
    """
    import numpy as np

    function = array_functions(np).get(name) or get_unguarded(name)
    with np.errstate(all="ignore"):
        return float(function(*(np.array([value]) for value in arguments))[0])


def bounds(name: str | Mapping[str, Any] | None) -> tuple[float, float] | None:
    """Return the range of an activation's values, (0, 1) or (-1, 1); None for all other activations.

    Raises LayerError if the activation does not exist or cannot be used in a layer.
    """
    parametric = parse_parametric(name)
    return parametric.bounds() if parametric else _BOUNDS.get(canonical_name(name))


@cache
def _function(name: str) -> Activation:
    import numpy

    formula = partial({**_FORMULAS, **_EARLIER}[name], numpy)
    return formula if name in _TYPED else lambda x: numpy.asarray(formula(x), x.dtype)


_PARAMETRIC_TEXT = r"(\w+)\[(.+)\]"

_PARAMETRIC: Mapping[str, Callable[[Any, Any, float, float], Any]] = {
    "affine": lambda _, x, alpha, beta: alpha * x + beta,
    "elu": lambda np, x, alpha, _: np.where(x < 0, alpha * (np.exp(np.minimum(x, 0)) - 1), x),
    "hard_sigmoid": lambda np, x, alpha, beta: np.minimum(np.maximum(alpha * x + beta, 0), 1),
    "leaky_relu": lambda np, x, alpha, _: np.where(x < 0, alpha * x, x),
    "scaled_tanh": lambda np, x, alpha, beta: alpha * np.tanh(beta * x),
    "thresholded_relu": lambda np, x, alpha, _: np.where(x < alpha, 0, x),
}


class ParametricActivation(NamedTuple):
    """An activation with the numbers in its formula, as nodes of ONNX have them.

    Its text is `leaky_relu[alpha=0.01, clip=3.0]`.  Keras has no such names: readers of saved models make
    them.  clip: limits the preactivation to -clip and clip.
    """

    name: str
    alpha: float | None = None
    beta: float | None = None
    clip: float | None = None

    def __str__(self) -> str:
        numbers = {"alpha": self.alpha, "beta": self.beta, "clip": self.clip}
        text = ", ".join(f"{name}={value}" for name, value in numbers.items() if value is not None)
        return f"{self.name}[{text}]" if text else self.name

    def function(self) -> Activation:
        """Return the function: array -> array of the same shape and dtype."""
        import numpy as np

        if self.alpha is None:
            formula = _function(self.name)
        else:
            alpha, beta = _float32(self.alpha, self.beta)
            parametric = _PARAMETRIC[self.name]

            def formula(x: Array) -> Array:
                return np.asarray(parametric(np, x, alpha, beta), x.dtype)

        if self.clip is None:
            return formula
        (most,) = _float32(self.clip)
        return lambda x: formula(np.minimum(np.maximum(x, -most), most))

    def bounds(self) -> tuple[float, float] | None:
        """Return the range of its values; None if it is unknown."""
        if self.alpha is None:
            return _BOUNDS.get(self.name)
        return (0.0, 1.0) if self.name == "hard_sigmoid" else None


def parse_parametric(text: Any) -> ParametricActivation | None:
    """Return the activation of a text such as `leaky_relu[alpha=0.01]`; None for any other value."""
    match = re.fullmatch(_PARAMETRIC_TEXT, text) if isinstance(text, str) and text[-1:] == "]" else None
    if match is None:
        return None
    numbers = dict(part.split("=") for part in match[2].split(", "))
    return ParametricActivation(match[1], **{name: float(value) for name, value in numbers.items()})


def _float32(*numbers: float | None) -> list[float]:
    import numpy as np

    return [float(np.float32(0 if number is None else number)) for number in numbers]


SHORT = 16
"""Most numbers of a part that insertion sort sorts."""


def _std_sort(row: list[float]) -> list[float]:
    """Sort in descending order by the steps of std::sort in libstdc++, which decide where NaN goes."""
    numbers = list(row)
    _introsort(numbers, 0, len(numbers))
    for index in range(1, len(numbers)):
        _insert(numbers, index, guarded=index < SHORT)
    return numbers


def _introsort(row: list[float], first: int, last: int) -> None:
    """Quicksort the part from `first` to `last` down to parts of at most SHORT numbers."""
    while last - first > SHORT:
        a, b, c = first + 1, first + (last - first) // 2, last - 1
        if row[a] > row[b]:
            median = b if row[b] > row[c] else c if row[a] > row[c] else a
        else:
            median = a if row[a] > row[c] else c if row[b] > row[c] else b
        row[first], row[median] = row[median], row[first]
        middle = _partition(row, first + 1, last, row[first])
        _introsort(row, middle, last)
        last = middle


def _partition(row: list[float], low: int, high: int, pivot: float) -> int:
    """Put the numbers above the pivot first; return where the others begin (`__unguarded_partition`)."""
    while True:
        while low < len(row) and row[low] > pivot:
            low += 1
        high -= 1
        while pivot > row[high]:
            high -= 1
        if low >= high:
            return low
        row[low], row[high] = row[high], row[low]
        low += 1


def _insert(row: list[float], index: int, *, guarded: bool) -> None:
    """guarded: compare with the first number first: `__insertion_sort`, not `__unguarded_linear_insert`."""
    number, left = row[index], index
    if guarded and number > row[0]:
        left = 0
    else:
        while left and number > row[left - 1]:
            left -= 1
    row.insert(left, row.pop(index))
