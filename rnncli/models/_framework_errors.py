"""Errors of the frameworks that run saved models, as errors of rnncli."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rnncli.compute.engines.tensorflow import informative_line
from rnncli.errors import LayerError, RnncliError

LONGEST = 200


class UnrunnableError(LayerError):
    """Keras cannot load or run the model."""


def first_sentence(error: Exception) -> str:
    """Return the first sentence of a framework's message, without its advice for code."""
    return shorten_sentence(re.split(r"(?<=\w['\")}])\. |\. (?=[A-Z])", informative_line(error))[0])


def shorten_sentence(line: str) -> str:
    """Return a line with its final stop; a long one is cut between its words."""
    line = line.rstrip(". ")
    if len(line) <= LONGEST:
        return f"{line}."
    return f"{line[:LONGEST].rpartition(' ')[0] or line[:LONGEST]}…"


@contextmanager
def convert_errors(convert: Callable[[Exception], RnncliError]) -> Iterator[None]:
    """Raise `convert(error)` for any error in the block, since frameworks raise many types.

    Errors of rnncli stay as they are.
    """
    try:
        yield
    except RnncliError:
        raise
    except Exception as error:
        raise convert(error) from None
