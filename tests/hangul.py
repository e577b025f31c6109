"""What is left of English in a text that should be Korean."""

from __future__ import annotations

import re

from rnncli.cli import korean

HANGUL = re.compile("[가-힣]")
PROSE = re.compile(r"\b[a-z]{2,} [a-z]+ [a-z]{2,}\b")
COMMAND = re.compile(r"(rnncli (?=[a-z])|pip install|torch\.save|json\.dump).*")
"""What is typed or run as it stands."""
QUOTED = re.compile(r"'[^']*'|`[^`]*`")


def untranslated(text: str) -> str | None:
    """Return the Korean of `text` if it is not Korean, or has English sentences in it; else None."""
    said = korean.translate(text)
    rest = COMMAND.sub("", QUOTED.sub("", said))
    return said if PROSE.search(rest) or not HANGUL.search(said) else None
