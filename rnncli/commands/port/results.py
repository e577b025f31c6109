"""The expected tensors: which result of the layer each of them is, by its name, else by its shape."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from rnncli.case import Array, format_shape
from rnncli.errors import InputError

PARTS: Mapping[str, str] = {
    "cell": r"last_cell_state|c_n|cn|y_c|cell_state|final_c|c",
    "hidden": r"last_hidden_state|h_n|hn|y_h|final_h|h",
    "output": r"hidden_state|output|outputs|out|y",
    "sequence": r"hidden_states|sequence|sequences",
}
_NAME = re.compile(
    r"(?:.*/)?(?P<direction>forward_|backward_)?(?:"
    + "|".join(f"(?P<{part}>{names})" for part, names in PARTS.items())
    + ")",
    re.IGNORECASE,
)
ADVICE = "Use the names of rnncli: hidden_states, hidden_state, last_hidden_state, last_cell_state."


def readings(
    tensors: Mapping[str, Array], batch_and_time: tuple[int, int], units: int, directions: int, where: str
) -> list[dict[str, Array]]:
    """Return the tensors as `arrange` does, in every way that the shape of one without a name allows.

    (2, batch, units) is PyTorch's h_n of two directions, and may also be a sequence of two time steps.
    """
    (name, only), *others = tensors.items()
    if others or _NAME.fullmatch(name):
        return [arrange(tensors, batch_and_time, units, directions, where)]
    found: list[dict[str, Array]] = []
    errors: list[InputError] = []
    for guess in _guess_parts(np.asarray(only), batch_and_time, directions):
        try:
            found.append(arrange(tensors, batch_and_time, units, directions, where, guess))
        except InputError as error:
            errors.append(error)
    if not found:
        raise errors[0]
    return found


def arrange(
    tensors: Mapping[str, Array],
    batch_and_time: tuple[int, int],
    units: int,
    directions: int,
    where: str,
    guess: str = "output",
) -> dict[str, Array]:
    """Return the tensors under the names of ForeignRun.expected, in float64.

    tensors: by name; an only one may have any name.
    batch_and_time: the first two sizes of the input, in any order.
    guess: what a tensor of another name is, `output` or `hidden`.
    Raises InputError for a name or a shape that the layer does not return.
    """
    found: dict[str, Array] = {}
    for name, array in tensors.items():
        match = _NAME.fullmatch(name)
        if match is None and len(tensors) > 1:
            raise InputError(f"{where}{name} is not a result of a recurrent layer.", ADVICE)
        wide = np.asarray(array, np.float64)
        part = next((part for part in PARTS if match and match[part]), guess)
        place = {None: "", "forward_": "0", "backward_": "1"}[match["direction"] if match else None]
        for key, one in _parts(part, place, wide, batch_and_time, directions):
            _demand(key, one, batch_and_time, units, directions, f"{where}{name or 'it'}")
            if key in found:
                raise InputError(f"{where}two of its tensors are the same result: {name} is one.", ADVICE)
            found[key] = one
    return found


def _guess_parts(array: Array, batch_and_time: tuple[int, int], directions: int) -> tuple[str, ...]:
    """Return `hidden` for the shape (directions, batch, units) of PyTorch's h_n, else `output`, or both."""
    if array.ndim != 3 or len(array) != directions or array.shape[1] not in batch_and_time:
        return ("output",)
    if sorted(array.shape[:2]) != sorted(batch_and_time):
        return ("hidden",)
    # With one direction and one time step, both are the same numbers.
    return ("output", "hidden") if directions == 2 else ("output",)


def _parts(
    part: str, place: str, array: Array, batch_and_time: tuple[int, int], directions: int
) -> list[tuple[str, Array]]:
    """Return the results in one tensor: PyTorch and ONNX have an axis of directions."""
    if part in ("hidden", "cell"):
        if place:
            return [(f"{part} {place}", array)]
        if array.ndim == 3 and len(array) == directions:
            return [(f"{part} {number}", one) for number, one in enumerate(array)]
        if directions == 1:
            return [(f"{part} 0", array)]
        halves = np.split(array, 2, axis=-1) if array.shape[-1] % 2 == 0 else [array]
        return [(f"{part} {number}", one) for number, one in enumerate(halves)]
    if array.ndim == 4 and directions in array.shape[1:3]:
        axis = (
            1
            if array.shape[1] == directions and {array.shape[0], array.shape[2]} == set(batch_and_time)
            else 2
        )
        merged = np.moveaxis(array, axis, 2)
        array = merged.reshape(*merged.shape[:2], -1)
    kind = "sequence" if array.ndim == 3 else "output"
    return [(f"{kind} {place}".strip(), array)]


def _demand(
    key: str, array: Array, batch_and_time: tuple[int, int], units: int, directions: int, where: str
) -> None:
    """Raise InputError if no hypothesis gives this shape, or if a number is missing."""
    sequence = key.startswith("sequence")
    widths = {units, units * directions} if key in ("sequence", "output") else {units}
    rank = 3 if sequence else 2
    fits = array.ndim == rank and array.shape[-1] in widths
    if fits and sequence:
        fits = sorted(array.shape[:2]) == sorted(batch_and_time)
    elif fits:
        fits = array.shape[0] in batch_and_time
    if not fits:
        batch, steps = batch_and_time
        axes = (batch, steps) if sequence else (batch,)
        shapes = [format_shape((*axes, width)) for width in sorted(widths)]
        raise InputError(
            f"{where} is {format_shape(array.shape)}, which this layer does not return; it has {units} "
            f"units, and the input has a batch of {batch} and {steps} time steps.",
            f"The shape should be {' or '.join(shapes)}.",
        )
    if not np.isfinite(array).all():
        raise InputError(f"{where} contains NaN or infinity.", "Give numbers that the layer returned.")
