"""JSON: nested lists, a case document, or rnncli's own output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rnncli.case import Document
from rnncli.errors import Message
from rnncli.inputs.encoding import read_utf8
from rnncli.inputs.formats._json_values import parse, to_document

if TYPE_CHECKING:
    from rnncli.inputs.formats import ReadOptions
    from rnncli.inputs.source import Source


def read(source: Source, options: ReadOptions) -> Document:
    """Read nested lists of numbers as inputs, or an object as a case document."""
    return to_document(parse(read_utf8(source)))


def load(source: Source) -> Any:
    """Return the parsed JSON value."""
    return parse(read_utf8(source, Message("Write JSON into it.")))
