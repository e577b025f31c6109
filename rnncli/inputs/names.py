"""What a case document says in words: sentences as inputs, and names of features, steps and sequences."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any
from unicodedata import normalize

from rnncli.errors import InputError, Message, count, shorten, with_path_prefix
from rnncli.inputs import nested
from rnncli.values import Array, InputNames, parse_decimal

KEYS = ("words", "groups", "aliases", "features", "batch", "answers", "steps", "about")
"""The keys of a case document that this module reads."""
LANGUAGES = ("en", "ko")
MOST_WORDS = 60
"""An error lists at most so many words of a vocabulary without groups."""
PUNCTUATION = r"[.,;:!?…。、，！？()\"“”]+"
"""Splits what was typed, where a word with it is not in the vocabulary."""


def read_names(value: Mapping[str, Any]) -> InputNames:
    """Read these keys of a case document.  Raises InputError, with the path, for what they cannot be."""
    read = {
        "words": _read_words,
        "groups": lambda groups: _read_groups(groups, value.get("words")),
        "aliases": lambda aliases: _read_aliases(aliases, value.get("words")),
        "features": _read_texts,
        "batch": _read_texts,
        "answers": _read_answers,
        "steps": _read_steps,
        "about": _read_about,
    }
    names: dict[str, Any] = {}
    for key in (key for key in KEYS if value.get(key) is not None):
        with with_path_prefix(key):
            names["sequences" if key == "batch" else key] = read[key](value[key])
    return InputNames(**names)


def read_sentences(texts: list[Any], names: InputNames) -> tuple[Array | tuple[Array, ...], InputNames]:
    """Return the sentences as an array, and the names with the words as steps.

    If they differ in length, one array (timesteps, features) per sentence.
    """
    import numpy as np

    if names.steps:
        raise InputError("the time steps of sentences are named by their words.", 'Leave "steps" out.')
    by_key: dict[str, list[str]] = {}
    for word in names.words:
        by_key.setdefault(_fold(word), []).append(word)
    aliases = {_fold(alias): tuple(words.split()) for alias, words in names.aliases.items()}

    def find(typed: str) -> tuple[str, ...]:
        known = by_key.get(_fold(typed), [])
        if typed in names.words or len(known) == 1:
            return (typed if typed in names.words else known[0],)
        if _fold(typed) in aliases:
            return aliases[_fold(typed)]
        parts = [part for part in (part.strip("'‘’") for part in re.split(PUNCTUATION, typed)) if part]
        if parts != [typed]:
            return tuple(word for part in parts for word in find(part))
        raise _unknown(typed, names)

    steps = []
    for index, text in enumerate(texts):
        with with_path_prefix(index):
            if not isinstance(text, str):
                what = "{place} is {value}, where other inputs are sentences."
                raise InputError(what, "Write a text for each sequence.", (), value=nested.describe(text))
            words = tuple(word for typed in text.split() for word in find(typed))
            if not words:
                raise InputError("{place} is an empty sentence.", "Write at least one word.", ())
            steps.append(words)
    arrays = [np.array([names.words[word] for word in sentence], np.float64) for sentence in steps]
    has_one_length = len(set(map(len, steps))) == 1
    return np.stack(arrays) if has_one_length else tuple(arrays), names._replace(steps=tuple(steps))


def _unknown(typed: str, names: InputNames) -> InputError:
    """Return the refusal of a word: the nearest words, and the vocabulary, in its groups if it has some."""
    import difflib

    listed = ", ".join([*names.words][:MOST_WORDS]) + (", …" if len(names.words) > MOST_WORDS else "")
    if names.groups:
        listed = "; ".join(f"{group}: {', '.join(words)}" for group, words in names.groups.items())
    letters = {normalize("NFD", _fold(word)): word for word in (*names.words, *names.aliases)}
    near = difflib.get_close_matches(normalize("NFD", _fold(typed)), letters, n=3, cutoff=0.65)
    advice = Message("The words are: {listed}.", listed=listed)
    if near:
        meant = ", ".join(letters[word] for word in near)
        advice = Message("Did you mean {near}? {advice}", near=meant, advice=advice)
    what = "{place} has the word {word!r}, which is not in the vocabulary."
    return InputError(what, advice, (), word=shorten(typed, 40))


def fit(names: InputNames, shape: tuple[int, ...], padding: Array | None) -> InputNames:
    """Return the names for an input of this shape, steps for each sequence and also where it is padded.

    padding: (batch, timesteps), False where the sequences are padded; None if they are not.
    Raises InputError for more or fewer names than the input has features, steps or sequences.
    """
    batch, width = shape[0], shape[-1]
    for vector in list(names.words.values())[:1]:  # all have as many
        _require("words", len(vector), width, "feature")
    _require("features", len(names.features), width, "feature")
    _require("batch", len(names.sequences), batch, "sequence")
    if not names.steps or len(shape) < 3:
        return names._replace(steps=())
    is_common = len(names.steps) == 1
    if not is_common:
        _require("steps", len(names.steps), batch, "sequence")
    padded = []
    for index in range(batch):
        row = names.steps[0 if is_common else index]
        if padding is not None and len(row) == padding[index].sum():
            known = iter(row)
            row = tuple(next(known) if kept else "" for kept in padding[index])
        _require("steps" if is_common else f"steps[{index}]", len(row), shape[1], "time step")
        padded.append(row)
    return names._replace(steps=tuple(padded))


def _require(key: str, given: int, wanted: int, noun: str) -> None:
    """Raise InputError for another number of names than the input needs; 0 is none."""
    if given not in (0, wanted):
        entries = count(given, "entry", "entries")
        what = "{key} has {entries}, but the input has {wanted}."
        raise InputError(what, "Give one for each.", key=key, entries=entries, wanted=count(wanted, noun))


def _fold(word: str) -> str:
    """Return a key that is equal for words that differ by case alone, or by how accents are stored."""
    return normalize("NFC", word).casefold().replace("’", "'")


def _read_texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise nested.wrong(value, Message('Write a list of names: ["temperature", "button"].'))
    for index, text in enumerate(value):
        with with_path_prefix(index):
            _require_text(text)
    return tuple(value)


def _require_text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise nested.wrong(value, Message("Write a text that is not empty, in quotes."))
    return value


def _read_steps(value: Any) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, list) or not value or not isinstance(value[0], list):
        return (_read_texts(value),)
    steps = []
    for index, names in enumerate(value):
        with with_path_prefix(index):
            steps.append(_read_texts(names))
    return tuple(steps)


def _read_words(value: Any) -> dict[str, tuple[float, ...]]:
    example = Message('Write a list of numbers for each word: {{"good": [0.1, 4.2], "bad": [1.0, 3.1]}}.')
    if not isinstance(value, dict) or not value:
        raise nested.wrong(value, example)
    size = None
    for word, vector in value.items():
        with with_path_prefix(word):
            if word.split() != [word]:
                what = "words has the entry {word!r}, which is not one word."
                raise InputError(what, "Sentences are split at blanks.", word=shorten(word, 40))
            if not isinstance(vector, list) or not vector:
                raise nested.wrong(vector, example)
            for index, number in enumerate(vector):
                if type(number) not in (int, float) or not math.isfinite(number):
                    with with_path_prefix(index):
                        raise nested.wrong(number, Message("Write a finite number."))
            size = size or len(vector)
            if len(vector) != size:
                what = "{place} has {given}, the first word has {size}."
                advice = "All words must have equally many numbers."
                raise InputError(
                    what, advice, (), given=count(len(vector), "number"), size=count(size, "number")
                )
    return {word: tuple(map(float, vector)) for word, vector in value.items()}


def _read_groups(value: Any, words: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(value, dict) or not value:
        raise nested.wrong(value, Message('Write lists of words by name: {{"nouns": ["film", "plot"]}}.'))
    groups = {}
    for group, listed in value.items():
        with with_path_prefix(group):
            groups[group] = _read_texts(listed)
            _require_known(groups[group], words)
    return groups


def _read_aliases(value: Any, words: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not value:
        raise nested.wrong(value, Message('Write what may be typed for words: {{"isn\'t": "is not"}}.'))
    for alias, meant in value.items():
        with with_path_prefix(alias):
            _require_known(_require_text(meant).split(), words)
    return dict(value)


def _require_known(listed: Iterable[str], words: Any) -> None:
    """Raise InputError for a word that is not an entry of `words`."""
    for word in listed:
        if word not in (words or {}):
            what = "{place} has the word {word!r}, which is not in the vocabulary."
            raise InputError(what, Message("Add it to words."), (), word=shorten(word, 40))


def _read_answers(value: Any) -> dict[float, str]:
    example = Message('Write what each output means: {{"-1": "bad", "1": "good"}}.')
    if not isinstance(value, dict) or not value:
        raise nested.wrong(value, example)
    answers: dict[float, str] = {}
    for text, answer in value.items():
        try:
            number = parse_decimal(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise InputError("answers has the key {text!r}, not a number.", example, text=shorten(text, 40))
        if number in answers:
            what = "answers has the number {number:g} twice."
            raise InputError(what, "Leave one of them out.", number=number)
        with with_path_prefix(text):
            answers[number] = _require_text(answer)
    return answers


def _read_about(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not value or not set(value) <= set(LANGUAGES):
        raise nested.wrong(
            value, Message('Write a sentence in English or Korean: {{"en": "...", "ko": "..."}}.')
        )
    for language, text in value.items():
        with with_path_prefix(language):
            _require_text(text)
    return dict(value)
