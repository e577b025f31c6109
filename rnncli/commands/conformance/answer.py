"""The answers of conformance: the list of the cases, and how an implementation did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from rnncli.commands.conformance.cases import KitCase
from rnncli.commands.conformance.judge import VERDICTS, Judgement
from rnncli.commands.conformance.kit import describe
from rnncli.commands.conformance.naming import NamedFault
from rnncli.errors import Message, count
from rnncli.show.answer import Answer, Records, head
from rnncli.show.documents import HEAD
from rnncli.show.page import Column, Page, PagePart, Paragraph, Table, View, cell, line, marks

SEES = {
    "basic": Message("the order of gates, biases and axes: every weight is another number"),
    "bias": Message("what is added where B is missing"),
    "one_step": Message("a sequence of a single step"),
    "weights_as_inputs": Message("weights that are not constants of the graph"),
    "initial_state": Message("whether each initial state is used, and where"),
    "outputs": Message("every subset of Y, Y_h and Y_c"),
    "reverse": Message("the order of time in Y, and which step the final states follow"),
    "bidirectional": Message("the half of each direction in weights, states and outputs"),
    "linear_before_reset": Message("where the reset gate of a GRU applies, and Rbh with it"),
    "sequence_lens": Message("where each sequence ends: zeros in Y, the final states, the start of reverse"),
    "length_0": Message("sequences without a step"),
    "layout": Message("the batch as the first axis of inputs, states and outputs"),
    "activations": Message("which function belongs to which gate and direction"),
    "alpha_beta": Message("the numbers of functions: given, default, and to which function they go"),
    "clip": Message("the bound before each activation"),
    "input_forget": Message("the forget gate as 1 minus the input gate"),
    "peepholes": Message("the order of P, and which cell state each gate reads"),
    "float16": Message("half precision"),
    "float64": Message("double precision, not float32 in between"),
    "chunk_edges": Message("sequences that end around the usual sizes of a chunk"),
    "padding": Message("where each sequence ends: the last states; padded steps are not judged"),
    "decay": Message("states that are forgotten at once, and states that are kept"),
    "tiny_keys": Message("an eps in the wrong place: every second time step is tiny"),
    "large_gates": Message("the ends of each activation"),
    "empty_batch": Message("a batch of no sequences"),
}
"""What the cases of each attribute show."""
MOST_NAMES, MOST_REASONS = 3, 6
"""The cases beside an explanation, and the reasons of a verdict, that a page shows without --full."""
LONGEST = 100
"""The last characters of the reason of a refusal, which a page shows without --full."""
STYLES = {"right": "", "wrong": "alarm", "crashed": "alarm", "timed out": "alarm"}


CASE = {
    "name": str,
    "operator": str,
    "attribute": str,
    "inputs": list[str],
    "outputs": list[str],
    "type": str,
    "tolerance": float,
    "readings": list[str],
}
FIRST = {"tensor": str, "step": int | None, "index": list[int]}
JUDGED = {
    "name": str,
    "attribute": str,
    "verdict": VERDICTS,
    "explanations": list[str],
    "reason": str,
    "first?": FIRST,
}
SUMS = {"implementation": str, "verdicts": dict[str, int]}
DOCUMENTS = (
    HEAD | {"cases": [CASE]},
    HEAD | SUMS | {"cases": [JUDGED], "explanations": [NamedFault]},
)


class CasesAnswer(Answer):
    """The list of the cases."""

    command = "conformance"

    def __init__(self, cases: Sequence[KitCase]) -> None:
        self.cases = cases

    def document(self, view: View) -> dict[str, Any]:
        """Return what the kit's file `cases.json` says."""
        return {**head(), "cases": list(map(describe, self.cases))}

    def page(self, view: View) -> Page:
        """Return a row for each attribute."""
        numbers = Counter(case.attribute for case in self.cases)
        rows = tuple(
            (cell(name, "strong"), cell(str(number)), cell(view.say(SEES[name]), "dim"))
            for name, number in numbers.items()
        )
        titles = ("attribute", False), ("cases", True), ("what they see", False)
        headings = tuple(Column(view.say(title), right) for title, right in titles)
        names = ", ".join(dict.fromkeys(case.operator for case in self.cases))
        total = view.say("{cases} for {names}", cases=count(len(self.cases), "case"), names=names)
        return Page(line(total, "strong"), (), (Table(headings, rows),))

    def records(self, view: View) -> Records:
        """Return a row for each case."""
        described = list(map(describe, self.cases))
        return tuple(described[0]), (tuple(map(_join, case.values())) for case in described)


