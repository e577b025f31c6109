"""Undo how bash splits a word that is completed: at `@`, `=` and `:`, which names of rnncli contain."""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence

_BREAK = re.compile(r"[@=:]+")
_FLAG = re.compile(r"-{1,2}[\w-]+")


def join_words(pieces: Sequence[str], current: int) -> tuple[list[str], int]:
    """Join pieces of words: `--hold forget = 1` is `--hold forget=1`, `--layer @ f` is `--layer @f`.

    pieces: as in COMP_WORDS.  Bash does not say which were adjacent; only after a flag, `@` starts a word.
    current: the index of the unfinished piece.  Returns the words, and the index of the unfinished one.
    """
    words: list[str] = []
    places: list[int] = []
    glue = False
    for piece in pieces if current < len(pieces) else [*pieces, ""]:
        breaks = bool(_BREAK.fullmatch(piece))
        starts = not words or (piece.startswith("@") and bool(_FLAG.fullmatch(words[-1])))
        if words and (glue or (breaks and not starts)):
            words[-1] += piece
        else:
            words.append(piece)
        places.append(len(words) - 1)
        glue = breaks
    return words, places[min(current, len(places) - 1)]


def prepare(environment: MutableMapping[str, str]) -> str:
    """Join the words in COMP_WORDS, one per line as Typer's script sends them, and set COMP_CWORD to match.

    Returns the part of the unfinished word that bash keeps: up to the last `@`, `=` or `:`.
    """
    pieces = environment.get("COMP_WORDS", "").split("\n")
    current = environment.get("COMP_CWORD", "")
    if len(pieces) == 1 or not current.isdecimal():
        return ""
    words, place = join_words(pieces, int(current))
    environment["COMP_WORDS"], environment["COMP_CWORD"] = "\n".join(words), str(place)
    ends = (found.end() for found in _BREAK.finditer(words[place]))
    return words[place][: max(ends, default=0)]
