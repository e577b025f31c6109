"""Output formats: what each is, and the function that writes it, imported on first use.

`write(answer, view, file)` takes the form of the answer that it needs (page, document, records or tensors)
and writes bytes to `file`, in parts where possible.
"""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

import random
import sys
from importlib import import_module
from io import BytesIO
from pathlib import PurePath
from types import ModuleType
from typing import IO, TYPE_CHECKING, NamedTuple

from rnncli.errors import UsageError

if TYPE_CHECKING:
    from rnncli.show.answer import Answer
    from rnncli.show.page import View


class Format(NamedTuple):
    """A format.

    module, function: what writes it.
    binary: not text, so not for a terminal.  only_values: cannot hold the results of checks.
    incremental: takes an answer that is written while it is computed, too.
    separator: goes between the answers of a stream; None if a file holds only one answer.
    for_programs: in English on every machine, unless --lang is given.  has_theme: has light and dark colors.
    suffixes: the suffixes of its files besides its name, without the dot.
    """

    module: str
    function: str = "write"
    binary: bool = False
    only_values: bool = False
    incremental: bool = False
    separator: bytes | None = None
    for_programs: bool = False
    has_theme: bool = False
    suffixes: tuple[str, ...] = ()

    def write(self, answer: "Answer", view: "View", file: IO[bytes]) -> None:
        """Write the answer to `file`."""
        getattr(import_quietly(self.module), self.function)(answer, view, file)


def import_quietly(name: str) -> ModuleType:
    """Import a module that may import Rich, which then draws random numbers: the caller's go on as before."""
    if name in sys.modules:
        return sys.modules[name]
    state = random.getstate()
    try:
        return import_module(name)
    finally:
        random.setstate(state)


FOLDER = "rnncli.show.formats"
FORMATS = {
    "table": Format(f"{FOLDER}.table", separator=b"\n", suffixes=("txt",)),
    "csv": Format(f"{FOLDER}.csv", only_values=True, incremental=True, for_programs=True),
    "html": Format(f"{FOLDER}.html", has_theme=True, suffixes=("htm",)),
    "json": Format(f"{FOLDER}.json", "write_json", incremental=True, separator=b"", for_programs=True),
    "markdown": Format(f"{FOLDER}.markdown", separator=b"\n", suffixes=("md",)),
    "ndjson": Format(
        f"{FOLDER}.json", "write_ndjson", incremental=True, separator=b"", for_programs=True,
        suffixes=("jsonl",),
    ),
    "npy": Format(f"{FOLDER}.arrays", "write_npy", binary=True, only_values=True, incremental=True),
    "npz": Format(f"{FOLDER}.arrays", "write_npz", binary=True, only_values=True, incremental=True),
    "safetensors": Format(f"{FOLDER}.arrays", "write_safetensors", binary=True, only_values=True),
    "svg": Format(f"{FOLDER}.svg", has_theme=True),
}  # fmt: skip


class OutputFlags(NamedTuple):
    """The options of an answer: its format, its looks and its file."""

    format: str | None = None
    output: str | None = None
    precision: int | None = None
    full: bool = False
    width: int | None = None
    lang: str | None = None
    quiet: bool = False
    theme: str | None = None

    @property
    def is_stdout(self) -> bool:
        """Whether the answer goes to stdout: --output is not given, or `-`."""
        return self.output in (None, "-")

    @property
    def format_name(self) -> str:
        """--format, else the format of --output's suffix, else table."""
        if self.format is not None:
            return self.format
        return "table" if self.is_stdout else for_output(self.output or "")


def for_output(path: str | PurePath) -> str:
    """Return the format for the suffix of `path`.  Raises UsageError if there is none."""
    suffix = PurePath(path).suffix.lstrip(".").casefold()
    by_suffix = {end: name for name, form in FORMATS.items() for end in (name, *form.suffixes)}
    if suffix in by_suffix:
        return by_suffix[suffix]
    raise UsageError(
        "{place}: no format has the suffix .{suffix}."
        if suffix
        else "{place}: it has no suffix, so its format is not known.",
        "Use one of {known}.",
        place=path,
        suffix=suffix,
        known=", ".join(f".{name}" for name in sorted(by_suffix) if name not in ("table", "markdown")),
    )


def render(answer: "Answer", name: str, view: "View") -> str | bytes:
    """Render `answer` in the format `name`, one of `FORMATS`."""
    form, file = FORMATS[name], BytesIO()
    form.write(answer, view, file)
    return file.getvalue() if form.binary else file.getvalue().decode()
