"""An input that fits a saved model, generated where none is given: numbers, or token ids."""

from __future__ import annotations

from collections.abc import Sequence

from rnncli.errors import Message, Text, UsageError, count, join
from rnncli.inputs.generated import concrete_sizes, make_input
from rnncli.models import SavedModel
from rnncli.models.graph import ModelInput
from rnncli.models.inputs import is_batch
from rnncli.values import Array, Shape, format_shape

BATCH, FREE = 1, 5
"""Sizes of axes that take any size: of the batch, and of all others."""


def generate(
    model: SavedModel, shape: Shape | None, fill: str | None, seed: int
) -> tuple[dict[str, Array], Text]:
    """Return the inputs by name, and a remark that describes them.

    shape: of the only input; None: every size that the model leaves open is `BATCH` or `FREE`.
    Raises UsageError for inputs that cannot be generated.
    """
    model_inputs, vocabularies = model.required_inputs(), model.vocabularies()
    if shape is not None and len(model_inputs) != 1:
        raise UsageError(
            "{--input-shape} is for one input, and {file} has {inputs}.",
            "Leave it out, or give a file: the model expects {expected}.",
            file=model.file,
            inputs=count(len(model_inputs), "input"),
            expected=model.describe_inputs(),
        )
    arrays: dict[str, Array] = {}
    texts: list[Text] = []
    for index, given in enumerate(model_inputs):
        sizes = _choose_sizes(given) if shape is None else concrete_sizes(shape)
        ids = vocabularies.get(given.name)
        array = _fill(sizes, fill or "normal", seed + index, given.dtype, ids)
        arrays[given.name] = array
        what = f"{given.name} {format_shape(sizes)} {given.dtype}"
        texts.append(what if ids is None else Message("{what}, token ids below {ids}", what=what, ids=ids))
    note = Message(
        "the input is generated: {inputs}; {--seed:seed} repeats it", inputs=join(texts, "; "), seed=seed
    )
    return arrays, note


def _choose_sizes(model_input: ModelInput) -> tuple[int, ...]:
    shape = model_input.shape
    if shape is None:
        what = "{name}: the model takes any shape, so no input can be generated."
        raise UsageError(what, "Give the input, or its shape: {--input-shape 1,5,8}.", name=model_input.name)
    if model_input.dtype in ("", "string"):
        what = "{name}: the model takes values that are not numbers, such as text, and none are generated."
        raise UsageError(what, "Give the input.", name=model_input.name)
    batch = next((axis for axis, size in enumerate(shape) if isinstance(size, str) and is_batch(size)), 0)
    free = (BATCH if axis == batch else FREE for axis in range(len(shape)))
    return tuple(size if isinstance(size, int) else other for size, other in zip(shape, free, strict=True))


def _fill(sizes: Sequence[int], fill: str, seed: int, dtype: str, ids: int | None) -> Array:
    """Return numbers; of token ids, all but 0 are drawn, which may mean padding; other integers are 1."""
    import numpy as np

    shape = tuple(sizes)
    if np.dtype(dtype).kind == "f":
        return make_input(shape, fill, seed, dtype)
    numbers = make_input(shape, fill, seed, "float64")
    if ids is not None and fill in ("normal", "uniform"):
        return np.random.default_rng(seed).integers(min(1, ids - 1), ids, shape).astype(dtype)
    if ids is not None and fill == "arange":
        return (np.arange(numbers.size).reshape(shape) % ids).astype(dtype)
    return (np.zeros if fill == "zeros" else np.ones)(shape, dtype)
