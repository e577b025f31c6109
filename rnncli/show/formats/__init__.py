"""Output formats: one module per format, imported on first use.

Each has `TRAITS` and a function `write(answer, view, file)`, which takes the form of the answer
that it needs (page, document, records, tensors) and writes bytes to `file`, in parts where possible.
"""

from __future__ import annotations

from importlib import import_module
from io import BytesIO
from pathlib import PurePath
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from rnncli.errors import UsageError

if TYPE_CHECKING:
    from rnncli.show.page import Answer, View

FORMATS = {
    "table": "rnncli.show.formats.table",
    "csv": "rnncli.show.formats.csv",
    "html": "rnncli.show.formats.html",
    "json": "rnncli.show.formats.json",
    "markdown": "rnncli.show.formats.markdown",
    "ndjson": "rnncli.show.formats.ndjson",
    "npy": "rnncli.show.formats.npy",
    "npz": "rnncli.show.formats.npz",
    "safetensors": "rnncli.show.formats.safetensors",
    "svg": "rnncli.show.formats.svg",
}


class Traits(NamedTuple):
    """Properties of a format.

    binary: not text, so not for a terminal.  only_values: cannot hold the results of checks.
    incremental: `write` takes a ChunkedAnswer too.
    separator: goes between the answers of a stream; None if a file holds only one answer.
    for_programs: in English on every machine, unless --lang is given.  has_theme: has light and dark colors.
    suffixes: of its files, without the dot, besides its name.
    """

    binary: bool = False
    only_values: bool = False
    incremental: bool = False
    separator: bytes | None = None
    for_programs: bool = False
    has_theme: bool = False
    suffixes: tuple[str, ...] = ()


class Format(Protocol):
    """The module of a format."""

    @property
    def TRAITS(self) -> Traits: ...  # noqa: D102, N802 - a constant of the module

    def write(self, answer: Any, view: View, file: IO[bytes]) -> None: ...  # noqa: D102


def names() -> tuple[str, ...]:
    """Return the names of all formats, table first."""
    return tuple(FORMATS)


def for_output(path: str | PurePath) -> str:
    """Return the format for the suffix of `path`.  Raises UsageError if there is none."""
    suffix = PurePath(path).suffix.lstrip(".").casefold()
    if suffix in FORMATS:  # most files have the name of their format; skip loading the others
        return suffix
    others = {other: name for name in FORMATS for other in get(name).TRAITS.suffixes}
    if suffix in others:
        return others[suffix]
    known = ", ".join(f".{name}" for name in sorted({*FORMATS, *others} - {"table", "markdown"}))
    if not suffix:
        raise UsageError(
            "{place}: it has no suffix, so its format is not known.",
            "Use one of {known}.",
            place=path,
            known=known,
        )
    raise UsageError(
        "{place}: no format has the suffix .{suffix}.",
        "Use one of {known}.",
        place=path,
        suffix=suffix,
        known=known,
    )


def get(name: str) -> Format:
    """Return the module of a format, one of `FORMATS`."""
    return cast("Format", import_module(FORMATS[name]))


def render(answer: Answer, name: str, view: View) -> str | bytes:
    """Render `answer` in the format `name`, one of `FORMATS`."""
    renderer, file = get(name), BytesIO()
    renderer.write(answer, view, file)
    return file.getvalue() if renderer.TRAITS.binary else file.getvalue().decode()
