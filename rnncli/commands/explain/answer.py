"""explain: show how one number was computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from rnncli.case import Array
from rnncli.compute.derivation.explanation import Equation, Explanation, Factor
from rnncli.result import Result
from rnncli.show.page import Answer, Page, Records, View
from rnncli.show.parts import head_of, refuse_tensors
from rnncli.show.wording import meaning


@dataclass(frozen=True)
class ExplainAnswer(Answer):
    """An explanation and the run it belongs to."""

    explanation: Explanation
    result: Result

    def document(self, view: View) -> dict[str, Any]:
        """`{..., "explanation": {"tensor", "index", "value", "meaning", "equals", "equations": [...]}}`.

        An equation has `key`, `name`, `layer`, `direction`, `timestep`, `step`, `batch`, `unit`, `value`,
        `function` ("" for none), `total` (what the function is applied to), `symbols`, `terms`, `others`
        (`count` and `value` of the unlisted terms, or null), `remainder` (total minus all terms),
        `rounding` (value minus the function of total in float64) and `masked` (`kind` and `timestep`, or
        null).  A term has a `value` and `factors`: `name`, `value`, and `explained`, the key of another
        equation or "".  With --hold, `without_hold` is the number without it, and the equation of a held
        gate has `held`.
        """
        found, number = self.explanation, _numbers(self.explanation.dtype)
        return {
            **head_of(self.result),
            "explanation": {
                "tensor": found.target.name,
                "index": list(found.target.indices),
                "value": number(found.value),
                "meaning": meaning(found.target.label, view.lang),
                **({} if found.without_hold is None else {"without_hold": number(found.without_hold)}),
                "equals": list(map(str, found.equals)),
                "equations": [_equation(equation, number) for equation in found.equations],
            },
        }

    def page(self, view: View) -> Page:
        """Return the number, then every equation in order."""
        from rnncli.commands.explain.page import page

        return page(self.explanation, self.result, view)

    def records(self, view: View) -> Records:
        """Return one row per factor, with its term and its equation."""
        header = ("equation", "value", "total", "term", "term_value", "factor", "factor_value", "explained")
        return header, (row for equation in self.explanation.equations for row in self._rows(equation))

    def tensors(self) -> dict[str, Array]:
        """Raise UsageError; an explanation has no tensors."""
        refuse_tensors("explain")

    def _rows(self, equation: Equation) -> Iterator[tuple[Any, ...]]:
        from rnncli.show.numerals import format_exactly

        number = _numbers(self.explanation.dtype)

        def text(value: float) -> str:
            return format_exactly(number(value))[0]

        own = equation.key, text(equation.value), text(equation.total)
        for place, term in enumerate(equation.terms):
            for factor in term.factors:
                yield *own, place, text(term.value), factor.name, text(factor.value), factor.explained
        if equation.others is not None:
            yield *own, "others", text(equation.others.value), "", "", ""
        yield *own, "remainder", text(equation.remainder), "", "", ""


def _equation(equation: Equation, number: Callable[[float], Any]) -> dict[str, Any]:
    others, note = equation.others, equation.note
    return {
        "key": equation.key,
        "name": equation.name,
        **equation.place._asdict(),
        "value": number(equation.value),
        "function": equation.function,
        "total": number(equation.total),
        "symbols": list(equation.symbols),
        "terms": [
            {"value": number(term.value), "factors": [_factor(factor, number) for factor in term.factors]}
            for term in equation.terms
        ],
        "others": others and {"count": others.count, "value": number(others.value)},
        "remainder": number(equation.remainder),
        "rounding": number(equation.rounding),
        "masked": note and {"kind": note.kind, "timestep": note.timestep},
        **({"held": True} if equation.is_held else {}),
    }


def _factor(factor: Factor, number: Callable[[float], Any]) -> dict[str, Any]:
    return {"name": factor.name, "value": number(factor.value), "explained": factor.explained}


def _numbers(dtype: str) -> Callable[[float], Any]:
    """Return a converter to `dtype` for numbers the layer computed, so they print in that type's digits."""
    import numpy as np

    own = np.dtype(dtype).type

    def number(value: float) -> Any:
        with np.errstate(over="ignore"):
            short = own(value)
        return short if float(short) == value or value != value else np.float64(value)

    return number
