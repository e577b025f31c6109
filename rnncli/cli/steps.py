"""Parse time steps: `7`, `-1`, or `A:B` as in Python."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rnncli.errors import Message, UsageError


def parse_range(text: str) -> slice:
    """Parse one time step, or a range from A to B, B excluded.  Raises UsageError for anything else."""
    found = re.fullmatch(r"(?a)(-?\d{0,18}):(-?\d{0,18})|(-?\d{1,18})", text.strip())
    if found is None or "-" in found.groups():
        raise UsageError(
            "{--steps:text}: this is not a time step or a range.",
            "Write 7, -1, 0:50 or -20: instead.",
            text=text,
        )
    if found[3]:
        only = int(found[3])
        return slice(only, only + 1 or None)
    return slice(*(int(side) if side else None for side in found.groups()[:2]))


def select_indices(texts: Sequence[str] | None, count: int) -> list[int] | None:
    """Return every named time step of `count`; a single one is not checked against `count` here."""
    if not texts:
        return None
    chosen: list[int] = []
    for text in texts:
        steps = parse_range(text)
        if ":" not in text:
            chosen.append(int(text))
        elif not (places := range(count)[steps]):
            known = (
                Message("there are {count}, 0 to {last}", count=count, last=count - 1)
                if count > 1
                else Message("the only one is 0")
            )
            raise UsageError(
                "{--steps:text}: this contains no time step; {known}.",
                "A negative index counts from the end: -1 is the last.",
                text=text,
                known=known,
            )
        else:
            chosen += places
    return chosen
