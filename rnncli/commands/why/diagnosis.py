"""Find the cause of a message: the families in `causes/` hold patterns and their diagnoses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import NamedTuple

from rnncli.case import Shape
from rnncli.commands.why import causes
from rnncli.commands.why.message import Frame, Message, last_frame, normalize
from rnncli.errors import DisagreementError
from rnncli.registry import names_in
from rnncli.renderers.wording import Bilingual

SEQUENCE: tuple[str, str, str] = ("batch", "timesteps", "features")
"""The input of a recurrent layer, if the message does not say its sizes."""

NO_HINT = Bilingual("", "")


@dataclass(frozen=True)
class Fix:
    """One thing to change.

    english, korean: when to choose this fix.  snippet: Python code with the sizes of the message.
    layers: expressions to run, first to last; empty if there is nothing to run.
    shape: input of the run; a size that the message does not give is a name or None.
    mask, states: whether to run with a mask of (batch, timesteps), and with initial states.
    weights: whether the shapes of the weights matter, and are shown.
    """

    english: str
    korean: str
    snippet: str
    layers: tuple[str, ...] = ()
    shape: Shape = SEQUENCE
    mask: bool = False
    states: bool = False
    weights: bool = False

    @classmethod
    def of_layer(cls, english: str, korean: str, layer: str, shape: Shape = SEQUENCE, **shown: bool) -> Fix:
        """Return the fix to write this layer, which is also what runs.  shown: `states` or `weights`."""
        return cls(english, korean, layer, (layer,), shape, **shown)

    @property
    def situation(self) -> Bilingual:
        """When to choose this fix."""
        return Bilingual(self.english, self.korean)


class Diagnosis(NamedTuple):
    """What a message means.

    explanation: what is wrong, with the numbers of the message.
    hint: which fix is most often right, or what to check; empty if there is nothing to add.
    cause: the name of the Cause, `rank`.  call: the user's line in a traceback.  Both are filled in by
        `diagnose`.
    """

    explanation: Bilingual
    fixes: tuple[Fix, ...]
    hint: Bilingual = NO_HINT
    cause: str = ""
    call: Frame | None = None

    @classmethod
    def of(cls, english: str, korean: str, *fixes: Fix, hint: Bilingual = NO_HINT) -> Diagnosis:
        """Return the diagnosis with this explanation in two languages."""
        return cls(Bilingual(english, korean), fixes, hint)


Diagnose = Callable[[Message], Diagnosis | None]
"""Returns what a message means; None if it is not of this cause after all."""


class Cause(NamedTuple):
    """One known message.

    name: stable, for scripts.  pattern: regular expression, found anywhere in the text on one line; its
        repetitions are bounded, because the text may be hostile.
    """

    name: str
    pattern: str
    diagnose: Diagnose


class Causes(list[Cause]):
    """The causes of a family."""

    def add(self, name: str, pattern: str) -> Callable[[Diagnose], Diagnose]:
        """Add the cause that the decorated function diagnoses."""

        def register(function: Diagnose) -> Diagnose:
            self.append(Cause(name, pattern, function))
            return function

        return register


class Match(NamedTuple):
    """A diagnosis and where in the text its message ends."""

    end: int
    diagnosis: Diagnosis


def diagnose(text: str) -> Diagnosis:
    """Return the diagnosis of the last known message in `text`.

    Raises DisagreementError if there is none.
    """
    found = matches(text)
    if not found:
        raise DisagreementError(
            "this message is not known.",
            "Paste the last lines of the traceback; rnncli why knows the errors of recurrent layers.",
        )
    return max(found, key=lambda one: one.end).diagnosis._replace(call=last_frame(text))


def matches(text: str) -> list[Match]:
    """Return every diagnosis that fits `text`."""
    line, frame = normalize(text), last_frame(text)
    code = frame.code if frame else ""
    return [found for cause in iterate_causes() if (found := _match(cause, line, code)) is not None]


def iterate_causes() -> Iterator[Cause]:
    """Yield the causes of every family."""
    for name in names_in(causes.__path__):
        yield from import_module(f"{causes.__name__}.{name}").CAUSES


def _match(cause: Cause, line: str, code: str) -> Match | None:
    """Return the diagnosis for the last match of the pattern."""
    *_, match = (None, *re.finditer(cause.pattern, line))
    found = match and cause.diagnose(Message(line, match, code))
    return Match(match.end(), found._replace(cause=cause.name)) if match and found else None
