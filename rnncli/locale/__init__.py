"""The Korean of messages and help: `ko.po`, compiled as `ko.mo`, whose entries are found by their English.

The entry of a message is its template, with the same holes; the entry of other texts is the text itself.
`python tests/catalogue.py` compiles them.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gettext import GNUTranslations


def translate(template: str) -> str:
    """Return a template or a text in Korean, or in English if the catalogue lacks it."""
    return _catalogue().gettext(template) if template else ""


@cache
def _catalogue() -> GNUTranslations:
    from gettext import GNUTranslations

    with (Path(__file__).parent / "ko.mo").open("rb") as file:
        return GNUTranslations(file)
