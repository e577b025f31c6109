"""Whether an answer to an exercise is right; `report/web/exercise.js` grades by the same rules."""

from __future__ import annotations

import re
from typing import Any, Literal, NamedTuple
from unicodedata import normalize

_INDEX = re.compile(r"\[\s*:\s*,\s*([+-]?\d+)")
_NUMBER = re.compile(r"(?<![A-Za-z0-9_.])[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_GROUPS = re.compile(r"(?<=\d)[,_ '](?=\d{3}(?!\d))")
_COUNTED = re.compile(r"\d\s*(?:st|nd|rd|th|번째|째)")

ORDINALS = {
    "zero": 0, "first": 0, "second": 1, "third": 2, "fourth": 3, "fifth": 4, "sixth": 5, "seventh": 6,
    "eighth": 7, "last": -1, "final": -1, "1st": 0, "2nd": 1, "3rd": 2, "4th": 3, "5th": 4,
    "6th": 5, "7th": 6, "8th": 7, "처음": 0, "맨앞": 0, "첫번째": 0, "첫째": 0, "첫": 0,
    "두번째": 1, "둘째": 1, "세번째": 2, "셋째": 2, "네번째": 3, "넷째": 3,
    "다섯번째": 4, "여섯번째": 5, "일곱번째": 6, "여덟번째": 7, "마지막": -1, "끝": -1,
}  # fmt: skip
"""The rows that a word names; a Korean word may have a blank before 번째 and after 맨."""
FILLERS = {
    "rows": r"(?<![a-z])(?:the|very|rows?|time|steps?|one|and|it|is|of|hidden_states)(?![a-z])"
    r"|행|줄|시점|입니다|이에요|예요|같습니다|같아요|그리고|과|와|의|맨|가장|제일",
    "letters": r"(?<![a-z])(?:the|runs?|tensors?|answer|and|then|it|is)(?![a-z])"
    r"|입니다|이에요|예요|이다|맞습니다|맞아요|그리고|정답은|답은|실행|텐서|순서|쪽|번|와|과|가|요",
}
"""Words around the ordinals or the letters of an answer, which say nothing."""
SHOWN = "ABC"
"""The letters that name tensors or runs."""


class AnswerRule(NamedTuple):
    """Which answers are right, by their kind.

    shape: sizes in order, with or without brackets.
    rows: indices on a time axis of this many `steps`, in any order; -1 is the last; `t=2`, `row 2`,
        `the third row` and `hidden_states[:, 2, :]` are the same row.
    count: one whole number; thousands may be separated.
    decimal: one number, right within 0.01.
    letters: letters that name tensors or runs, in order: `B, A`, `[B, A]` and `ba` are the same.
    """

    kind: Literal["shape", "rows", "count", "decimal", "letters"]
    right: tuple[float, ...] | str
    steps: int = 0

    def grade(self, answer: str) -> bool | None:
        """Return whether an answer is right; None for a text that cannot be read as an answer."""
        text = normalize("NFKC", answer).lower()
        if self.kind == "letters":
            words = re.findall(r"[a-z]+", text := re.sub(FILLERS["letters"], "", text))
            are_letters = all(len(word) == 1 or set(word.upper()) <= set(SHOWN) for word in words)
            if not words or not are_letters or re.search(r"[^a-z\s,.;:()\[\]'\"=&+/-]", text):
                return None
            return "".join(words).upper() == self.right
        match self.kind:
            case "rows":
                numbers = _read_rows(text)
            case "shape":
                numbers = _numbers(text.replace("x", " "))
            case kind:
                numbers = _numbers(_GROUPS.sub("", text) if kind == "count" else text)
                numbers = numbers if len(numbers) == 1 else []
        if not numbers:
            return None
        if self.kind == "rows":
            inside = all(-self.steps <= index < self.steps for index in numbers)
            return inside and {int(index) % self.steps for index in numbers} == set(self.right)
        margin, right = 0.01 if self.kind == "decimal" else 0, [float(size) for size in self.right]
        pairs = zip(numbers, right, strict=False)
        return len(numbers) == len(right) and all(abs(got - wanted) <= margin for got, wanted in pairs)

    def document(self) -> dict[str, Any]:
        """Return the rule as the page takes it, with the words that it needs."""
        return {
            **self._asdict(),
            **({"ordinals": ORDINALS} if self.kind == "rows" else {}),
            **({"shown": SHOWN} if self.kind == "letters" else {}),
            "fillers": FILLERS.get(self.kind, ""),
        }


def _numbers(text: str) -> list[float]:
    """Return every number in `text`, of `t=2` the 2."""
    return [float(number) for number in _NUMBER.findall(text)]


def _read_rows(text: str) -> list[float]:
    """Return the indices of an answer.  `last but one` and `2번째` are not read: a guess may be wrong."""
    if slices := _INDEX.findall(text):
        return [float(index) for index in slices]
    words = "|".join(re.escape(word).replace("번째", " ?번째").replace("맨", "맨 ?") for word in ORDINALS)
    ordinal = re.compile(rf"(?<![a-z0-9])(?:{words})(?![a-z])")
    named = [float(ORDINALS[word.replace(" ", "")]) for word in ordinal.findall(text)]
    rest = re.sub(FILLERS["rows"], "", ordinal.sub("", text))
    if named and not re.search(r"[^\s,.&()]", rest):
        return named if len(named) == 1 or re.search(r",|&|and|과|와|그리고", text) else []
    numbers = [] if _COUNTED.search(text) else _numbers(text)
    known = set(named) <= set(numbers) and all(number.is_integer() for number in numbers)
    return numbers if known else []
