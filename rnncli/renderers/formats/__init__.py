"""How an answer is written: one file per format, found by its stem and imported on first use.

Each has `TRAITS`, and one function, `write(answer, view, file)`, which takes the form of the answer that
suits it (page, document, records, tensors) and writes bytes to `file`, a part at a time where it can.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from io import BytesIO
from pathlib import PurePath
from pkgutil import iter_modules
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from rnncli.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from rnncli.renderers.page import Answer, View

OTHER_SUFFIXES = {"txt": "table", "jsonl": "ndjson", "md": "markdown", "htm": "html"}


class Traits(NamedTuple):
    """What a format is.

    binary: not text, and not for a terminal.  only_values: has no place for what a check found.
    incremental: `write` takes a GrowingAnswer too.
    separator: what stands between the answers of a stream; None where a file holds one answer only.
    for_programs: in English on every machine, unless --lang is given.  themed: has light and dark colors.
    """

    binary: bool = False
    only_values: bool = False
    incremental: bool = False
    separator: bytes | None = None
    for_programs: bool = False
    themed: bool = False


class Format(Protocol):
    """The module of a format."""

    @property
    def TRAITS(self) -> Traits: ...  # noqa: D102, N802 - a constant of the module

    def write(self, answer: Any, view: View, file: IO[bytes]) -> None: ...  # noqa: D102


@cache
def names() -> tuple[str, ...]:
    """Every format, the table first."""
    found = sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))
    return tuple(sorted(found, key=lambda name: name != "table"))


def for_output(path: str | PurePath) -> str:
    """The format that the suffix of `path` asks for; UsageError where it asks for none."""
    suffix = PurePath(path).suffix.lstrip(".").casefold()
    format = OTHER_SUFFIXES.get(suffix, suffix)
    if format in names():
        return format
    known = ", ".join(f".{name}" for name in sorted({*names(), *OTHER_SUFFIXES} - {"table", "markdown"}))
    came = f"the suffix .{suffix}" if suffix else "no suffix"
    raise UsageError(f"{path} has {came}, which belongs to no format.", f"Use one of {known}.")


def get(format: str) -> Format:
    """The module of a format; UsageError where there is no such format."""
    if format not in names():
        raise UsageError(f"there is no format {format}.", did_you_mean(format, names()))
    return cast("Format", import_module(f"{__name__}.{format}"))


def render(answer: Answer, format: str, view: View) -> str | bytes:
    """`answer` in `format`; UsageError where there is no such format."""
    renderer, file = get(format), BytesIO()
    renderer.write(answer, view, file)
    return file.getvalue() if renderer.TRAITS.binary else file.getvalue().decode()
