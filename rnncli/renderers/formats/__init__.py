"""How an answer is drawn: one file a format, found by its stem and imported on first use.

Each takes the form of the answer that suits it (page, document, records, tensors), by one of these:

- `render(answer, view)` returns text, or bytes where the format is binary;
- `pieces(answer, view)` yields text in UTF-8 a part at a time, where an answer may be large;
- `write(answer, file)` writes what is binary in the same way.

The last two take what they show from a mapped.Growing as well.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from io import BytesIO
from pathlib import PurePath
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from rnncli.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from rnncli.renderers.page import Answer, View

OTHER_SUFFIXES = {"txt": "table", "jsonl": "ndjson", "md": "markdown", "htm": "html"}


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
    raise UsageError(f"{path} has {came}, which no format belongs to.", f"Use one of {known}.")


def get(format: str) -> Any:
    """The renderer's module; UsageError where there is no such format."""
    if format not in names():
        raise UsageError(f"there is no format {format}.", did_you_mean(format, names()))
    return import_module(f"{__name__}.{format}")


def grows(format: str) -> bool:
    """Whether the format is written as the answer comes, a part at a time."""
    return any(hasattr(get(format), way) for way in ("pieces", "write"))


def render(answer: Answer, format: str, view: View) -> str | bytes:
    """`answer` in `format`; UsageError where there is no such format."""
    renderer = get(format)
    if hasattr(renderer, "pieces"):
        return b"".join(renderer.pieces(answer, view)).decode()
    if hasattr(renderer, "write"):
        file = BytesIO()
        renderer.write(answer, file)
        return file.getvalue()
    drawn: str | bytes = renderer.render(answer, view)
    return drawn
