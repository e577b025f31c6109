"""Convert layer descriptions of any form to checked Specs, and Specs back to text."""

from __future__ import annotations

from rnncli.specs.build import build
from rnncli.specs.layer_flags import from_flags
from rnncli.specs.text import configs_of, describe, expression_of, expressions_of, to_config, to_script

__all__ = [
    "build",
    "configs_of",
    "describe",
    "expression_of",
    "expressions_of",
    "from_flags",
    "to_config",
    "to_script",
]
