"""Expected appearance of printed answers, stored in golden files."""

import os
import re
from collections.abc import Callable, Iterable
from itertools import product
from pathlib import Path
from typing import Any

from rich.cells import cell_len

from rnncli import __version__
from rnncli.show import formats
from rnncli.show.page import View

GOLDEN = Path(__file__).parent / "golden"

LOOKS: dict[str, dict[str, Any]] = {"80": {"width": 80}, "40_ko": {"width": 40, "lang": "ko", "color": True}}
"""The views that golden files show."""
PAGES = {"markdown": "md", "html": "html", "svg": "svg"}
"""Suffixes of golden files by format."""
SUFFIXES = PAGES | {"json": "json", "ndjson": "ndjson", "csv": "csv"}


def drawn(answer: Any, format: str = "table", **view: Any) -> Any:
    """The text of an answer, or the bytes in a binary format."""
    return formats.render(answer, format, View(**view))


def matches_golden(command: str, name: str, text: str | bytes) -> bool:
    """Compare with the golden file; WRITE_GOLDEN=1 rewrites it.  Look at it before committing."""
    assert isinstance(text, str)
    path = GOLDEN / command / name
    if os.environ.get("WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return text == path.read_text(encoding="utf-8")


def round_digits(text: str) -> str:
    """Return the text with five digits of each long number; the last digits differ between processors."""
    return re.sub(r"\d\.\d{10,}", lambda digits: f"{float(digits[0]):.5g}", text)


STYLE = r"\x1b\[[0-9;]*m"


def columns_of(line: str) -> int:
    return cell_len(re.sub(STYLE, "", line))


def misfits(answer: Any, width: int, **view: Any) -> list[str]:
    """Return the lines of the table that are wider than the terminal or end with a blank."""
    lines = drawn(answer, width=width, **view).splitlines()
    assert lines
    return [line for line in lines if columns_of(line) > width or line != line.rstrip()]


def contrast(first: str, second: str) -> float:
    """Return WCAG's contrast of two colors, `#1a2b3c`: 1 to 21; letters need 4.5."""
    dark, light = sorted(map(luminance, (first, second)))
    return (light + 0.05) / (dark + 0.05)


def luminance(color: str) -> float:
    """Return WCAG's relative luminance of a color, 0 to 1."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def check_looks(
    command: str, name: str, answer: Any, kept: Iterable[str] = (), settle: Callable[[str], str] = str
) -> None:
    """Compare an answer with its golden files; at every width, no line is too long.

    kept: further formats with a golden file.  settle: removes what differs between machines.
    """
    texts = {f"{name}_{view}.txt": drawn(answer, **options) for view, options in LOOKS.items()}
    texts |= {
        f"{name}.{SUFFIXES[kind]}": drawn(answer, kind).replace(__version__, "VERSION") for kind in kept
    }
    other = [file for file, text in texts.items() if not matches_golden(command, file, settle(text))]
    assert other == []
    assert drawn(answer, width=80, ascii=True).isascii()
    for width, lang, color in product((40, 60, 80, 100, 120, 132), ("en", "ko"), (False, True)):
        assert misfits(answer, width, lang=lang, color=color) == [], (width, lang, color)
