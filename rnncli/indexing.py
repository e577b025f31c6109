"""Text that names a tensor and a part of it: `hidden_states[0, -1, 3:]`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from rnncli.errors import UsageError, did_you_mean, listed

if TYPE_CHECKING:
    from rnncli.result import TensorInfo

Index = tuple["int | slice", ...]
"""What NumPy takes between brackets, an axis each; axes that are left out are whole."""

_TEXT = re.compile(r"\s*(?P<name>(?:call \d+/)?[\w/]+)\s*(?:\[(?P<index>[^\[\]]*)\])?\s*")
_NUMBER = re.compile(r"[+-]?\d{1,300}", re.ASCII)


@cache
def parsed(text: str) -> tuple[str, Index]:
    """The name and the index; remembered, because a stream asks for the same ones line after line.

    Raises ValueError where text is not of that form.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no tensor and index")
    return found["name"], tuple(map(part, _parts(found["index"])))


def named(text: str, infos: Sequence[TensorInfo], before: str = "") -> tuple[TensorInfo, list[str]]:
    """Which of `infos` it is, and its index as texts for `number` or `part`, an axis each.

    before: what an error begins with.  Raises UsageError where there is no such tensor.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        advice = f"Write a name and an index, such as '{last_of(infos[0])}'."
        raise UsageError(f"{before}{text}: that is no tensor.", advice)
    known = {info.name: info for info in infos}
    if found["name"] not in known:
        raise UsageError(
            f"{before}there is no tensor {found['name']!r}.", instead_of(found["name"], list(known))
        )
    return known[found["name"]], _parts(found["index"])


def instead_of(name: str, known: Sequence[str]) -> str:
    """What to do where a tensor of this name is asked for, and others are returned."""
    if name.endswith("hidden_states") and f"{name[:-1]}" in known:
        return f"With return_sequences there is one; without, there is {name[:-1]}."
    stateless = not any("last_" in other for other in known)
    if "last_" in name and stateless and any("hidden_state" in other for other in known):
        return f"States come with return_state; without, there is {listed(known)}."
    return did_you_mean(name, known)


def without_call(name: str) -> str:
    """`call 2/hidden_state`, where every call is shown, as `hidden_state`."""
    return name.partition("/")[2] if name.startswith("call ") else name


def last_of(info: TensorInfo) -> str:
    """An example, the last number of a tensor: `hidden_states[0,3,2]`."""
    return f"{info.name}[{','.join(str(int(str(size)) - 1) for size in info.shape)}]"


def part(text: str) -> int | slice:
    """`-1` or `3:` of one axis.  Raises ValueError for anything else."""
    if ":" not in text:
        return number(text)
    start, stop = (number(bound) if bound.strip() else None for bound in text.split(":"))
    return slice(start, stop)


def number(text: str) -> int:
    """`-1`.  Raises ValueError for anything else."""
    if not _NUMBER.fullmatch(text.strip()):
        raise ValueError(f"{text!r} is no whole number")
    return int(text)


def _parts(inside: str | None) -> list[str]:
    return [one.strip() for one in inside.split(",")] if inside and inside.strip() else []
