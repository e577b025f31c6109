"""`rnncli explain`: how a number was computed.

No list of fields describes an equation: its terms are a tree in JSON, rows in CSV, and aligned columns on a
page.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any, get_type_hints

from rnncli.ask import Ask, subject_of
from rnncli.errors import Message, Text, UsageError
from rnncli.result import Label, Result
from rnncli.show.answer import LAYERS_HEAD, Answer, Records, Reply, claim_lines
from rnncli.show.page import Column, Line, Page, Span, Table, TableCell, View, cell, line, marks, state_part
from rnncli.show.result_answer import format_difference, head_of, notes_of, title
from rnncli.show.visible import name_text, step_text, visible, width_of
from rnncli.show.wording import NOT_COMPUTED, brief, meaning, name_layer, new_state, say

if TYPE_CHECKING:
    from rnncli.compute.derivation.explanation import Equation, Explanation, Factor, NumberLocation
    from rnncli.show.formats import OutputFlags

EXAMPLES = """\
rnncli explain 'last_cell_state[0,0]' --layer lstm --seed 42
rnncli explain 'hidden_states[0,3,1]' data.csv -l bigru --return-sequences
rnncli explain 'hidden_state[0,0]' -l gru --units 64 --terms 5 --depth 2
rnncli explain 'hidden_state[0,0]' -l gru --symbols
"""


def explain(
    ask: Ask, output: OutputFlags, *, tensor: str | None, depth: int, terms: int, symbols: bool
) -> Reply[ExplainAnswer]:
    """Where does this number come from?

    The layer's equation with its numbers, term by term, down to the inputs and the previous states.
    The terms add up to the number, apart from the rounding shown.
    """
    from pathlib import Path

    if tensor is None or not tensor.strip():
        raise UsageError("no tensor was named.", _example(ask))
    if ask.input is None and tensor.strip()[:1] not in ("[", "{") and Path(tensor).is_file():
        what = Message("{tensor}: it is a file; the tensor to explain comes before it.", tensor=tensor)
        raise UsageError(what, _example(ask._replace(input=tensor)))
    return compute_answer(ask, tensor, depth, None if output.full else terms, symbols=symbols)


def compute_answer(
    ask: Ask, tensor: str, depth: int, terms: int | None, *, symbols: bool = False
) -> Reply[ExplainAnswer]:
    """Return the answer, and remarks.

    terms: the most terms of a sum; None for all.  symbols: the equations of the cells in symbols, too.
    """
    from rnncli.compute import derivation
    from rnncli.compute.engines import require_steps

    require_steps(ask.engine)
    tensor = tensor.strip()
    parts = subject_of(ask).parts(tensor, alone=True)
    name = tensor.removeprefix(parts.prefix)
    explanation, result = derivation.explain(parts.case, name, depth, terms, parts.prefix)
    written = derivation.symbols_of(explanation, result.specs) if symbols else {}
    return Reply(ExplainAnswer(explanation, result, written), parts.remarks)


def _example(ask: Ask) -> Text:
    from rnncli.compute import derivation
    from rnncli.values import Document

    document, name = (Document(), "") if ask.input is None else ask.read_document()
    stack = ask.stack(document, name)
    if stack.input_rank != 3:  # only Keras computes these layers, and explain has no equations for them
        ask = ask._replace(layer=None, options={})
        stack = ask.stack()
    words = [f"'{derivation.example(stack)}'", *([shlex.quote(str(name))] if name else [])]
    words += [f"-l {shlex.quote(text)}" for text in ask.layer or ()]
    words += ["--bidirectional"] if ask.options.get("bidirectional") else []
    return Message("For example: rnncli explain {words}", words=" ".join(words))


FACTOR = {"name": str, "value": float, "explained": str}


def _equation() -> dict[str, Any]:
    """Return what the document has of an equation."""
    from rnncli.compute.derivation.explanation import Note, NumberLocation, OtherTerms

    return {
        "key": str,
        "name": str,
        **{name: hint for name, hint in get_type_hints(NumberLocation).items() if name != "axes"},
        "axes?": dict[str, int],
        "value": float,
        "function": str,
        "total": float,
        "symbols": list[str],
        "terms": [{"value": float, "factors": [FACTOR]}],
        "reads?": [FACTOR],
        "others": OtherTerms | None,
        "remainder": float,
        "rounding": float,
        "masked": Note | None,
        "held?": True,
    }


EXPLANATION = {
    "tensor": str,
    "index": list[int],
    "sequence?": str,
    "value": float,
    "meaning": str,
    "without_hold?": float,
    "equals": list[str],
    "symbols?": dict[str, dict[str, str]],
    "equations": [_equation],
}
DOCUMENTS = (LAYERS_HEAD | {"explanation": EXPLANATION},)


@dataclass(frozen=True)
class ExplainAnswer(Answer):
    """An explanation and the run it belongs to.  symbols: the equations of its cells, by cell and line."""

    explanation: Explanation
    result: Result
    symbols: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    command = "explain"

    def results(self) -> tuple[Result, ...]:
        """Return the run."""
        return (self.result,)

    def document(self, view: View) -> dict[str, Any]:
        """`{..., "explanation": {"tensor", "index", "value", "meaning", "equals", "equations": [...]}}`.

        With --batch-column, `sequence` has the name of the number's sequence.

        An equation has `key`, `name`, `layer`, `direction`, `timestep`, `step`, `batch`, `unit`, `axes` (the
        index on each axis, of a cell whose axes have names; `unit` is the index among all numbers of the
        step), `value`, `function` ("" for none), `total` (what the function is applied to), `symbols`,
        `terms`, `others`
        (`count` and `value` of the unlisted terms, or null), `remainder` (total minus all terms),
        `rounding` (value minus the function of total in float64) and `masked` (`kind` and `timestep`, or
        null).  A gate of a masked step, which nothing used, has its value as in a trace, but no terms.  A
        term has a `value` and `factors`: `name`, `value`, and `explained`, the key of another equation or
        "".  `reads`, if there, are the factors of a function that has several arguments or reads
        all units.  With --symbols, `symbols` has the lines of each cell.  With --hold, `without_hold` is the
        number without it, and the equation of a held gate has `held`.
        """
        explanation, number = self.explanation, _numbers(self.explanation.dtype)
        free, name = explanation.without_hold, _sequence(explanation.equations[0].location, self.result)
        return {
            **head_of(self.result),
            "explanation": {
                "tensor": explanation.target.name,
                "index": list(explanation.target.indices),
                **({"sequence": name} if name else {}),
                "value": number(explanation.value),
                "meaning": self._say(meaning, view.lang),
                **({} if free is None else {"without_hold": number(free)}),
                "equals": list(map(str, explanation.equals)),
                **({"symbols": self.symbols} if self.symbols else {}),
                "equations": [_document(equation, number) for equation in explanation.equations],
            },
        }

    def _say(self, meaning: Callable[..., str], lang: str) -> str:
        from rnncli.compute.derivation import list_tensors
        from rnncli.layers.stack import Stack

        label, result = self.explanation.target.label, self.result
        location = self.explanation.equations[0].location
        gate = Label(label.part, cell=label.cell, kind="activation")
        for loop in result.trace if label.kind is not None else ():
            is_same = (loop.layer, loop.direction) == (location.layer, location.direction)
            if is_same and gate in loop.new_states:
                return say(new_state(loop.new_states[gate].part), lang)
        infos = list_tensors(Stack(result.specs), result.input_shape)
        return meaning(label, lang, next((info.ends for info in infos if info.label == label), ("last",)))

    def records(self, view: View) -> Records:
        """Return one row per factor, with its term and its equation."""
        header = ("equation", "value", "total", "term", "term_value", "factor", "factor_value", "explained")
        return header, (row for equation in self.explanation.equations for row in self._rows(equation))

    def _rows(self, equation: Equation) -> Iterator[tuple[Any, ...]]:
        from rnncli.show.digits import format_exactly

        number = _numbers(self.explanation.dtype)

        def text(value: float) -> str:
            return format_exactly(number(value))[0]

        start = equation.key, text(equation.value), text(equation.total)
        for index, term in enumerate(equation.terms):
            for factor in term.factors:
                yield *start, index, text(term.value), factor.name, text(factor.value), factor.explained
        for factor in equation.reads:
            yield *start, "reads", "", factor.name, text(factor.value), factor.explained
        if equation.others is not None:
            yield *start, "others", text(equation.others.value), "", "", ""
        yield *start, "remainder", text(equation.remainder), "", "", ""

    def page(self, view: View) -> Page:
        """Return the number in the title, its meaning, then the equations, grouped by location."""
        explanation, result = self.explanation, self.result
        root, label = explanation.equations[0].location, explanation.target.label
        value = _align_numbers([explanation.value], view)[0]
        head: Line = (Span(explanation.target.text, f"strong {state_part(label)}".strip()),)
        is_used = not explanation.equations[0].is_unused
        if is_used:
            head = (*head, Span(f" = {value}", "strong"))
            answer = result.names.answer(explanation.value) if label.part == "hidden" else ""
            head = (*head, Span(f"  {name_text(answer)}")) if answer else head
        says = brief if label.last and label.direction else meaning
        sentence = [self._say(says, view.lang), *_name_location(root, result, view)]
        notes = [
            line(marks(view).dot.join(filter(None, sentence)), "dim"),
            *claim_lines(explanation.equals),
            line(title(result.specs, view)[0].text, "dim"),
            *notes_of(result, view),
        ]
        if explanation.without_hold is not None and is_used:
            free = _align_numbers([explanation.without_hold], view)[0]
            notes.append(line(view.say("without --hold: {value}", value=free), "dim"))
        parts: list[Table | Line] = []
        for name, lines in self.symbols.items():
            if view.ascii:
                lines = {left: text.translate(_ASCII) for left, text in lines.items()}
            rows = tuple((cell(left, "strong"), cell(f"= {text}")) for left, text in lines.items())
            heading = line(name, "strong") if len(self.symbols) > 1 else ()
            parts.append(Table((Column(""), Column("")), rows, heading))
        if self.symbols:
            letters = view.say("W, U, b: the line's columns of kernel, recurrent_kernel and bias")
            parts += [line(letters, "dim"), line(view.say("h: the hidden state before the step"), "dim")]
        locations = list(dict.fromkeys(equation.location for equation in explanation.equations))
        together = sorted(explanation.equations, key=lambda equation: locations.index(equation.location))
        for location, equations in groupby(together, key=lambda equation: equation.location):
            if location != root:
                parts += [(), line(marks(view).dot.join(_name_location(location, result, view)), "strong")]
            parts += [_table(equation, explanation, view) for equation in equations]
        return Page(head, tuple(notes), tuple(parts))


_ASCII = str.maketrans({"⊙": "*", "·": "*", "σ": "sigmoid"})


def _document(equation: Equation, number: Callable[[float], Any]) -> dict[str, Any]:
    others, note = equation.others, equation.note

    def factors(given: Sequence[Factor]) -> list[dict[str, Any]]:
        return [
            {"name": each.name, "value": number(each.value), "explained": each.explained} for each in given
        ]

    return {
        "key": equation.key,
        "name": equation.name,
        **{name: value for name, value in equation.location._asdict().items() if name != "axes"},
        **({} if equation.location.axes is None else {"axes": dict(equation.location.axes)}),
        "value": number(equation.value),
        "function": equation.function,
        "total": number(equation.total),
        "symbols": list(equation.symbols),
        "terms": [{"value": number(term.value), "factors": factors(term.factors)} for term in equation.terms],
        **({"reads": factors(equation.reads)} if equation.reads else {}),
        "others": others and {"count": others.count, "value": number(others.value)},
        "remainder": number(equation.remainder),
        "rounding": number(equation.rounding),
        "masked": note and {"kind": note.kind, "timestep": note.timestep},
        **({"held": True} if equation.is_held else {}),
    }


def _numbers(dtype: str) -> Callable[[float], Any]:
    """Return a converter to `dtype` for numbers the layer computed, so they print in that type's digits."""
    import numpy as np

    scalar = np.dtype(dtype).type

    def number(value: float) -> Any:
        with np.errstate(over="ignore"):
            short = scalar(value)
        return short if float(short) == value or value != value else np.float64(value)

    return number


