"""safetensors: every tensor under its name."""

from __future__ import annotations

from typing import IO

import numpy as np
from safetensors.numpy import save

from rnncli.show.formats import Traits
from rnncli.show.page import Answer, View

TRAITS = Traits(binary=True, only_values=True)


def write(answer: Answer, view: View, file: IO[bytes]) -> None:
    """Write a file for `safetensors.numpy.load`."""
    file.write(save({name: np.ascontiguousarray(array) for name, array in answer.tensors().items()}))
