"""`rnncli run`: what a layer or a saved model returns.

A batch for a layer is answered here, at once or in chunks that are written as they are computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnncli.ask import Ask, subject_of
from rnncli.commands.checks import ResultChecks, read_checks, select_tensors
from rnncli.errors import DisagreementError, Flag, InputError, RnncliError, UsageError, count
from rnncli.options import first_given, of_files_alone
from rnncli.result import Claim, Label, NamedTensor, Result, evaluate
from rnncli.show.answer import (
    DIFFERENCES,
    LAYERS_LINE,
    MODEL_LINE,
    Answer,
    DeferredValue,
    Field,
    Listing,
    Records,
    Reply,
    results,
    statistics_of_tensor,
)
from rnncli.show.page import Page, PagePart, Paragraph, Span, TableCell, View, line, marks, state_part
from rnncli.show.result_answer import (
    TENSORS,
    VALUES,
    ResultAnswer,
    difference_text,
    differences_document,
    format_difference,
    head_of,
    notes_of,
    records_of,
    tensor_fields,
    tensor_listing,
    title_of,
    unpacking,
    variables_of,
)
from rnncli.show.visible import name_text
from rnncli.show.wording import brief

if TYPE_CHECKING:
    from rnncli.arrays import ChunkedArray
    from rnncli.ask.subject import Bounds
    from rnncli.compute import ChunkedResult
    from rnncli.show.answer import Watch
    from rnncli.show.formats import OutputFlags
    from rnncli.show.statistics import Stats

EXAMPLES = """\
rnncli run --layer lstm --return-sequences --return-state --seed 42
rnncli run data.csv --layer @mgu.toml --units 4 --format json
rnncli run '[[[1, 2], [3, 4]]]' --layer 'LSTM(2, use_bias=False)' --check
tail -f sensor.ndjson | rnncli run --stream --stateful --layer gru -f ndjson
"""


def run(
    ask: Ask,
    output: OutputFlags,
    progress: Watch,
    *,
    select: list[str] | None,
    stats: bool,
    stream: bool,
    keep_going: bool,
    memory: str | None,
    **given: Any,
) -> Reply[Any] | None:
    """What does the layer return?

    Every tensor, its shape, its meaning and its numbers. `rnncli help masks` explains masks, and so for
    return_sequences, return_state, bidirectional, stateful and reset_after.
    """
    from rnncli.process import memory as sizes

    if stream or keep_going:
        answer_lines(
            ask, output, {**given, "stats": stats}, select, memory, stream=stream, keep_going=keep_going
        )
        return None
    checks = read_checks(ask, output.format_name, **given)
    budget = None if memory is None else sizes.parse(memory)
    return compute_answer(ask, checks, select, budget, stats=stats, progress=progress)


def compute_answer(
    ask: Ask,
    checks: ResultChecks,
    select: Sequence[str] | None,
    budget: int | None,
    *,
    stats: bool,
    progress: Watch | None = None,
) -> Reply[Any]:
    """Return the answer; a format that can is written while later chunks are computed.

    select: names of the tensors to show; None for all.  budget: bytes for one chunk of the batch.
    progress: shows how far the chunks are.
    """
    from rnncli.compute import join_results
    from rnncli.show.formats import FORMATS

    subject = subject_of(ask)
    subject.require_able(memory=budget, all_calls=ask.all_calls, hold=ask.hold)
    if checks.expected is not None:
        checks = checks._replace(expected=checks.expected.beside(subject, ask, select))
    parts, results, batch, chunks = subject.compute(budget)
    if chunks > 1 and progress is not None:
        waits = stats or ask.hold or ask.all_calls or checks.any
        grows = not waits and FORMATS[checks.format].incremental
        results = progress(results, batch, grows)
        if grows:
            from rnncli.compute import ChunkedResult

            kept = (select_tensors(result, select) for result in results)
            return Reply(ChunkedRunAnswer(ChunkedResult(kept, batch)), parts.remarks)
    result, remarks = parts.verify(join_results(results, batch), checks.limits, budget)
    shown = select_tensors(result, select)
    answer = RunAnswer(shown, stats_of(shown, parts.bounds()) if stats else {})
    return checks.reply(answer, (*parts.remarks, *remarks), lambda: subject.passed(parts.uses))


OUTPUTS = {"outputs": [(*TENSORS, Field("stats", json=lambda _: False, type=statistics_of_tensor))]}
BODY = OUTPUTS | {"calls?": [OUTPUTS]} | DIFFERENCES
DOCUMENTS = (*results(BODY), LAYERS_LINE | BODY, MODEL_LINE | BODY)
COLUMNS = ("name/brief", "shape/variable", "values/equals/unequal/difference")
"""What the table shows of a tensor."""
MOST_VERDICTS = 8
"""So many sequences have their verdict in the last line."""
SKIPPED = {
    "held": (
        "masked: the layer skips this time step. Its state stays; its output repeats the real step before "
        "it, or is 0 if there is none."
    ),
    "zero": "masked: the layer skips this time step. Its state stays; its output is 0.",
    "both": (
        "masked: the layer skips this time step. Its state stays; its output is 0 or repeats the real step "
        "before it."
    ),
    "empty": (
        "masked: the layer skips this time step. Its state stays; its output is 0. In a sequence of length 0 "
        "the state is 0, too, whatever the initial state: so ONNX Runtime computes it, and the text of the "
        "operator does not say."
    ),
}
"""What the mark says, below the table."""


@dataclass(frozen=True, eq=False)
class RunAnswer(ResultAnswer):
    """Every returned tensor with its name, shape, meaning and numbers.

    stats: empty if not requested.
    line: the line of a stream that this answers; None outside a stream.
    """

    result: Result
    stats: Mapping[Label, Stats] = field(default_factory=dict)
    line: int | None = None

    def document(self, view: View) -> dict[str, Any]:
        """Return the documented object, short in a stream; `differences` only if requested.

        `outputs` belong to the last call; if all calls are requested, `calls` has the outputs of each.
        """
        head = head_of(self.result, self.line)
        by_call = groupby(self.result.outputs, key=lambda tensor: tensor.label.call)
        calls = {call: list(tensors) for call, tensors in by_call} or {None: []}
        objects = [self._objects(tensors, view) for tensors in calls.values()]
        document = {**head, "outputs": objects[-1]}
        last = list(calls)[-1]
        if last is not None:
            alone = self._objects(list(map(_without_call, calls[last])), view)
            document["outputs"] = [{**own, **fields} for own, fields in zip(objects[-1], alone, strict=True)]
            document["calls"] = [{"outputs": outputs} for outputs in objects]
        return {**document, **differences_document(self.result)}

    def page(self, view: View) -> Page:
        """Return one table, a row per tensor, and another with statistics if requested.

        The first note says how Keras unpacks the tensors: `outputs, h, c = layer(x)`.
        """
        notes = *unpacking(self._variables), *notes_of(self.result, view, self.line)
        return Page(title_of(self.result, view, self.line), notes, self._tables(view))

    def records(self, view: View) -> Records:
        """Return name, batch, timestep, unit, value; empty for axes that a tensor lacks."""
        return records_of([((), self.result.outputs)], view)

    def first_nan(self) -> str | None:
        """Return the location of the first NaN: `hidden_states[0, 2, 1]`; None if there is none."""
        from rnncli.show import statistics

        for tensor in self.result.outputs:
            place = statistics.first_nan(tensor.values)
            if place is not None:
                return f"{tensor.name}{list(place)}"
        return None

    @cached_property
    def _variables(self) -> dict[Label, str]:
        """The variables to which `outputs, h, c = layer(x)` assigns the tensors.

        {} for models, all layers, all calls and a line of a stream, which no single call returns so.
        """
        from rnncli.layers.stack import Stack

        result = self.result
        called = result.all_layers or any(tensor.label.call for tensor in result.outputs)
        if called or result.model or result.agreement or result.assumed or self.line is not None:
            return {}
        return variables_of(Stack(result.specs).outputs(result.input_shape))

    def _objects(self, tensors: Sequence[NamedTensor], view: View) -> list[dict[str, Any]]:
        if not self.stats:
            return tensor_listing(tensors, view).objects()
        from rnncli.show import statistics

        def stats(tensor: NamedTensor) -> dict[str, Any]:
            return statistics.document(self.stats[tensor.label], tensor.axes)

        field = Field("stats", stats, json=lambda tensor: tensor.label in self.stats)
        return tensor_listing(tensors, view, field).objects()

    def _tables(self, view: View) -> tuple[PagePart, ...]:
        from_what, differences = view.say(difference_text(self.result)), self.result.differences

        def difference(tensor: NamedTensor) -> str | None:
            difference = differences.get(tensor.name)
            if difference is None:
                return None
            return f"{from_what} {format_difference(difference, self.result.ulps.get(tensor.name))}"

        more = (
            Field("brief", lambda tensor: _meaning_lines(tensor, view)),
            Field("variable", lambda tensor: self._variables.get(tensor.label, "")),
            Field("unequal", lambda tensor: self._say_unequal(tensor, view)),
            Field("difference", difference),
        )
        table = tensor_listing(self.result.outputs, view, *more, columns=COLUMNS).table(view)
        parts: list[PagePart] = [table, *self._explain_mask(view)]
        if self.stats:
            from rnncli.show import statistics

            parts += statistics.draw_statistics(self.stats, view)
        return (*parts, *self._say_verdicts(view))

    def _say_verdicts(self, view: View) -> Iterator[PagePart]:
        """Yield what the last real step of each sequence means, where a layer of one unit has answers."""
        hidden = [tensor for tensor in self.result.outputs if tensor.label.part == "hidden"]
        tensor = hidden[-1] if hidden else None
        if tensor is None or not tensor.names.answers or tensor.values.shape[-1] != 1:
            return
        rows = list(tensor.values.reshape(len(tensor.values), -1))
        if tensor.masked is not None:
            rows = [row[~skipped] for row, skipped in zip(rows, tensor.masked, strict=True)]
        last = [float(row[-1]) for row in rows if len(row)]
        verdicts = [
            f"{name_text(tensor.names.answer(value))} ({value:z.2f})" for value in last[:MOST_VERDICTS]
        ]
        more = [marks(view).ellipsis] if len(last) > MOST_VERDICTS else []
        yield ()
        yield Paragraph(view.say("verdict: {verdicts}", verdicts=", ".join(verdicts + more)))

    def _say_unequal(self, tensor: NamedTensor, view: View) -> TableCell:
        """Return why a last state is not what its output ends with: `!= hidden_states[:, -1, :]: ...`."""
        import numpy as np

        from rnncli.layers.stack import Stack

        label, values = tensor.label, {shown.label: shown.values for shown in self.result.outputs}
        if not label.last or tensor.equals or label not in self._variables:
            return ()
        layer: Any = Stack(self.result.specs).layers[-1]
        claim, mode = next(iter(layer.claims().get(label, ())), None), layer.config.get("merge_mode")
        end = 0 if tensor.ends[0].startswith("first") else -1
        is_mixed = mode in ("sum", "ave", "mul")  # no part of the output is the state of one direction
        if is_mixed and label.part == layer.loops[label.direction].cell.output_state.part:
            row = (slice(None), end, slice(None)) if layer.sequences else ()
            claim = Claim(Label("hidden", layer.sequences), row)
        part = None if claim is None else evaluate(claim, values)
        if (
            claim is None
            or part is None
            or not (differing := np.flatnonzero((tensor.values != part).any(axis=-1))).size
        ):
            return ()
        if is_mixed:
            reason = f"merge_mode={mode!r}"
        elif "mask" in self.result.conditions:
            step = end % self.result.input_shape[1]
            reason = view.say(
                "step {step} of sequence {sequence} is masked", step=step, sequence=differing[0]
            )
        else:
            return ()
        return ((Span("!= ", "dim"), Span(str(claim), state_part(claim.label)), Span(f": {reason}", "dim")),)

    def _explain_mask(self, view: View) -> Iterator[PagePart]:
        """Yield what `masked` means, once, if a row has this mark; not at every line of a stream."""
        skipped = [one.values[one.masked] for one in self.result.outputs if one.masked is not None]
        kinds = {"held" if rows.any() else "zero" for rows in skipped if len(rows)}
        if kinds and self.line is None:
            kind = kinds.pop() if len(kinds) == 1 else "both"
            masks = [tensor.masked for tensor in self.result.outputs if tensor.masked is not None]
            zeroes = self.result.model is not None and self.result.model.zeroes_empty
            if zeroes and any(mask.all(axis=1).any() for mask in masks):  # a whole sequence is masked
                kind = "empty"
            yield ()
            yield Paragraph(view.say(SKIPPED[kind]), "dim")


def _meaning_lines(tensor: NamedTensor, view: View) -> TableCell:
    """Return what a tensor is, in a line or two; of an output of two layers, what each half is."""
    label, ends, bar = tensor.label, tensor.ends, marks(view).halves
    if label.sequence or len(ends) == 1:
        halves = [view.say("forward {bar} backward", bar=bar)] if tensor.half else []
        lines = [brief(label, view.lang, ends), *halves]
    else:
        forward = brief(label._replace(direction="forward"), view.lang, ends[:1])
        backward = brief(label._replace(direction="backward", layer=None), view.lang, ends[1:])
        lines = [forward, f"{bar} {backward}" if tensor.half else backward]
    return tuple(line(text, "dim") for text in lines if text)


def _without_call(tensor: NamedTensor) -> NamedTensor:
    """Return a tensor with the names that it has if no other call is shown."""
    call = tensor.label.call
    if call is None:
        return tensor
    equals = tuple(
        claim.with_place(call=None) if claim.label.call == call else claim for claim in tensor.equals
    )
    return tensor._replace(label=tensor.label.without_call, equals=equals)


class ChunkedRunAnswer(Answer):
    """A large run, written while it is computed, for the formats that support it.

    Its arrays arrive in parts, in the order of the document; only one form can be read, and only once.
    """

    def __init__(self, chunked: ChunkedResult) -> None:
        self.chunked = chunked

    def document(self, view: View) -> dict[str, Any]:
        """Return the documented object; entries known only after the last chunk follow the values."""
        agreed = self.chunked.summary

        fields = (
            *tensor_fields(view.lang),
            VALUES,
            Field("equals", lambda row: DeferredValue(lambda: list(map(str, agreed.equals[row.label])))),
        )
        head = head_of(self.chunked.result)
        del head["engine"]
        outputs = Listing(fields, self.chunked.outputs).objects()
        return {**head, "outputs": outputs, "engine": DeferredValue(lambda: ", ".join(agreed.engines))}

    def records(self, view: View) -> Records:
        """Return the records as RunAnswer does."""
        return records_of([((), self.chunked.outputs)], view)

    def tensors(self) -> dict[str, ChunkedArray]:
        """Return the returned tensors by name, in the order in which they can be read."""
        return {tensor.name: tensor.values for tensor in self.chunked.outputs}


def stats_of(result: Result, bounds: Mapping[Label, Bounds]) -> dict[Label, Stats]:
    """Return the statistics of every tensor with known bounds, which tensors of other layers do not have."""
    from rnncli.show import statistics

    return {
        tensor.label: statistics.summarize(tensor.values, bounds[tensor.label.without_call])
        for tensor in result.outputs
        if tensor.label.without_call in bounds
    }


LINES = ("ndjson", "json")
"""The formats a line can be in."""
WHOLE = {
    "check": "--check",
    "expect": "--expect",
    "stats": "--stats",
    "fail_on_nan": "--fail-on-nan",
    "hold": "--hold",
}
"""Options whose answer needs every number before it can begin."""


def answer_lines(
    ask: Ask,
    output: OutputFlags,
    whole: Mapping[str, Any],
    select: Sequence[str] | None,
    memory: str | None,
    *,
    stream: bool,
    keep_going: bool,
) -> None:
    """Read, compute, show; without keep_going, stop at the first bad line, after showing earlier results.

    whole: options whose answer needs every number before it can begin.
    Raises UsageError for options that cannot be combined with --stream.
    """
    from rnncli import arrays
    from rnncli.ask.layer_files import is_layer
    from rnncli.ask.lines import NewRemarks, whole_lines
    from rnncli.cli import terminal
    from rnncli.cli.output import stream_answers
    from rnncli.inputs.source import open_lines, read_arrived

    if not stream:
        raise UsageError("{--keep-going} needs {--stream}.", "Add {--stream}, or leave it out.")
    if refused := [flag for name, flag in WHOLE.items() if {**whole, "hold": ask.hold}[name]]:
        what = "{refused} cannot be combined with {--stream}."
        raise UsageError(what, "Leave {refused} out.", refused=" and ".join(refused))
    if memory is not None:
        raise UsageError(
            "{--memory} applies to a batch, but {--stream} computes line by line.", "Leave it out."
        )
    subject = subject_of(ask)
    subject.require_able(all_calls=ask.all_calls)
    require_lines(ask)
    remarks = NewRemarks()
    answers = subject.lines(remarks)
    bad, empty = 0, True
    file, where = open_lines(ask.input, is_layer)
    with file, stream_answers(output) as show:
        for lines in whole_lines(lambda: read_arrived(file, arrays.BLOCK, where), where):
            for line, outcome in zip(lines, answers(lines), strict=True):
                empty = False
                if not isinstance(outcome, RnncliError):
                    terminal.remark(remarks.take(), output.quiet)
                    show(RunAnswer(select_tensors(outcome, select), line=line.number))
                elif keep_going:
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
    from rnncli.inputs import formats
    from rnncli.inputs.source import Source, stdin_holds_data

    if ask.input_shape is not None:
        raise UsageError(
            "{--stream} reads lines, but {--input-shape} generates an input.", "Leave one of them out."
        )
    if flag := first_given(ask._asdict(), ("fill", *of_files_alone("lines"))):
        what = "{flag} does not apply to {--stream}, which reads lines of JSON."
        raise UsageError(what, "Leave it out.", flag=Flag(flag))
    try:
        by_suffix = formats.format_of(Path(ask.input or ""))
    except InputError:  # lines of JSON, as in a log or a pipe
        by_suffix = "ndjson"
    format_name = formats.detect_format(Source(""), ask.input_format or by_suffix)
    if format_name not in LINES:
        what = "{--stream} reads lines of JSON, but the input is {format_name}."
        advice = "Leave {--stream} out; a large batch is processed in chunks."
        raise UsageError(what, advice, format_name=format_name)
    if ask.input is None and not stdin_holds_data():
        raise UsageError("{--stream} has nothing to read.", "Pipe NDJSON in, or name an NDJSON file.")
