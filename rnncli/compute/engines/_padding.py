"""Outputs at masked steps, for engines that can skip only the last steps of a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnncli.case import Array

if TYPE_CHECKING:
    from rnncli.layers import Recurrent


def mask_sequence(layer: Recurrent, outputs: Array, lengths: Array | None, final: Array) -> Array:
    """Convert outputs, (batch, timesteps, units) in the order of the inputs, to Keras's outputs.

    outputs: zeros at masked steps.
    lengths: (batch,), the number of unmasked steps of each sequence; None if no step is masked.
    final: (batch, units), the output of the last unmasked step.
    """
    import numpy as np

    if layer.config["go_backwards"]:
        return np.ascontiguousarray(outputs[:, ::-1])
    if layer.config["zero_output_for_mask"] or lengths is None:
        return np.ascontiguousarray(outputs)
    padded = np.arange(outputs.shape[1]) >= lengths[:, None]
    return np.where(padded[..., None], final[:, None], outputs)


def mask_last(layer: Recurrent, timesteps: int, lengths: Array | None, output: Array) -> Array:
    """Return Keras's last output; zeros if the last step is masked and masked steps are zeroed."""
    import numpy as np

    zeroing = layer.config["zero_output_for_mask"] and not layer.config["go_backwards"]
    if lengths is None or not zeroing:
        return output
    return np.where((lengths < timesteps)[:, None], np.zeros_like(output), output)


def is_at_the_end(mask: Array) -> bool:
    """Whether each sequence has at least one unmasked step, and all masked steps are at the end."""
    return bool(mask[:, 0].all() and (mask[:, :-1] >= mask[:, 1:]).all())
