"""The lines of a stream: each is read as it arrives, and answered by layers or by a saved model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from rnncli import compute
from rnncli.ask.request import Given
from rnncli.compute import keras_differences
from rnncli.errors import InputError, Message, RnncliError, Text, UsageError, count, inside, join
from rnncli.inputs import arrange
from rnncli.inputs.formats import ndjson
from rnncli.inputs.formats.json import MalformedError
from rnncli.inputs.source import UTF8_MARK
from rnncli.layers.case import Case
from rnncli.layers.shape_checks import check_states, check_weights
from rnncli.layers.stack import Stack
from rnncli.process.memory import format_size
from rnncli.result import Result
from rnncli.values import NO_NAMES, Array, SavedLayer, Shape

MAX_LINE = 2**30
"""Maximum bytes of a line; a device or a binary file may have no line ends."""
MAX_RECORDS = 4096
"""Maximum number of records of one shape that are computed together, however much input is waiting."""
SHAPES = 256
"""Maximum number of shapes remembered."""
MAX_BYTES = 2**23
"""Maximum bytes of the records that are computed together: more delays answers and is no faster."""


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


Answers = Callable[[Iterable[InputLine]], Iterator[Result | RnncliError]]
"""Yields a result or an error for each line, in order; raises the errors that concern all lines."""


class NewRemarks:
    """Remarks on the lines since the last time they were taken; each is made once, whatever its numbers."""

    def __init__(self) -> None:
        self._texts: list[Text] = []
        self._kinds: set[str] = set()

    def add(self, texts: Sequence[Text], where: Text = "") -> None:
        """Add the remarks that no earlier line had, with `where` in front."""
        for text in texts:
            kind = text.kind if isinstance(text, Message) else text
            if kind not in self._kinds:
                self._kinds.add(kind)
                self._texts.append(join((where, text), ": ") if where else text)

    def take(self) -> list[Text]:
        """Return the remarks and forget them."""
        texts, self._texts = self._texts, []
        return texts


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
                what = "line {number} has more than {size}."
                advice = "In a stream each line is a complete value, as {--format} ndjson writes it."
                raise InputError(what, advice, number=number + 1, size=format_size(MAX_LINE))
    yield list(_number_lines([b"".join(pending)], number, where))


def _number_lines(texts: list[bytes], before: int, where: Text) -> Iterator[InputLine]:
    for number, text in enumerate(texts, start=before + 1):
        own = text.removeprefix(UTF8_MARK)
        if own.strip():
            yield InputLine(number, where, own)


Record = tuple[InputLine, Case | RnncliError]
"""A line, and its Case, or the error."""


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
        records = ((line, self._read(line)) for line in lines)
        for _, together in groupby(records, key=lambda record: self._kind(record[1])):
            group = list(together)
            cases = (case for _, case in group if isinstance(case, Case))
            most = min((self._at_once.get(case.inputs.shape, 1) for case in cases), default=1)
            for start in range(0, len(group), most):
                yield from self._answer_group(group[start : start + most])

    def _read(self, line: InputLine) -> Case | RnncliError:
        try:
            case = self._case_of(line)
            features = case.inputs.shape[-1]
            if case.inputs.shape not in self._at_once:
                compute.require_room(case, len(case.inputs))
                if len(self._at_once) == SHAPES:
                    self._at_once.clear()
                size = compute.bytes_of_a_sequence(case, case.stack) * max(len(case.inputs), 1)
                self._at_once[case.inputs.shape] = min(max(1, MAX_BYTES // size), MAX_RECORDS)
            if self._answer is None:  # each line brings its own mask and initial state
                bare = case._replace(mask=None, initial_state=None)
                self._answer, self._features = compute.prepare(bare, self._engine), features
                self._stack, self._stateful = case.stack, case.stack.is_stateful
        except InputError as error:
            return name_line(line, error)
        if features != self._features:
            came, wanted = count(features, "feature"), count(self._features, "feature")
            what = "{name} has {came}, but the previous lines have {features}."
            advice = "Give every line {wanted}: the weights are built for the first one."
            return InputError(what, advice, name=line.name, came=came, features=self._features, wanted=wanted)
        return case

    def _answer_group(self, group: list[Record]) -> Iterator[Result | RnncliError]:
        cases = [case for _, case in group if isinstance(case, Case)]
        if not cases or self._answer is None:  # an error stands alone in a group
            yield from (error for _, error in group if isinstance(error, RnncliError))
            return
        try:
            case = self._concatenate(cases)
            if case.mask is not None:
                compute.require_mask(case)
            check_states(case.initial_state, self._stack, case.inputs.shape)
            result = self._answer(case)
        except RnncliError as error:
            if len(group) == 1:
                yield name_line(group[0][0], error)
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

        first = cases[0]
        if self._stateful and self._has_states and first.initial_state is not None:
            first = first._replace(initial_state=None)
        if len(cases) == 1:
            return first
        return first._replace(inputs=np.concatenate([case.inputs for case in cases]))

    def _kind(self, case: Case | RnncliError) -> object:
        """Key for grouping neighbors.

        A record is alone if the layers keep state or draw random numbers, or if the record has names.
        """
        if isinstance(case, RnncliError) or self._stateful or case.training:
            return object()
        if case.mask is not None or case.initial_state is not None or case.names != NO_NAMES:
            return object()
        return case.inputs.shape[1:]


class LineCases:
    """The Case of each line: flags are read once, and each line brings its inputs and a mask.

    in_keras: whether Keras computes, which then raises its errors itself.
    """

    def __init__(self, given: Given, remarks: NewRemarks, *, in_keras: bool) -> None:
        self.given, self.remarks = given, remarks
        self.first_case: Case | None = None
        # Without and with a mask: the notes about Keras depend on nothing else that a line brings.
        self._checked_masks: set[bool] = {False, True} if in_keras else set()

    def __call__(self, line: InputLine) -> Case:
        """Return the Case of a line.  Raises InputError if other lines may be valid."""
        require_whole_value(line)
        with inside(line.where):
            document = ndjson.record(line.text, line.number)
        for part in ("layer", "initial_state", "weights", "seed", "training"):
            if getattr(document, part) is not None:
                what = "it has its own {part}, but the layers of a stream are built once."
                advice = "Give it as a flag, and take it out of the line, which has only inputs and a mask."
                raise InputError(what, advice, part=part)
        arranged = arrange.arrange(document, self.given.arranging)
        if self.first_case is None:
            self._require_fit(arranged.inputs)
            self.first_case = self.given.case(arranged)
        where = line.name if line.number > 1 else ""
        self.remarks.add(arranged.remarks, where)
        if b"NaN" in line.text:  # so that other lines are not searched
            self.remarks.add([*arrange.note_nan({"": arranged.inputs})], where)
        names = arranged.names
        case = self.first_case._replace(inputs=arranged.inputs, mask=arranged.mask, names=names)
        if (case.mask is not None) not in self._checked_masks:
            self._checked_masks.add(case.mask is not None)
            self.remarks.add(keras_differences.note_keras_errors(case, self.given.stack), where)
        return case

    def _require_fit(self, inputs: Array) -> None:
        stack, states, weights = self.given.stack, self.given.initial_state, self.given.weights
        batches = [len(inputs), 1, *map(len, _arrays(states.value))]  # 1: a state may lack the batch axis
        features = [inputs.shape[-1], *map(len, _arrays(weights.value))]
        self._require(
            lambda n: check_states(states.value, stack, (n, *inputs.shape[1:]), states.where), batches
        )
        self._require(
            lambda n: check_weights(weights.value, stack, (*inputs.shape[:-1], n), weights.where), features
        )

    def _require(self, fit: Callable[[int], object], sizes: list[int]) -> None:
        """Call `fit` with the line's size; if it fails, raise UsageError unless another size would fit."""
        try:
            fit(sizes[0])
        except InputError as error:
            if any(_accepts(fit, size) for size in sizes[1:]):
                raise
            raise UsageError("{error}", error.advice, error=error) from None


def _accepts(fit: Callable[[int], object], size: int) -> bool:
    try:
        fit(size)
    except InputError:
        return False
    return True


def _arrays(raw: Any) -> list[Array]:
    """Return the arrays with a first axis in a file of weights or states."""
    entries = raw.values() if isinstance(raw, Mapping) else raw or ()
    arrays = [
        array for entry in entries for array in (entry.weights if isinstance(entry, SavedLayer) else (entry,))
    ]
    return [array for array in arrays if array.ndim]


def require_whole_value(line: InputLine) -> None:
    """Raise InputError for a value that goes on after the line."""
    if line.text.strip() in (b"{", b"["):
        advice = "In a stream each line is a complete value, as {--format} ndjson writes it."
        raise InputError("a value starts here and continues on the next line.", advice)


def name_line(line: InputLine, error: RnncliError) -> RnncliError:
    """Return the error with the name of the line in front; a syntax error already has its column too."""
    number = Message("line {number}", number=line.number)
    if not isinstance(error, MalformedError) and not {line.name, number} & set(error.sources):
        error.sources = (line.name, *error.sources)
    return error
