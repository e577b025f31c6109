"""The texts of the matrix, in English and Korean, by key."""

from __future__ import annotations

from rnncli.show.wording import add_words

say = add_words(
    {
        "scheme": ("entries with the same numbers", "값이 같은 항목"),
        "letters": (
            "same letter = same numbers; {dot} = unlike all others",
            "같은 글자는 같은 값, {dot}은 저마다 다른 값",
        ),
    }
)
