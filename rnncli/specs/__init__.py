"""What is written about a layer, in any form, as checked Specs; and Specs as text again."""

from __future__ import annotations

from rnncli.specs.build import build
from rnncli.specs.flags import from_flags
from rnncli.specs.text import describe, to_config

__all__ = ["build", "describe", "from_flags", "to_config"]
