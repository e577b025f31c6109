"""What the texts of causes/*.toml need and a pattern cannot say: functions that return values, never texts.

A cause names its function: `compute = "axes"`.
"""

from __future__ import annotations

from rnncli.commands.why.message import ComputeFields
from rnncli.commands.why.values import of_inputs, of_layers, of_outputs, of_states

COMPUTE: dict[str, ComputeFields] = {
    **of_inputs.COMPUTE,
    **of_layers.COMPUTE,
    **of_outputs.COMPUTE,
    **of_states.COMPUTE,
}
