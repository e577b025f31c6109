"""Initializers that draw from a fixed distribution: RandomNormal, RandomUniform, TruncatedNormal."""

from __future__ import annotations

from rnncli.case import Array, Option
from rnncli.initializers._contract import SEED, ArrayShape, Config, Initializer


def _normal(config: Config, shape: ArrayShape, dtype: str, seed: int) -> Array:
    from rnncli.initializers import _draws

    return _draws.normal(shape, config["mean"], config["stddev"], dtype, seed)


def _truncated_normal(config: Config, shape: ArrayShape, dtype: str, seed: int) -> Array:
    from rnncli.initializers import _draws

    return _draws.truncated_normal(shape, config["mean"], config["stddev"], dtype, seed)


def _uniform(config: Config, shape: ArrayShape, dtype: str, seed: int) -> Array:
    from rnncli.initializers import _draws

    return _draws.uniform(shape, config["minval"], config["maxval"], dtype, seed)


_BELL = {"mean": Option("scalar", 0.0), "stddev": Option("scalar", 0.05), **SEED}
_RANGE = {"minval": Option("scalar", -0.05), "maxval": Option("scalar", 0.05), **SEED}

INITIALIZERS = (
    Initializer("RandomNormal", _normal, _BELL, ("normal",)),
    Initializer("RandomUniform", _uniform, _RANGE, ("uniform",)),
    Initializer("TruncatedNormal", _truncated_normal, _BELL),
)