def _name_location(location: NumberLocation, result: Result, view: View) -> Iterator[str]:
    """Yield `layer 0`, `backward`, `unit 1`, `t=3`, each only if there are several; `step` if it differs."""
    if len(result.specs) > 1:
        yield name_layer(location.layer, view.lang)
    is_half = "layer" in result.specs[location.layer].config
    if location.direction == "backward" or (location.direction and is_half):
        yield view.say(location.direction)
    name = _sequence(location, result)
    if result.input_shape[0] > 1 or name:
        yield f"{view.say('batch')} {location.batch}" + (f" ({visible(name)})" if name else "")
    if location.axes is None:
        yield f"{view.say('unit')} {location.unit}"
    elif location.axes:
        yield ", ".join(f"{axis} {index}" for axis, index in location.axes)
    if location.timestep is not None:
        yield step_text(location.timestep, result.names.step(location.batch, location.timestep))
        if location.step != location.timestep and location.step is not None:
            yield view.say("step {index}", index=location.step)


def _sequence(location: NumberLocation, result: Result) -> str:
    """Return the name of the number's sequence; "" if it has none."""
    names = result.names.sequences
    return names[location.batch] if names else ""


def name_of(equation: Equation, explanation: Explanation) -> str:
    """Return what stands left of the equation: a line of the cell, a state, or a tensor.

    The output of a masked step has the name that its readers use, since an LSTM has a gate called output.
    """
    if equation.name == "returned":
        readers = (factor for reader in explanation.equations for factor in reader.factors)
        named = (factor.name for factor in readers if factor.explained == equation.key)
        return next(named, explanation.target.name)
    return explanation.target.name if "[" in equation.name else equation.name.replace("candidate.", "")


