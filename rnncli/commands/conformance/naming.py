"""What is wrong with an implementation: faults, alone and in pairs, that give its numbers in all cases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from rnncli.case import Array
from rnncli.commands.conformance.faults import ALL, FAULTS, change_rules, list_traits
from rnncli.commands.conformance.judge import Judgement, is_close
from rnncli.commands.conformance.oracle import READINGS, Recurrence, compute
from rnncli.errors import Message, Text, join

NOT_FOUND = "cause not found"
LOOK_AT_TYPES = Message("Look at the type in which the node computes, and at the type of its outputs.")
LOOK_BY_HAND = Message("No known fault gives these numbers, and no two: compare the outputs by hand.")
MOST_SETS = 8
"""The sets of faults from which the search goes on."""
FEW_CASES = 4
"""The attributes that a fault is tried with first."""
MOST_PAIRS = 12_000
"""The pairs that are tried for an operator after those of one case, which are 30,000 of an LSTM at most."""

Faults = frozenset[int]
"""Indices of faults in the list of an operator."""
Causes = tuple[Faults, ...]
"""Each is a fault, or two that explain nothing alone."""


class Explanation(NamedTuple):
    """A cause with the cases that show it.

    name: of a fault; ` + ` joins two that explain nothing alone.  look: what to look at in the code.
    """

    name: str
    look: Text
    cases: tuple[str, ...]


def name_faults(judgements: Sequence[Judgement]) -> tuple[Explanation, ...]:
    """Return what explains the wrong cases, the most frequent first.

    A case has several names where faults act together, and where several give the same numbers in every case.
    """
    looks: dict[str, Text] = {NOT_FOUND: LOOK_BY_HAND}
    answers: dict[str, list[tuple[str, ...]]] = {}
    for operator in ALL:
        for case, solutions in _name_cases(operator, judgements).items():
            answers[case] = list(dict.fromkeys(map(tuple, solutions))) or [(NOT_FOUND,)]
            looks |= {name: look for names in solutions for name, look in names.items()}
    certain = {name for possible in answers.values() if len(possible) == 1 for name in possible[0]}
    cases: dict[str, list[str]] = {}
    for judgement in judgements:
        possible = answers.get(judgement.case.name, [])
        better = [names for names in possible if certain.issuperset(names)]
        for name in dict.fromkeys(name for names in better or possible for name in names):
            cases.setdefault(name, []).append(judgement.case.name)
    order = sorted(cases, key=lambda name: (name == NOT_FOUND, -len(cases[name])))
    return tuple(Explanation(name, looks[name], tuple(cases[name])) for name in order)


def _name_cases(operator: str, judgements: Sequence[Judgement]) -> dict[str, list[dict[str, Text]]]:
    """Return the solutions for each wrong case; what no fault of all types explains, one of a type may."""
    search = _Search(operator, judgements)
    answers = dict(search.name_cases())
    single = [answers[name] for name in search.wrong if search.judgements[name].case.dtype == "float32"]
    for dtype in ("float16", "float64"):
        search = _Search(operator, judgements, dtype)
        if not all(answers[name] for name in search.wrong) and (any(single) or not single):
            answers |= {name: found for name, found in search.name_cases() if not answers[name]}
    return answers


class _Search:
    """The search for the fewest causes that give the numbers of one operator in the most cases, of one type.

    A set of faults explains a case if the oracle with these faults gives the answer.  A cause that is added
    must explain all that was explained before, also what is right: so the name that fits a single case gives
    way to the name that fits all.
    """

    def __init__(self, operator: str, judgements: Sequence[Judgement], dtype: str = "") -> None:
        self.faults, self.dtype = FAULTS[operator], dtype
        self.judgements = {
            judgement.case.name: judgement
            for judgement in sorted(judgements, key=lambda judgement: judgement.case.inputs["X"].size)
            if judgement.case.operator == operator and judgement.outputs
            if dtype in ("", judgement.case.dtype)
        }  # the cheap ones first
        self.wrong = [name for name, judgement in self.judgements.items() if judgement.verdict == "wrong"]
        traits = {name: list_traits(judgement.case) for name, judgement in self.judgements.items()}
        self.visible = {
            name: frozenset(at for at, fault in enumerate(self.faults) if fault.needs <= traits[name])
            for name in traits
        }
        self.known: dict[tuple[str, Faults], bool] = {}
        self.kinds: dict[tuple[Faults, type[Recurrence]], type[Recurrence]] = {}

    def name_cases(self) -> Iterator[tuple[str, list[dict[str, Text]]]]:
        """Yield each wrong case with its causes by name, and what to look at, in each solution."""
        solutions = self._solve() if self.wrong else []
        for case in self.wrong:
            yield (
                case,
                [self._name(case, causes) for causes in solutions if self._explains(case, _union(causes))],
            )

    def _solve(self) -> list[Causes]:
        """Return the fewest causes that explain the most cases, in each way that there is."""
        solutions: list[Causes] = [()]
        alone = [(at,) for at in range(len(self.faults))]
        while not self._explained(_union(solutions[0])).issuperset(self.wrong):
            grown = (
                self._keep_best(more for causes in solutions for more in self._grow(causes, alone, FEW_CASES))
                or self._keep_best(more for causes in solutions for more in self._grow(causes, alone))
                or self._keep_best(self._grow_by_pairs(solutions[0]))
            )
            if not grown:
                break
            solutions = grown
        explained = self._explained(_union(solutions[0]))
        solutions = [causes for causes in solutions if self._explained(_union(causes)) == explained]
        solutions = [self._shrink(causes) for causes in solutions]
        fewest = min(len(_union(causes)) for causes in solutions)
        solutions = [causes for causes in solutions if len(_union(causes)) == fewest]
        solutions += [other for causes in solutions for other in self._replace(causes)]
        return list({_union(causes): causes for causes in reversed(solutions)}.values())[::-1]

    def _keep_best(self, found: Iterable[Causes]) -> list[Causes]:
        """Return those that explain the most, and none whose cases are but a part of another's."""
        solutions = {_union(causes): causes for causes in found}
        explained = {faults: self._explained(faults) for faults in solutions}
        best = [
            faults
            for faults in sorted(solutions, key=lambda faults: -len(explained[faults]))
            if not any(explained[faults] < other for other in explained.values())
        ]
        return [solutions[faults] for faults in best[:MOST_SETS]]

    def _grow(
        self, causes: Causes, more: Iterable[tuple[int, ...]], few: int | None = None
    ) -> Iterator[Causes]:
        """Yield the causes and another one, where they explain more, and all that was explained before.

        A fault that every case can show must explain the cheapest case of an attribute.
        few: only of so many attributes.
        """
        faults = _union(causes)
        explained = self._explained(faults)
        rest = [name for name in self.wrong if name not in explained]
        first = {self.judgements[name].case.attribute: name for name in reversed(rest)}
        cheapest = [name for name in rest if name in first.values()][:few]
        for added in more:
            grown = faults.union(added)
            cases = rest if any(self.faults[at].needs for at in added) else cheapest
            if any(
                self._explains(name, grown) for name in cases if self.visible[name] & grown - faults
            ) and self._explains_all(explained, grown):
                yield (*causes, Faults(added))

    def _grow_by_pairs(self, causes: Causes) -> Iterator[Causes]:
        """Yield the causes and two more faults, which explain nothing alone, and may change nothing alone.

        A fault that speaks against what is explained is left out.
        """
        faults = _union(causes)
        explained = self._explained(faults)
        possible = {
            name: [at for at in self.visible[name] - faults if self._explains_all(explained, faults | {at})]
            for name in self.wrong
            if name not in explained
        }
        tried = 0
        for name in sorted(possible, key=lambda name: len(possible[name])):
            pairs = list(combinations(sorted(possible[name]), 2))
            if tried and tried + len(pairs) > MOST_PAIRS:
                return
            tried += len(pairs)
            fitting = [pair for pair in pairs if self._explains(name, faults.union(pair))]
            if grown := list(self._grow(causes, fitting)):
                yield from grown
                return

    def _shrink(self, causes: Causes) -> Causes:
        """Return the causes without the faults that are not needed."""
        explained = self._explained(_union(causes))
        for at in sorted(_union(causes)):
            fewer = tuple(rest for cause in causes if (rest := cause - {at}))
            if self._explains_all(explained, _union(fewer)):
                causes = fewer
        return causes

    def _replace(self, causes: Causes) -> Iterator[Causes]:
        """Yield the causes with another fault for one of these, where they explain the same."""
        explained = self._explained(_union(causes))
        for at in sorted(_union(causes)):
            needed = [name for name in explained if not self._explains(name, _union(causes) - {at})]
            for other in sorted(set(range(len(self.faults))) - _union(causes)):
                changed = tuple(cause - {at} | {other} if at in cause else cause for cause in causes)
                if self._explains_all([*needed, *explained], _union(changed)):
                    yield changed

    def _explained(self, faults: Faults) -> frozenset[str]:
        return frozenset(name for name in self.judgements if self._explains(name, faults))

    def _explains_all(self, names: Iterable[str], faults: Faults) -> bool:
        return all(self._explains(name, faults) for name in names)

    def _explains(self, name: str, faults: Faults) -> bool:
        acting, judgement = faults & self.visible[name], self.judgements[name]
        if not acting and judgement.verdict != "wrong":
            return True
        if (name, acting) not in self.known:
            types = {judgement.case.dtype, *(array.dtype.name for array in judgement.outputs.values())}
            dtype = "float16" if "float16" in types else "float32"  # a wrong type has a name of its own
            self.known[name, acting] = self._is_close(judgement, acting, dtype)
        return self.known[name, acting]

    def _is_close(self, judgement: Judgement, faults: Faults, dtype: str) -> bool:
        return any(
            is_close(judgement.outputs, outputs, dtype) for outputs in self._compute(judgement, faults)
        )

    def _compute(self, judgement: Judgement, faults: Faults) -> Iterator[dict[str, Array]]:
        """Yield the outputs with these faults, in each reading of the text; none where shapes do not fit."""
        for kind in READINGS.get(judgement.case.attribute, {"": Recurrence}).values():
            if (faults, kind) not in self.kinds:
                self.kinds[faults, kind] = change_rules([self.faults[at] for at in sorted(faults)], kind)
            try:
                with np.errstate(all="ignore"):
                    yield compute(judgement.case, self.kinds[faults, kind])
            except (ValueError, IndexError):
                continue

    def _name(self, case: str, causes: Causes) -> dict[str, Text]:
        """Return the causes that a case shows by name, and what to look at."""
        acting = _union(causes) & self.visible[case]
        for at in sorted(acting):
            if self._explains(case, acting - {at}):
                acting -= {at}
        names: dict[str, Text] = {}
        for cause in causes:
            if cause & acting:
                shown = [self.faults[at] for at in sorted(cause)]
                look = join(dict.fromkeys(fault.look for fault in shown), " ")
                name = " + ".join(fault.name for fault in shown)
                names[f"{name} in {self.dtype}" if self.dtype else name] = look
        judgement = self.judgements[case]
        wanted = judgement.case.dtype
        types = {array.dtype.name for array in judgement.outputs.values()} - {wanted}
        if not types and not self._is_close(judgement, acting, wanted):
            types = {"float32"}
        return names | {f"{wanted} computed as {name}": LOOK_AT_TYPES for name in sorted(types)}


def _union(causes: Causes) -> Faults:
    return Faults().union(*causes)
