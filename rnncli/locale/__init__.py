"""The Korean of messages and help: `ko.po`, compiled as `ko.mo`, whose entries are found by their English.

A particle behind a hole is written in either form: which one is read is known when the hole is filled.

The entry of a message is its template, with the same holes; the entry of other texts is the text itself.
`python tests/catalogue.py` compiles them.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gettext import GNUTranslations


def translate(template: str) -> str:
    """Return a template or a text in Korean, or in English if the catalogue lacks it."""
    return _catalogue().gettext(template) if template else ""


PARTICLES = ("이어야 여야", "으로 로", "이나 나", "은 는", "이 가", "을 를", "과 와")
"""Each as it follows a consonant, and as it follows a vowel."""
_PARTICLE = "|".join(form for pair in PARTICLES for form in pair.split())
_LITERAL = rf"['\"`’]*({_PARTICLE})(?![가-힣])"
_WORD = r"(?s)([A-Za-z0-9가-힣]+)(?:\([^()]*\))?\W*$"
_ONE_BY_ONE = "[A-Z]{1,3}|[^AEIOUaeiou]+|[a-z]"
"""A word that is read letter by letter: LSTM, GRU, png."""
_CONSONANT = (
    "(?i).*(l|le|m|n|me|ne|ic|tex|type|ook|(?<!che)ck|(?<=[aeiou])(ng|(?-i:b))|(?<!oo)(?<=[aeiou])p"
    "|(?<!oa)(?<=[a-z][aeiou])t)"
)
"""English words that end in a consonant as Koreans read them: kernel, file, input, step."""


def fit_particle(before: str, literal: str) -> str:
    """Return `literal` with the form of its first particle that follows the sound of the text before it.

    `LSTM` + `는 층` gives `은 층`; unchanged where it begins with no particle, or the sound is not known.
    """
    if not (found := re.match(_LITERAL, literal)) or not (end := _sound(before)):
        return literal
    forms = next(pair.split() for pair in PARTICLES if found[1] in pair.split())
    form = forms[end == "vowel" or (end == "l" and forms[1] == "로")]
    return f"{literal[: found.start(1)]}{form}{literal[found.end(1) :]}"


def _sound(text: str) -> str:
    """Return the sound at the end of a text as Koreans read it: vowel, l, consonant, or "" if not known."""
    if not (found := re.search(_WORD, text)):
        return ""
    last, word = found[1][-1], found[1]
    if last >= "가":
        final = (ord(last) - ord("가")) % 28
        return {0: "vowel", 8: "l"}.get(final, "consonant")
    if last.isdecimal():
        return {"1": "l", "7": "l", "8": "l"}.get(last, "vowel" if last in "2459" else "consonant")
    word = re.split("[^A-Za-z]", word)[-1]
    if re.fullmatch(_ONE_BY_ONE, word):
        return {"l": "l", "r": "l", "m": "consonant", "n": "consonant"}.get(last.lower(), "vowel")
    if not re.fullmatch(_CONSONANT, word):
        return "vowel"
    return "l" if word.lower().endswith(("l", "le")) else "consonant"


@cache
def _catalogue() -> GNUTranslations:
    from gettext import GNUTranslations

    with (Path(__file__).parent / "ko.mo").open("rb") as file:
        return GNUTranslations(file)
