"""Create weights from an initializer, a shape and a seed, as Keras does.

INITIALIZERS lists all of them: Keras's, and Probe.  VarianceScaling, Glorot, He and Lecun have the variance
scale / fan, where fan is the number of inputs or outputs of a unit.  Random numbers are drawn in `_draws.py`.
NumPy is imported only when an array is filled.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import partial
from random import Random
from typing import Any, NamedTuple

from rnncli.errors import LayerError, did_you_mean, fold_name
from rnncli.values import Array, Option, Spec, format_shape

DTYPES = ("float16", "float32", "float64")

Config = Mapping[str, Any]
ArrayShape = tuple[int, ...]
Fill = Callable[[Config, ArrayShape, str, int], Array]
"""(config with every option, shape, dtype, seed) -> array."""


class Initializer(NamedTuple):
    """An initializer.

    fill: fills a weight; its seed is 0 if the initializer needs none.
    options: by name, in the order of Keras's signature; random initializers have a `seed` option.
    aliases: names in addition to the class name.  Case and underscores don't matter.
    required_option: the option without a default, so that the bare name is not enough; "" if there is none.
    unsaved: options that Keras omits from the initializer's config, so that a copy does not have them.
    in_keras: whether Keras has the initializer; without, it cannot be in a config for Keras.
    """

    class_name: str
    fill: Fill
    options: Mapping[str, Option] = {}
    aliases: tuple[str, ...] = ()
    required_option: str = ""
    unsaved: frozenset[str] = frozenset()
    in_keras: bool = True

    @property
    def takes_seed(self) -> bool:
        """Whether the initializer draws random numbers."""
        return "seed" in self.options


SEED = {"seed": Option("signed_seed")}
SEEDS = 1_000_000_000
"""Random seeds are below this, so that they are short enough to retype."""


def draw_seed() -> int:
    """Return a random seed, for use when none was given; the caller's generator does not change."""
    return Random().randrange(SEEDS)


def seed_stream(seed: int) -> Callable[[], int]:
    """Return a function that returns the seeds which Keras uses after `keras.utils.set_random_seed`.

    Each object that Keras creates gets the next seed, from 1 to 10**9, of Python's random module.
    """
    return partial(Random(seed).randint, 1, 10**9)


def names() -> tuple[str, ...]:
    """Return Keras's short names of all initializers, and `probe`."""
    return tuple(snake_case(initializer.class_name) for initializer in INITIALIZERS)


def find(name: str) -> Initializer:
    """Return the initializer called `name`; case and underscores don't matter.

    Raises LayerError if it does not exist.
    """
    initializer = _BY_NAME.get(fold_name(name))
    if initializer is None:
        raise LayerError("there is no initializer '{name}'.", did_you_mean(name, names()), name=name)
    return initializer


def snake_case(class_name: str) -> str:
    """Return Keras's short name, such as `random_normal` for RandomNormal."""
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", class_name).lower()


def settings(value: str | Spec) -> tuple[Initializer, dict[str, Any]]:
    """Return the initializer and the values of all its options, defaults included."""
    name, given = (value, {}) if isinstance(value, str) else (value.class_name, value.config)
    initializer = find(name)
    return initializer, {name: option.default for name, option in initializer.options.items()} | dict(given)


def takes_seed(value: str | Spec) -> bool:
    """Return whether creating this initializer takes a seed from the `seed_stream`."""
    initializer, config = settings(value)
    return initializer.takes_seed and config["seed"] is None


def make(value: str | Spec, shape: tuple[int, ...], dtype: str, seed: int | None) -> Array:
    """Return a weight of shape `shape`, with the values that Keras draws.

    seed: ignored if the Spec has its own seed.
    Raises LayerError if the initializer cannot fill this shape or dtype, or needs a seed and has none.
    """
    import numpy as np

    initializer, config = settings(value)
    if dtype not in DTYPES:
        what = "{class_name} cannot be drawn in {dtype}."
        advice = "Use one of {dtypes}."
        raise LayerError(
            what, advice, class_name=initializer.class_name, dtype=dtype, dtypes=", ".join(DTYPES)
        )
    seed = seed if config.get("seed") is None else config["seed"]
    if seed is None and initializer.takes_seed:
        raise LayerError(
            "{class_name} needs a seed.", "Give one with {--seed}.", class_name=initializer.class_name
        )
    with np.errstate(all="ignore"):
        return initializer.fill(config, shape, dtype, seed or 0)


