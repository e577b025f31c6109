"""Initializers whose variance depends on the shape of the weight: VarianceScaling, Glorot, He, Lecun.

The variance is scale / fan, where fan is the number of inputs or outputs of a unit.
"""

from __future__ import annotations

import math
from typing import Any

from rnncli.case import Array, Option, format_shape
from rnncli.errors import LayerError
from rnncli.initializers._contract import SEED, ArrayShape, Config, Initializer

_TRUNCATED_STDDEV = 0.87962566103423978
"""Standard deviation of a standard normal distribution truncated to [-2, 2]."""


def fans(shape: ArrayShape, input_axes: Any = None, output_axes: Any = None) -> tuple[int, int]:
    """Return (fan_in, fan_out) of a weight; a convolution multiplies both by the window size.

    Raises LayerError if input_axes or output_axes are out of range.
    """
    if input_axes is not None and output_axes is not None:
        try:
            return math.prod(shape[i] for i in input_axes), math.prod(shape[i] for i in output_axes)
        except IndexError:
            raise LayerError(
                "not all of input_axes and output_axes are in a weight of shape {shape}.",
                "Leave input_axes and output_axes out.",
                shape=format_shape(shape),
            ) from None
    if len(shape) < 2:
        size = shape[0] if shape else 1
        return size, size
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


def _variance_scaling(config: Config, shape: ArrayShape, dtype: str, seed: int) -> Array:
    from rnncli.initializers import _draws

    fan_in, fan_out = fans(shape, config["input_axes"], config["output_axes"])
    fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[config["mode"]]
    variance = config["scale"] / max(1.0, fan)
    match config["distribution"]:
        case "uniform":
            limit = math.sqrt(3.0 * variance)
            return _draws.uniform(shape, -limit, limit, dtype, seed)
        case "untruncated_normal":
            return _draws.normal(shape, 0.0, math.sqrt(variance), dtype, seed)
        case _:
            return _draws.truncated_normal(shape, 0.0, math.sqrt(variance) / _TRUNCATED_STDDEV, dtype, seed)


_AXES = {"input_axes": Option("axes"), "output_axes": Option("axes")}
_DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform", "normal")
_SCALING = {
    "scale": Option("positive", 1.0),
    "mode": Option("word", "fan_in", choices=("fan_in", "fan_out", "fan_avg")),
    "distribution": Option("choice", "truncated_normal", choices=_DISTRIBUTIONS),
    **SEED,
    **_AXES,
}


def _preset(class_name: str, scale: float, mode: str, distribution: str) -> Initializer:
    fixed = {"scale": scale, "mode": mode, "distribution": distribution}

    def fill(config: Config, shape: ArrayShape, dtype: str, seed: int) -> Array:
        return _variance_scaling({**config, **fixed}, shape, dtype, seed)

    return Initializer(class_name, fill, {**SEED, **_AXES})


INITIALIZERS = (
    Initializer("VarianceScaling", _variance_scaling, _SCALING),
    _preset("GlorotUniform", 1.0, "fan_avg", "uniform"),
    _preset("GlorotNormal", 1.0, "fan_avg", "truncated_normal"),
    _preset("HeUniform", 2.0, "fan_in", "uniform"),
    _preset("HeNormal", 2.0, "fan_in", "truncated_normal"),
    _preset("LecunUniform", 1.0, "fan_in", "uniform"),
    _preset("LecunNormal", 1.0, "fan_in", "truncated_normal"),
)
