"""Activations with parameters, as nodes of ONNX have them: `leaky_relu[alpha=0.01, clip=3.0]`.

Keras has no such names, so they cannot be given on the command line; readers of saved models make them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from rnncli.case import Array

    Function = Callable[[Array], Array]

_TEXT = r"(\w+)\[(.+)\]"

_FORMULAS: Mapping[str, Callable[[Any, Any, float, float], Any]] = {
    "affine": lambda _, x, alpha, beta: alpha * x + beta,
    "elu": lambda np, x, alpha, _: np.where(x < 0, alpha * (np.exp(np.minimum(x, 0)) - 1), x),
    "hard_sigmoid": lambda np, x, alpha, beta: np.minimum(np.maximum(alpha * x + beta, 0), 1),
    "leaky_relu": lambda np, x, alpha, _: np.where(x < 0, alpha * x, x),
    "scaled_tanh": lambda np, x, alpha, beta: alpha * np.tanh(beta * x),
    "thresholded_relu": lambda np, x, alpha, _: np.where(x < alpha, 0, x),
}


class ParametricActivation(NamedTuple):
    """An activation, and the numbers in its formula; None for those that it does not have.

    clip: the preactivation is limited to -clip and clip first.
    """

    name: str
    alpha: float | None = None
    beta: float | None = None
    clip: float | None = None

    def __str__(self) -> str:
        numbers = {"alpha": self.alpha, "beta": self.beta, "clip": self.clip}
        text = ", ".join(f"{name}={value}" for name, value in numbers.items() if value is not None)
        return f"{self.name}[{text}]" if text else self.name

    def function(self, plain: Callable[[str], Function]) -> Function:
        """Return the function: array -> array of the same shape and dtype.  plain: of a name alone."""
        import numpy as np

        if self.alpha is None:
            formula = plain(self.name)
        else:
            alpha, beta = _float32(self.alpha, self.beta)
            formula = partial(_formula, np, _FORMULAS[self.name], alpha, beta)
        if self.clip is None:
            return formula
        (most,) = _float32(self.clip)
        return lambda x: formula(np.minimum(np.maximum(x, -most), most))

    def bounds(self, plain: Callable[[str], tuple[float, float] | None]) -> tuple[float, float] | None:
        """Return the range of its values; None if it is unknown.  plain: of a name alone."""
        if self.alpha is None:
            return plain(self.name)
        return (0.0, 1.0) if self.name == "hard_sigmoid" else None


def parse_parametric(text: Any) -> ParametricActivation | None:
    """Return the activation that a text of this form names; None for any other."""
    match = re.fullmatch(_TEXT, text) if isinstance(text, str) and text[-1:] == "]" else None
    if match is None:
        return None
    numbers = dict(part.split("=") for part in match[2].split(", "))
    return ParametricActivation(match[1], **{name: float(value) for name, value in numbers.items()})


def _formula(np: Any, formula: Any, alpha: float, beta: float, x: Array) -> Array:
    return np.asarray(formula(np, x, alpha, beta), x.dtype)  # type: ignore[no-any-return]


def _float32(*numbers: float | None) -> list[float]:
    """Return the numbers as ONNX stores them, in float32."""
    import numpy as np

    return [float(np.float32(0 if number is None else number)) for number in numbers]
