"""Words as shells take them: joined where bash splits them, at `@`, `=` and `:`, and quoted when offered."""

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

    Returns the unfinished word, as it was typed.
    """
    pieces = environment.get("COMP_WORDS", "").split("\n")
    current = environment.get("COMP_CWORD", "")
    if len(pieces) == 1 or not current.isdecimal():
        return ""
    words, place = join_words(pieces, int(current))
    environment["COMP_WORDS"], environment["COMP_CWORD"] = "\n".join(words), str(place)
    return words[place]


def _kept(word: str) -> tuple[str, str]:
    """Return what bash keeps of a word as it was typed, without its quotation, and the mark that is open.

    Bash replaces what follows the last `@`, `=` or `:` that is not quoted, or a quotation mark that is open.
    """
    value = start = opened = mark = ""
    chars = iter(word)
    for char in chars:
        if char == "\\" and mark != "'":
            value += next(chars, "")
        elif char == mark:
            mark = ""
        elif char in "\"'" and not mark:
            mark, opened = char, value
        else:
            value += char
            start = value if char in "@=:" and not mark else start
    return opened if mark else start, mark


def for_bash(lines: Sequence[str], typed: str) -> str:
    """Return what bash puts in the place of the unfinished word, one per line, so that it takes it literally.

    In an open quotation, a character that means something there stands between its end and a new beginning.
    """
    typed = re.sub(r"^--[\w-]+=", "", typed)  # the lines continue the value of a flag
    start, mark = _kept(typed)
    special = r"[$`\"'\\!*?\[\]]" if mark else r"[^\w@%+=:,./#-]"
    if typed.startswith("~"):  # a home directory
        special = rf"(?!^~){special}"
    words = (re.sub(special, rf"{mark}\\\g<0>{mark}", line.removeprefix(start)) for line in lines)
    return "".join(f"{word}\n" for word in words)


def for_zsh(lines: Sequence[str]) -> str:
    """Return the code that offers `word` or `word TAB help`, one per line; Typer's script evaluates it.

    The shell splits it at spaces before, so a word has none.
    """
    words = []
    for line in lines:
        word, tab, text = (part.replace("\\", r"\\") for part in line.partition("\t"))
        offer = word.replace(":", r"\:") + (f":{text}" if tab else "")
        words.append("$'" + re.sub(r"[\s\\']", lambda found: f"\\x{ord(found[0]):02x}", offer) + "'")
    return f"local -a rnncli=({' '.join(words)}); _describe '' rnncli" if words else "_files"
