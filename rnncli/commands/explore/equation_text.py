"""The equations of one step as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from rnncli.compute.derivation.explanation import Equation, Explanation, Term
from rnncli.show.visible import visible
from rnncli.show.wording import name_factor, say


def write(explanation: Explanation, lang: str, *, every_term: bool = False) -> list[Text]:
    """Write the equations; the states first, in names and in numbers, then the gates.

    every_term: list the terms of each gate too.
    """
    lines: list[Text] = []
    if explanation.without_hold is not None:
        now, free = _number(explanation.value), _number(explanation.without_hold)
        without = say("was without hold", lang).format(value=free)
        lines.append(Text.assemble((explanation.target.text, "bold"), f" = {now}   ", (without, "dim")))
    direction = explanation.equations[0].place.direction
    for equation in sorted(explanation.equations, key=lambda one: bool(one.function)):
        if equation.place.direction != direction:
            direction = equation.place.direction
            lines.append(Text(say(direction, lang), "dim"))
        lines += _equation(equation, lang, every_term=every_term)
    return lines


def _equation(equation: Equation, lang: str, *, every_term: bool) -> Iterator[Text]:
    name = equation.name.partition("[")[0].replace("candidate.", "")
    value = _number(equation.value)
    if equation.note is not None:
        note = say(f"masked {equation.note.kind}", lang)
        sentence = note.format(t=equation.place.timestep, before=equation.note.timestep)
        yield Text.assemble((name, "bold"), f" = {value}   ", (sentence, "dim"))
    elif equation.is_held:
        yield Text.assemble((name, "bold"), " = ", say("held at", lang).format(value=value))
    elif equation.function or len(equation.terms) > len(equation.symbols):
        symbols = " + ".join(equation.symbols)
        if equation.function:
            symbols = f"{equation.function}({symbols}) = {equation.function}({_number(equation.total)})"
        yield Text.assemble((name, "bold"), f" = {symbols} = ", (value, "bold"))
        if every_term:
            yield from (_term(term, lang) for term in equation.terms)
    else:
        sums = " + ".join(_names(term, lang) for term in equation.terms)
        numbers = " + ".join(_product(term) for term in equation.terms)
        yield Text.assemble((name, "bold"), f" = {sums}")
        yield Text.assemble(" " * len(name), f" = {numbers} = ", (value, "bold"))


def _term(term: Term, lang: str) -> Text:
    return Text.assemble(f"  {_number(term.value):>10} = {_product(term)}  ", (_names(term, lang), "dim"))


def _names(term: Term, lang: str) -> str:
    return visible(" · ".join(name_factor(factor.name, factor.words, lang) for factor in term.factors))


def _product(term: Term) -> str:
    return " · ".join(_number(factor.value) for factor in term.factors)


def _number(value: float) -> str:
    """Return four decimals, or an exponent where they would say nothing."""
    plain = value == 0 or 1e-3 <= abs(value) < 1e5 or value != value
    return f"{value:z.4f}" if plain else f"{value:.4e}"
