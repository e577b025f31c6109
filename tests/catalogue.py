"""Read and compile the Korean catalogue: `python tests/catalogue.py` writes ko.mo from ko.po."""

import ast
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parents[1] / "rnncli/locale"


class Entry(NamedTuple):
    """An English text, its Korean, and the comment above it."""

    english: str
    korean: str
    comment: str


def read(text: str) -> Iterator[Entry]:
    """Yield the entries of a .po file, the first of which is its head."""
    for block in text.strip().split("\n\n"):
        lines = block.split("\n")
        comment = " ".join(line[2:].strip() for line in lines if line.startswith("#"))
        english, korean = " ".join(line for line in lines if not line.startswith("#")).split(" msgstr ")
        yield Entry(ast.literal_eval(english.removeprefix("msgid ")), ast.literal_eval(korean), comment)


def compile_catalogue(text: str) -> bytes:
    """Return the .mo file of a .po file."""
    pairs = sorted((entry.english.encode(), entry.korean.encode()) for entry in read(text))
    start, offsets, data = 28 + 16 * len(pairs), [], b""
    for column in (0, 1):
        for pair in pairs:
            offsets += [len(pair[column]), start + len(data)]
            data += pair[column] + b"\0"
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, start)
    return head + struct.pack(f"<{len(offsets)}I", *offsets) + data


if __name__ == "__main__":
    po = (FOLDER / "ko.po").read_text(encoding="utf-8")
    (FOLDER / "ko.mo").write_bytes(compile_catalogue(po))
