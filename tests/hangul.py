"""What is left of English in a text that should be Korean."""

import re
from collections.abc import Mapping

HANGUL = re.compile("[가-힣]")
PROSE = re.compile(r"\b[a-z]{2,} [a-z]+ [a-z]{2,}\b")
COMMAND = re.compile(r"(rnncli (?=[a-z])|pip install|torch\.save|json\.dump).*")
"""What is typed or run as it stands."""
QUOTED = re.compile(r"'[^']*'|`[^`]*`")


def is_english(text: str) -> bool:
    """Return whether `text` is not Korean, or has English sentences in it."""
    return bool(PROSE.search(COMMAND.sub("", QUOTED.sub("", text)))) or not HANGUL.search(text)


def check_translated(en: Mapping[str, str], ko: Mapping[str, str], *, same_holes: bool = True) -> None:
    """Assert that the texts of one language have none of the other, and the same holes."""
    for key, text in en.items():
        assert HANGUL.search(ko[key]), key
        assert not HANGUL.search(text), key
        if same_holes:
            assert set(re.findall(r"{\w*}", text)) == set(re.findall(r"{\w*}", ko[key])), key
