"""Reject cases that would fail, or that Keras computes incorrectly, before computing anything."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from rnncli.case import Case, Shape, format_shape, sizes
from rnncli.errors import InputError, LayerError, Message
from rnncli.layers.stack import Stack
from rnncli.process import memory

REVERSED_MASK_OPTIONS = ("unroll", "go_backwards", "zero_output_for_mask", "return_sequences")


def require_room(case: Case, sequences: int) -> None:
    """Raises InputError if the machine does not have enough memory for this many sequences at once.

    It needs all weights and outputs; to draw the weights, three doubles per number of the largest weight.
    """
    stack, input_shape = Stack(case.specs), (sequences, *case.inputs.shape[1:])
    weights = [prod(sizes(shape)) for shape in stack.weight_shapes(input_shape).values()]
    outputs = sum(prod(sizes(info.shape)) for info in stack.outputs(input_shape, all_layers=True))
    numbers = sum(weights) + (case.calls if case.all_calls else 1) * outputs
    drawn = 24 * max(weights, default=0) if case.weights is None else 0
    memory.refuse_beyond((8 if case.inputs.dtype.itemsize == 8 else 4) * numbers + drawn)


def require_mask(case: Case) -> None:
    """Raises InputError if the mask does not fit, LayerError if Keras would apply it incorrectly.

    That is in an unrolled backward sequence with zeroed outputs: Keras applies the mask there as if the
    sequence ran forward; only the states are correct.
    """
    first, masked = Stack(case.specs).layers[0], case.mask is not None
    if case.mask is not None:
        _require_fit(case.mask.shape, case.inputs.shape, first.mask_ranks)
        if first.makes_mask:
            raise InputError(
                "a mask was given, but layer 0 ({class_name}) computes its own.",
                "Leave out the mask, or the layer {class_name}.",
                class_name=first.spec.class_name,
            )
    for layer in Stack(case.specs).layers:
        masked = masked or layer.makes_mask
        for loop in layer.loops.values():
            if masked and all(loop.config.get(name) for name in REVERSED_MASK_OPTIONS):
                raise LayerError(
                    "Keras on TensorFlow misapplies a mask when unroll, go_backwards and "
                    "zero_output_for_mask are combined.",
                    "Leave unroll out; the result is otherwise the same.",
                )


def _require_fit(shape: Shape, input_shape: Shape, ranks: Sequence[int]) -> None:
    if shape not in [input_shape[:rank] for rank in ranks]:
        raise InputError(
            "the mask has shape {shape}, but the inputs need {wanted}.",
            Message("A mask is (batch, timesteps), true for the steps to process.")
            if ranks[0] == 2
            else Message("TimeDistributed gives its layer a mask of (batch, timesteps, inner timesteps)."),
            shape=format_shape(shape),
            wanted=format_shape(input_shape[: ranks[0]]),
        )
