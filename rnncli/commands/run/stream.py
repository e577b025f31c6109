"""`rnncli run --stream`: one record per line, answered by layers or by a saved model as it arrives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rnncli import arrays, checks
from rnncli.ask import (
    Ask,
    arranging_of,
    given_of,
    model_of,
    read_value,
    require_options,
    returns_of,
    stack_of,
)
from rnncli.ask.notes import note_dropout, note_equal_calls
from rnncli.case import Array, Document, SavedLayer
from rnncli.cli import terminal
from rnncli.cli.output import stream_answers
from rnncli.commands.run.answer import RunAnswer, RunRequest
from rnncli.commands.run.line_batches import InputLine, Stream, name_line, whole_lines
from rnncli.compute import engines, keras_differences
from rnncli.errors import (
    DisagreementError,
    Flag,
    InputError,
    Message,
    RnncliError,
    Text,
    UsageError,
    count,
    inside,
    join,
)
from rnncli.inputs import arrange, formats
from rnncli.inputs.formats import Source, ndjson
from rnncli.inputs.source import open_lines, read_arrived, stdin_holds_data
from rnncli.layers.case import Case
from rnncli.layers.shape_checks import check_states, check_weights
from rnncli.options import first_given

LineAnswers = Callable[[list[InputLine]], Iterator[RunAnswer | RnncliError]]
"""Yields an answer or an error for each line, in order; raises the errors that concern all lines."""
LINES = ("ndjson", "json")
"""The formats a line can be in."""


def require(flags: RunRequest) -> None:
    """Raise UsageError if the flags cannot be combined with --stream."""
    if not flags.stream:
        raise UsageError("{--keep-going} needs {--stream}.", "Add {--stream}, or leave it out.")
    if flags.whole_result_flags:
        refused = " and ".join(flags.whole_result_flags)
        raise UsageError(
            "{refused} cannot be combined with {--stream}.", "Leave {refused} out.", refused=refused
        )
    if flags.memory is not None:
        raise UsageError(
            "{--memory} applies to a batch, but {--stream} computes line by line.", "Leave it out."
        )


def answer(flags: RunRequest) -> None:
    """Read, compute, show; without keep_going, stop at the first bad line, after showing earlier results."""
    require(flags)
    answers = answer_with_model(flags) if flags.ask.model is not None else answer_with_layers(flags)
    relay(*answers, flags)


def answer_with_layers(flags: RunRequest) -> tuple[LineAnswers, NewRemarks]:
    """Return what answers lines with the layers of the flags, and its remarks."""
    require_options(flags.ask)
    require_lines(flags.ask)
    records = LineCases(flags.ask)
    stream = Stream(records, flags.ask.engine)

    def answers(lines: list[InputLine]) -> Iterator[RunAnswer | RnncliError]:
        for line, result in zip(lines, stream.answers(lines), strict=True):
            if isinstance(result, RnncliError):
                yield result
            else:
                yield RunAnswer(checks.select_tensors(result, flags.select), line=line.number)

    return answers, records.remarks


def answer_with_model(flags: RunRequest) -> tuple[LineAnswers, NewRemarks]:
    """Return what answers lines, each an input of the model, and its remarks."""
    from rnncli.commands.run import saved_model
    from rnncli.models import call as models

    saved_model.require(flags)
    require_lines(flags.ask)
    model, options = model_of(flags.ask), arranging_of(flags.ask)
    models.require_paddable(model, options)
    saved_model.require_stateless(model)
    states = read_value(flags.ask, "initial_state")
    returns, remarks = returns_of(flags.ask), NewRemarks()

    def answer_line(line: InputLine) -> RunAnswer:
        require_whole_value(line)
        raw, read = formats.read_raw(Source(line.name, data=line.text), "json")
        chosen, inputs, notes = models.arrange_inputs(model, raw, options, "", states)
        call = models.ModelCall(chosen, inputs, returns, (*read, *notes))
        found = models.compute_tensors(call, flags.ask.engine, everything=flags.ask.all_layers)
        remarks.add(found.notes)
        result = checks.select_tensors(found.result, flags.select)
        return saved_model.ModelAnswer.of(call, found, result, line=line.number)

    def answers(lines: list[InputLine]) -> Iterator[RunAnswer | RnncliError]:
        for line in lines:
            try:
                yield answer_line(line)
            except InputError as error:
                if position := error.detail.fields.get("position"):
                    # A line on its own is line 1 to the reader of JSON.
                    position.template = "column {column}"
                yield name_line(line, error)

    return answers, remarks


class NewRemarks:
    """Remarks on the lines since the last time they were taken; each is made once, whatever its numbers."""

    def __init__(self, texts: Sequence[Text] = ()) -> None:
        self._texts = list(texts)
        self._kinds: set[str] = set()

    def add(self, texts: Sequence[Text], where: Text = "") -> None:
        """Add the remarks that no earlier line had, with `where` in front."""
        for text in texts:
            kind = text.template if isinstance(text, Message) else text
            if kind not in self._kinds:
                self._kinds.add(kind)
                self._texts.append(join((where, text), ": ") if where else text)

    def take(self) -> list[Text]:
        """Return the remarks and forget them."""
        texts, self._texts = self._texts, []
        return texts


def relay(answers: LineAnswers, remarks: NewRemarks, flags: RunRequest) -> None:
    """Read the lines of the input, and show the answer to each as it arrives.

    answers: one for each line, in order.  remarks: those since the last answer, shown before it.
    """
    bad, empty = 0, True
    file, where = open_lines(flags.ask.input)
    with file, stream_answers(flags.output) as show:
        for lines in whole_lines(lambda: read_arrived(file, arrays.BLOCK, where), where):
            for outcome in answers(lines):
                empty = False
                if not isinstance(outcome, RnncliError):
                    terminal.remark(remarks.take(), flags.output.quiet)
                    show(outcome)
                elif flags.keep_going:
                    terminal.print_error(outcome)
                    bad += 1
                else:
                    raise outcome
        if empty:
            raise InputError("{--stream}: the input has no lines.", "Give one tensor per line, as NDJSON.")
    if bad:
        raise DisagreementError("{lines} failed.", "See the messages above.", lines=count(bad, "line"))


def require_lines(ask: Ask) -> None:
    """Raise UsageError if the flags ask for anything but lines of JSON."""
    if ask.input_shape is not None:
        raise UsageError(
            "{--stream} reads lines, but {--input-shape} generates an input.", "Leave one of them out."
        )
    if flag := first_given(ask._asdict(), ("fill", "batch_column", "delimiter", "decimal")):
        raise UsageError(
            "{flag} does not apply to {--stream}, which reads lines of JSON.",
            "Leave it out.",
            flag=Flag(flag),
        )
    format_name = formats.detect_format(Source(""), ask.input_format or _format_of(Path(ask.input or "")))
    if format_name not in LINES:
        raise UsageError(
            "{--stream} reads lines of JSON, but the input is {format_name}.",
            "Leave {--stream} out; a large batch is processed in chunks.",
            format_name=format_name,
        )
    if ask.input is None and not stdin_holds_data():
        raise UsageError("{--stream} has nothing to read.", "Pipe NDJSON in, or name an NDJSON file.")


def _format_of(path: Path) -> str:
    """Return the format for the suffix; unknown suffixes mean lines of JSON, as in a log or a pipe."""
    try:
        return formats.format_of(path)
    except InputError:
        return "ndjson"


class LineCases:
    """The Case of each line: flags are read once, and each line brings its inputs and a mask.

    If the flags are wrong, no line can be computed.
    """

    def __init__(self, ask: Ask) -> None:
        stack = stack_of(ask)
        self.given = given_of(ask, stack, Document())
        self.first_case: Case | None = None
        notes = note_equal_calls(stack, ask.calls, training=bool(ask.training))
        notes += keras_differences.note_sequential(stack)
        notes += note_dropout(ask.options, ask.calls, training=ask.training)
        self.remarks = NewRemarks(notes)
        # Without and with a mask: the notes about Keras depend on nothing else that a line brings.
        self._checked_masks: set[bool] = {False, True} if ask.engine == engines.REFERENCE else set()

    def __call__(self, line: InputLine) -> Case:
        """Return the Case of a line.  Raises InputError if other lines may be valid."""
        require_whole_value(line)
        with inside(line.where):
            document = ndjson.record(line.text, line.number)
        _require_inputs_alone(document)
        arranged = arrange.arrange(document, self.given.arranging)
        if self.first_case is None:
            self._require_fit(arranged.inputs)
            self.first_case = self.given.case(arranged)
        where = line.name if line.number > 1 else ""
        self.remarks.add(arranged.remarks, where)
        case = self.first_case._replace(inputs=arranged.inputs, mask=arranged.mask)
        if (case.mask is not None) not in self._checked_masks:
            self._checked_masks.add(case.mask is not None)
            self.remarks.add(keras_differences.note_keras_errors(case, self.given.stack), where)
        return case

    def _require_fit(self, inputs: Array) -> None:
        """Raise UsageError if states or weights fit no line, InputError if they do not fit this one."""
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
    held = raw.values() if isinstance(raw, Mapping) else raw or ()
    every = [array for one in held for array in (one.weights if isinstance(one, SavedLayer) else (one,))]
    return [array for array in every if array.ndim]


def require_whole_value(line: InputLine) -> None:
    """Raise InputError for a value that goes on after the line."""
    if line.text.strip() in (b"{", b"["):
        raise InputError(
            "a value starts here and continues on the next line.",
            "In a stream each line is a complete value, as {--format} ndjson writes it.",
        )


def _require_inputs_alone(document: Document) -> None:
    for part in ("layer", "initial_state", "weights", "seed", "training"):
        if getattr(document, part) is not None:
            raise InputError(
                "it has its own {part}, but the layers of a stream are built once.",
                "Give it as a flag, and take it out of the line, which has only inputs and a mask.",
                part=part,
            )
