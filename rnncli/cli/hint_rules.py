"""What a command suggests to try next, and the conditions under which it does.

Conditions look at the flags as they were typed: a suggestion must not wait for the layers to be created.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from rnncli.errors import Message

Values = Mapping[str, Any]
"""The flags of a command by their names in Python: `return_sequences`, `layer`."""

# Not compiled here: most commands are not run in a terminal, and show no hint.
RECURRENT = r"(?i)(\w+\.)*((bi)?(simple_?rnn|rnn|lstm|gru)|bidirectional)\b"
BOTH_WAYS = r"(?i)(\w+\.)*bi"


class Hint(NamedTuple):
    """A suggestion to show after a command if `applies` returns True for its flags.

    line: the command to try, with `{same}` for the flags of the input, the layers and the weights, or
        `{tensor}`.  shows: what that command shows.
    """

    applies: Callable[[Values], bool]
    line: str
    shows: Message


def _layers(values: Values) -> list[str]:
    return list(values.get("layer") or ["lstm"])


def is_traceable(values: Values) -> bool:
    """Return whether every layer is recurrent, and numpy can trace it."""
    recurrent = all(re.match(RECURRENT, name) for name in _layers(values))
    return recurrent and values.get("dtype") in (None, "float32", "float64")


def is_bidirectional(values: Values) -> bool:
    """Return whether the last layer has two directions, and all can be traced."""
    both = values.get("bidirectional") or re.match(BOTH_WAYS, _layers(values)[-1])
    return bool(both) and is_traceable(values)


def returns_last_output(values: Values) -> bool:
    """Return whether a single layer returns neither a sequence nor its states."""
    alone = len(_layers(values)) == 1 and _layers(values)[0].isidentifier()
    return alone and is_traceable(values) and values["return_sequences"] is values["return_state"] is None


def is_one_lstm(values: Values) -> bool:
    """Return whether the only layer is an LSTM with one direction."""
    return [word.lower() for word in _layers(values)] == ["lstm"] and not is_bidirectional(values)


def has_known_sizes(values: Values) -> bool:
    """Return whether the shape of a generated input has only numbers."""
    return bool(re.fullmatch(r"[\d,\s]*", values["input_shape"] or ""))


TRACE = Hint(is_traceable, "trace{same}", Message("every gate at every time step"))
"""The suggestion of every command that shows what a layer returns."""
