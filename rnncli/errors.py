"""Everything that can go wrong, and the exit code of each; nothing else knows an exit code.

An error says three things: what was tried, what came instead, and what to do.  The first two are
`what`, the last is `advice`.  Only `rnncli.cli.app` catches them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

INTERRUPTED = 130
"""The exit code of Ctrl-C, which is no error."""


class RnncliError(Exception):
    """The root of the tree.  `what`: one sentence; `advice`: what to do, may be empty."""

    exit_code = 2

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(f"{what}\n{advice}" if advice else what)
        self.what = what
        self.advice = advice


class UsageError(RnncliError):
    """The command line asks for something that cannot be meant."""


class InputError(RnncliError):
    """What was read is not a tensor, a layer, a mask, a state or weights; names the place."""


class LayerError(RnncliError):
    """A layer, an option of it, an activation or an initializer that Keras would not take."""


class DisagreementError(RnncliError):
    """It ran, and what was asked to hold does not."""

    exit_code = 1


class EngineError(RnncliError):
    """An engine or an optional package is missing, or failed."""

    exit_code = 3


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """'Did you mean `lstm`?' where one of `choices` is near `word`, else 'It is one of a, b, c.'"""
    import difflib

    names = list(choices)
    folded = {name.casefold().replace("_", "").replace("-", ""): name for name in reversed(names)}
    near = difflib.get_close_matches(
        word.casefold().replace("_", "").replace("-", ""), folded, n=1, cutoff=0.6
    )
    if near:
        return f"Did you mean {folded[near[0]]}?"
    if len(names) == 1:
        return f"There is only {names[0]}."
    return f"It is one of {listed(names)}." if names else ""


def listed(names: Sequence[str], most: int = 10) -> str:
    """`a, b, c`; of a long list the first ones, and how many there are more."""
    if len(names) <= most:
        return ", ".join(names)
    shown = names[: most - 2]
    return f"{', '.join(shown)} and {len(names) - len(shown)} more"
