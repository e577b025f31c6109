"""The flag --hold, which holds a gate at a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from rnncli.case import Case
from rnncli.cli.flag_groups import RUN, flag
from rnncli.errors import UsageError

HoldFlag = Annotated[
    list[str] | None,
    flag(
        RUN, "--hold", metavar="GATE=VALUE",
        help="Hold a gate at a value: 'forget[:, 1]=1@2:' (unit 1, from step 2 on). Repeat for several.",
    ),
]  # fmt: skip


def hold_gates(case: Case, texts: Sequence[str] | None, engine: str, *, check: bool = False) -> Case:
    """Return the case with the gates that --hold names held at their values.

    Raises UsageError for a text that does not fit the layers, an engine without this ability, or --check.
    """
    if not texts:
        return case
    from rnncli.compute import engines, holds

    if engine not in ("auto", engines.STEPWISE):
        raise UsageError(
            "{--hold}: the engine {engine} cannot hold a gate.", "Leave {--engine} out.", engine=engine
        )
    if check:
        raise UsageError(
            "{--check} compares with Keras, and Keras cannot hold a gate.",
            "Leave {--check} out; {--hold} compares with the run without it.",
        )
    return holds.hold_gates(case, texts)
