"""rnncli: an explorer of the shapes and states of recurrent layers.

In Python: `rnncli.run(inputs, "LSTM(3, return_state=True)", seed=42).outputs`.
"""

from __future__ import annotations

import sys

if "".join(getattr(sys, "argv", ())[:1]).rpartition("/")[2] in ("rnncli", "-m"):
    # The command is loading: until it has handlers, an interrupt ends it without Python's traceback.
    # `signal` itself, and `typing` below, take longer to load than all of this.
    import _signal  # type: ignore[import-not-found]

    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

from typing import TYPE_CHECKING, Any

from rnncli.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rnncli.result import Result

__all__ = ["__version__", "run"]


def run(
    inputs: Any,
    layer: Any = "lstm",
    *,
    mask: Any = None,
    initial_state: Any = None,
    weights: Mapping[str, Any] | None = None,
    seed: int = 0,
    training: bool = False,
    calls: int = 1,
    all_layers: bool = False,
    engine: str = "auto",
) -> Result:
    """What a layer returns.

    inputs: (batch, timesteps, features); one sequence may leave the batch axis out.
    layer: a name, an expression, a Keras config, or a list of these for a stack.
    mask: (batch, timesteps), true where a step counts.
    initial_state: each (batch, units), in Keras's order, or by name (`last_hidden_state`).
    weights: by path, `kernel`, `forward/kernel`, `0/kernel`; left out, they are drawn from `seed`.
    calls: how often the inputs are given; a stateful layer goes on from call to call.
    Raises rnncli.errors.RnncliError, which says what came and what to do.
    """
    from rnncli import api

    return api.run(
        inputs,
        layer,
        mask=mask,
        initial_state=initial_state,
        weights=weights,
        seed=seed,
        training=training,
        calls=calls,
        all_layers=all_layers,
        engine=engine,
    )
