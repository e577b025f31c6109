"""rnncli: an explorer of the shapes and states of recurrent layers.

In Python: `rnncli.run(inputs, "LSTM(3, return_state=True)", seed=42).outputs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnncli.version import __version__

if TYPE_CHECKING:
    from rnncli.result import Result

__all__ = ["__version__", "run"]


def run(inputs: Any, layer: Any = "lstm", *, seed: int = 0, engine: str = "auto", **case: Any) -> Result:
    """What a layer returns for `inputs`, (batch, timesteps, features).

    layer: a name, an expression, a Keras config, or a list of these for a stack.
    case: further fields of rnncli.case.Case, such as mask, initial_state, weights or training.
    Raises rnncli.errors.RnncliError.
    """
    import numpy as np

    from rnncli import pipeline, specs
    from rnncli.case import Case

    stack = specs.from_flags(layer if isinstance(layer, list) else [layer], {})
    array = np.asarray(inputs, pipeline.dtype_of(stack))
    return pipeline.run(Case(stack, array, seed=seed, **case), engine)
