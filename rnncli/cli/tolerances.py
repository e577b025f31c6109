"""--atol and --rtol: one number, or numbers by tensor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rnncli.addresses import parse_decimal
from rnncli.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from rnncli.compute.compare import Tolerance  # help must not load it

ATOL, RTOL = 1e-6, 1e-5


def parse_tolerances(atol: Sequence[str] | None, rtol: Sequence[str] | None) -> tuple[Tolerance, Tolerance]:
    """Return the absolute and the relative tolerance, given or default."""
    return _parse_tolerance("--atol", atol, ATOL), _parse_tolerance("--rtol", rtol, RTOL)


def _parse_tolerance(flag: str, words: Sequence[str] | None, default: float) -> Tolerance:
    """Parse `1e-4` and `last_cell_state=1e-4`.  Raises UsageError for anything but nonnegative numbers."""
    by_name: dict[str, float] = {}
    for word in words or ():
        name, _, text = word.rpartition("=")
        try:
            value = parse_decimal(text)
        except ValueError:
            raise UsageError(
                "{flag}: {text!r} is not a valid number.", "For example {flag} 1e-4.", flag=flag, text=text
            ) from None
        if value < 0:
            raise UsageError(
                "{flag}: {text} is less than 0.", "For example {flag} 1e-4.", flag=flag, text=text
            )
        if not math.isfinite(value):
            raise UsageError(
                "{flag} {text}: a tolerance must be a finite number.",
                "For example {flag} 1e-4.",
                flag=flag,
                text=text,
            )
        if name in by_name:
            raise UsageError(
                "{flag} is given twice for {name}.",
                "Leave one of them out.",
                flag=flag,
                name=name or "every tensor",
            )
        by_name[name] = value
    return {"": default, **by_name} if set(by_name) - {""} else by_name.get("", default)


def require_known(tolerances: Sequence[Tolerance], names: Sequence[str]) -> None:
    """Raise UsageError if --atol or --rtol names a tensor that is not there."""
    for flag, tolerance in zip(("--atol", "--rtol"), tolerances, strict=True):
        for name in tolerance if isinstance(tolerance, Mapping) else ():
            if name and name not in names:
                raise UsageError(
                    "{flag}: there is no tensor {name!r}.", did_you_mean(name, names), flag=flag, name=name
                )


def format_tolerance(tolerance: Tolerance) -> str:
    """Return `1e-06`, or `1e-06, last_cell_state=0.0001`."""
    if not isinstance(tolerance, Mapping):
        return f"{tolerance:g}"
    return ", ".join(f"{name}={value:g}" if name else f"{value:g}" for name, value in tolerance.items())
