"""Match each expected tensor to a result of the layer, by its name, else by its shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rnncli.case import Array, format_shape
from rnncli.errors import InputError, Message, count

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
ADVICE = Message("Use the names of rnncli: hidden_states, hidden_state, last_hidden_state, last_cell_state.")


def is_sequence(key: str) -> bool:
    """Return whether an expected tensor, `sequence` or `sequence 0`, has an axis of time."""
    return key.startswith("sequence")


def is_cell_state(key: str) -> bool:
    """Return whether an expected tensor, `cell` or `cell 0`, is a cell state."""
    return key.startswith("cell")


class ReturnedSizes(NamedTuple):
    """Sizes of what a layer returns.

    batch, steps: of the input, in any order: the other framework may have the time first.
    """

    batch: int
    steps: int
    units: int
    directions: int

    def fit(self, sizes: tuple[int, ...]) -> bool:
        """Return whether these are the batch and the time steps, in any order."""
        return sorted(sizes) == sorted((self.batch, self.steps))


def list_readings(tensors: Mapping[str, Array], sizes: ReturnedSizes) -> list[dict[str, Array]]:
    """Return the tensors as `name_results` does, in every way that the shape of one without a name allows.

    (2, batch, units) is PyTorch's h_n of two directions, and may also be a sequence of two time steps.
    """
    (name, only), *others = tensors.items()
    if others or _NAME.fullmatch(name):
        return [name_results(tensors, sizes)]
    found: list[dict[str, Array]] = []
    errors: list[InputError] = []
    for guess in _guess_parts(np.asarray(only), sizes):
        try:
            found.append(name_results(tensors, sizes, guess))
        except InputError as error:
            errors.append(error)
    if not found:
        raise errors[0]
    return found


def name_results(
    tensors: Mapping[str, Array], sizes: ReturnedSizes, guess: str = "output"
) -> dict[str, Array]:
    """Return the tensors under the names of ForeignRun.expected, in float64.

    tensors: by name; a single one may have any name.
    guess: what a tensor of another name is, `output` or `hidden`.
    Raises InputError for a name or a shape that the layer does not return.
    """
    results: dict[str, Array] = {}
    for name, array in tensors.items():
        match = _NAME.fullmatch(name)
        if match is None and len(tensors) > 1:
            raise InputError("{name} is not a result of a recurrent layer.", ADVICE, name=name)
        part = next((part for part in PARTS if match and match[part]), guess)
        place = {None: "", "forward_": "0", "backward_": "1"}[match["direction"] if match else None]
        for key, result in _split_results(part, place, np.asarray(array, np.float64), sizes):
            _require_shape(key, result, sizes, name or "it")
            if key in results:
                raise InputError("two of its tensors are the same result: {name} is one.", ADVICE, name=name)
            results[key] = result
    return results


def _guess_parts(array: Array, sizes: ReturnedSizes) -> tuple[str, ...]:
    """Return `hidden` for the shape (directions, batch, units) of PyTorch's h_n, else `output`, or both."""
    if array.ndim != 3 or len(array) != sizes.directions or array.shape[1] not in (sizes.batch, sizes.steps):
        return ("output",)
    if not sizes.fit(array.shape[:2]):
        return ("hidden",)
    # With one direction and one time step, both are the same numbers.
    return ("output", "hidden") if sizes.directions == 2 else ("output",)


def _split_results(part: str, place: str, array: Array, sizes: ReturnedSizes) -> list[tuple[str, Array]]:
    """Return the results in one tensor: PyTorch and ONNX have an axis of directions."""
    directions = sizes.directions
    if part in ("hidden", "cell"):
        states = [array]
        if not place and array.ndim == 3 and len(array) == directions:
            states = list(array)
        elif not place and directions == 2 and array.shape[-1] % 2 == 0:
            states = np.split(array, 2, axis=-1)
        return [(f"{part} {number}", state) for number, state in enumerate(states, int(place or 0))]
    if array.ndim == 4 and directions in array.shape[1:3]:
        first = array.shape[1] == directions and sizes.fit((array.shape[0], array.shape[2]))
        merged = np.moveaxis(array, 1 if first else 2, 2)
        array = merged.reshape(*merged.shape[:2], -1)
    kind = "sequence" if array.ndim == 3 else "output"
    return [(f"{kind} {place}".strip(), array)]


def _require_shape(key: str, array: Array, sizes: ReturnedSizes, name: str) -> None:
    """Raise InputError if no hypothesis gives this shape, or if a number is missing."""
    batch, steps, units, directions = sizes
    sequence = is_sequence(key)
    widths = {units, units * directions} if key in ("sequence", "output") else {units}
    fits = array.ndim == (3 if sequence else 2) and array.shape[-1] in widths
    if not fits or not (sizes.fit(array.shape[:2]) if sequence else array.shape[0] in (batch, steps)):
        axes = (batch, steps) if sequence else (batch,)
        shapes = [format_shape((*axes, width)) for width in sorted(widths)]
        raise InputError(
            "{name} is {shape}, which this layer does not return; it has {units}, and the input "
            "has a batch of {batch} and {steps}.",
            "The shape should be {shapes}.",
            name=name,
            shape=format_shape(array.shape),
            units=count(units, "unit"),
            batch=batch,
            steps=count(steps, "time step"),
            shapes=" or ".join(shapes),
        )
    if not np.isfinite(array).all():
        raise InputError(
            "{name} contains NaN or infinity.", "Give numbers that the layer returned.", name=name
        )
