"""What the texts of causes/*.toml need and a pattern cannot say: a function returns fields, never texts.

A cause names its function with `compute`. The function returns the fields by name, or None if the message
turns out to be of another cause.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rnncli.commands.why.message import Message
from rnncli.commands.why.values import of_inputs, of_layers, of_outputs, of_states

COMPUTE: dict[str, Callable[[Message], dict[str, Any] | None]] = {
    **of_inputs.COMPUTE,
    **of_layers.COMPUTE,
    **of_outputs.COMPUTE,
    **of_states.COMPUTE,
}
