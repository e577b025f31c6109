"""why: the cause of a message, and its fixes with the shapes that they give."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

from rnncli import specs
from rnncli.commands.why.diagnosis import Diagnosis, Fix
from rnncli.commands.why.message import Frame
from rnncli.errors import Message, RnncliError, Text
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.result import TensorInfo
from rnncli.show.answer import HEAD, Answer, Records, Sizes, head
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
from rnncli.values import Array, Dimension, Shape, format_shape

MOST_STEPS = 1_000
"""Time steps of the longest run; a longer one would take more than a moment."""
MOST_NUMBERS = 2**18
"""Numbers in the input, and in the weights, of the largest run."""
MOST_PRODUCTS = 2**26
"""Products of the largest run: every weight is used for every time step of every sequence."""

STAND_INS: dict[str, int] = {"batch": 2, "timesteps": 4, "features": 5, "units": 3}
"""Sizes of a run if the message does not give them."""

SEED = 0
NAMED = {"name": str, "shape": Sizes}
SHAPE = {"shape": Sizes}
CANDIDATE = {
    "situation": str,
    "snippet": str,
    "expression": str | list[str] | None,
    "input": (SHAPE, None),
    "mask": (SHAPE, None),
    "initial_state": ([SHAPE], None),
    "run": (SHAPE, None),
    "weights": [NAMED],
    "outputs": [NAMED | {"axes": list[str]}],
    "command": str | None,
}
TEXTS = {"explanation": str, "hint": str}
DOCUMENTS = (HEAD | {"cause": str, "call": Frame | None} | TEXTS | {"candidates": [CANDIDATE]},)


class Outcome(NamedTuple):
    """The result of running a fix.

    stack: None if there is nothing to run.  sizes: the sizes of the input of the run.
    outputs: the returned tensors; a size is unknown where the shape of the fix has a name or None.
    weights: the shapes by path.  states: the shapes of the initial states.
    obstacle: why it was not run, "" if it was.
    """

    fix: Fix
    stack: Stack | None = None
    sizes: tuple[int, ...] = ()
    outputs: tuple[TensorInfo, ...] = ()
    weights: Mapping[str, Shape] = {}
    states: tuple[Shape, ...] = ()
    obstacle: Text = ""


def attempt(fix: Fix) -> Outcome | None:
    """Run the layers of `fix`; None if rnncli refuses them, so that no fix is shown that fails."""
    if not fix.layers:
        return Outcome(fix)
    sizes = tuple(map(_size, fix.shape))
    if 0 in sizes:
        return None
    try:
        stack = specs.from_flags(list(fix.layers), {})
        obstacle = _obstacle(stack, sizes)
        if not obstacle:
            _compute(stack, sizes, fix)
        outputs = stack.outputs(fix.shape)
        weights = stack.weight_shapes(fix.shape)
        states = tuple(info.shape for info in stack.states(fix.shape)) if fix.states else ()
    except RnncliError:
        return None
    return Outcome(fix, stack, sizes, outputs, weights, states, obstacle)


def _size(dimension: Dimension) -> int:
    return dimension if isinstance(dimension, int) else STAND_INS.get(dimension or "", 2)


def _obstacle(stack: Stack, sizes: tuple[int, ...]) -> Text:
    if not all(layer.without_keras for layer in stack.layers):
        return Message("shapes only: only Keras computes this layer")
    weights = sum(prod(map(_size, shape)) for shape in stack.weight_shapes(sizes).values())
    batch, steps = sizes[:2]
    large = max(prod(sizes), weights) > MOST_NUMBERS or steps > MOST_STEPS
    too_large = large or weights * batch * steps > MOST_PRODUCTS
    return Message("shapes only: too large to run here") if too_large else ""


def _compute(stack: Stack, sizes: tuple[int, ...], fix: Fix) -> None:
    import numpy as np

    from rnncli import compute
    from rnncli.inputs import generated
    from rnncli.layers.shape_checks import check_case

    def draw(shape: Shape) -> Array:
        return generated.make_input(tuple(map(_size, shape)), "normal", SEED, stack.dtype)

    states = tuple(draw(info.shape) for info in stack.states(sizes)) if fix.states else None
    mask = np.ones(sizes[:2], dtype=bool) if fix.mask else None
    case = Case(stack, draw(sizes), mask=mask, initial_state=states, seed=SEED)
    compute.run(check_case(case), "numpy")


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
        notes: tuple[Line, ...] = ()
        if call := diagnosis.call:
            where = view.say("{file}, line {line}", file=call.file, line=call.line)
            notes = ((Span(f"{where}: ", "dim"), Span(call.code)),)
        parts: list[PagePart] = []
        if self.outcomes:
            tables = ((_table(self.outcomes, view, beside=beside),) for beside in (True, False))
            parts.append(Variants((*tables, _lines(self.outcomes, view))))
        below: list[PagePart] = [Paragraph(diagnosis.hint.in_language(lang))] if diagnosis.hint.en else []
        if command := next(filter(None, map(command_of, self.outcomes)), ""):
            words, command = f"{view.say('try it')}:", typed(command, lang)
            beneath = (line(words, "dim"), Paragraph(f"  {command}", breaks="flags"))
            below.append(Variants((((Span(f"{words} ", "dim"), Span(command)),), beneath)))
        return Page(title, notes, (*parts, *([(), *below] if below else [])))

    def records(self, view: View) -> Records:
        """Return one row per tensor of a candidate; a candidate that is not run has a single row."""
        header = ("cause", "situation", "snippet", "expression", "input_shape", "output", "shape")
        return header, self._records(view)

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
    words = ["rnncli run --input-shape", ",".join(map(str, outcome.sizes))]
    for layer in fix.layers:
        plain = "'" in layer and re.fullmatch(r"[\w\s(),.='\[\]-]+", layer)
        words += ["-l", f'"{layer}"' if plain else shlex.quote(layer)]
    return " ".join(words)


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
    lines: list[PagePart] = []
    for outcome in outcomes:
        situation = line(outcome.fix.situation.in_language(view.lang), "strong")
        lines += [(), situation, line(f"  {outcome.fix.snippet}", "dim"), *_run(outcome, view)]
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
