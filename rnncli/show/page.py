"""Content before rendering: a Page of tables with headings, and a View with the settings for showing it.

An answer makes pages and a format draws them; neither knows the other.  A style names what a piece is, not
its looks: `strong`, `dim`, `heading`, `alarm`; `number`, which keeps its alignment; `hidden` or `cell`, the
part of the state; `same0` to `same3`, numbers that are the same; `rise0` to `rise7`, values between two
bounds; and `pole0` to `pole7`, values around zero.
"""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from rnncli.result import Label
from rnncli.show.visible import visible
from rnncli.show.wording import say
from rnncli.values import NO_NAMES, Array, InputNames


class Marks(NamedTuple):
    """Symbols that are not words.  bars: from low to high.  halves: stands between two halves."""

    ellipsis: str
    dot: str
    arrow: str
    bars: str
    halves: str


UNICODE = Marks("…", " · ", " → ", "▁▂▃▄▅▆▇█", "│")
ASCII = Marks("...", ", ", " -> ", ".:-=+*#@", "|")

GAP = -1
"""Marks omitted indices in a list of indices."""

TEXT_BLOCK = 2**16
"""About how many numbers become text at a time: text takes many times the memory of an array."""


class View(NamedTuple):
    """How to show an answer.

    lang: `en` or `ko`.  precision: decimals, None for four in tables and for all of them elsewhere.
    full: every number, not only the edges of large tensors.
    width: columns of the terminal, None if lines may be of any length.
    color: use escape codes.  ascii: the output supports only ASCII.
    theme: `light` or `dark` background of svg and html; "" for their default.
    encoding: the encoding of a table; all other text is UTF-8.
    """

    lang: str = "en"
    precision: int | None = None
    full: bool = False
    width: int | None = None
    color: bool = False
    ascii: bool = False
    theme: str = ""
    encoding: str = "utf-8"

    def say(self, text: object, /, **fields: object) -> str:
        """Return a text, a message or an error in the language of the reader; see wording.say."""
        return say(text, self.lang, **fields)


def marks(view: View) -> Marks:
    """Return the symbols that `view` can show."""
    return ASCII if view.ascii else UNICODE


def select_ends(size: int, most: int) -> tuple[int, ...]:
    """Return all indices of an axis, or `most` entries: the first indices, a GAP and the last ones."""
    if size <= most:
        return tuple(range(size))
    return (*range(most // 2), GAP, *range(size - (most - 1) // 2, size))


def histogram(counts: Sequence[int], view: View) -> str:
    """Return a bar per bin of `counts`; "" if there are no bins."""
    bars, highest = marks(view).bars, max(counts, default=0)
    if len(counts) < 2:
        return ""
    return "".join(bars[-(-count * (len(bars) - 1) // highest)] for count in counts)


class _SpanFields(NamedTuple):
    text: str
    style: str


class Span(_SpanFields):
    """A piece of text in one style; control characters, such as in column names of a file, are escaped."""

    __slots__ = ()

    def __new__(cls, text: str, style: str = "") -> "Span":
        """Create a span with `text` made safe to show."""
        return super().__new__(cls, visible(text), style)


Line: TypeAlias = tuple[Span, ...]


@dataclass(frozen=True, eq=False)
class Numbers:
    """The values of a tensor, with one name per axis; the format decides how many to show.

    time, masked, half, names: as in result.NamedTensor; names without answers where none is to be shown.
    """

    values: Array
    axes: tuple[str, ...]
    time: Sequence[int] = ()
    masked: Array | None = None
    half: int = 0
    names: InputNames = NO_NAMES


TableCell: TypeAlias = tuple[Line | Numbers, ...]
"""Content of one table cell, from top to bottom."""


class Column(NamedTuple):
    """A column of a table.  right: right-align its texts, as for counts."""

    heading: str
    right: bool = False


class Table(NamedTuple):
    """Rows of cells below headings; has its own title if a page has several tables."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[TableCell, ...], ...]
    title: Line = ()


class Grid(NamedTuple):
    """Tables in rows and columns; cells[row][column]."""

    down: tuple[str, ...]
    across: tuple[str, ...]
    cells: tuple[tuple[Table, ...], ...]


class Paragraph(NamedTuple):
    """Text of any length, which a format breaks into lines.

    breaks: where a line may end: between `words`, at the `dots` between remarks, or between the `flags` of
    a shell command.  lead: its first words, shown strong.  mark: shown dim before the first line.
    """

    text: str
    style: str = ""
    breaks: str = "words"
    lead: str = ""
    mark: str = ""


class Variants(NamedTuple):
    """One part in several forms, best first: a format shows the first that fits, else the last.

    A form fits if all its tables fit; without a table, if all its lines do.
    forms: may be an iterator, which makes them on demand; then the page can be laid out only once.
    """

    forms: "Iterable[tuple[PagePart, ...]]"


class Heading(NamedTuple):
    """A heading within a page.  anchor: what a link to it names."""

    text: Line
    anchor: str


class Code(NamedTuple):
    """Lines of code.  kind: `python`, `shell`, or "" for equations."""

    text: str
    kind: str = ""


class Fold(NamedTuple):
    """A paragraph that html and markdown hide until its label is clicked."""

    label: str
    text: str


PagePart: TypeAlias = Table | Grid | Variants | Paragraph | Heading | Code | Fold | Line


class Page(NamedTuple):
    """A title, a few remarks below it, then tables, grids and text."""

    title: Line | Paragraph
    notes: tuple[Line | Paragraph, ...] = ()
    parts: tuple[PagePart, ...] = ()


def line(text: str, style: str = "") -> Line:
    """Return a line of one style."""
    return (Span(text, style),)


def text_of(spans: Line) -> str:
    """Return a line without its styles."""
    return "".join(span.text for span in spans)


def cell(text: str, style: str = "") -> TableCell:
    """Return a cell of one line."""
    return (line(text, style),)


def has_numbers(content: TableCell) -> bool:
    """Return whether a cell holds numbers, not only text."""
    return any(isinstance(part, Numbers) for part in content)


def state_part(label: Label) -> str:
    """Return the part of the state that a returned tensor holds, `hidden` or `cell`; "" for any other."""
    return label.part if label.part in ("hidden", "cell") and label.kind is None else ""


def name_line(label: Label) -> Line:
    """Return the name of a tensor in the color of its part of the state."""
    return line(str(label), f"strong {state_part(label)}".strip())


def bar(value: float, low: float, high: float, view: View) -> Span:
    """Return one bar of a heat map; higher and warmer the closer `value` is to `high`."""
    signs = marks(view).bars
    if value != value:
        return Span("?", "alarm")
    share = (min(max(value, low), high) - low) / (high - low) if high > low else 0.5
    level = min(int(share * len(signs)), len(signs) - 1)
    return Span(signs[level], f"{'pole' if low < 0 else 'rise'}{level}")
