"""Reject cases that would fail, or that Keras computes incorrectly, before computing anything."""

from __future__ import annotations

from math import prod

from rnncli.case import Case, Shape, format_shape, sizes
from rnncli.errors import InputError, LayerError, Message
from rnncli.process import memory
from rnncli.specs.stack import Stack

_REVERSED_MASK_OPTIONS = ("unroll", "go_backwards", "zero_output_for_mask", "return_sequences")


def refuse_impossible(case: Case) -> None:
    """Reject cases that would fail, or that Keras computes incorrectly, before allocating anything.

    Raises InputError if the memory is too small or the mask does not fit, LayerError if Keras would apply
    the mask incorrectly.
    """
    require_room(case, len(case.inputs))
    require_mask(case)


def require_room(case: Case, sequences: int) -> None:
    """Raises InputError if the machine does not have enough memory for this many sequences at once."""
    memory.refuse_beyond(_count_bytes(case.stack, case, (sequences, *case.inputs.shape[1:])))


def require_mask(case: Case) -> None:
    """Raises InputError if the mask does not fit, LayerError if Keras would apply it incorrectly."""
    stack = case.stack
    ranks = stack.layers[0].mask_ranks
    if case.mask is not None and case.mask.shape not in [case.inputs.shape[:rank] for rank in ranks]:
        raise InputError(
            "the mask has shape {shape}, but the inputs need {wanted}.",
            Message("A mask is (batch, timesteps), true for the steps to process.")
            if ranks[0] == 2
            else Message("TimeDistributed gives its layer a mask of (batch, timesteps, inner timesteps)."),
            shape=format_shape(case.mask.shape),
            wanted=format_shape(case.inputs.shape[: ranks[0]]),
        )
    if case.mask is not None and stack.layers[0].makes_mask:
        raise InputError(
            "a mask was given, but layer 0 ({class_name}) computes its own.",
            "Leave out the mask, or the layer {class_name}.",
            class_name=case.specs[0].class_name,
        )
    _refuse_reversed_mask(stack, case)


def _refuse_reversed_mask(stack: Stack, case: Case) -> None:
    """Raises LayerError for an unrolled backward sequence with a mask and zeroed outputs.

    Keras applies the mask there as if the sequence ran forward; only the states are correct.
    """
    masked = case.mask is not None
    for layer in stack.layers:
        masked = masked or layer.makes_mask
        for loop in layer.loops.values():
            if masked and all(loop.config.get(name) for name in _REVERSED_MASK_OPTIONS):
                raise LayerError(
                    "Keras on TensorFlow misapplies a mask when unroll, go_backwards and "
                    "zero_output_for_mask are combined.",
                    "Leave unroll out; the result is otherwise the same.",
                )


def _count_bytes(stack: Stack, case: Case, input_shape: Shape) -> int:
    """Return the bytes needed for all weights and outputs.

    To draw the weights, add three doubles per number of the largest weight.
    """
    weights = [prod(sizes(shape)) for shape in stack.weight_shapes(input_shape).values()]
    outputs = sum(prod(sizes(info.shape)) for info in stack.outputs(input_shape, all_layers=True))
    calls = case.calls if case.all_calls else 1
    drawn = 24 * max(weights, default=0) if case.weights is None else 0
    return (8 if case.inputs.dtype.itemsize == 8 else 4) * (sum(weights) + calls * outputs) + drawn
