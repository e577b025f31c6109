"""Compute records as they arrive; the layers and their weights are created once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from rnncli import compute
from rnncli.case import Shape
from rnncli.errors import InputError, Message, RnncliError, Text, count, inside
from rnncli.inputs.source import UTF8_MARK
from rnncli.layers.case import Case
from rnncli.layers.shape_checks import check_states
from rnncli.layers.stack import Stack
from rnncli.process.memory import format_size
from rnncli.result import Result

MAX_LINE = 2**30
"""Maximum bytes of a line; a device or a binary file may have no line ends."""
MAX_RECORDS = 4096
"""Maximum number of records of one shape per batch, however much input is waiting."""
SHAPES = 256
"""Maximum number of shapes remembered."""
MAX_BYTES = 2**23
"""Maximum bytes of such a batch: larger ones delay answers and are no faster."""


class InputLine(NamedTuple):
    """A line of the input, counted from 1, without its line end.  where: `records.ndjson`, or ""."""

    number: int
    where: Text
    text: bytes

    @property
    def name(self) -> Text:
        """The name of the line in errors."""
        if not self.where:
            return Message("line {number}", number=self.number)
        return Message("{where}: line {number}", where=self.where, number=self.number)


def whole_lines(read: Callable[[], bytes], where: Text = "") -> Iterator[list[InputLine]]:
    """Yield the lines as they arrive, in groups; blank ones are counted but skipped.

    A UTF-8 byte order mark is removed from any line, since several files may have been joined.

    read: returns the bytes that have arrived, waiting if there are none; b"" at the end.
    where: see InputLine.
    Raises InputError for a line of more than MAX_LINE bytes.
    """
    number, pending, length = 0, [b""], 0
    while chunk := read():
        *ended, rest = chunk.split(b"\n")
        if ended:
            ended[0] = b"".join((*pending, ended[0]))
            pending, length = [], 0
            yield list(_number_lines(ended, number, where))
            number += len(ended)
        pending.append(rest)
        length += len(rest)
        if length > MAX_LINE:
            with inside(where):
                raise InputError(
                    "line {number} has more than {size}.",
                    "In a stream each line is a complete value, as {--format} ndjson writes it.",
                    number=number + 1,
                    size=format_size(MAX_LINE),
                )
    yield list(_number_lines([b"".join(pending)], number, where))


def _number_lines(texts: list[bytes], before: int, where: Text) -> Iterator[InputLine]:
    for number, text in enumerate(texts, start=before + 1):
        own = text.removeprefix(UTF8_MARK)
        if own.strip():
            yield InputLine(number, where, own)


class Record(NamedTuple):
    """The result of reading a line: a Case, or the error."""

    line: InputLine
    case: Case | RnncliError


class Stream:
    """One stack of layers that computes every line.

    Computes records of one shape together, unless the layers keep state from one to the next.

    case_of: the Case of one line; only inputs and mask differ between lines.  An InputError from
        it names the line; any other error concerns all lines, and then no line is computed.
    """

    def __init__(self, case_of: Callable[[InputLine], Case], engine: str) -> None:
        self._case_of, self._engine = case_of, engine
        self._answer: Callable[[Case], Result] | None = None
        self._stack = Stack(())
        self._features, self._stateful, self._has_states = 0, False, False
        self._at_once: dict[Shape, int] = {}

    def answers(self, lines: Iterable[InputLine]) -> Iterator[Result | RnncliError]:
        """Yield a result or an error for each line, in order."""
        records = (Record(line, self._read(line)) for line in lines)
        for _, together in groupby(records, key=lambda record: self._kind(record.case)):
            group = list(together)
            most = min(self._limit_group(record.case) for record in group)
            for start in range(0, len(group), most):
                yield from self._answer_group(group[start : start + most])

    def _read(self, line: InputLine) -> Case | RnncliError:
        try:
            case = self._case_of(line)
            features = case.inputs.shape[-1]
            if case.inputs.shape not in self._at_once:
                self._measure(case)
            if self._answer is None:
                self._open(case)
        except InputError as error:
            return name_line(line, error)
        if features != self._features:
            came, wanted = count(features, "feature"), count(self._features, "feature")
            return InputError(
                "{name} has {came}, but the previous lines have {features}.",
                "Give every line {wanted}: the weights are built for the first one.",
                name=line.name,
                came=came,
                features=self._features,
                wanted=wanted,
            )
        return case

    def _measure(self, case: Case) -> None:
        """Check that a record of this shape fits in memory, and compute how many fit at once."""
        compute.require_room(case, len(case.inputs))
        if len(self._at_once) == SHAPES:
            self._at_once.clear()
        most = MAX_BYTES // (compute.bytes_of_a_sequence(case, case.stack) * max(len(case.inputs), 1))
        self._at_once[case.inputs.shape] = min(max(1, most), MAX_RECORDS)

    def _limit_group(self, one: Case | RnncliError) -> int:
        return self._at_once.get(one.inputs.shape, 1) if isinstance(one, Case) else 1

    def _open(self, case: Case) -> None:
        """Create the layers; each line brings its own mask and initial state."""
        bare = case._replace(mask=None, initial_state=None)
        self._answer, self._features = compute.prepare(bare, self._engine), case.inputs.shape[-1]
        self._stack = case.stack
        self._stateful = self._stack.is_stateful

    def _answer_group(self, group: list[Record]) -> Iterator[Result | RnncliError]:
        cases = [record.case for record in group if isinstance(record.case, Case)]
        if not cases or self._answer is None:  # an error stands alone in a group
            yield from (record.case for record in group if isinstance(record.case, RnncliError))
            return
        try:
            case = self._concatenate(cases)
            if case.mask is not None:
                compute.require_mask(case)
            check_states(case.initial_state, self._stack, case.inputs.shape)
            result = self._answer(case)
        except RnncliError as error:
            if len(group) == 1:
                yield name_line(group[0].line, error)
            else:  # the other records are still computed
                for record in group:
                    yield from self._answer_group([record])
            return
        self._has_states = True
        sizes = [len(case.inputs) for case in cases]
        yield from compute.split_result(result, sizes, cases[0])

    def _concatenate(self, cases: list[Case]) -> Case:
        """Concatenate the cases.  A stateful layer uses its initial state only once, then keeps its own."""
        import numpy as np

        one = cases[0]
        if self._stateful and self._has_states and one.initial_state is not None:
            one = one._replace(initial_state=None)
        if len(cases) == 1:
            return one
        return one._replace(inputs=np.concatenate([case.inputs for case in cases]))

    def _kind(self, one: Case | RnncliError) -> object:
        """Key for grouping neighbors; a record is alone if the layers keep state or draw random numbers."""
        if isinstance(one, RnncliError) or self._stateful or one.training:
            return object()
        if one.mask is not None or one.initial_state is not None:
            return object()
        return one.inputs.shape[1:]


def name_line(line: InputLine, error: RnncliError) -> RnncliError:
    """Return the error with the name of the line in front; a syntax error already has its column too."""
    number = Message("line {number}", number=line.number)
    if "position" not in error.detail.fields and not {line.name, number} & set(error.sources):
        error.sources = (line.name, *error.sources)
    return error
