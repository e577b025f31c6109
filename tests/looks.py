"""Expected appearance of printed answers, stored in golden files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from rich.cells import cell_len

from rnncli.renderers import formats
from rnncli.renderers.page import View

GOLDEN = Path(__file__).parent / "golden"

VIEWS = {
    "80": View(width=80),
    "120": View(width=120),
    "40": View(width=40),
    "pipe": View(),
    "80_ko": View(width=80, lang="ko"),
    "80_ascii": View(width=80, ascii=True),
    "80_color": View(width=80, color=True),
}


def drawn(answer: Any, format: str = "table", **view: Any) -> Any:
    """The text of an answer, or the bytes in a binary format."""
    return formats.render(answer, format, View(**view))


def matches_golden(command: str, name: str, text: str | bytes) -> bool:
    """Compare with the golden file; WRITE_GOLDEN=1 rewrites it.  Look at it before committing."""
    assert isinstance(text, str)
    path = GOLDEN / command / name
    if os.environ.get("WRITE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    return text == path.read_text(encoding="utf-8")


def columns_of(line: str) -> int:
    return cell_len(re.sub(r"\x1b\[[0-9;]*m", "", line))
