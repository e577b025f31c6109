"""The keyword `hold` of run, trace and explain, which holds gates at a value."""

from __future__ import annotations

from collections.abc import Sequence

from rnncli.api._options import Options
from rnncli.api._values import require_texts
from rnncli.case import Case
from rnncli.compute import holds
from rnncli.errors import UsageError


def hold_gates(
    case: Case, hold: str | Sequence[str] | None, options: Options, *, check: bool = False
) -> Case:
    """Return the case with the gates that `hold` names held at their values.

    Raises UsageError for a text that does not fit the layers, another engine, or check.
    """
    require_texts("hold", hold, "For example hold='forget[:, 1]=1@2:'.")
    if not hold:
        return case
    if options.get("engine") not in (None, "auto", "numpy"):
        raise UsageError(f"hold: the engine {options.get('engine')} cannot hold a gate.", "Leave engine out.")
    if check:
        raise UsageError("check compares with Keras, and Keras cannot hold a gate.", "Leave check out.")
    return holds.hold_gates(case, [hold] if isinstance(hold, str) else hold)


def require_layer(hold: str | Sequence[str] | None) -> None:
    """Raise UsageError if `hold` is given for a whole saved model."""
    if hold:
        raise UsageError("hold applies to layer, not to model.", "Leave hold out.")
