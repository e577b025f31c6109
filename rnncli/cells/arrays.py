"""The functions on NumPy arrays that the code of a step calls, see `program.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rnncli.values import Array

MANY = 2**14
"""Number of elements above which computing an activation takes longer than the call overhead."""


def view(value: Array, rank: int, order: tuple[int, ...], shape: tuple[int, ...]) -> Array:
    """Return a value with its last `rank` axes in another order and shape, see tree.Reshape."""
    lead = value.ndim - rank
    if order != tuple(range(rank)):
        value = value.transpose(*range(lead), *(lead + axis for axis in order))
    return value.reshape(*value.shape[:lead], *shape)


def shift(window: Array, value: Array, rank: int) -> Array:
    """Return the window without its oldest entry, then `value`, see tree.Shift."""
    import numpy as np

    if value.ndim == rank or len(value) < len(window):  # the same for each sequence
        value = np.broadcast_to(value, (len(window), *value.shape[value.ndim - rank :]))
    return np.concatenate((window[:, 1:], value), 1)


def delayed(value: Array, start: Array) -> Array:
    """Return the value (steps, batch, ...) of the step before; `start` before the first step."""
    import numpy as np

    return np.concatenate((start.reshape(1, *value.shape[1:]), value[:-1]))


def windows(entries: Array, start: Array, shape: tuple[int, ...]) -> Array:
    """Return a window over the entries after each step, (steps, batch, *shape).

    entries: (steps, batch, 1, ...).  start: the window before the first step, (batch, numbers).
    """
    import numpy as np

    size, *rest = shape
    first = np.moveaxis(start.reshape(len(start), size, *rest), 1, 0)
    whole = np.concatenate((first, entries.reshape(*entries.shape[:2], *rest)))
    return np.moveaxis(np.lib.stride_tricks.sliding_window_view(whole, size, axis=0)[1:], -1, 2)


def product(values: Array, kernel: Array, masks: tuple[Array, ...]) -> Array:
    """Return values @ kernel; each gate's columns use `values` times the dropout mask of that gate.

    values: (..., batch, n); kernel: (n, gates * units).
    masks: none, one, or one per gate, each (batch, n).
    """
    if len(masks) > 1:
        import numpy as np

        pairs = zip(masks, np.split(kernel, len(masks), axis=-1), strict=True)
        return np.concatenate([product(values, part, (mask,)) for mask, part in pairs], axis=-1)
    values = values * masks[0] if masks else values
    # NumPy would multiply 3-D values one matrix at a time, and pack the kernel again each time.
    rows: Array = values if values.ndim == 2 else values.reshape(-1, values.shape[-1])
    products: Array = rows.dot(kernel)  # several times faster than @ on small arrays
    return products.reshape(*values.shape[:-1], -1) if values.ndim > 2 else products


def columns(weight: Array, start: int, stop: int) -> Array:
    """Return a copy of some columns of a weight; products read it faster than a view."""
    import numpy as np

    return np.ascontiguousarray(weight[:, start:stop])


def expand(value: Any, like: Array) -> Array:
    """Return a value that is the same in every step, repeated for each sequence of the batch."""
    import numpy as np

    array = np.asarray(value, like.dtype)
    return np.broadcast_to(array, (len(like), array.shape[-1] if array.ndim else 1))


def activate(
    activation: Callable[[Array], Array], packed: Array, units: int, gates: Sequence[int]
) -> list[Array]:
    """Apply an activation to some gates of (batch, all gates * units); returns (batch, units) for each.

    One call for all gates is the fastest; for small arrays, even if it includes gates that are not needed.
    """
    if packed.size > MANY and len(gates) * units < packed.shape[-1]:
        return [activation(packed[:, gate * units : (gate + 1) * units]) for gate in gates]
    activated = activation(packed.reshape(len(packed), -1, units))
    return [activated[:, gate] for gate in gates]


def hold(
    holds: Mapping[str, tuple[Array, Array]], names: Sequence[str], gates: Sequence[Array]
) -> list[Array]:
    """Return the gates, each (batch, ...), with the held entries replaced by their values."""
    import numpy as np

    def held(name: str, gate: Array) -> Array:
        which, values = (part.reshape(gate.shape[1:]) for part in holds[name])
        return np.where(which, values, gate)

    pairs = zip(names, gates, strict=True)
    return [held(name, gate) if name in holds else gate for name, gate in pairs]


STEP_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    product, view, shift, delayed, windows, columns, expand, activate, hold,
)  # fmt: skip
