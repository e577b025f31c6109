"""Layers that change nothing outside of training: dropout, noise and penalties; also Identity."""

from __future__ import annotations

from rnncli.errors import Message
from rnncli.models.operations._call import OperationCall, OperationOutput

NAMES = (
    "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D", "AlphaDropout",
    "GaussianDropout", "GaussianNoise", "ActivityRegularization", "Identity",
)  # fmt: skip


def compute(call: OperationCall) -> OperationOutput:
    """Return the inputs and their mask."""
    if call.kwargs.get("training"):
        raise call.refuse(Message("is called with training=True, which draws random numbers"))
    return call.inputs, call.previous
