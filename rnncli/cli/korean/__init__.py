"""Korean messages, notes and help, translated from the English text that the package raises or shows.

Every `.txt` file beside this one holds pairs of lines, English and Korean, with blank lines between the
pairs.  `{}` is a hole, which matches any text; the Korean line has the same holes in its own order: `{}` is
the next one, `{0}` the first.  What fills a hole is translated too if it is a phrase of the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

HOLE = "{}"
FILLED = re.compile(r"\{(\d*)\}")
SENTENCES = re.compile(r"(?<=[.?!]) ")
SEPARATORS = ("; ", ": ", ", ")
"""What stands between parts that may be phrases of their own, the longest parts first."""
MOST_PARTS = 16
"""A text of more parts is data, and stays as it is."""


class Phrase(NamedTuple):
    """English text around its holes, and the Korean text."""

    pieces: tuple[str, ...]
    korean: str

    def match(self, text: str) -> tuple[str, ...] | None:
        """Return what fills the holes if this is the phrase of the whole `text`, else None."""
        first, *inner, last = self.pieces
        start, end = len(first), len(text) - len(last)
        if start > end or not (text.startswith(first) and text.endswith(last)):
            return None
        values = []
        for piece in inner:
            found = text.find(piece, start, end)
            if found < 0:
                return None
            values.append(text[start:found])
            start = found + len(piece)
        return (*values, text[start:end])

    def fill(self, values: Sequence[str]) -> str:
        """Return the Korean text with these values in its holes, translated where they are phrases."""
        order = iter(range(len(values)))

        def value(hole: re.Match[str]) -> str:
            return _keep(values[int(hole[1])] if hole[1] else values[next(order)])

        return FILLED.sub(value, self.korean)


def translate(text: str) -> str:
    """Return `text` in Korean; what the catalogue lacks stays in English."""
    return "\n".join(map(_keep, text.split("\n")))


def pairs() -> Iterator[tuple[str, str]]:
    """Yield every phrase of the catalogue, in English and Korean."""
    for file in sorted(Path(__file__).parent.glob("*.txt")):
        for pair in file.read_text(encoding="utf-8").strip().split("\n\n"):
            english, korean = pair.split("\n")
            yield english, korean


@cache
def _catalogue() -> tuple[dict[str, str], tuple[Phrase, ...]]:
    """Return the phrases without holes, and those with holes, the most specific ones first."""
    texts = dict(pairs())
    phrases = (Phrase(tuple(en.split(HOLE)), ko) for en, ko in texts.items() if HOLE in en)
    return texts, tuple(sorted(phrases, key=lambda phrase: -sum(map(len, phrase.pieces))))


def _keep(text: str) -> str:
    """Translate a text if it is known."""
    said = _translate(text)
    return text if said is None else said


def _translate(text: str) -> str | None:
    """Translate one phrase, or the parts of a text that are phrases; None if there are none."""
    said = _phrase(text)
    if said is not None:
        return said
    sentences = SENTENCES.split(text)
    if 1 < len(sentences) <= MOST_PARTS:
        parts = [_translate(sentence) for sentence in sentences]
        if None not in parts:
            return " ".join(filter(None, parts))
    said = _phrase(text, whole=True)
    return said if said is not None else _parts(text)


def _parts(text: str) -> str | None:
    for separator in SEPARATORS:
        if 0 < text.count(separator) < MOST_PARTS:
            head, _, rest = text.partition(separator)
            said = _translate(head), _translate(rest)
            if any(part is not None for part in said):
                return (
                    f"{head if said[0] is None else said[0]}{separator}{rest if said[1] is None else said[1]}"
                )
    return None


def _phrase(text: str, whole: bool = False) -> str | None:
    """Translate a text that is one phrase.  whole: a hole may hold several sentences."""
    texts, phrases = _catalogue()
    if text in texts:
        return texts[text]
    for phrase in phrases:
        values = phrase.match(text)
        if values is not None and (whole or not any(map(SENTENCES.search, values))):
            return phrase.fill(values)
    without = text.removesuffix(".")
    said = _phrase(without, whole) if without != text else None
    return None if said is None else f"{said}."
