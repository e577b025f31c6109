"""safetensors: every tensor under its name."""

from __future__ import annotations

import numpy as np
from safetensors.numpy import save

from rnncli.renderers.page import Answer, View


def render(answer: Answer, view: View) -> bytes:  # noqa: ARG001 - a renderer's own form
    """What `safetensors.numpy.load` reads."""
    return save({name: np.ascontiguousarray(array) for name, array in answer.tensors().items()})
