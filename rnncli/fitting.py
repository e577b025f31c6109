"""Whether what a Case holds fits its layers, and the machine; said before anything is computed."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from rnncli import memory
from rnncli.case import Case, Shape
from rnncli.errors import InputError, LayerError, did_you_mean
from rnncli.layers.stack import Stack

if TYPE_CHECKING:
    from rnncli.case import Array

_TURNED_ROUND = ("unroll", "go_backwards", "zero_output_for_mask", "return_sequences")


def refuse_the_impossible(case: Case) -> None:
    """What is known to fail, or to be wrong in Keras, before anything is allocated."""
    stack = Stack(case.layers)
    memory.refuse_beyond(_needed(stack, case))
    if case.mask is not None and case.mask.shape != case.inputs.shape[:2]:
        raise InputError(
            f"mask has the shape {case.mask.shape}, and the inputs want {case.inputs.shape[:2]}.",
            "A mask is (batch, timesteps), true where a step counts.",
        )
    if case.mask is not None and case.layers[0].class_name == "Masking":
        raise InputError(
            "there is a mask, and layer 0 (Masking) makes its own.",
            "Leave out the mask, or the layer Masking.",
        )
    _refuse_the_mask_turned_round(stack, case)


def _refuse_the_mask_turned_round(stack: Stack, case: Case) -> None:
    """Keras masks and zeroes an unrolled backward sequence as if it ran forwards; its states are right."""
    masked = case.mask is not None
    for layer in stack.layers:
        masked = masked or layer.spec.class_name == "Masking"
        for loop in getattr(layer, "directions", {"": layer}).values():
            if masked and all(loop.config.get(name) for name in _TURNED_ROUND):
                raise LayerError(
                    "unroll with go_backwards, zeroed outputs and a mask: Keras on TensorFlow applies the "
                    "mask in the wrong order of time here, so there is no right number to show.",
                    "Leave unroll out; it changes nothing else.",
                )


def _needed(stack: Stack, case: Case) -> int:
    """Bytes of all weights and outputs; and, to draw a weight, of three doubles for each of its numbers."""
    weights, outputs = (
        [prod(size for size in shape if isinstance(size, int)) for shape in shapes.values()]
        for shapes in (stack.weight_shapes(case.inputs.shape), _output_shapes(stack, case))
    )
    drawn = 24 * max(weights, default=0) if case.weights is None else 0
    return (8 if case.inputs.dtype.itemsize == 8 else 4) * (sum(weights) + sum(outputs)) + drawn


def _output_shapes(stack: Stack, case: Case) -> dict[str, Shape]:
    return {info.name: info.shape for info in stack.outputs(case.inputs.shape, all_layers=True)}


def weights(case: Case, stack: Stack) -> dict[str, Array]:
    """The given weights in Keras's order.  Raises InputError for a missing, unknown or misshapen one."""
    wanted, given = stack.weight_shapes(case.inputs.shape), case.weights or {}
    for path in given:
        if path not in wanted:
            raise InputError(f"weights: there is no weight {path} here.", did_you_mean(path, wanted))
    for path, shape in wanted.items():
        if path not in given:
            raise InputError(
                f"weights: {path} is missing.", f"It has the shape {shape}; all are {', '.join(wanted)}."
            )
        if given[path].shape != shape:
            raise InputError(
                f"weights: {path} has the shape {given[path].shape}, and the layer wants {shape}.",
                "Shapes of all weights: rnncli shape.",
            )
    return {path: given[path].astype(case.inputs.dtype) for path in wanted}


def initial_state(case: Case) -> tuple[Array, ...] | None:
    """The given initial state in the dtype of the inputs, as Keras casts it."""
    if case.initial_state is None:
        return None
    wanted, count = Stack(case.layers).states(case.inputs.shape), len(case.initial_state)
    if count != len(wanted):
        names = ", ".join(info.name for info in wanted) or "none"
        raise InputError(
            f"initial_state holds {count} tensors, and the layer has {len(wanted)}: {names}.",
            "Give one of each, in this order.",
        )
    for state, info in zip(case.initial_state, wanted, strict=True):
        if state.shape != info.shape:
            raise InputError(
                f"initial_state: {info.name} has the shape {state.shape}, and the layer wants {info.shape}.",
                f"Its axes are {', '.join(info.axes)}.",
            )
    return tuple(state.astype(case.inputs.dtype) for state in case.initial_state)
