"""`hold` of run, trace and explain: what if a gate had a value of your choice."""

from __future__ import annotations

from collections.abc import Sequence

from rnncli.api._options import Options
from rnncli.case import Case
from rnncli.compute import holds
from rnncli.errors import UsageError
from rnncli.result import Result


def hold_gates(
    case: Case, hold: str | Sequence[str] | None, options: Options, *, check: bool = False
) -> Case:
    """Return the case with the gates held that `hold` names.

    Raises UsageError for a text that does not fit the layers, another engine, or check.
    """
    if not hold:
        return case
    if options.get("engine") not in (None, "auto", "numpy"):
        raise UsageError(f"hold: the engine {options.get('engine')} cannot hold a gate.", "Leave engine out.")
    if check:
        raise UsageError("check compares with Keras, and Keras cannot hold a gate.", "Leave check out.")
    return holds.hold_gates(case, [hold] if isinstance(hold, str) else hold)


def compare_without(case: Case, result: Result, budget: int | None = None) -> Result:
    """Return `result`; if gates are held, with its differences from the run without them."""
    return holds.compare_without(case, result, budget) if case.hold else result


def require_layer(hold: str | Sequence[str] | None) -> None:
    """Raise UsageError for the run of a whole saved model, whose gates are not held."""
    if hold:
        raise UsageError("hold is for layers that you describe, not for model.", "Leave hold out.")
