"""Embedding: token ids looked up in a table."""

from __future__ import annotations

import numpy as np

from rnncli.compute.operations._operation import OperationCall, OperationOutput
from rnncli.errors import InputError

NAMES = ("Embedding",)


def compute(call: OperationCall) -> OperationOutput:
    """(...) of ids -> (..., output_dim); with mask_zero the mask is where the id is not 0.

    Raises InputError for an id that is not in the table.
    """
    table, ids = call.weights["embeddings"], np.asarray(call.inputs)
    whole = ids.astype(np.int64)
    outside = (whole < 0) | (whole >= len(table)) | ~np.isfinite(ids)
    if outside.any():
        index = tuple(int(place[0]) for place in np.nonzero(outside))
        raise InputError(
            f"the layer {call.layer} (Embedding) takes token ids 0 to {len(table) - 1}; the id at "
            f"[{', '.join(map(str, index))}] is {ids[index]}.",
            "Use the vocabulary that the model was trained with.",
        )
    return table[whole], (ids != 0 if call.config.get("mask_zero") else None)
