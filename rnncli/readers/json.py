"""JSON: nested lists, a case document, or what rnncli printed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnncli.readers._document import document
from rnncli.readers._parse import parse
from rnncli.readers._text import utf8

if TYPE_CHECKING:
    from rnncli.case import Document
    from rnncli.readers import ReadOptions, Source

SUFFIXES = (".json",)
NOT_PLAIN = (b"t", b"f", b"n", b'"', b"{")


def read(source: Source, options: ReadOptions) -> Document:  # noqa: ARG001 - the contract of readers
    """Nested lists of numbers as inputs, or the parts of an object."""
    data = utf8(source)
    value = parse(data, f"{source.name}: ")
    # A text without these bytes holds no boolean, null, text or object: NumPy would let some of them pass.
    plain = isinstance(value, list) and not any(mark in data for mark in NOT_PLAIN)
    return document(value, source.name, plain=plain)


def load(source: Source) -> Any:
    """The value itself."""
    return parse(utf8(source), f"{source.name}: ")
