"""The keyword `hold` of run, trace and explain, which holds gates at a value."""

from __future__ import annotations

from collections.abc import Sequence

from rnncli.api._options import Options
from rnncli.api._values import require_texts
from rnncli.case import Case
from rnncli.compute import engines, holds
from rnncli.errors import UsageError
from rnncli.result import Result


def hold_gates(
    case: Case, hold: str | Sequence[str] | None, options: Options, *, check: bool = False
) -> Case:
    """Return the case with the gates that `hold` names held at their values.

    Raises UsageError for a text that does not fit the layers, another engine, or check.
    """
    require_texts("hold", hold, "For example hold='forget[:, 1]=1@2:'.")
    if not hold:
        return case
    if not engines.allows(options.get("engine"), "holds_gates"):
        raise UsageError(f"hold: the engine {options.get('engine')} cannot hold a gate.", "Leave engine out.")
    if check:
        raise UsageError("check compares with Keras, and Keras cannot hold a gate.", "Leave check out.")
    return holds.hold_gates(case, [hold] if isinstance(hold, str) else hold)


def compare_without(case: Case, result: Result, budget: int | None = None) -> Result:
    """Return `result`; if gates are held, add its differences from the run without holds."""
    return holds.compare_without(case, result, budget) if case.hold else result


def require_layer(hold: str | Sequence[str] | None) -> None:
    """Raise UsageError if `hold` is given for a whole saved model."""
    if hold:
        raise UsageError("hold applies to layer, not to model.", "Leave hold out.")
