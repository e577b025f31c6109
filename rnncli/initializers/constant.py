"""Initializers without random numbers: Zeros, Ones, Constant, Identity, STFT."""

from __future__ import annotations

from rnncli.case import Array, Option, format_shape
from rnncli.errors import LayerError
from rnncli.initializers import ArrayShape, Config, Fill, Initializer


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
        raise LayerError(
            "Constant got a list that does not fit a weight of shape {shape}.",
            "Give one number, or as many as the size of the weight's last axis.",
            shape=format_shape(shape),
        ) from None


def _identity(config: Config, shape: ArrayShape, dtype: str, seed: int) -> Array:
    import numpy as np

    if len(shape) != 2:
        raise LayerError(
            "Identity fills only matrices, but this weight has shape {shape}.",
            "Use it for a kernel or a recurrent kernel; zeros is usual for a bias.",
            shape=format_shape(shape),
        )
    return np.asarray(np.eye(*shape, dtype=dtype) * np.dtype(dtype).type(config["gain"]), dtype)


def _stft(config: Config, shape: ArrayShape, dtype: str, seed: int) -> Array:
    """Refuse the weight: STFT fits only the kernel of a ConvLSTM1D, which Keras draws."""
    raise LayerError(
        "STFT fills kernels of (frames, 1, frequencies), but this weight has shape {shape}.",
        "Recurrent layers have no such weight: use another initializer.",
        shape=format_shape(shape),
    )


_STFT = {
    "side": Option("word", "real", choices=("real", "imag")),
    "window": Option("window", "hann"),
    "scaling": Option("word", "density", choices=("density", "spectrum", None)),
    "periodic": Option("flag", False),
}

INITIALIZERS = (
    Initializer("Zeros", _fill_with(0), aliases=("zero",)),
    Initializer("Ones", _fill_with(1), aliases=("one",)),
    Initializer("Constant", _constant, {"value": Option("scalars", 0.0)}, required_option="value"),
    Initializer("Identity", _identity, {"gain": Option("scalar", 1.0)}, unsaved=frozenset({"gain"})),
    Initializer("STFT", _stft, _STFT),
)
