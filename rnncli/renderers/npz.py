"""npz: every tensor under its name."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np

from rnncli.page import Answer, View
from rnncli.renderers._storable import storable


def render(answer: Answer, view: View) -> bytes:  # noqa: ARG001 - a renderer's own form
    """What `numpy.load` reads; bfloat16 as float32, which holds the same numbers."""
    file = BytesIO()
    arrays: dict[str, Any] = {name: storable(array) for name, array in answer.tensors().items()}
    np.savez(file, **arrays)
    return file.getvalue()
