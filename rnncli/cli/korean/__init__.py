"""Korean messages, notes and help, translated from the English text that the package raises or shows.

Every `.txt` file beside this one holds pairs of lines, English and Korean, with blank lines between the
pairs.  `{}` is a placeholder, which matches any text, and `{#}` one that matches a whole number; in the
Korean line `{}` is the next placeholder and `{0}` the first.  The value of a placeholder is translated too if
it is a phrase of the catalog; a single word is a name, and stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

HOLE = re.compile(r"\{#?\}")
FILLED = re.compile(r"\{(\d*)\}")
SENTENCES = re.compile(r"(?<=[.?!]) (?=[A-Z])")
SEPARATORS = ("; ", ", ")
"""Separators between parts that may be phrases of their own, for the longest parts first."""
MOST_PARTS = 16
"""A text of more parts is data, and stays as it is."""
PROSE = re.compile(r"\b[a-z]{2,} [a-z]+ [a-z]{2,}\b")
"""English in a hole: another phrase may fit better."""
CLEAR = 12
"""A phrase with so many characters around its holes fits whatever is in them."""


class Phrase(NamedTuple):
    """English text around its holes, and the Korean text.

    numeric: which holes match only a number; empty if none does.
    """

    pieces: tuple[str, ...]
    numeric: tuple[bool, ...]
    korean: str

    @classmethod
    def parse(cls, english: str, korean: str) -> Phrase:
        """Parse a pair of the catalog."""
        pieces = english.replace("{#}", "{}").split("{}")
        numeric = tuple(hole == "{#}" for hole in HOLE.findall(english)) if "{#}" in english else ()
        return cls(tuple(pieces), numeric, korean)

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
        values.append(text[start:end])
        numbers = (value.isdigit() for value, number in zip(values, self.numeric, strict=False) if number)
        return tuple(values) if all(numbers) else None

    def fill(self, values: Sequence[str]) -> str:
        """Return the Korean text with these values in its holes."""
        order = iter(values)
        return FILLED.sub(lambda hole: values[int(hole[1])] if hole[1] else next(order), self.korean)

    @property
    def length(self) -> int:
        """Return how many characters are not in holes."""
        return sum(map(len, self.pieces))


def translate(text: str) -> str:
    """Return `text` in Korean; what the catalog lacks stays in English."""
    return "\n".join(map(_translate_or_keep, text.split("\n")))


def pairs() -> Iterator[tuple[str, str]]:
    """Yield every phrase of the catalog, in English and Korean."""
    for file in sorted(Path(__file__).parent.glob("*.txt")):
        for pair in file.read_text(encoding="utf-8").strip().split("\n\n"):
            english, korean = pair.split("\n")
            yield english, korean


@cache
def _catalog() -> tuple[dict[str, str], tuple[Phrase, ...]]:
    """Return the phrases without holes, and those with holes, the most specific ones first."""
    texts = {_without_dot(english)[0]: _without_dot(korean)[0] for english, korean in pairs()}
    phrases = (
        Phrase.parse(english, korean)
        for english, korean in texts.items()
        if "{" in english and HOLE.search(english)
    )
    return texts, tuple(sorted(phrases, key=lambda phrase: -phrase.length))


def _without_dot(text: str) -> tuple[str, str]:
    """Split off the dot that ends a sentence; three dots end none."""
    return (text[:-1], ".") if text.endswith(".") and not text.endswith("..") else (text, "")


def _translate_or_keep(text: str) -> str:
    """Return the translation of a text, or the text itself if it has none."""
    translation = _translate(text)
    return text if translation is None else translation


@lru_cache(4096)
def _translate(text: str, whole: bool = True) -> str | None:
    """Translate one phrase, or the parts of a text that are phrases; None if there are none.

    whole: whether the holes of a phrase may contain what a framework says, in English.
    """
    bare, dot = _without_dot(text)
    texts, phrases = _catalog()
    if bare in texts:
        return texts[bare] + dot
    fitting = [(phrase, values) for phrase in phrases if (values := phrase.match(bare)) is not None]
    clear = [phrase for phrase in fitting if phrase[0].length >= CLEAR]
    return (
        _fill(clear, dot)
        or _sentences(text, whole)
        or _after_colon(text, whole=False)
        or _fill(fitting, dot)
        or (_translate_partly(clear, text, dot) if whole else None)
    )


def _translate_partly(clear: Iterable[tuple[Phrase, Sequence[str]]], text: str, dot: str) -> str | None:
    """Translate around what stays English, or the parts that are phrases."""
    return _fill(clear, dot, whole=True) or _after_colon(text, whole=True) or _parts(text)


def _fill(fitting: Iterable[tuple[Phrase, Sequence[str]]], dot: str, whole: bool = False) -> str | None:
    """Fill the first phrase that fits, and end it with `dot`.

    whole: whether its holes may contain sentences, and English text that has no translation."""
    for phrase, values in fitting:
        if whole or not any(map(SENTENCES.search, values)):
            translations = [_translate_or_keep(value) if " " in value else value for value in values]
            if whole or not any(map(PROSE.search, translations)):
                return phrase.fill(translations) + dot
    return None


def _sentences(text: str, whole: bool) -> str | None:
    """Translate sentence by sentence, if each is known."""
    sentences = SENTENCES.split(text)
    if not 1 < len(sentences) <= MOST_PARTS:
        return None
    translations = [_translate(sentence, whole) for sentence in sentences]
    return None if None in translations else " ".join(filter(None, translations))


def _after_colon(text: str, whole: bool) -> str | None:
    """Translate what follows a name or a place: `a.json: it is empty.`"""
    head, colon, rest = text.partition(": ")
    if not colon or text.count(colon) > MOST_PARTS:
        return None
    translation, place = _translate(rest, whole), _translate_or_keep(head)
    if translation is None and place != head and not PROSE.search(rest):
        translation = rest  # a name or an index: `the command line: [1]`
    return None if translation is None or PROSE.search(place) else f"{place}: {translation}"


def _parts(text: str) -> str | None:
    """Translate the parts of a text that are phrases."""
    for separator in SEPARATORS:
        parts = re.split(rf"{separator}(?![^()]*\))", text)  # not inside brackets
        if 1 < len(parts) <= MOST_PARTS:
            translations = [_translate(part) if " " in part else None for part in parts]
            if any(translations):
                return separator.join(one or part for one, part in zip(translations, parts, strict=True))
    return None
