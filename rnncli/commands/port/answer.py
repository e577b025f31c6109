"""port: the differences that explain the numbers, as a short list of steps, and the weights as a file."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np

from rnncli import frameworks
from rnncli.cli import files
from rnncli.commands.port.hypothesis import ForeignRun, Hypothesis, is_sequence
from rnncli.errors import Message, count
from rnncli.frameworks import CellWeights, Chain, LayerWeights, default_name
from rnncli.layers.layer import within
from rnncli.show import formats
from rnncli.show.answer import HEAD, Answer, NestedNumbers, Records, head
from rnncli.show.page import Page, PagePart, Paragraph, View, line
from rnncli.show.result_answer import format_difference, note
from rnncli.specs import describe, to_script
from rnncli.values import Array, format_shape

LEAST = 4
"""The minimum number of distinct numbers for a match to count."""
LOG_CERTAINTY = -9.0
"""Base-10 logarithm of the highest probability of a chance match at which a match counts."""

SIZES = ((1, 2), (1, 3), (2, 3), (3, 5))
"""Batch and time steps of the inputs to try, the smallest first."""
VISIBLE_DIFFERENCE = 1e-3
"""The minimum difference between two predictions that a reader can see."""


class Evidence(NamedTuple):
    """How much a match proves.

    numbers: how many are expected.  different: how many of them differ by more than the tolerances.
    highest: the largest absolute value.
    doubts: why nothing is proved; empty if a match is a proof.
    """

    numbers: int
    different: int
    highest: float
    doubts: tuple[Message, ...]


def assess(run: ForeignRun, hypothesis_count: int) -> Evidence:
    """Return the evidence.  hypothesis_count: the number of hypotheses that were compared."""
    compared = []
    for key, array in run.expected.items():
        mask = run.mask if is_sequence(key) else None  # masked steps are not compared
        if mask is not None:
            array = array[mask if mask.shape == array.shape[:2] else mask.T]
        compared.append(array.ravel())
    numbers = np.concatenate(compared)
    different, digits = _count_distinct(numbers, run)
    digits -= math.log10(max(hypothesis_count, 1))
    doubts = list(_find_constants(run))
    if different < LEAST:
        doubts.append(
            Message(
                "the expected tensors hold too few different numbers to rule out chance: {different}",
                different=different,
            )
        )
    elif digits < -LOG_CERTAINTY:
        doubts.append(
            Message("the tolerances are as wide as the numbers are spread, so unrelated numbers would match")
        )
    return Evidence(numbers.size, different, float(np.abs(numbers).max()), tuple(doubts))


def _count_distinct(numbers: Array, run: ForeignRun) -> tuple[int, float]:
    """Return how many numbers are distinct, and by how many digits they narrow the hypotheses down.

    An unrelated number in this range is within the tolerance of a given one with probability
    2 * tolerance / spread.
    """
    ordered = np.unique(numbers)
    spread = float(ordered[-1] - ordered[0])
    if spread <= 0:
        return 1, 0.0
    widths = 2 * (run.atol + run.rtol * np.abs(ordered))
    kept, last = [], -math.inf
    for number, width in zip(ordered.tolist(), widths.tolist(), strict=True):
        if number - last > width:
            kept.append(width)
            last = number
    shares = np.minimum(np.maximum(np.array(kept), 1e-15) / spread, 1.0)
    return len(kept), float(-np.log10(shares).sum())


def _find_constants(run: ForeignRun) -> Iterator[Message]:
    names: Mapping[str, Sequence[Array]] = {
        "kernel": [cell.kernel for cell in run.layer.cells],
        "recurrent kernel": [cell.recurrent for cell in run.layer.cells],
    }
    for name, arrays in names.items():
        if all(array.size > 1 and np.ptp(array) == 0 for array in arrays):
            yield Message(
                "all weights of the {name} are equal, which hides the order of gates and axes", name=name
            )
    if run.inputs.size > 1 and np.ptp(run.inputs) == 0:
        yield Message("all numbers of the input are equal, which hides the order of axes, time and features")


def write_probe(run: ForeignRun, findings: Sequence[Hypothesis], path: str) -> list[dict[str, Array]]:
    """Write the smallest input that tells all explanations apart; return the numbers that each predicts.

    Writes and returns nothing if there is only one explanation, or if no input tells them apart.
    """
    for (batch, steps), scale in product(SIZES, (1.0, 3.0)) if len(findings) > 1 else ():
        random = np.random.default_rng(0)
        inputs = np.round(random.normal(0, scale, (batch, steps, run.inputs.shape[-1])), 3)
        probed = run._replace(inputs=inputs, initial_state=(), mask=None)
        tried = [Hypothesis(probed, finding.differences) for finding in findings]
        predictions = [hypothesis.in_file_form(hypothesis.compute()) for hypothesis in tried]
        if any(
            all(
                array.shape == other[key].shape and np.abs(array - other[key]).max() <= VISIBLE_DIFFERENCE
                for key, array in prediction.items()
            )
            for prediction, other in combinations(predictions, 2)
        ):
            continue
        if path.casefold().endswith(".json"):
            files.write(path, json.dumps(inputs.tolist()) + "\n")
        else:
            with files.open_output(path) as file:
                np.save(file, inputs.astype(np.float32))
        return predictions
    return []


RESULTS = {
    "sequence": "hidden_states",
    "output": "hidden_state",
    "hidden": "last_hidden_state",
    "cell": "last_cell_state",
}
WEIGHT_FILES = (".npz", ".safetensors", ".json", ".h5")
ARRAYS = {str: NestedNumbers}
EXPLANATION = {
    "differences": list[str],
    "steps": list[str],
    "remaining": float,
    "expression": str,
    "keras": str,
    "definition?": str,
    "predicts?": ARRAYS,
}
FOUND = {"found": bool, "numbers": {"count": int, "different": int}, "doubts": list[str]}
DOCUMENTS = (HEAD | FOUND | {"explanations": [EXPLANATION]}, HEAD | {"weights": ARRAYS})
MOST_PREDICTED = 8
"""The number of predicted numbers that are shown."""


@dataclass(frozen=True)
class PortAnswer(Answer):
    """What explains the numbers.

    findings: empty if nothing does, or if the comparison proves nothing; see evidence.
    predictions: the numbers of each finding for the input that tells the findings apart.
    probe: the file of this input.
    has_file: whether --output has the weights.
    """

    findings: Sequence[Hypothesis]
    evidence: Evidence
    predictions: Sequence[Mapping[str, Array]] = ()
    probe: str = ""
    has_file: bool = False
    command = "port"

    def document(self, view: View) -> dict[str, Any]:
        """Return every explanation with its steps and the layer that it makes in Keras."""
        return {
            **head(),
            "found": bool(self.findings),
            "numbers": {"count": self.evidence.numbers, "different": self.evidence.different},
            "doubts": [view.say(doubt) for doubt in self.evidence.doubts],
            "explanations": [self._document(index, view) for index in range(len(self.findings))],
        }

    def page(self, view: View) -> Page:
        """Return the steps, numbered, then the layer and what can be done next."""
        title = view.say(self._title())
        if not self.findings:
            doubts = (Paragraph(view.say(doubt)) for doubt in self.evidence.doubts)
            return Page(line(title, "strong"), tuple(doubts))
        parts = [part for index in range(len(self.findings)) for part in self._explain(index, view)]
        if len(self.findings) > 1:
            advice = Message("write an input that tells them apart: add --probe probe.json")
        else:
            file = f"{default_name(self.findings[0].run.layer.class_name)}.npz"
            advice = Message("write them in Keras's layout: add -o {file}", file=file)
        if not self.predictions and not (self.has_file and len(self.findings) == 1):
            parts.append(Paragraph(view.say(advice), "dim"))
        remaining = max(finding.remaining for finding in self.findings)
        agreement = Message(
            "{number:,} numbers agree to {digits} digits of the largest",
            number=self.evidence.numbers,
            digits=int(-math.log10(max(remaining / self.evidence.highest, 1e-15))),
        )
        below = note([view.say(agreement)], view)
        return Page(Paragraph(title, "strong"), (below,), tuple(parts))

    def records(self, view: View) -> Records:
        """Return one row per step."""
        rows = (
            (index, number, name, view.say(step), finding.remaining)
            for index, finding in enumerate(self.findings, 1)
            for number, (name, step) in enumerate(_steps(finding), 1)
        )
        return ("explanation", "step", "difference", "text", "remaining"), rows

    def tensors(self) -> Mapping[str, Array]:
        """Return the weights in Keras's layout, as float32, which foreign weights nearly always are."""
        if len(self.findings) != 1:
            return super().tensors()
        weights = self.findings[0].weights
        return {name: np.ascontiguousarray(array, np.float32) for name, array in weights.items()}

    def own_file(self, path: str) -> str | bytes | None:
        """Return the file of weights that --output writes."""
        if not path.casefold().endswith(WEIGHT_FILES):
            return None
        weights = self.tensors()
        if not path.casefold().endswith(".h5"):
            return formats.render(PortedWeights(weights), formats.for_output(path), View())
        run, layer = self.findings[0].run, self.findings[0].run.layer
        two = len(layer.cells) == 2
        parts = [within(weights, way) for way in ("forward", "backward")] if two else [weights]
        cells = tuple(CellWeights(layer.class_name, dict(run.options), part) for part in parts)
        saved = LayerWeights(layer.class_name.lower(), cells, run.merge_mode)
        suffix = ".weights.h5" if path.casefold().endswith(".weights.h5") else ".h5"
        return frameworks.dump("keras", [Chain("", (saved,))], suffix)

    @property
    def disagreeing(self) -> tuple[str, ...]:
        """What no known difference explains."""
        return () if self.findings else ("expect",)

    def _title(self) -> Message:
        if self.evidence.doubts and not self.findings:
            return Message("inconclusive: the comparison proves nothing")
        if not self.findings:
            return Message("no known difference, alone or in a pair, explains the numbers")
        number, remaining = len(self.findings), format_difference(self.findings[0].remaining)
        if number > 1:
            return Message("{number} explanations fit these numbers equally well", number=number)
        steps = len(_steps(self.findings[0]))
        if not steps:
            text = "no difference: every number matches as it is (largest remaining {remaining})"
            return Message(text, remaining=remaining)
        return Message(
            "found: {differences} explains every number (largest remaining {remaining})"
            if steps == 1
            else "found: {differences} explain every number (largest remaining {remaining})",
            differences=count(steps, "difference"),
            remaining=remaining,
        )

    def _explain(self, index: int, view: View) -> Iterator[PagePart]:
        explanation = self._document(index, view)
        if len(self.findings) > 1:
            yield line(view.say("explanation {number}:", number=index + 1), "heading")
        for number, step in enumerate(explanation["steps"], 1):
            yield Paragraph(step, mark=f"  {number}. ")
        yield Paragraph(view.say("in Keras: {layer}", layer=explanation["keras"]), "dim")
        if "definition" in explanation:
            text = view.say("Keras 3 has no such activation; define it before the layer:")
            yield Paragraph(text, "dim")
            yield from (line(row, "dim") for row in explanation["definition"].splitlines())
        for name, values in explanation.get("predicts", {}).items():
            array = np.array(values)
            numbers = ", ".join(f"{number:.4f}" for number in array.ravel()[:MOST_PREDICTED].tolist())
            text = view.say(
                "on {place} it predicts {name} {shape}: {numbers}",
                place=self.probe,
                name=name,
                shape=format_shape(array.shape),
                numbers=numbers + (", ..." if array.size > MOST_PREDICTED else ""),
            )
            yield Paragraph(text)

    def _document(self, index: int, view: View) -> dict[str, Any]:
        finding = self.findings[index]
        spec = finding.spec(return_sequences=False, return_state=False, dtype="float32")
        if spec.class_name == "Bidirectional":
            spec = spec.with_option("merge_mode", finding.run.merge_mode)
        script, definition = to_script(spec)
        document = {
            "differences": [difference.name for difference in finding.differences],
            "steps": [view.say(step) for _, step in _steps(finding)],
            "remaining": finding.remaining,
            "expression": describe(spec),
            "keras": script,
        }
        if definition:
            document["definition"] = definition
        if self.predictions:
            ways = ("forward_", "backward_") if len(finding.run.layer.cells) == 2 else ("",)
            document["predicts"] = {
                f"{ways[int(way)] if way else ''}{RESULTS[part]}": array.tolist()
                for key, array in self.predictions[index].items()
                for part, _, way in [key.partition(" ")]
            }
        return document


def _steps(finding: Hypothesis) -> list[tuple[str, Message]]:
    cell = finding.run.layer.cells[0]
    forms, after = list(cell.forms), finding.resets_after
    if len(cell.biases) == 2 and not finding.biases and not (after and cell.rows):
        forms.append(
            Message("there are two biases; Keras keeps them as the two rows of one array")
            if after
            else Message("there are two biases; Keras has one, their sum")
        )
    return [*(("", form) for form in forms), *((known.name, known.text) for known in finding.differences)]


@dataclass(frozen=True)
class PortedWeights(Answer):
    """The weights in Keras's layout, in the forms that files of weights need."""

    weights: Mapping[str, Array]

    def document(self, view: View) -> dict[str, Any]:
        """Return the arrays under `weights`, which --weights reads."""
        return {**head(), "weights": dict(self.weights)}

    def tensors(self) -> Mapping[str, Array]:
        """Return the arrays."""
        return self.weights