def _table(equation: Equation, explanation: Explanation, view: View) -> Table:
    """Return terms below their names if they are few, else one below the other; without terms, a row:

    `forget`, `held at 1`; or `cell`, `= cell at t=2`, `= 0.1234`, `masked at t=3: carried over`.
    """
    name, note = name_of(equation, explanation), equation.note
    if not equation.is_held and note is None:
        few = len(equation.terms) == len(equation.symbols) and not equation.others
        if few and not equation.function and not equation.reads:
            return _tabulate_terms(name, equation, view)
        return _list_terms(name, equation, view)
    value = _align_numbers([equation.value], view)[0]
    texts = [f"= {_name(factor, view)}" for term in equation.terms for factor in term.factors]
    if note is None:
        last = cell(view.say("held at {value}", value=value))
    else:
        texts += [] if equation.is_unused else [f"= {value}"]
        said = view.say(NOT_COMPUTED[note.kind], t=equation.location.timestep, before=note.timestep)
        last = cell(said, "dim")
    row = (cell(name, "strong"), *map(cell, texts), last)
    return Table(tuple(Column("") for _ in row), (row,))


def _tabulate_terms(name: str, equation: Equation, view: View) -> Table:
    terms = equation.terms
    numbers = [factor.value for term in terms for factor in term.named]
    sums = [-term.value if term.is_subtracted else term.value for term in terms]
    texts = iter(_align_numbers([*numbers, *sums, equation.value], view))
    signs = ["- " if term.is_subtracted else "+ " for term in terms]
    signs[:1] = ["= - " if term.is_subtracted else "= " for term in terms[:1]]
    rows: list[list[TableCell]] = [[cell(name, "strong")], [()], [()]]
    for index, term in enumerate(terms):
        digits = [next(texts) for _ in term.named]
        names = [_name(factor, view) for factor in term.named]
        widths = [max(map(width_of, pair)) for pair in zip(names, digits, strict=True)]
        for row, factors in zip(rows, (names, digits), strict=False):
            padded = (
                text + " " * (width - width_of(text)) for text, width in zip(factors, widths, strict=True)
            )
            row.append(cell(signs[index] + f" {_times(view)} ".join(padded).rstrip(), "number"))
    for sign in signs:
        rows[2].append(cell(sign + next(texts), "number"))
    several = any(len(term.named) > 1 for term in terms) and len(terms) > 1
    kept = rows if several else rows[:2]
    kept[-1].append(cell(f"= {next(texts).lstrip()}", "number"))
    kept += [[(), rounding] for rounding in _rounding(equation, view)]
    width = max(map(len, kept))
    return Table(
        tuple(Column("") for _ in range(width)), tuple((*row, *[()] * (width - len(row))) for row in kept)
    )


