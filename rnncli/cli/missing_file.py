"""Advice on a word that names no file: it may have been meant as JSON, a shape, a flag or a layer."""

from __future__ import annotations

import re
import shlex
from contextlib import suppress

from rnncli import specs
from rnncli.errors import InputError, LayerError, Message, UsageError, nearest
from rnncli.inputs import sample_files
from rnncli.inputs.source import NoFileError
from rnncli.specs.shapes import write_with_commas

LAYER_LIKE = r"(?s)[^\W\d][\w-]*|[^\W\d][\w.]*\(.*"


def suggest_input(word: str, error: InputError) -> Message:
    """Return advice on what a word that is not a file may have been meant as.

    error: that of `Source.file`; its own advice is kept if there is no better one.
    """
    similar = error.similar if isinstance(error, NoFileError) else None
    if isinstance(error, NoFileError) and not similar and _ends_as_json(word) and not _is_layer(word):
        return Message("JSON on the command line must begin with [ or {{.")
    if shape := write_with_commas(word):
        return Message("To generate an input of this shape: {--input-shape:shape}", shape=shape)
    if not re.fullmatch(LAYER_LIKE, word):
        return error.advice
    if word.casefold() in {"true", "false"}:
        return Message("Flags such as {--return-sequences} take no value.")
    if near := nearest(word, sample_files.names()):
        return Message("Did you mean {near}?", near=near)
    if similar:
        return error.advice
    advice = error.advice
    if _is_layer(word):
        advice = Message("Name the layer with {--layer:word}", word=shlex.quote(word))
    return Message(
        "{advice}; the built-in samples are {names}.", advice=advice, names=", ".join(sample_files.names())
    )


def _ends_as_json(word: str) -> bool:
    """Return whether a word has a bracket that opens, and ends with one that closes."""
    ends = max(word.rfind("]"), word.rfind("}"))
    starts = min((place for place in map(word.find, "[{") if place >= 0), default=ends)
    return starts < ends and not re.search(r"\w", word[ends:])


def _is_layer(word: str) -> bool:
    with suppress(LayerError, UsageError):
        return bool(specs.from_flags([word], {}))
    return False
