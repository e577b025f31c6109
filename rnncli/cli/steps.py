"""Time steps as they are typed: `7`, `-1`, or `A:B` as Python means it."""

from __future__ import annotations

import re

from rnncli.errors import UsageError


def part(text: str) -> slice:
    """One time step, or those from A up to, not including, B.  UsageError for anything else."""
    found = re.fullmatch(r"(-?\d{0,18}):(-?\d{0,18})|(-?\d{1,18})", text.strip())
    if found is None or "-" in found.groups():
        raise UsageError(
            f"--steps {text}: this is not a time step or a range.", "Write 7, -1, 0:50 or -20: instead."
        )
    if found[3]:
        only = int(found[3])
        return slice(only, only + 1 or None)
    return slice(*(int(side) if side else None for side in found.groups()[:2]))


def indices(texts: list[str] | None, count: int) -> list[int] | None:
    """Every time step that is named, of `count`; a single one is left for who knows what there is."""
    if not texts:
        return None
    found: list[int] = []
    for text in texts:
        steps = part(text)
        if ":" not in text:
            found.append(int(text))
        elif not (own := range(count)[steps]):
            raise UsageError(
                f"--steps {text}: it contains no time step; there are {count}, 0 to {count - 1}.",
                "A negative one counts from the end: -1 is the last.",
            )
        else:
            found += own
    return found
