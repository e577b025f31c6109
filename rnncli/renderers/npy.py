"""npy: one tensor."""

from __future__ import annotations

from io import BytesIO

import numpy as np

from rnncli.errors import UsageError
from rnncli.page import Answer, View
from rnncli.renderers._storable import storable


def render(answer: Answer, view: View) -> bytes:  # noqa: ARG001 - a renderer's own form
    """What `numpy.load` reads; UsageError for more tensors than one."""
    tensors = answer.tensors()
    if len(tensors) != 1:
        raise UsageError(
            f"npy holds one tensor, and here are {len(tensors)}: {', '.join(tensors)}.",
            "Choose one with --select NAME, or use npz, which holds all.",
        )
    file = BytesIO()
    np.save(file, storable(next(iter(tensors.values()))), allow_pickle=False)
    return file.getvalue()