def _list_terms(name: str, equation: Equation, view: View) -> Table:
    """Return one row per term, largest first, below `input = sigmoid(x W + h U + b) = sigmoid(1.7) = 0.8`."""
    signs = [-1 if term.is_subtracted else 1 for term in equation.terms]
    numbers = [
        factor.value if index else sign * factor.value
        for sign, term in zip(signs, equation.terms, strict=True)
        for index, factor in enumerate(term.named)
    ]
    read = [factor.value for factor in equation.reads]
    sums = [*(term.value for term in equation.terms), *([equation.others.value] if equation.others else [])]
    texts = _align_numbers([*sums, *numbers, *read, equation.total, equation.value], view)
    factors, dot = iter(texts[len(sums) : -2]), f" {_times(view)} "
    rows: list[tuple[TableCell, ...]] = []
    for text, term in zip(texts, equation.terms, strict=False):
        digits = [next(factors) for _ in term.named]
        names: list[Span] = [Span("-")] if term.is_subtracted else []
        for factor in term.named:
            names += [Span(dot, "dim")] if factor is not term.named[0] else []
            names.append(Span(_name(factor, view), "dim" if factor.is_weight else ""))
        product = cell(f"= {dot.join(digits)}", "number") if len(digits) > 1 else ()
        rows.append((cell(text, "number"), product, (tuple(names),)))
    if equation.others:
        count = equation.others.count
        words = view.say("the other {count} terms" if count > 1 else "the other term", count=count)
        last = cell(f"{marks(view).ellipsis} {words}", "dim")
        rows.append((cell(texts[len(sums) - 1], "number"), (), last))
    rows += [((), (), rounding) for rounding in _rounding(equation, view)]
    if equation.reads and equation.terms:
        rows.append(((), (), cell(view.say("{function} reads:", function=equation.function), "dim")))
    rows += [(cell(next(factors), "number"), (), cell(_name(factor, view))) for factor in equation.reads]
    total, value = (text.lstrip() for text in texts[-2:])
    formula = [equation.formula.replace("·", _times(view))]
    formula += [f"{equation.function}({total})"] if equation.function else []
    written = "".join(f" = {text}" for text in formula if text != name)
    head = Span(name, "strong"), Span(f"{written} = "), Span(value, "strong")
    return Table((Column("", right=True), Column(""), Column("")), tuple(rows), head)


def _name(factor: Factor, view: View) -> str:
    return view.say(factor.shown) if factor.shown else factor.name


def _rounding(equation: Equation, view: View) -> Iterator[TableCell]:
    if equation.remainder:
        yield cell(f"{view.say('rounding')} {format_difference(equation.remainder)}", "dim")


def _times(view: View) -> str:
    return "*" if view.ascii else "·"


def _align_numbers(numbers: Sequence[float], view: View) -> list[str]:
    import numpy as np

    from rnncli.show.digits import choose_style, format_number

    style = choose_style(np.array(numbers), view.precision)
    texts = [format_number(number, style) for number in numbers]
    width = max(map(len, texts))
    return [text.rjust(width) if len(numbers) > 1 else text for text in texts]
