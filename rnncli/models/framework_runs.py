"""What the runs of a model in its own framework share: names of its tensors, and errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rnncli.case import Case
from rnncli.compute.engines.tensorflow import informative_line
from rnncli.errors import LayerError, RnncliError
from rnncli.layers.stack import Stack

LONGEST = 200


class UnrunnableError(LayerError):
    """Keras cannot load or run the model."""


def name_outputs(layer: str, count: int, case: Case | None = None) -> list[str]:
    """Return the names of a layer's outputs: `dense/output`, or `split/output_0` and so on for several.

    case: of a recurrent layer, whose outputs have names of their own, `gru/hidden_states`.
    """
    if case is not None:
        return [f"{layer}/{info.name}" for info in Stack(case.specs).outputs(case.inputs.shape)]
    return [f"{layer}/output" if count == 1 else f"{layer}/output_{index}" for index in range(count)]


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
