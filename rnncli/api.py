"""The Python API: plain arguments through the same stages as the command line's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnncli import fitting, pipeline, specs
from rnncli.arrange import ArrangeOptions, arrange
from rnncli.case import HIGHEST_SEED, Case, Document
from rnncli.errors import InputError
from rnncli.layers.stack import Stack
from rnncli.result import Result

if TYPE_CHECKING:
    from rnncli.case import Array


def run(
    inputs: Any,
    layer: Any,
    *,
    mask: Any,
    initial_state: Any,
    weights: Mapping[str, Any] | None,
    seed: int,
    training: bool,
    calls: int,
    all_layers: bool,
    engine: str,
) -> Result:
    """See rnncli.run."""
    _demand_whole("seed", seed, 0, HIGHEST_SEED)
    _demand_whole("calls", calls, 1, 2**31)
    layers = specs.from_flags(layer if isinstance(layer, list) else [layer], {})
    stack = Stack(layers)
    document = Document(inputs=_array(inputs, "inputs"), mask=None if mask is None else np.asarray(mask))
    options = ArrangeOptions(
        dtype=pipeline.dtype_of(layers), ndim=stack.layers[0].input_rank or 3, where="inputs: ", mask_where=""
    )
    arranged = arrange(document, options)
    shape = arranged.inputs.shape
    given = None if weights is None else {path: _array(value, path) for path, value in weights.items()}
    case = Case(
        layers=layers,
        inputs=arranged.inputs,
        mask=arranged.mask,
        initial_state=_states(initial_state, stack, shape),
        weights=None if given is None else fitting.fitted(given, stack, shape, "weights: "),
        seed=seed,
        training=training,
        calls=calls,
        all_layers=all_layers,
    )
    return pipeline.run(case, engine)


def _states(
    given: Sequence[Any] | Mapping[str, Any] | None, stack: Stack, shape: tuple[int, ...]
) -> tuple[Array, ...] | None:
    if given is None:
        return None
    wanted, where = stack.states(shape), "initial_state: "
    ordered = fitting.by_name(given, wanted, where) if isinstance(given, Mapping) else list(given)
    return fitting.fitted_states([_array(state, "initial_state") for state in ordered], wanted, where)


def _array(value: Any, name: str) -> Array:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{name}: {error}.", "Give an array, or lists of equal length.") from None
    if array.dtype.kind not in "fiu" or not array.ndim:
        raise InputError(f"{name}: it is {array.dtype}, {array.ndim}-D.", "Give an array of numbers.")
    return array


def _demand_whole(name: str, value: Any, lowest: int, highest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise InputError(f"{name} is {value!r}.", f"It is a whole number from {lowest} to {highest}.")
