"""Numbers as text: the shortest form that round-trips, and an aligned form for reading."""

from __future__ import annotations

from math import isinf
from typing import Any

import numpy as np

from rnncli import arrays
from rnncli.values import Array

NOT_A_NUMBER = "NaN"
INFINITY = "Infinity"


def is_short(array: Array) -> bool:
    """Return whether `array` holds 16-bit floats, including bfloat16, which NumPy itself lacks."""
    return array.dtype.itemsize == 2 and array.dtype.kind not in "iub"


def is_float(array: Array) -> bool:
    """Return whether `array` holds floats of any width."""
    return array.dtype.kind == "f" or is_short(array)


def spell_nonfinite(value: float) -> str:
    """Return the text for a non-finite float in a file."""
    return NOT_A_NUMBER if value != value else INFINITY if value > 0 else f"-{INFINITY}"


def format_exactly(array: Array, decimals: int | None = None) -> list[str]:
    """Return every value of `array`, flattened, in the fewest digits that round-trip in its dtype.

    decimals: round to this many first; rounding the digits of a narrow dtype could give another result.
    """
    flat = np.ravel(round_values(array, decimals))
    if not is_float(flat):
        return [str(value) for value in flat.tolist()]
    texts: list[str] = widen(flat).astype(str).tolist() if is_short(flat) else flat.astype(str).tolist()
    for index in np.flatnonzero(~np.isfinite(flat)):
        texts[index] = spell_nonfinite(float(flat[index]))
    return texts


def widen(array: Array) -> Array:
    """Convert 16-bit floats to float64, each to the decimal with the fewest digits that rounds to it."""
    bits, places = np.unique(np.ascontiguousarray(array).view(np.uint16), return_inverse=True)
    values = bits.view(array.dtype).astype(np.float32).tolist()
    with np.errstate(over="ignore"):
        nearest = np.array([_fewest_digits(value, array.dtype) for value in values], np.float64)
    return nearest[places].reshape(array.shape)


def _fewest_digits(value: float, dtype: np.dtype[Any]) -> float:
    for digits in range(1, 6):
        decimal = float(f"{value:.{digits}g}")
        if dtype.type(decimal) == value:
            return decimal
    return value


def round_values(array: Array, decimals: int | None) -> Array:
    """Round `array` to `decimals` in its own dtype; unchanged for None."""
    if decimals is None or not is_float(array):
        return array
    with np.errstate(invalid="ignore", over="ignore"):
        wide = array.astype(np.float64)
        kept = np.isfinite(wide) & (np.abs(wide) < 1e15)
        return np.where(kept, np.round(np.where(kept, wide, 0), decimals), wide).astype(array.dtype)


def choose_style(array: Array, decimals: int | None) -> str:
    """Return a format that suits all of `array`: decimals for ordinary sizes, else an exponent."""
    if not is_float(array):
        return "d" if array.dtype.kind in "iu" else ""
    largest = 0.0
    for block in arrays.blocks(array.reshape(-1)):
        wide = block.astype(np.float64)
        largest = max(largest, float(np.abs(wide).max(where=np.isfinite(wide), initial=0.0)))
    places = 4 if decimals is None else decimals
    return f"z.{places}f" if largest == 0 or 1e-3 <= largest < 1e5 else f".{places}e"


def format_number(value: Any, style: str) -> str:
    """Format one number for reading."""
    number = value.item() if hasattr(value, "item") else value
    if isinstance(number, (bool, int)):
        return str(number)
    number = float(number)
    return NOT_A_NUMBER if number != number else str(number) if isinf(number) else format(number, style)
