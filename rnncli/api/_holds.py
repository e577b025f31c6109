"""The keyword `hold` of run, trace and explain, which holds gates at a value."""

from __future__ import annotations

from collections.abc import Sequence

from rnncli.api._options import Options
from rnncli.api._values import require_texts
from rnncli.case import Case
from rnncli.cli import hold_flag
from rnncli.errors import UsageError


def hold_gates(
    case: Case, hold: str | Sequence[str] | None, options: Options, *, check: bool = False
) -> Case:
    """Return the case with the gates that `hold` names held at their values.

    Raises UsageError for a text that does not fit the layers, another engine, or check.
    """
    require_texts("hold", hold, "For example hold='forget[:, 1]=1@2:'.")
    texts = [hold] if isinstance(hold, str) and hold else hold
    return hold_flag.hold_gates(case, texts or None, options.get("engine") or "auto", check=check)


def require_layer(hold: str | Sequence[str] | None) -> None:
    """Raise UsageError if `hold` is given for a whole saved model."""
    if hold:
        raise UsageError("hold applies to layer, not to model.", "Leave hold out.")
