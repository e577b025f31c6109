"""port: the differences that explain the numbers, as a short list of steps."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnncli.case import Array, Spec, format_shape
from rnncli.commands.port.evidence import Evidence
from rnncli.commands.port.foreign_weights import ForeignLayer
from rnncli.commands.port.hypothesis import ForeignRun, Hypothesis, is_reset_after, spec_of
from rnncli.commands.port.probe_input import Probe
from rnncli.commands.port.search import Finding
from rnncli.layouts import default_name
from rnncli.renderers.page import Answer, Page, PagePart, Paragraph, Records, View, line
from rnncli.renderers.parts import format_difference, head, note, refuse_tensors
from rnncli.renderers.wording import Bilingual
from rnncli.specs import describe, to_script

ONE_BIAS = Bilingual("there are two biases; Keras has one, their sum", "편향이 둘; Keras에서는 그 합 하나")
TWO_ROWS = Bilingual(
    "there are two biases; Keras keeps them as the two rows of one array",
    "편향이 둘; Keras에서는 한 배열의 두 행",
)
MATCH = Bilingual(
    "found: {count} explain every number (largest remaining {remaining})",
    "찾음: {count}로 모든 값이 설명됨 (남은 최대 차이 {remaining})",
)
PLAIN = Bilingual(
    "no difference: every number matches as it is (largest remaining {remaining})",
    "차이 없음: 모든 값이 그대로 일치 (남은 최대 차이 {remaining})",
)
SEVERAL = Bilingual(
    "{count} explanations fit these numbers equally well", "{count}가지 설명이 이 값에 똑같이 들어맞음"
)
NONE = Bilingual(
    "no known difference, alone or in a pair, explains the numbers",
    "알려진 차이 하나나 둘로는 값이 일치하지 않음",
)
NO_CLAIM = Bilingual(
    "inconclusive: the comparison proves nothing", "판단하지 않음: 이 비교로는 아무것도 증명되지 않음"
)
WRITE = Bilingual(
    "write them in Keras's layout: add -o {}.npz", "Keras의 레이아웃으로 저장하려면: -o {}.npz 추가"
)
LAYER = Bilingual("in Keras: {}", "Keras에서는: {}")
DEFINE = Bilingual(
    "Keras 3 has no such activation; define it before the layer:",
    "Keras 3에는 없는 활성화 함수이므로 층보다 먼저 정의:",
)
EVIDENCE = Bilingual(
    "{count:,} numbers agree to {digits} digits of the largest",
    "값 {count:,}개가 가장 큰 값의 {digits}자리까지 일치",
)
TELL = Bilingual(
    "write an input that tells them apart: add --probe probe.json",
    "구별하는 입력을 만들려면: --probe probe.json 추가",
)
EXPLANATION = Bilingual("explanation {}:", "설명 {}:")
PREDICTS = Bilingual("on {} it predicts {} {}", "{}에 대한 예측: {} {}")
RESULTS = {
    "sequence": "hidden_states",
    "output": "hidden_state",
    "hidden": "last_hidden_state",
    "cell": "last_cell_state",
}
MOST_PREDICTED = 8
"""The number of predicted numbers that are shown."""


@dataclass(frozen=True)
class PortAnswer(Answer):
    """What explains the numbers.

    findings: empty if nothing does, or if the comparison proves nothing; see evidence.
    probe, place: the input that tells several findings apart and its file; None without --probe.
    has_file: whether --output has the weights.
    """

    run: ForeignRun
    layer: ForeignLayer
    findings: Sequence[Finding]
    evidence: Evidence
    probe: Probe | None = None
    place: str = ""
    has_file: bool = False

    def document(self, view: View) -> dict[str, Any]:
        """Return every explanation with its steps and the layer that it makes in Keras."""
        return {
            **head(),
            "found": bool(self.findings),
            "numbers": {"count": self.evidence.numbers, "different": self.evidence.different},
            "doubts": [doubt.in_language(view.lang) for doubt in self.evidence.doubts],
            "explanations": [self._document(place, view.lang) for place in range(len(self.findings))],
        }

    def page(self, view: View) -> Page:
        """Return the steps, numbered, then the layer and what can be done next."""
        lang = view.lang
        if not self.findings:
            conclusion = NO_CLAIM if self.evidence.doubts else NONE
            doubts = (Paragraph(doubt.in_language(lang)) for doubt in self.evidence.doubts)
            return Page(line(conclusion.in_language(lang), "strong"), tuple(doubts))
        parts = [part for place in range(len(self.findings)) for part in self._explanation(place, lang)]
        below = note([self._agreement(lang)], view)
        single = len(self.findings) == 1
        advice = WRITE.format(default_name(self.run.class_name)) if single else TELL
        if self.probe is None and not (self.has_file and single):
            parts.append(Paragraph(advice.in_language(lang), "dim"))
        return Page(Paragraph(self._title(lang), "strong"), (below,), tuple(parts))

    def records(self, view: View) -> Records:
        """Return one row per step."""
        header = ("explanation", "step", "difference", "text", "remaining")
        return header, self._records(view)

    def tensors(self) -> Mapping[str, Array]:
        """Raise UsageError; the answer is text, and -o writes the weights."""
        return refuse_tensors("port")

    def _records(self, view: View) -> Iterator[tuple[Any, ...]]:
        for place, finding in enumerate(self.findings, 1):
            names = [*("" for _ in self._list_forms(finding)), *(one.name for one in finding.differences)]
            for number, (name, step) in enumerate(zip(names, self._steps(finding), strict=True), 1):
                yield place, number, name, step.in_language(view.lang), finding.remaining

    def _title(self, lang: str) -> str:
        if len(self.findings) > 1:
            return SEVERAL.in_language(lang).format(count=len(self.findings))
        finding = self.findings[0]
        count = len(self._steps(finding))
        words = f"차이 {count}개" if lang == "ko" else f"{count} difference{'s' if count != 1 else ''}"
        text = (MATCH if count else PLAIN).in_language(lang)
        text = text.format(count=words, remaining=format_difference(finding.remaining))
        return text if count != 1 or lang == "ko" else text.replace("explain every", "explains every")

    def _explanation(self, place: int, lang: str) -> Iterator[PagePart]:
        """Yield the numbered steps, and the layer of Keras that computes the numbers."""
        finding = self.findings[place]
        if len(self.findings) > 1:
            yield line(EXPLANATION.in_language(lang).format(place + 1), "heading")
        for number, step in enumerate(self._steps(finding), 1):
            yield Paragraph(step.in_language(lang), mark=f"  {number}. ")
        written, definition = to_script(build_layer_spec(self.run, finding.hypothesis))
        yield Paragraph(LAYER.in_language(lang).format(written), "dim")
        if definition:
            yield Paragraph(DEFINE.in_language(lang), "dim")
            yield from (line(row, "dim") for row in definition.splitlines())
        if self.probe is not None:
            for name, array in self.probe.predictions[place].items():
                numbers = ", ".join(f"{number:.4f}" for number in array.ravel()[:MOST_PREDICTED].tolist())
                more = ", ..." if array.size > MOST_PREDICTED else ""
                shown = f"{format_shape(array.shape)}: {numbers}{more}"
                yield Paragraph(PREDICTS.in_language(lang).format(self.place, self._public(name), shown))

    def _agreement(self, lang: str) -> str:
        """Return how many numbers agree, and to how many digits of the largest one."""
        remaining = max(finding.remaining for finding in self.findings)
        share = max(remaining / self.evidence.highest, 1e-15)
        return EVIDENCE.in_language(lang).format(count=self.evidence.numbers, digits=int(-math.log10(share)))

    def _steps(self, finding: Finding) -> list[Bilingual]:
        """Return what the shapes say, then the differences that were found."""
        return [*self._list_forms(finding), *(one.text for one in finding.differences)]

    def _list_forms(self, finding: Finding) -> list[Bilingual]:
        forms = list(self.layer.forms)
        cell, hypothesis = self.layer.cells[0], finding.hypothesis
        after = self.run.class_name == "GRU" and is_reset_after(self.run, hypothesis)
        if len(cell.biases) == 2 and not hypothesis.biases and not (after and cell.rows):
            forms.append(TWO_ROWS if after else ONE_BIAS)
        return forms

    def _document(self, place: int, lang: str) -> dict[str, Any]:
        """Return one explanation, with the layer as rnncli takes it and as a Keras 3 script writes it."""
        finding = self.findings[place]
        spec = build_layer_spec(self.run, finding.hypothesis)
        script, definition = to_script(spec)
        document = {
            "differences": [difference.name for difference in finding.differences],
            "steps": [step.in_language(lang) for step in self._steps(finding)],
            "remaining": finding.remaining,
            "expression": describe(spec),
            "keras": script,
        }
        if definition:
            document["definition"] = definition
        if self.probe is not None:
            predicted = self.probe.predictions[place].items()
            document["predicts"] = {self._public(name): array.tolist() for name, array in predicted}
        return document

    def _public(self, key: str) -> str:
        """Return the name of a result as `rnncli run` shows it."""
        part, _, place = key.partition(" ")
        direction = ("forward_", "backward_")[int(place)] if place and len(self.run.cells) == 2 else ""
        return direction + RESULTS[part]


def build_layer_spec(run: ForeignRun, hypothesis: Hypothesis) -> Spec:
    """Return the layer, without what it returns."""
    spec = spec_of(
        run, hypothesis, return_sequences=False, return_state=False, dtype="float32", go_backwards=False
    )
    if spec.class_name == "Bidirectional":
        spec = dataclasses.replace(spec, config={**spec.config, "merge_mode": run.merge_mode})
    return spec
