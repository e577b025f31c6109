"""What the engines share that loop over time in another library, which can skip only trailing steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.compute.engines import reason_for_keras
from rnncli.errors import Message, Text
from rnncli.layers.case import Case
from rnncli.values import Array, walk

if TYPE_CHECKING:
    from rnncli.layers.recurrent import RecurrentLayer


def refusal_of_library(case: Case) -> Text | None:
    """Return why no engine that runs the loop in another library can compute the case; None if it may."""
    if case.with_trace:
        return Message("it does not record gates")
    for spec in walk(case.stack):
        if case.training and (spec.config.get("dropout") or spec.config.get("recurrent_dropout")):
            return Message("it has no dropout inside recurrent layers")
        if spec.class_name == "Masking":
            return Message("it can skip only trailing steps, and Masking may skip any step")
    for layer in case.stack.layers:
        if layer.is_opaque:
            return Message("it does not run the layer inside {class_name}", class_name=layer.spec.class_name)
    mask = case.mask
    # Each sequence needs at least one unmasked step, and all masked steps at the end.
    if mask is not None and not (mask[:, 0].all() and (mask[:, :-1] >= mask[:, 1:]).all()):
        return Message("it can skip only trailing steps, but the mask skips others too")
    return reason_for_keras(case)


def mask_outputs(
    layer: RecurrentLayer, outputs: Array, lengths: Array | None, final: Array, timesteps: int
) -> Array:
    """Return what Keras returns at the masked steps too: the sequence, or the last output.

    outputs: (batch, timesteps, units) in the order of the inputs, zeros at masked steps; unused if the layer
        returns no sequence.
    lengths: (batch,), the number of unmasked steps of each sequence; None if no step is masked.
    final: (batch, units), the output of the last unmasked step.
    """
    import numpy as np

    backwards, zeroing = layer.config["go_backwards"], layer.config["zero_output_for_mask"]
    if not layer.sequences:
        if lengths is None or backwards or not zeroing:
            return final
        return np.where((lengths < timesteps)[:, None], np.zeros_like(final), final)
    if backwards:
        return np.ascontiguousarray(outputs[:, ::-1])
    if zeroing or lengths is None:
        return np.ascontiguousarray(outputs)
    padded = np.arange(timesteps) >= lengths[:, None]
    return np.where(padded[..., None], final[:, None], outputs)
