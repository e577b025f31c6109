"""What is said, before it is drawn: a Page of headed tables, and the View in which someone wants it.

An answer makes pages, a renderer draws them, and neither knows the other.  A style is a few words
that say what a piece is, never how it looks: `strong`, `dim`, `heading`, `alarm`, `number`, which keeps
its place among others, the idea that a tensor stands for, `hidden` or `cell`, and `same0` to `same3`,
numbers that are the same.  `rise0` to `rise7` are values between a bound and another, `pole0` to `pole7`
values around zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from rnncli.visible import visible

if TYPE_CHECKING:
    from rnncli.case import Array, Shape
    from rnncli.mapped import Growing


class View(NamedTuple):
    """How an answer is wanted.

    lang: `en` or `ko`.  precision: decimals, None for four in tables and for all of them elsewhere.
    full: every number, not only the edges of large tensors.
    width: columns of the terminal, None where lines may be as long as they like.
    color: escape codes are welcome.  ascii: the output takes no other characters.
    theme: `light` or `dark` paper of svg and html; "" for what they have by default.
    """

    lang: str = "en"
    precision: int | None = None
    full: bool = False
    width: int | None = None
    color: bool = False
    ascii: bool = False
    theme: str = ""


class Marks(NamedTuple):
    """The signs that are not words.  bars: from low to high."""

    ellipsis: str
    dot: str
    arrow: str
    bars: str


UNICODE = Marks("…", " · ", " → ", "▁▂▃▄▅▆▇█")
ASCII = Marks("...", ", ", " -> ", ".:-=+*#@")


def marks(view: View) -> Marks:
    """The signs that `view` can show."""
    return ASCII if view.ascii else UNICODE


def histogram(counts: Sequence[int], view: View) -> str:
    """How often each part of a range occurs, one bar each; "" where there is no range."""
    bars, highest = marks(view).bars, max(counts, default=0)
    if len(counts) < 2:
        return ""
    return "".join(bars[-(-count * (len(bars) - 1) // highest)] for count in counts)


class _Span(NamedTuple):
    text: str
    style: str


class Span(_Span):
    """A piece of text of one style, with no control character in it, whatever a file calls its columns."""

    __slots__ = ()

    def __new__(cls, text: str, style: str = "") -> Span:
        """`text` as every renderer may show it."""
        return super().__new__(cls, visible(text), style)


Line: TypeAlias = tuple[Span, ...]


class Written(list[Any]):
    """A part of a document that JSON takes as it is: words, whole numbers and finite ones."""


class Later:
    """A part of a document that is known when all before it has been written."""

    def __init__(self, value: Callable[[], Any]) -> None:
        self.value = value


class Numbers(NamedTuple):
    """The values of a tensor, one axis name an axis; a renderer decides how many of them it shows.

    time: as in result.NamedTensor.
    """

    values: Array
    axes: tuple[str, ...]
    time: Sequence[int] = ()


Cell: TypeAlias = tuple[Line | Numbers, ...]
"""What stands in one place of a table, from top to bottom."""


class Column(NamedTuple):
    """A column of a table.  right: its texts end in line, as counts should."""

    heading: str
    right: bool = False


class Table(NamedTuple):
    """Rows of cells under headings; a title of its own where a page has several."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: Line = ()


class Grid(NamedTuple):
    """Tables side by side and one below the other; cells[row][column]."""

    down: tuple[str, ...]
    across: tuple[str, ...]
    cells: tuple[tuple[Table, ...], ...]


class Page(NamedTuple):
    """A title, a few remarks under it, and then tables, grids and single lines."""

    title: Line
    notes: tuple[Line, ...] = ()
    parts: tuple[Table | Grid | Line, ...] = ()


Records: TypeAlias = tuple[tuple[str, ...], Iterable[tuple[Any, ...]]]
"""A header, and rows of it in long form: one number a row."""


class Answer(Protocol):
    """What a command says, in each of the forms that a renderer may want.

    document: JSON-able, arrays and Later allowed as leaves.
    tensors: by name; UsageError where there are none.
    """

    def document(self, view: View) -> dict[str, Any]: ...  # noqa: D102

    def page(self, view: View) -> Page: ...  # noqa: D102

    def records(self, view: View) -> Records: ...  # noqa: D102

    def tensors(self) -> Mapping[str, Array]: ...  # noqa: D102


class GrowingAnswer(Protocol):
    """An answer told while it is computed, in the formats that can be written so.

    Its arrays come part after part, in the order in which they stand here; one form can be taken, once.
    """

    def document(self, view: View) -> dict[str, Any]: ...  # noqa: D102

    def records(self, view: View) -> Records: ...  # noqa: D102

    def tensors(self) -> Mapping[str, Growing]: ...  # noqa: D102


def line(text: str, style: str = "") -> Line:
    """A line of one style."""
    return (Span(text, style),)


def cell(text: str, style: str = "") -> Cell:
    """A cell of one line."""
    return (line(text, style),)


def has_numbers(cell: Cell) -> bool:
    """Whether `cell` holds values, and not only what is said of them."""
    return any(isinstance(part, Numbers) for part in cell)


def room(line: Line) -> int:
    """The columns that `line` takes in a terminal: two for a wide character."""
    from unicodedata import east_asian_width

    return sum(2 if east_asian_width(char) in "WF" else 1 for span in line for char in span.text)


def idea(name: str) -> str:
    """The idea that a tensor stands for: equal tensors stand for the same one."""
    base = name.rpartition("/")[2]
    return "cell" if "cell_state" in base else "hidden" if "hidden_state" in base else ""


def cell_number(name: str) -> int:
    """1 of `cell_1/hidden`, a name of what belongs to one of RNN's cells; 0 where there is no such cell."""
    place = name.rpartition("/")[0].rpartition("cell_")[2]
    return int(place) if place.isdigit() else 0


def shape_text(shape: Shape) -> str:
    """`(1, 4, 3)`, as Python writes it; a dimension that has a name is written as its name."""
    inner = ", ".join(str(size) for size in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


def bar(value: float, low: float, high: float, view: View) -> Span:
    """One value of a heat map, between `low` and `high`: as high as it is, and warmer the higher it is."""
    signs = marks(view).bars
    if value != value:
        return Span("?", "alarm")
    share = (min(max(value, low), high) - low) / (high - low) if high > low else 0.5
    level = min(int(share * len(signs)), len(signs) - 1)
    return Span(signs[level], f"{'pole' if low < 0 else 'rise'}{level}")


def heat(values: Iterable[float], low: float, high: float, view: View) -> Line:
    """A heat map of one row, a bar a value."""
    return tuple(bar(value, low, high, view) for value in values)
