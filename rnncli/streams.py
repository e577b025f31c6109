"""Records that come one after another, answered as they come; the layers and their weights are made once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from rnncli import pipeline
from rnncli.case import Case, walk
from rnncli.errors import InputError, RnncliError
from rnncli.readers._text import UTF8_MARK

if TYPE_CHECKING:
    from rnncli.result import Result

MOST_AT_ONCE = 4096
"""Records of one shape that are computed as one batch, however far the input runs ahead."""


class Line(NamedTuple):
    """A line of the input, counted from 1, without its end."""

    number: int
    text: bytes


def whole_lines(read: Callable[[], bytes]) -> Iterator[list[Line]]:
    """The lines that are there, as many at once as have come; blank ones are counted and left out.

    The mark that a UTF-8 text may begin with is no part of the first.

    read: gives what has come since, and waits where nothing has; b"" at the end.
    """
    number, rest = 0, b""
    while chunk := read():
        *ended, rest = (rest + chunk).split(b"\n")
        if ended and number == 0:
            ended[0] = ended[0].removeprefix(UTF8_MARK)
        lines = [Line(number + index, text) for index, text in enumerate(ended, start=1)]
        number += len(ended)
        if ended:
            yield [line for line in lines if line.text.strip()]
    if number == 0:
        rest = rest.removeprefix(UTF8_MARK)
    if rest.strip():
        yield [Line(number + 1, rest)]


class Record(NamedTuple):
    """What a line came to: a Case, or what is wrong with it."""

    line: int
    case: Case | RnncliError


class Stream:
    """One stack of layers, and an answer for every line.

    case_of: the Case of one line; raises an RnncliError that names the line.  Records of one shape are
    computed together, unless the layers keep something from one to the next.
    """

    def __init__(self, case_of: Callable[[Line], Case], engine: str) -> None:
        self._case_of, self._engine = case_of, engine
        self._answer: Callable[[Case], Result] | None = None
        self._features = 0

    def answers(self, lines: Iterable[Line]) -> Iterator[Result | RnncliError]:
        """A result or what went wrong, for each line in order."""
        records = (Record(line.number, self._read(line)) for line in lines)
        for _, together in groupby(records, key=lambda record: _kind(record.case)):
            group = list(together)
            for start in range(0, len(group), MOST_AT_ONCE):
                yield from self._together(group[start : start + MOST_AT_ONCE])

    def _read(self, line: Line) -> Case | RnncliError:
        try:
            case = self._case_of(line)
            features = case.inputs.shape[-1]
            if self._answer is None:
                self._answer, self._features = pipeline.opened(case, self._engine), features
        except RnncliError as error:
            return error
        if features != self._features:
            return InputError(
                f"line {line.number} has {features} features, the lines before have {self._features}.",
                "The weights are made once, for the features of the first line.",
            )
        return case

    def _together(self, group: list[Record]) -> Iterator[Result | RnncliError]:
        cases = [record.case for record in group if isinstance(record.case, Case)]
        if not cases or self._answer is None:  # an error is a group of its own
            yield from (record.case for record in group if isinstance(record.case, RnncliError))
            return
        import numpy as np

        try:
            inputs = cases[0].inputs if len(cases) == 1 else np.concatenate([case.inputs for case in cases])
            result = self._answer(dataclasses.replace(cases[0], inputs=inputs))
        except RnncliError as error:
            for record in group:
                yield type(error)(f"line {record.line}: {error.what}", error.advice)
            return
        yield from pipeline.parted(result, [len(case.inputs) for case in cases])


def _kind(one: Case | RnncliError) -> object:
    """Neighbours of one kind are computed together; what keeps a state, or draws, is a kind of its own."""
    if isinstance(one, RnncliError) or one.mask is not None or one.initial_state is not None or one.training:
        return object()
    return object() if is_stateful(one) else one.inputs.shape[1:]


def is_stateful(case: Case) -> bool:
    """Whether a layer goes on from where the record before has left it."""
    return any(inner.config.get("stateful") for spec in case.layers for inner in walk(spec))
