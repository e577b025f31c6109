"""why: the cause of a message, and its fixes with the shapes that they give."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rnncli.case import format_shape
from rnncli.commands.why.diagnosis import Diagnosis
from rnncli.commands.why.message import Frame
from rnncli.commands.why.trial import Outcome, attempt
from rnncli.show.answer import Answer, Records, head
from rnncli.show.page import (
    Column,
    Line,
    Page,
    PagePart,
    Paragraph,
    Span,
    Table,
    TableCell,
    Variants,
    View,
    cell,
    line,
    marks,
    state_part,
)
from rnncli.show.wording import typed
from rnncli.specs import expression_of


@dataclass(frozen=True)
class WhyAnswer(Answer):
    """The diagnosis and the result of each fix."""

    diagnosis: Diagnosis
    outcomes: Sequence[Outcome]
    command = "why"
    widest = 100

    @classmethod
    def of(cls, diagnosis: Diagnosis) -> WhyAnswer:
        """Run every fix; skip the fixes that rnncli refuses."""
        return cls(diagnosis, tuple(filter(None, map(attempt, diagnosis.fixes))))

    def document(self, view: View) -> dict[str, Any]:
        """Return the cause, the explanation and every candidate; a candidate without a run has null."""
        diagnosis = self.diagnosis
        return {
            **head(),
            "cause": diagnosis.cause,
            "call": diagnosis.call._asdict() if diagnosis.call else None,
            "explanation": diagnosis.explanation.in_language(view.lang),
            "hint": diagnosis.hint.in_language(view.lang),
            "candidates": [_document(outcome, view) for outcome in self.outcomes],
        }

    def page(self, view: View) -> Page:
        """Return the explanation, the fixes as a table, then the hint and a command to try."""
        diagnosis, lang = self.diagnosis, view.lang
        title = Paragraph(diagnosis.explanation.in_language(lang), "strong")
        notes = () if diagnosis.call is None else (_call(diagnosis.call, view),)
        below: list[PagePart] = [Paragraph(diagnosis.hint.in_language(lang))] if diagnosis.hint.en else []
        if command := next(filter(None, map(command_of, self.outcomes)), ""):
            below.append(_draw_command(typed(command, lang), view))
        return Page(title, notes, (*self._fixes(view), *([(), *below] if below else [])))

    def records(self, view: View) -> Records:
        """Return one row per tensor of a candidate; a candidate that is not run has a single row."""
        header = ("cause", "situation", "snippet", "expression", "input_shape", "output", "shape")
        return header, self._records(view)

    def _fixes(self, view: View) -> tuple[Variants, ...]:
        """Return a row per fix in three forms: the code in a column, below the situation, or as lines."""
        if not self.outcomes:
            return ()
        tables = ((_table(self.outcomes, view, beside=beside),) for beside in (True, False))
        return (Variants((*tables, _lines(self.outcomes, view))),)

    def _records(self, view: View) -> Iterator[tuple[Any, ...]]:
        for outcome in self.outcomes:
            fix = outcome.fix
            row = (self.diagnosis.cause, fix.situation.in_language(view.lang), fix.snippet)
            if outcome.stack is None:
                yield (*row, "", "", "", "")
            for info in outcome.outputs:
                ran = (_format_layers(outcome, view), format_shape(fix.shape))
                yield (*row, *ran, info.name, format_shape(info.shape))


def command_of(outcome: Outcome) -> str:
    """Return the command that repeats the run; "" if there was none, or if it needs files."""
    fix = outcome.fix
    if outcome.stack is None or outcome.obstacle or fix.mask or fix.states:
        return ""
    flags = "".join(f" -l {_quote_layer(layer)}" for layer in fix.layers)
    return f"rnncli run --input-shape {','.join(map(str, outcome.sizes))}{flags}"


def _draw_command(command: str, view: View) -> Variants:
    """Return `try it: rnncli ...` on one line, or the command below."""
    words = f"{view.say('try it')}:"
    whole = (Span(f"{words} ", "dim"), Span(command))
    return Variants(((whole,), (line(words, "dim"), Paragraph(f"  {command}", breaks="flags"))))


def _call(frame: Frame, view: View) -> Line:
    """Return `train.py, line 9: model.fit(x, y)`."""
    where = view.say("{file}, line {line}", file=frame.file, line=frame.line)
    return (Span(f"{where}: ", "dim"), Span(frame.code))


def _quote_layer(layer: str) -> str:
    """Quote an expression for a shell, with as few quotes as possible."""
    plain = re.fullmatch(r"[\w\s(),.='\[\]-]+", layer)
    return f'"{layer}"' if "'" in layer and plain else shlex.quote(layer)


def _document(outcome: Outcome, view: View) -> dict[str, Any]:
    fix, stack = outcome.fix, outcome.stack
    ran = stack is not None
    return {
        "situation": fix.situation.in_language(view.lang),
        "snippet": fix.snippet,
        "expression": expression_of(stack) if stack is not None else None,
        "input": {"shape": list(fix.shape)} if ran else None,
        "mask": {"shape": list(fix.shape[:2])} if ran and fix.mask else None,
        "initial_state": [{"shape": list(shape)} for shape in outcome.states] or None,
        "run": {"shape": list(outcome.sizes)} if ran and not outcome.obstacle else None,
        "weights": [{"name": name, "shape": list(shape)} for name, shape in outcome.weights.items()],
        "outputs": [
            {"name": info.name, "axes": list(info.axes), "shape": list(info.shape)}
            for info in outcome.outputs
        ],
        "command": command_of(outcome) or None,
    }


def _format_layers(outcome: Outcome, view: View) -> str:
    """Return the layers that ran; "" if there are none."""
    return marks(view).arrow.join(outcome.fix.layers)


def _table(outcomes: Sequence[Outcome], view: View, *, beside: bool) -> Table:
    """Return a row per fix; the layers are in the heading if all fixes have the same.

    beside: whether the code has its own column; otherwise it stands below the situation.
    """
    shared, *others = {_format_layers(outcome, view) for outcome in outcomes}
    headings = ["fix", "change"] if beside else ["fix"]
    ran = any(outcome.stack is not None for outcome in outcomes)
    if ran:
        headings += ["input", "layer", "returns"] if others else ["input", "{layer} returns"]
    rows = []
    for outcome in outcomes:
        situation = line(outcome.fix.situation.in_language(view.lang), "strong")
        code = line(outcome.fix.snippet, "dim")
        cells: list[TableCell] = [(situation,), (code,)] if beside else [(situation, code)]
        if ran:
            cells.append(_input(outcome, view))
            if others:
                cells.append(cell(_format_layers(outcome, view)) if outcome.stack is not None else ())
            cells.append(_draw_returns(outcome, view))
        rows.append(tuple(cells))
    columns = tuple(Column(view.say(heading, layer=shared)) for heading in headings)
    return Table(columns, tuple(rows))


def _lines(outcomes: Sequence[Outcome], view: View) -> tuple[PagePart, ...]:
    """Return every fix as lines, for a narrow terminal: the situation, the code, the resulting shapes."""
    lines: list[PagePart] = []
    for outcome in outcomes:
        lines += [(), line(outcome.fix.situation.in_language(view.lang), "strong")]
        lines += [line(f"  {outcome.fix.snippet}", "dim")]
        lines += _run(outcome, view)
    return tuple(lines)


def _run(outcome: Outcome, view: View) -> tuple[PagePart, ...]:
    """Return input, layers and outputs on one line if they fit, else the layers and the outputs below."""
    if outcome.stack is None:
        return ()
    indent, arrow = Span("  "), Span(marks(view).arrow)
    (given, *more), returned = _input(outcome, view), _draw_returns(outcome, view)
    start = (indent, *given, arrow, Span(_format_layers(outcome, view)))
    layers = [line(f"  {marks(view).arrow.lstrip()}{layer}") for layer in outcome.fix.layers]
    rest = [(indent, *spans) for spans in (*more, *returned)]
    below = (Variants(((start,), ((indent, *given), *layers))), *rest)
    if len(returned) > 1:
        return below
    return (Variants((((*start, arrow, *returned[0]), *rest[:-1]), below)),)


def _input(outcome: Outcome, view: View) -> tuple[Line, ...]:
    """Return the shape of the input, and what else the run was given."""
    fix = outcome.fix
    if outcome.stack is None:
        return ()
    more = []
    if fix.mask:
        more.append(view.say("with a mask {shape}", shape=format_shape(fix.shape[:2])))
    if fix.states:
        shapes = ", ".join(map(format_shape, outcome.states))
        more.append(view.say("with initial_state {shapes}", shapes=shapes))
    return (line(format_shape(fix.shape)), *(line(text, "dim") for text in more))


def _draw_returns(outcome: Outcome, view: View) -> tuple[Line, ...]:
    """Return the tensors with their shapes, then the weights if they matter, and why nothing ran."""
    lines: list[Line] = [
        (Span(info.name, f"strong {state_part(info.label)}".strip()), Span(f" {format_shape(info.shape)}"))
        for info in outcome.outputs
    ]
    if outcome.fix.weights:
        shapes = ", ".join(f"{name} {format_shape(shape)}" for name, shape in outcome.weights.items())
        lines.append(line(view.say("weights {shapes}", shapes=shapes), "dim"))
    if outcome.obstacle:
        lines.append(line(view.say(outcome.obstacle), "dim"))
    return tuple(lines)
