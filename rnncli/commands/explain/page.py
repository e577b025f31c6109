"""Lay out an explanation: the number, its equation in names and numbers, then each name's equation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnncli.compute.derivation.explanation import Equation, Explanation, Factor, NumberLocation, Term
from rnncli.result import Result
from rnncli.show.page import (
    Column,
    Line,
    Page,
    Span,
    Table,
    TableCell,
    View,
    cell,
    line,
    marks,
    state_part,
)
from rnncli.show.parts import claim_lines, format_difference, note_of, title
from rnncli.show.width import width_of
from rnncli.show.wording import meaning, name_factor, say


def page(found: Explanation, result: Result, view: View) -> Page:
    """Return a page with the number in the title, its meaning, then the equations, grouped by place."""
    root = found.equations[0]
    label = found.target.label
    style = f"strong {state_part(label)}".strip()
    value = _align_numbers([found.value], view)[0]
    head = (Span(found.target.text, style), Span(f" = {value}", "strong"))
    sentence = [meaning(label, view.lang), *_place(root.place, result, view)]
    notes = [
        line(marks(view).dot.join(filter(None, sentence)), "dim"),
        *claim_lines(found.equals),
        (*(Span(span.text, "dim") for span in title(result.specs, view)),),
        note_of(result, view),
    ]
    if found.without_hold is not None:
        free = _align_numbers([found.without_hold], view)[0]
        notes.append(line(say("was without hold", view.lang).format(value=free), "dim"))
    parts: list[Table | Line] = []
    together: dict[NumberLocation, list[Equation]] = {}
    for equation in found.equations:
        together.setdefault(equation.place, []).append(equation)
    for place, equations in together.items():
        if place != root.place:
            parts += [(), line(marks(view).dot.join(_place(place, result, view)), "strong")]
        parts += [_table(equation, found.target.name, view) for equation in equations]
    return Page(head, tuple(notes), tuple(parts))


def _place(place: NumberLocation, result: Result, view: View) -> Iterator[str]:
    """Yield `layer 0`, `backward`, `unit 1`, `t=3`, each only if there are several; `step` if it differs."""
    lang = view.lang
    if len(result.specs) > 1:
        yield f"{say('layer', lang)} {place.layer}"
    if place.direction and (place.direction == "backward" or "layer" in result.specs[place.layer].config):
        yield say(place.direction, lang)
    if result.input_shape[0] > 1:
        yield f"{say('batch', lang)} {place.batch}"
    yield f"{say('unit', lang)} {place.unit}"
    if place.timestep is not None:
        yield f"t={place.timestep}"
        if place.step != place.timestep and place.step is not None:
            yield f"{say('step', lang)} {place.step}"


def _table(equation: Equation, tensor: str, view: View) -> Table:
    """Put terms below their names if they are few, else one below the other."""
    name = equation.name if "[" not in equation.name else tensor
    name = {"returned": "output"}.get(name, name).replace("candidate.", "")
    if equation.is_held:
        sentence = say("held at", view.lang).format(value=_align_numbers([equation.value], view)[0])
        return Table((Column(""), Column("")), ((cell(name, "strong"), cell(sentence)),))
    if equation.note is not None:
        return _build_note(name, equation, view)
    if len(equation.terms) == len(equation.symbols) and not equation.function and not equation.others:
        return _tabulate_terms(name, equation, view)
    return _list_terms(name, equation, view)


def _build_note(name: str, equation: Equation, view: View) -> Table:
    """Return `cell = cell at t=2 = 0.1234   masked at t=3, so this is the number of t=2`."""
    note, place = equation.note, equation.place
    assert note is not None
    sentence = say(f"masked {note.kind}", view.lang).format(t=place.timestep, before=note.timestep)
    value = _align_numbers([equation.value], view)[0]
    factors = [factor for term in equation.terms for factor in term.factors]
    names = [f"= {name_factor(factor.name, factor.words, view.lang)}" for factor in factors]
    row = (cell(name, "strong"), *map(cell, names), cell(f"= {value}"), cell(sentence, "dim"))
    return Table(tuple(Column("") for _ in row), (row,))


def _tabulate_terms(name: str, equation: Equation, view: View) -> Table:
    """Return names, their numbers, their products and the sum, each below the previous."""
    terms = equation.terms
    numbers = [factor.value for term in terms for factor in term.factors]
    texts = iter(_align_numbers([*numbers, *(term.value for term in terms), equation.value], view))
    rows: list[list[TableCell]] = [[cell(name, "strong")], [()], [()]]
    for place, term in enumerate(terms):
        sign, digits = "+ " if place else "= ", [next(texts) for _ in term.factors]
        names = [name_factor(factor.name, factor.words, view.lang) for factor in term.factors]
        widths = [max(map(width_of, pair)) for pair in zip(names, digits, strict=True)]
        rows[0].append(cell(sign + _times(names, widths, view)))
        rows[1].append(cell(sign + _times(digits, widths, view)))
    for place, _ in enumerate(terms):
        rows[2].append(cell(("+ " if place else "= ") + next(texts)))
    several = any(len(term.factors) > 1 for term in terms) and len(terms) > 1
    kept = rows if several else rows[:2]
    kept[-1].append(cell(f"= {next(texts).lstrip()}"))
    kept.append([(), cell(_remainder(equation, view), "dim")])
    width = max(map(len, kept))
    return Table(
        tuple(Column("") for _ in range(width)), tuple((*row, *[()] * (width - len(row))) for row in kept)
    )


def _times(texts: Sequence[str], widths: Sequence[int], view: View) -> str:
    padded = [text + " " * (width - width_of(text)) for text, width in zip(texts, widths, strict=True)]
    return f" {_dot(view)} ".join(padded).rstrip()


def _list_terms(name: str, equation: Equation, view: View) -> Table:
    """Return one row per term, largest first."""
    numbers = [factor.value for term in equation.terms for factor in term.factors]
    sums = [*(term.value for term in equation.terms), *([equation.others.value] if equation.others else [])]
    texts = _align_numbers([*sums, *numbers, equation.total, equation.value], view)
    total, value = texts[-2:]
    factors = iter(texts[len(sums) : -2])
    rows = [
        _row(text, term, [next(factors) for _ in term.factors], view)
        for text, term in zip(texts, equation.terms, strict=False)
    ]
    if equation.others:
        count = equation.others.count
        words = say("other terms" if count > 1 else "other term", view.lang).format(count=count)
        rows.append((cell(texts[len(sums) - 1]), (), cell(f"{marks(view).ellipsis} {words}", "dim")))
    rows.append(((), (), cell(_remainder(equation, view), "dim")))
    columns = (Column("", right=True), Column(""), Column(""))
    return Table(columns, tuple(rows), _format_head(name, equation, (total.lstrip(), value.lstrip()), view))


def _format_head(name: str, equation: Equation, numbers: tuple[str, str], view: View) -> Line:
    """Return `input = sigmoid(x W + h U + b) = sigmoid(1.6972) = 0.8452`."""
    total, value = numbers
    symbols = " + ".join(equation.symbols).replace("·", _dot(view))
    if function := equation.function:
        symbols = f"{function}({symbols}) = {function}({total})"
    return Span(name, "strong"), Span(f" = {symbols} = "), Span(value, "strong")


def _row(value: str, term: Term, numbers: Sequence[str], view: View) -> tuple[TableCell, ...]:
    dot = f" {_dot(view)} "
    multiplied = cell(f"= {dot.join(numbers)}") if len(numbers) > 1 else ()
    return cell(value), multiplied, (_names(term.factors, dot, view.lang),)


def _names(factors: Sequence[Factor], dot: str, lang: str) -> Line:
    """Return the names of the factors, with weights less prominent."""
    spans: list[Span] = []
    for factor in factors:
        spans += [Span(dot, "dim")] if spans else []
        spans.append(Span(name_factor(factor.name, factor.words, lang), "dim" if factor.is_weight else ""))
    return tuple(spans)


def _remainder(equation: Equation, view: View) -> str:
    return f"{say('remainder', view.lang)} {format_difference(equation.remainder)}"


def _dot(view: View) -> str:
    return marks(view).dot.strip() if not view.ascii else "*"


def _align_numbers(numbers: Sequence[float], view: View) -> list[str]:
    """Format numbers aligned at the decimal point, in a format that suits the largest."""
    import numpy as np

    from rnncli.show.numerals import choose_style, format_number

    style = choose_style(np.array(numbers), view.precision)
    texts = [format_number(number, style) for number in numbers]
    width = max(map(len, texts))
    return [text.rjust(width) if len(numbers) > 1 else text for text in texts]