def make_factor(shape: tuple[int, ...], dtype: str, seeds: Mapping[str, int]) -> Array:
    """Return a weight of several axes as glorot_uniform of the last two.  seeds: its seed under ""."""
    config = {"scale": float(math.prod(shape[:-2])), "mode": "fan_avg", "distribution": "uniform"}
    return make(Spec("VarianceScaling", config), shape, dtype, seeds[""])


def dropout_mask(shape: tuple[int, ...], rate: float, dtype: str, seed: int, k: int) -> Array:
    """Return the dropout mask for draw `k` (from 0) of a SeedGenerator; entries are 0 or 1 / (1 - rate)."""
    from rnncli.initializers import _draws

    return _draws.dropout_mask(shape, rate, dtype, seed, k)


_TRUNCATED_STDDEV = 0.87962566103423978
"""Standard deviation of a standard normal distribution truncated to [-2, 2]."""
_LARGE = 128


def _fill_with(number: int) -> Fill:
    def fill(config: Config, shape: ArrayShape, dtype: str, seed: int) -> Array:
        import numpy as np

        return np.full(shape, number, dtype)

    return fill


def _constant(config: Config, shape: ArrayShape, dtype: str, seed: int) -> Array:
    import numpy as np

    try:
        value = np.asarray(config["value"])
        if value.dtype.kind == "f":  # Keras first rounds Python floats to float32, even for float64
            value = value.astype(np.float32)
        return np.array(np.broadcast_to(value.astype(dtype), shape))
    except ValueError:
        what = "Constant got a list that does not fit a weight of shape {shape}."
        advice = "Give one number, or as many as the size of the weight's last axis."
        raise LayerError(what, advice, shape=format_shape(shape)) from None


def _identity(config: Config, shape: ArrayShape, dtype: str, seed: int) -> Array:
    import numpy as np

    if len(shape) != 2:
        what = "Identity fills only matrices, but this weight has shape {shape}."
        advice = "Use it for a kernel or a recurrent kernel; zeros is usual for a bias."
        raise LayerError(what, advice, shape=format_shape(shape))
    return np.asarray(np.eye(*shape, dtype=dtype) * np.dtype(dtype).type(config["gain"]), dtype)


def _stft(config: Config, shape: ArrayShape, dtype: str, seed: int) -> Array:
    """Refuse the weight: STFT fits only the kernel of a ConvLSTM1D, which Keras draws."""
    what = "STFT fills kernels of (frames, 1, frequencies), but this weight has shape {shape}."
    advice = "Recurrent layers have no such weight: use another initializer."
    raise LayerError(what, advice, shape=format_shape(shape))


_STFT = {
    "side": Option("word", "real", choices=("real", "imag")),
    "window": Option("window", "hann"),
    "scaling": Option("word", "density", choices=("density", "spectrum", None)),
    "periodic": Option("flag", False),
}


def _draw(distribution: str, *numbers: str) -> Fill:
    """Return a Fill that draws from a distribution of `_draws`, with these options as its numbers."""

    def fill(config: Config, shape: ArrayShape, dtype: str, seed: int) -> Array:
        from rnncli.initializers import _draws

        draw: Callable[..., Array] = getattr(_draws, distribution)
        return draw(shape, *(config[name] for name in numbers), dtype, seed)

    return fill


def fans(shape: ArrayShape, input_axes: Any = None, output_axes: Any = None) -> tuple[int, int]:
    """Return (fan_in, fan_out) of a weight; a convolution multiplies both by the window size.

    Raises LayerError if input_axes or output_axes are out of range.
    """
    if input_axes is not None and output_axes is not None:
        try:
            return math.prod(shape[i] for i in input_axes), math.prod(shape[i] for i in output_axes)
        except IndexError:
            what = "not all of input_axes and output_axes are in a weight of shape {shape}."
            advice = "Leave input_axes and output_axes out."
            raise LayerError(what, advice, shape=format_shape(shape)) from None
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


