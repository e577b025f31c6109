"""Korean messages, notes and help, translated from the English text that the package raises or shows.

Every `.txt` file beside this one holds pairs of lines, English and Korean, with blank lines between the
pairs.  `{}` is a hole, which matches any text; the Korean line has the same holes in its own order: `{}` is
the next one, `{0}` the first.  What fills a hole is translated too if it is a phrase of the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

HOLE = "{}"
FILLED = re.compile(r"\{(\d*)\}")
SENTENCES = re.compile(r"(?<=[.?!]) ")
SEPARATORS = ("; ", ", ")
"""What stands between parts that may be phrases of their own, the longest parts first."""
MOST_PARTS = 16
"""A text of more parts is data, and stays as it is."""
PROSE = re.compile(r"\b[a-z]{2,} [a-z]+ [a-z]{2,}\b")
"""English in a hole: another phrase may fit better."""
CLEAR = 12
"""A phrase with so many characters around its holes fits whatever is in them."""


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
        """Return the Korean text with these values in its holes."""
        order = iter(values)
        return FILLED.sub(lambda hole: values[int(hole[1])] if hole[1] else next(order), self.korean)

    @property
    def length(self) -> int:
        """Return how many characters are not in holes."""
        return sum(map(len, self.pieces))


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
    return texts, tuple(sorted(phrases, key=lambda phrase: -phrase.length))


def _keep(text: str) -> str:
    """Translate a text if it is known."""
    said = _translate(text)
    return text if said is None else said


@lru_cache(4096)
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
    found = _after_colon(text) or _phrase(text, whole=True)
    return found if found is not None else _parts(text)


def _after_colon(text: str) -> str | None:
    """Translate what follows a name or a place: `a.json: it is empty.`"""
    head, colon, rest = text.partition(": ")
    if not colon or text.count(colon) > MOST_PARTS:
        return None
    said, place = _translate(rest), _keep(head)
    return None if said is None or PROSE.search(place) else f"{place}: {said}"


def _parts(text: str) -> str | None:
    """Translate the parts of a text that are phrases; a single word in a list is a name, and stays."""
    for separator in SEPARATORS:
        parts = text.split(separator)
        if 1 < len(parts) <= MOST_PARTS:
            said = [_translate(part) if " " in part else None for part in parts]
            if any(said):
                return separator.join(one or part for one, part in zip(said, parts, strict=True))
    return None


def _phrase(text: str, whole: bool = False) -> str | None:
    """Translate a text that is one phrase.  whole: a hole may hold sentences, and English that is unknown."""
    texts, phrases = _catalogue()
    if text in texts:
        return texts[text]
    for phrase in phrases:
        if not (text.startswith(phrase.pieces[0]) and text.endswith(phrase.pieces[-1])):
            continue
        values = phrase.match(text)
        if values is not None and (
            phrase.length >= CLEAR if whole else not any(map(SENTENCES.search, values))
        ):
            values = tuple(map(_keep, values))
            if whole or not any(map(PROSE.search, values)):
                return phrase.fill(values)
    without = text.removesuffix(".")
    said = _phrase(without, whole) if without != text else None
    return None if said is None else f"{said}."
