"""What the texts of causes/*.toml need and a pattern cannot say: functions that return values, never texts.

A cause names its function: `compute = "axes"`.
"""

from __future__ import annotations

from rnncli.commands.why.message import ComputeFields
from rnncli.commands.why.values import of_layers, of_tensors

COMPUTE: dict[str, ComputeFields] = {**of_layers.COMPUTE, **of_tensors.COMPUTE}