def _orthogonal(config: Config, shape: ArrayShape, dtype: str, seed: int) -> Array:
    """Return Q of a QR decomposition (Saxe et al., 2014), made unique by the signs of R's diagonal."""
    import numpy as np

    from rnncli.initializers import _draws

    if len(shape) < 2:
        what = "Orthogonal needs a weight of two axes or more, but this one has shape {shape}."
        advice = "Use it for a kernel or a recurrent kernel; zeros is usual for a bias."
        raise LayerError(what, advice, shape=format_shape(shape))
    rows, columns = math.prod(shape[:-1]), shape[-1]
    tall = _draws.normal((max(rows, columns), min(rows, columns)), 0.0, 1.0, dtype, seed)
    q = _orthonormal(tall.astype(np.float64)).astype(dtype)
    flat = q.T if rows < columns else q
    return np.ascontiguousarray(np.dtype(dtype).type(config["gain"]) * flat.reshape(shape))


def _orthonormal(a: Array) -> Array:
    """Return Q of the QR decomposition of `a` in which R has a positive diagonal, in float64.

    a: (rows, columns), rows >= columns.
    R is also the Cholesky factor of a'a, which is several times faster to compute but squares the condition
    number.  It is used only for large, tall matrices, where normal draws are far from singular.
    """
    import numpy as np

    if a.shape[1] >= _LARGE and a.shape[0] >= 2 * a.shape[1]:
        return np.asarray(a @ np.linalg.inv(np.linalg.cholesky(a.T @ a)).T)
    q, r = np.linalg.qr(a)
    return np.asarray(q * np.sign(np.diagonal(r)))


def _probe(config: Config, shape: ArrayShape, dtype: str, seed: int) -> Array:
    """Fill every weight with a different number, so that mixing up any two shows in the results.

    This initializer does not exist in Keras.  The weight at flat index i in C order, counted from `start`, is

        1.2 * frac((i + 1) / g) - 0.6        with g = (1 + sqrt(5)) / 2

    Multiples of 1 / g are evenly spread and never repeat.  For a bare `probe`, `start` is the number of
    weights before it in the whole stack; it also fills the forget gate's bias.
    """
    import numpy as np

    index = config["start"] + np.arange(math.prod(shape), dtype=np.float64)
    turns = (index + 1) / ((1 + math.sqrt(5)) / 2)
    return np.asarray(1.2 * (turns % 1.0) - 0.6).reshape(shape).astype(dtype)


_BELL = {"mean": Option("scalar", 0.0), "stddev": Option("scalar", 0.05), **SEED}
_RANGE = {"minval": Option("scalar", -0.05), "maxval": Option("scalar", 0.05), **SEED}
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
    Initializer("Zeros", _fill_with(0), aliases=("zero",)),
    Initializer("Ones", _fill_with(1), aliases=("one",)),
    Initializer("Constant", _constant, {"value": Option("scalars", 0.0)}, required_option="value"),
    Initializer("Identity", _identity, {"gain": Option("scalar", 1.0)}, unsaved=frozenset({"gain"})),
    Initializer("STFT", _stft, _STFT),
    Initializer("Orthogonal", _orthogonal, {"gain": Option("scalar", 1.0), **SEED}),
    Initializer("Probe", _probe, {"start": Option("index", 0)}, in_keras=False),
    Initializer("RandomNormal", _draw("normal", "mean", "stddev"), _BELL, ("normal",)),
    Initializer("RandomUniform", _draw("uniform", "minval", "maxval"), _RANGE, ("uniform",)),
    Initializer("TruncatedNormal", _draw("truncated_normal", "mean", "stddev"), _BELL),
    Initializer("VarianceScaling", _variance_scaling, _SCALING),
    _preset("GlorotUniform", 1.0, "fan_avg", "uniform"),
    _preset("GlorotNormal", 1.0, "fan_avg", "truncated_normal"),
    _preset("HeUniform", 2.0, "fan_in", "uniform"),
    _preset("HeNormal", 2.0, "fan_in", "truncated_normal"),
    _preset("LecunUniform", 1.0, "fan_in", "uniform"),
    _preset("LecunNormal", 1.0, "fan_in", "truncated_normal"),
)

_BY_NAME = {
    fold_name(name): initializer
    for initializer in INITIALIZERS
    for name in (initializer.class_name, f"{initializer.class_name}Initializer", *initializer.aliases)
}
