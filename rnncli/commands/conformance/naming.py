"""What is wrong with an implementation: faults, alone and in pairs, that give its numbers in all cases."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import combinations
from typing import NamedTuple

import numpy as np

from rnncli.commands.conformance.faults import faults_of, join_changes, list_traits
from rnncli.commands.conformance.judge import Judgement, is_close, settle
from rnncli.commands.conformance.oracle import READINGS, compute, list_readings, rounding_of
from rnncli.errors import Message, Text, join
from rnncli.values import Array

NOT_FOUND = "cause not found"
LOOK_AT_TYPES = Message("Look at the type in which the numbers are computed, and at the type of the outputs.")
LOOK_AT_NUMBERS = Message("Look for a division by 0, an overflow, or memory that is read but never written.")
LOOK_BY_HAND = Message("No known fault gives these numbers, and no two: compare the outputs by hand.")
MOST_SETS = 8
"""The sets of faults from which the search goes on."""
FEW_CASES = 4
"""The attributes that a fault is tried with first."""
MOST_PAIRS, MOST_FIRST = 12_000, 35_000
"""The pairs that are tried for an operator after those of one case, and of this case: of an LSTM 30,000."""

ROUGH = 1e-2
"""How far rounding may move a number, as a part of the largest of its row."""

Faults = frozenset[int]
"""Indices of faults in the list of an operator."""


class NamedFault(NamedTuple):
    """A cause with the cases that show it.

    name: of a fault; ` + ` joins two that explain nothing alone.  look: what to look at in the code.
    """

    name: str
    look: Text
    cases: tuple[str, ...]


def name_faults(judgements: Sequence[Judgement]) -> tuple[NamedFault, ...]:
    """Return what explains the wrong cases, the most frequent first.

    A case has several names where faults act together, and where several give the same numbers in every case.
    """
    looks: dict[str, Text] = {}
    answers: dict[str, list[tuple[str, ...]]] = {}
    explained: dict[str, list[dict[str, Text]]] = {}
    for operator in dict.fromkeys(judgement.case.operator for judgement in judgements):
        explained |= _name_cases(operator, judgements)
    for judgement in (judgement for judgement in judgements if judgement.verdict == "wrong"):
        case = judgement.case.name
        solutions = explained.get(case) or [_name_odd(judgement) or {NOT_FOUND: LOOK_BY_HAND}]
        answers[case] = list(dict.fromkeys(map(tuple, solutions)))
        looks |= {name: look for names in solutions for name, look in names.items()}
    certain = {name for possible in answers.values() if len(possible) == 1 for name in possible[0]}
    cases: dict[str, list[str]] = {}
    for judgement in judgements:
        possible = answers.get(judgement.case.name, [])
        better = [names for names in possible if certain.issuperset(names)]
        for name in dict.fromkeys(name for names in better or possible for name in names):
            cases.setdefault(name, []).append(judgement.case.name)
    order = sorted(cases, key=lambda name: (name == NOT_FOUND, -len(cases[name])))
    return tuple(NamedFault(name, looks[name], tuple(cases[name])) for name in order)


def _name_odd(judgement: Judgement) -> dict[str, Text]:
    """Return a name for outputs that are whole numbers, or without a finite number; {} for others."""
    outputs = judgement.outputs
    if odd := {name: array for name, array in outputs.items() if array.dtype.kind != "f"}:
        types = dict.fromkeys(array.dtype.name for array in odd.values())
        return {f"{', '.join(odd)}: whole numbers ({', '.join(types)})": LOOK_AT_TYPES}
    odd = _without_numbers(judgement)
    values = np.concatenate([np.empty(0), *odd.values()])
    kinds = {"NaN": np.isnan(values).any(), "infinite": np.isinf(values).any()}
    name = f"every number is {' or '.join(kind for kind, has in kinds.items() if has)}"
    name = name if len(odd) == len(outputs) else f"{', '.join(odd)}: {name}"
    return {name: LOOK_AT_NUMBERS} if odd else {}


def _without_numbers(judgement: Judgement) -> dict[str, Array]:
    """Return the numbers that are judged of each output that has no finite one."""
    left = settle(judgement.case, {name: array * np.nan for name, array in judgement.outputs.items()})
    judged = {name: array[np.isnan(left[name])] for name, array in judgement.outputs.items()}
    return {name: values for name, values in judged.items() if values.size and not np.isfinite(values).any()}


def _name_cases(operator: str, judgements: Sequence[Judgement]) -> dict[str, list[dict[str, Text]]]:
    """Return the solutions for each wrong case; what no fault of all types explains, one of a type may."""
    wrong = [judgement for judgement in judgements if judgement.verdict == "wrong"]
    if {judgement.case.dtype for judgement in wrong if judgement.case.operator == operator} == {"float64"}:
        exact = dict(_Search(operator, judgements, is_exact=True).name_cases())
        if all(exact.values()):
            return exact
    search = _Search(operator, judgements)
    answers = dict(search.name_cases())
    single = [answers[name] for name in search.wrong if search.judgements[name].case.dtype == "float32"]
    for dtype in ("float16", "float64"):
        search = _Search(operator, judgements, dtype)
        if not all(answers[name] for name in search.wrong) and (any(single) or not single):
            answers |= {name: faults for name, faults in search.name_cases() if not answers[name]}
    return answers


class _Search:
    """The search for the fewest faults that give the numbers of one operator in the most cases, of one type.

    A set of faults explains a case if the oracle with these faults gives the answer.  A fault that is added
    must explain all that was explained before, also what is right: so the name that fits a single case gives
    way to the name that fits all.  is_exact: without pairs, and within the tolerance
    of each case, so that float32 explains nothing.
    """

    def __init__(
        self, operator: str, judgements: Sequence[Judgement], dtype: str = "", *, is_exact: bool = False
    ) -> None:
        self.dtype, self.is_exact = dtype, is_exact
        self.judgements = {
            judgement.case.name: judgement
            for judgement in sorted(
                judgements, key=lambda judgement: next(iter(judgement.case.inputs.values())).size
            )
            if judgement.case.operator == operator and judgement.outputs
            if all(array.dtype.kind == "f" for array in judgement.outputs.values())
            if dtype in ("", judgement.case.dtype)
        }  # the cheap ones first
        first = next(judgement.case for judgement in judgements if judgement.case.operator == operator)
        self.faults = faults_of(first)
        every = [name for name, judgement in self.judgements.items() if judgement.verdict == "wrong"]
        self.empty = [name for name in every if _without_numbers(self.judgements[name])]
        self.wrong = [name for name in every if name not in self.empty]
        traits = {name: list_traits(judgement.case) for name, judgement in self.judgements.items()}
        self.visible = {
            name: Faults(at for at, fault in enumerate(self.faults) if fault.needs <= traits[name])
            for name in traits
        }
        self.pairs: set[Faults] = set()  # of faults that explain nothing alone
        self.known: dict[tuple[str, Faults], bool] = {}

    def name_cases(self) -> Iterator[tuple[str, list[dict[str, Text]]]]:
        """Yield each wrong case and, for each solution, the names of its faults, with what to look at.

        An output without a finite number starts no search: any fault that overflows would explain it.
        """
        solutions = self._solve() if self.wrong else []
        for case in [*self.wrong, *self.empty]:
            yield case, [self._name(case, faults) for faults in solutions if self._explains(case, faults)]

    def _solve(self) -> list[Faults]:
        """Return the fewest faults that explain the most cases, in each way that there is."""
        solutions = [Faults()]
        alone = [Faults([at]) for at in range(len(self.faults))]
        while not self._explained(solutions[0]).issuperset(self.wrong):
            grown = (
                self._keep_best(more for faults in solutions for more in self._grow(faults, alone, FEW_CASES))
                or self._keep_best(more for faults in solutions for more in self._grow(faults, alone))
                or (self._keep_best(self._grow_by_pairs(solutions[0])) if not self.is_exact else [])
            )
            if not grown:
                break
            solutions = grown
        explained = self._explained(solutions[0])
        solutions = [self._shrink(faults) for faults in solutions if self._explained(faults) == explained]
        fewest = min(map(len, solutions))
        solutions = [faults for faults in solutions if len(faults) == fewest]
        return list(
            dict.fromkeys([*solutions, *(other for faults in solutions for other in self._replace(faults))])
        )

    def _keep_best(self, solutions: Iterable[Faults]) -> list[Faults]:
        """Return the solutions that explain the most, without any whose cases are a part of another's."""
        explained = {faults: self._explained(faults) for faults in solutions}
        best = [
            faults
            for faults in sorted(explained, key=lambda faults: -len(explained[faults]))
            if not any(explained[faults] < other for other in explained.values())
        ]
        return best[:MOST_SETS]

    def _grow(self, faults: Faults, more: Iterable[Faults], few: int | None = None) -> Iterator[Faults]:
        """Yield the faults with more of them, where they explain more, and all that was explained before.

        A fault that every case can show must explain the cheapest case of an attribute.
        few: only of so many attributes.
        """
        explained = self._explained(faults)
        rest = [name for name in self.wrong if name not in explained]
        first = {self.judgements[name].case.attribute: name for name in reversed(rest)}
        cheapest = [name for name in rest if name in first.values()][:few]
        for added in more:
            grown = faults | added
            cases = rest if any(self.faults[at].needs for at in added) else cheapest
            if any(
                self._explains(name, grown) for name in cases if self.visible[name] & grown - faults
            ) and self._explains_all(explained, grown):
                yield grown

    def _grow_by_pairs(self, faults: Faults) -> Iterator[Faults]:
        """Yield the faults with two more, which explain nothing alone, and may change nothing alone.

        A fault that speaks against what is explained is left out.
        """
        explained = self._explained(faults)
        possible = {
            name: [at for at in self.visible[name] - faults if self._explains_all(explained, faults | {at})]
            for name in self.wrong
            if name not in explained
        }
        tried = 0
        for name in sorted(possible, key=lambda name: len(possible[name])):
            pairs = list(map(Faults, combinations(sorted(possible[name]), 2)))
            if tried + len(pairs) > (MOST_PAIRS if tried else MOST_FIRST):
                return
            tried += len(pairs)
            fitting = [pair for pair in pairs if self._explains(name, faults | pair)]
            if grown := list(self._grow(faults, fitting)):
                self.pairs.update(pair for pair in fitting if faults | pair in grown)
                yield from grown
                return

    def _shrink(self, faults: Faults) -> Faults:
        explained = self._explained(faults)
        for at in sorted(faults):
            if self._explains_all(explained, faults - {at}):
                faults -= {at}
        return faults

    def _replace(self, faults: Faults) -> Iterator[Faults]:
        """Yield the faults with another for one of these, where they explain the same."""
        explained = self._explained(faults)
        for at in sorted(faults):
            needed = [name for name in explained if not self._explains(name, faults - {at})]
            for other in sorted(set(range(len(self.faults))) - faults):
                changed = faults - {at} | {other}
                if self._explains_all([*needed, *explained], changed):
                    self.pairs |= {
                        pair - {at} | {other} for pair in self.pairs if at in pair and pair <= faults
                    }
                    yield changed

    def _explained(self, faults: Faults) -> frozenset[str]:
        return frozenset(name for name in self.judgements if self._explains(name, faults))

    def _explains_all(self, names: Iterable[str], faults: Faults) -> bool:
        wanted = {*names}  # the cheap ones first
        return all(self._explains(name, faults) for name in self.judgements if name in wanted)

    def _explains(self, name: str, faults: Faults) -> bool:
        acting, judgement = faults & self.visible[name], self.judgements[name]
        if not acting and judgement.verdict != "wrong":
            return True
        if (name, acting) not in self.known:
            types = {judgement.case.dtype, *(array.dtype.name for array in judgement.outputs.values())}
            dtype = "float16" if "float16" in types else "float32"  # a wrong type has a name of its own
            dtype = judgement.case.dtype if self.is_exact else dtype
            self.known[name, acting] = self._is_close(judgement, acting, dtype)
        return self.known[name, acting]

    def _is_close(self, judgement: Judgement, faults: Faults, dtype: str) -> bool:
        """Return whether the faults give the answer, in any reading; not where shapes do not fit."""

        def is_possible(step: int, row: Array) -> bool:
            rough = {"outputs": ROUGH * np.abs(row).max(axis=-1, keepdims=True)}
            answer = {"outputs": judgement.outputs["outputs"][:, step]}
            return is_close(answer, {"outputs": row}, dtype, rough, may_overflow=bool(faults))

        known = [self.faults[at] for at in sorted(faults)]
        is_open = judgement.case.is_open or any(fault.needs & READINGS.keys() for fault in known)
        for reading in list_readings(judgement.case).values() if is_open else ({},):
            with suppress(ValueError, IndexError), np.errstate(all="ignore"):
                changes = join_changes(known, reading)
                outputs = compute(judgement.case, changes, is_possible)
                near = partial(is_close, judgement.outputs, outputs, dtype, may_overflow=bool(faults))
                if near():
                    return True
                peaks = {name: np.abs(array).max(axis=-1, keepdims=True) for name, array in outputs.items()}
                rough = {name: ROUGH * peak for name, peak in peaks.items()}
                if faults and near(rough):
                    rounding = rounding_of(judgement.case, changes, outputs)
                    if rounding and near(rounding):
                        return True
        return False

    def _name(self, case: str, faults: Faults) -> dict[str, Text]:
        """Return the faults that a case shows by name, and what to look at; a pair has one name."""
        acting, judgement = faults & self.visible[case], self.judgements[case]
        exact = self._is_close(judgement, acting, judgement.case.dtype)
        for at in sorted(acting):
            fewer = acting - {at}
            if (
                self._is_close(judgement, fewer, judgement.case.dtype)
                if exact
                else self._explains(case, fewer)
            ):
                acting = fewer
        pairs = [pair for pair in self.pairs if pair <= faults]
        causes = [*pairs, *(Faults([at]) for at in sorted(faults) if not any(at in pair for pair in pairs))]
        names: dict[str, Text] = {}
        for cause in causes:
            if cause & acting:
                shown = [self.faults[at] for at in sorted(cause)]
                name = " + ".join(fault.name for fault in shown) + (f" in {self.dtype}" if self.dtype else "")
                names[name] = join(dict.fromkeys(fault.text for fault in shown), " ")
        wanted = judgement.case.dtype
        types = {array.dtype.name for array in judgement.outputs.values()} - {wanted}
        if not types and not self._is_close(judgement, acting, wanted):
            types = {"float32"}
        return names | {f"{wanted} computed as {name}": LOOK_AT_TYPES for name in sorted(types)}