class ConformanceAnswer(Answer):
    """The verdicts, and what would explain the wrong ones.

    name: of the implementation, with its version; or the program or the folder.
    """

    command = "conformance"

    def __init__(
        self, name: str, judgements: Sequence[Judgement], explanations: Sequence[NamedFault]
    ) -> None:
        self.name, self.judgements, self.explanations = name, judgements, explanations
        self.verdicts = Counter(judgement.verdict for judgement in judgements)

    def document(self, view: View) -> dict[str, Any]:
        """Return every case with its verdict, and every explanation with its cases."""
        explanations = [item._asdict() | {"look": view.say(item.look)} for item in self.explanations]
        return {
            **head(),
            "implementation": self.name,
            "verdicts": {verdict: self.verdicts[verdict] for verdict in VERDICTS},
            "cases": self._list_cases(view),
            "explanations": explanations,
        }

    def records(self, view: View) -> Records:
        """Return a row for each case."""
        names = ("name", "attribute", "verdict", "explanations")
        return names, (tuple(_join(case[name]) for name in names) for case in self._list_cases(view))

    def _list_cases(self, view: View) -> list[dict[str, Any]]:
        return [
            {
                "name": judgement.case.name,
                "attribute": judgement.case.attribute,
                "verdict": judgement.verdict,
                "explanations": [
                    explanation.name
                    for explanation in self.explanations
                    if judgement.case.name in explanation.cases
                ],
                "reason": view.say(judgement.reason),
                **({} if judgement.first is None else {"first": judgement.first}),
            }
            for judgement in self.judgements
        ]

    def page(self, view: View) -> Page:
        """Return the matrix, then the explanations, then why other cases have no numbers."""
        shown = [verdict for verdict in VERDICTS if self.verdicts[verdict] or verdict in ("right", "wrong")]
        matrix = Counter((judgement.case.attribute, judgement.verdict) for judgement in self.judgements)
        rows = []
        for attribute in dict.fromkeys(judgement.case.attribute for judgement in self.judgements):
            numbers = [(str(matrix[attribute, verdict] or ""), verdict) for verdict in shown]
            cells = (cell(number, STYLES.get(verdict, "dim")) for number, verdict in numbers)
            rows.append((cell(attribute, "strong"), *cells))
        headings = (Column(view.say("attribute")), *(Column(view.say(verdict), True) for verdict in shown))
        counted = ", ".join(f"{self.verdicts[verdict]} {view.say(verdict)}" for verdict in shown)
        title = (self.name, view.say(count(len(self.judgements), "case")), counted)
        parts = (Table(headings, tuple(rows)), *self._explain(view), *self._list_reasons(view))
        return Page(Paragraph(marks(view).dot.join(title), "strong", breaks="dots"), (), parts)

    def _explain(self, view: View) -> Iterator[PagePart]:
        if self.explanations:
            yield ()
            yield line(view.say("why:"), "heading")
        for explanation in self.explanations:
            yield Paragraph(_with_cases(explanation.name, explanation.cases, view), mark="- ")
            yield Paragraph(view.say(explanation.look), "dim", mark="  ")

    def _list_reasons(self, view: View) -> Iterator[PagePart]:
        ellipsis = marks(view).ellipsis
        for verdict in VERDICTS[2:]:
            cases: dict[str, list[str]] = {}
            for judgement in self.judgements:
                if judgement.verdict == verdict:
                    reason = view.say(judgement.reason).replace(judgement.case.name, ellipsis)
                    if verdict == "refused" and len(reason) > LONGEST and not view.full:
                        reason = ellipsis + reason[-LONGEST:]
                    cases.setdefault(reason, []).append(judgement.case.name)
            if not cases:
                continue
            yield ()
            yield line(f"{view.say(verdict)}:", "heading")
            reasons = sorted(cases, key=lambda reason: -len(cases[reason]))
            shown = reasons if view.full else reasons[:MOST_REASONS]
            for reason in shown:
                yield Paragraph(_with_cases(reason.rstrip("."), cases[reason], view), "dim", mark="- ")
            if rest := len(reasons) - len(shown):
                yield Paragraph(view.say("{count} more: add --full", count=rest), "dim", mark="- ")


def _join(value: Any) -> Any:
    return "; ".join(value) if isinstance(value, list) else value


def _with_cases(text: str, cases: Sequence[str], view: View) -> str:
    shown = cases if view.full else cases[:MOST_NAMES]
    names = ", ".join(shown) + (f", {marks(view).ellipsis}" if len(shown) < len(cases) else "")
    return marks(view).dot.join(filter(None, (text, view.say(count(len(cases), "case")), names)))
