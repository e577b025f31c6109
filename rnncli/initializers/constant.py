"""Initializers without random numbers: Zeros, Ones, Constant, Identity, STFT."""

from __future__ import annotations

from rnncli.case import Array, Option, format_shape
from rnncli.errors import EngineError, LayerError
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
    """Return the real or imaginary part of a discrete Fourier transform, multiplied by a window."""
    import numpy as np

    if len(shape) != 3:
        raise LayerError(
            "STFT fills kernels of (frames, 1, frequencies), but this weight has shape {shape}.",
            "Recurrent layers have no such weight: use another initializer.",
            shape=format_shape(shape),
        )
    real = np.dtype(dtype).type
    frames, _, frequencies = shape
    with np.errstate(divide="ignore", invalid="ignore"):
        frequency = np.arange(frequencies, dtype=dtype) / real((frequencies - 1) * 2)
        time = np.arange(frames, dtype=dtype)[:, None, None]
        angle = real(-2) * time * frequency * np.arccos(real(-1))
    kernel = np.cos(angle) if config["side"] == "real" else np.sin(angle)
    if config["window"] is None:
        return np.asarray(kernel, dtype)
    window = _window(config, frames).astype(dtype)[:, None, None]
    scaling = {
        "density": np.sqrt(np.sum(np.square(window))),
        "spectrum": np.sum(np.abs(window)),
    }.get(config["scaling"], real(1))
    return np.asarray(kernel * window / scaling, dtype)


def _window(config: Config, frames: int) -> Array:
    import numpy as np

    if not isinstance(config["window"], str):
        window = np.asarray(config["window"])
        if window.shape != (frames,):
            raise LayerError(
                "STFT got a window of {size} values for {frames} frames.",
                "Give one value per frame.",
                size=window.size,
                frames=frames,
            )
        return window
    try:
        from scipy.signal import get_window  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        raise EngineError(
            "the window {config!r} of STFT needs the package scipy.",
            "pip install scipy",
            config=config["window"],
        ) from None
    try:
        return np.asarray(get_window(config["window"], frames, config["periodic"]))
    except ValueError as error:
        raise LayerError(
            "STFT: {error}.", "Use hann, hamming or another window of scipy.signal.", error=error
        ) from None


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
