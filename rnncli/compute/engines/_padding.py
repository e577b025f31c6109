"""Shared by engines that run the loop in another library, which can skip only the end of a sequence."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rnncli.case import Array, Case, walk
from rnncli.compute.engines._layer_runner import reason_for_keras
from rnncli.errors import EngineError, Message, Text
from rnncli.process.isolation import isolated
from rnncli.process.signals import defer_signals

if TYPE_CHECKING:
    from rnncli.layers import RecurrentLayer


def refusal(case: Case) -> Text | None:
    """Return why no such engine can compute the case; None if it may."""
    if case.with_trace:
        return Message("it does not record gates")
    for spec in walk(case.specs):
        if case.training and (spec.config.get("dropout") or spec.config.get("recurrent_dropout")):
            return Message("it has no dropout inside recurrent layers")
        if spec.class_name == "Masking":
            return Message("it can skip only trailing steps, and Masking may skip any step")
    if case.mask is not None and not _is_at_the_end(case.mask):
        return Message("it can skip only trailing steps, but the mask skips others too")
    return reason_for_keras(case)


def import_packages(engine: str, *packages: str) -> list[Any]:
    """Return the modules that the engine needs.  Raises EngineError if one is missing."""
    try:
        with defer_signals(), isolated():
            return [import_module(package) for package in packages]
    except ImportError as error:
        raise EngineError(
            "the engine {engine} is not installed: {error}.",
            "pip install {packages}",
            engine=engine,
            error=error,
            packages=" ".join(packages),
        ) from error


def mask_sequence(layer: RecurrentLayer, outputs: Array, lengths: Array | None, final: Array) -> Array:
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


def mask_last(layer: RecurrentLayer, timesteps: int, lengths: Array | None, output: Array) -> Array:
    """Return Keras's last output; zeros if the last step is masked and masked steps are zeroed."""
    import numpy as np

    zeroing = layer.config["zero_output_for_mask"] and not layer.config["go_backwards"]
    if lengths is None or not zeroing:
        return output
    return np.where((lengths < timesteps)[:, None], np.zeros_like(output), output)


def _is_at_the_end(mask: Array) -> bool:
    """Return whether each sequence has at least one unmasked step, and all masked steps are at the end."""
    return bool(mask[:, 0].all() and (mask[:, :-1] >= mask[:, 1:]).all())
