"""What is left of English in a text that should be Korean."""

from __future__ import annotations

import re

HANGUL = re.compile("[가-힣]")
PROSE = re.compile(r"\b[a-z]{2,} [a-z]+ [a-z]{2,}\b")
COMMAND = re.compile(r"(rnncli (?=[a-z])|pip install|torch\.save|json\.dump).*")
"""What is typed or run as it stands."""
QUOTED = re.compile(r"'[^']*'|`[^`]*`")


def is_english(text: str) -> bool:
    """Return whether `text` is not Korean, or has English sentences in it."""
    return bool(PROSE.search(COMMAND.sub("", QUOTED.sub("", text)))) or not HANGUL.search(text)
