"""An answer described once: lists of things with their fields, from which every format is written.

A table of a page, the rows of CSV and the objects of JSON show the same fields.  A Field says where its
value stands; the kind of the value says how it is written:

    value            JSON            CSV            page
    Message          English         English        in the language of the reader
    tuple of sizes   [1, null, 3]    (1, None, 3)   (1, None, 3)
    Label            its name        its name       in the color of its part of the state
    claims           list of texts   -              a line for each
    list             list            (0, 1)         [0, 1]
    integer          number          number         1,234
    None             null            empty          what the field says

An answer that is more than lists writes its own `page`, `document` or `records`.
"""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from math import isfinite
from operator import attrgetter
from typing import Any, Generic, NamedTuple, TypeVar

from rnncli.errors import Message, RnncliError, Text, UsageError
from rnncli.result import Claim, Label, Result
from rnncli.show.page import (
    Column,
    Line,
    Numbers,
    Page,
    Span,
    Table,
    TableCell,
    View,
    cell,
    line,
    name_line,
    state_part,
    text_of,
)
from rnncli.values import SCHEMA, __version__, format_shape

Document = dict[Any, Any]
"""What a JSON document has: written as the document is, with types in place of values.

    str, float | None, list[int]     a value
    {"name": str, "note?": str}      an object; a key that ends in `?` may be missing
    {str: int}                       an object with any keys
    [{"name": str}]                  a list
    [FIELDS]                         the objects of a Listing
    (STEP, LINE), ("a", "b")         one of several; one of several texts
    a named tuple, a dataclass       an object with its fields
    a function                       what it returns

`rnncli schema` writes the JSON Schema from it, and the tests hold every document to it.
"""
Config = dict[str, Any]
"""A layer in Keras's form."""
Sizes = list[int | str | None]
"""A shape; an unknown size is null, a named one its name."""


class NestedNumbers:
    """An array of numbers, of any shape."""


class NestedTexts:
    """Lists of texts, of any shape."""


HEAD: Document = {"schema": SCHEMA, "version": str}
NAMES: Document = {"features?": list[str], "steps?": list[list[str]], "batch?": list[str]}
TENSOR: Document = {"shape": Sizes, "dtype": str}
INPUT_HEAD = TENSOR | NAMES
LAYERS: Document = {"expression": str | list[str], "layer": list[Config]}
"""Described layers: of one layer, or of each layer of a stack."""
CONDITIONS: Document = {"conditions?": dict[str, int | bool]}
ASSUMED: Document = {"assumed?": dict[str, Any]}
AGREEMENT: Document = {
    "object": str,
    "layer": str,
    "agrees": bool | None,
    "difference": float | None,
    "lacks": dict[str, str],
    "axes": dict[str, str],
}
ABOUT = CONDITIONS | ASSUMED | {"agreement?": AGREEMENT}
OF_LAYERS = HEAD | {"engine": str, "seed": int | None, "input": INPUT_HEAD, "hold?": list[str]} | ABOUT
"""What described layers computed."""
OF_MODEL = (
    HEAD
    | {"engine": str, "model": {"file": str, "origin": str}}
    | {"inputs": {str: TENSOR}, "masks": list[str]}
    | ABOUT
)
"""What a saved model computed."""
LAYERS_HEAD = OF_LAYERS | LAYERS
MODEL_HEAD = OF_MODEL | {"layers": dict[str, Config]}
LAYERS_LINE: Document = {
    "schema": SCHEMA,
    "line": int,
    "engine": str,
    "seed": int | None,
    "expression": str | list[str],
    "input?": NAMES,
} | CONDITIONS
MODEL_LINE: Document = {"schema": SCHEMA, "line": int, "engine": str, "model": {"file": str, "origin": str}}
"""The first entries of a computed result, and of a line of a stream."""
DIFFERENCES: Document = {"differences?": dict[str, float], "ulps?": dict[str, int]}
"""What --check found."""


def statistics_of_tensor() -> type:
    """Return what --stats says of a tensor, from a file that is imported only for the JSON Schema."""
    from rnncli.show.statistics import StatsDocument

    return StatsDocument


def results(body: Document) -> tuple[Document, ...]:
    """Return the documents of a computed result, of described layers or of a model."""
    return LAYERS_HEAD | body, MODEL_HEAD | body


Records = tuple[tuple[str, ...], Iterable[tuple[Any, ...]]]
"""A header and its rows in long form, as CSV has them."""


class Field(NamedTuple):
    """A value that every row of a list has.

    name: its key in JSON, and its heading in CSV.
    get: returns it from a row; None for the attribute of that name.
    heading: the heading of its column on a page; "" for none.
    lead: whether the heading goes before the value where the value stands below another one.
    show: returns the text or the cell that a page shows instead of the value.
    style: the style of its text, or a function that returns the style from a row.
    none: the text that a page shows for None.
    json, csv: whether JSON and CSV have the value; a function says so for each row.
    type: of the value in JSON, see Document.
    """

    name: str
    get: Callable[[Any], Any] | None = None
    heading: str = ""
    show: Callable[[Any, View], Any] | None = None
    style: str | Callable[[Any], str] = ""
    none: str = ""
    lead: bool = False
    json: bool | Callable[[Any], bool] = True
    csv: bool = True
    type: Any = str

    def value(self, row: Any) -> Any:
        """Return the value of a row."""
        return self.get(row) if self.get else getattr(row, self.name)

    def draw(self, row: Any, view: View, *, below: bool = False) -> TableCell:
        """Return the value as a page shows it, or what is shown in its place; () for nothing.

        below: whether it stands below another value; then `-` and 0 are nothing.
        """
        if not below:
            return self._cell(row, self.style if isinstance(self.style, str) else self.style(row), view)
        lines: Any = self._cell(row, "dim", view)
        if lines in (cell("-", "dim"), cell("0", "dim")):
            return ()
        return cell(f"{view.say(self.heading)} {text_of(lines[0])}", "dim") if self.lead and lines else lines

    def _cell(self, row: Any, style: str, view: View) -> TableCell:
        value = self.show(row, view) if self.show else self.value(row)
        match self.none if value is None else value:
            case "" | () | []:
                return ()
            case Label():
                return (name_line(value),)
            case bool():
                return cell(view.say("yes" if value else "no"), style)
            case int():
                return cell(f"{value:,}", style)
            case Message():
                return cell(view.say(value), style)
            case (Claim(), *_):
                return claim_lines(value)
            case (tuple() | Numbers(), *_):
                return tuple(value)
            case tuple():
                return cell(format_shape(value), style)
        return cell(view.say(self.none) if value is None else str(value), style)


class Listing(NamedTuple):
    """Things of one kind, each with a value for every field.

    columns: the columns of a page.  Each names a field and the fields that stand below it in the same cell,
        `"version/note"`.  Without columns, every field has its own.
    """

    fields: Sequence[Field]
    rows: Iterable[Any]
    columns: Sequence[str] = ()

    def table(self, view: View, title: Line = (), totals: Mapping[str, str] = {}) -> Table:
        """Return a table with a row for each thing.  totals: numbers by name, below the last column."""
        by_name = {field.name: field for field in self.fields}
        shown = [[by_name[name] for name in column.split("/")] for column in self.columns or by_name]
        rows = [
            tuple(
                (*first.draw(row, view), *chain.from_iterable(o.draw(row, view, below=True) for o in others))
                for first, *others in shown
            )
            for row in self.rows
        ]
        blank: list[TableCell] = [()] * (len(shown) - 2)
        for name, text in totals.items():
            rows.append((cell(view.say(name), "dim"), *blank, cell(text, "strong")))
        return Table(headings((first.heading for first, *_ in shown), view), tuple(rows), title)

    def objects(self) -> list[dict[str, Any]]:
        """Return an object of JSON for each thing."""
        fields: Any = [(field.name, field.get or attrgetter(field.name), field.json) for field in self.fields]
        return [
            {
                name: _json_value(get(row))
                for name, get, json in fields
                if json is True or (json and json(row))
            }
            for row in self.rows
        ]

    def records(self) -> Records:
        """Return the names of the fields, and a row of CSV for each thing."""
        fields = [field for field in self.fields if field.csv]
        rows = (tuple(_csv_value(field.value(row)) for field in fields) for row in self.rows)
        return tuple(field.name for field in fields), rows


NUMBERS = ("parameters", "in", "units", "fans", "norm", "min", "max", "bias", "radius")
"""The headings of columns that are right-aligned."""


def spell(value: Any) -> Any:
    """Return a value; NaN and infinities as text, which JSON has no numbers for."""
    if isinstance(value, float) and not isfinite(value):
        from rnncli.show.digits import spell_nonfinite

        return spell_nonfinite(value)
    return value


def _json_value(value: Any) -> Any:
    if isinstance(value, Label):
        return str(value)
    if isinstance(value, tuple):
        return [str(item) if isinstance(item, Claim) else item for item in value]
    return spell(value)


def _csv_value(value: Any) -> Any:
    is_shape = isinstance(value, tuple) and not isinstance(value, Label)
    return format_shape(value) if is_shape else spell(value)


class DeferredValue:
    """A part of a document that is known only after everything before it has been written."""

    def __init__(self, value: Callable[[], Any]) -> None:
        self.value = value


class Answer:
    """An answer, in each form that a format may need.

    command: the name of the command that gives it.
    widest: most columns of its lines; None for as many as there are.
    few: up to this many numbers, all are shown in html, which has room for them.
    """

    command = ""
    widest: int | None = None
    few = 0

    def results(self) -> Sequence[Result]:
        """Return the computed results that the answer is about."""
        return ()

    def document(self, view: View) -> dict[str, Any]:
        """Return the answer as an object for JSON, with arrays and DeferredValue allowed as leaves."""
        raise NotImplementedError

    def lines(self, view: View) -> Iterable[dict[str, Any]]:
        """Return the documents that ndjson writes, one per line."""
        return (self.document(view),)

    def page(self, view: View) -> Page:
        """Return the answer for readers."""
        raise NotImplementedError

    def records(self, view: View) -> Records:
        """Return the rows of CSV."""
        raise NotImplementedError

    def own_file(self, path: str) -> str | bytes | None:
        """Return a file that no output format writes, by the suffix of its path; None for other suffixes."""
        return None

    def tensors(self) -> Mapping[str, Any]:
        """Return the arrays to store, by name, whole or in chunks.  Raises UsageError if there are none."""
        what = "{command} returns no tensors to store."
        raise UsageError(what, "Use {--format json}, or store the tensors of run.", command=self.command)


Watch = Callable[[Iterator[Result], int, bool], Iterator[Result]]
"""Counts results while they are computed: `watch(results, sequences, written)` yields the results.

sequences: the number of sequences in all results.  written: whether a result is written before the next is
computed.
"""
Shown = TypeVar("Shown", bound="Answer | bytes")


class Reply(NamedTuple, Generic[Shown]):
    """What a command returns; the command line shows it.

    answer: in the format of the flags; or the bytes of a file, written unchanged.
    remarks: shown first.  failure: raised after the answer is shown, such as a check that it does not pass.
    to_stdout: whether the answer goes to stdout even with --output, which then names another file to write.
    written: shown last, once the file of --output is there: how to open it.
    """

    answer: Shown
    remarks: Sequence[Text] = ()
    failure: RnncliError | None = None
    to_stdout: bool = False
    written: Text = ""


class ListAnswer(Answer):
    """An answer that is one list, under the name of its command.

    seed: with which the numbers were drawn, so that the command can be repeated; None if none were.
    """

    def __init__(
        self,
        command: str,
        fields: Sequence[Field],
        rows: Sequence[Any],
        columns: Sequence[str] = (),
        seed: int | None = None,
    ) -> None:
        self.command, self.listing, self.seed = command, Listing(fields, rows, columns), seed

    def document(self, view: View) -> dict[str, Any]:
        """Return the seed, if there is one, and the list."""
        drawn = {} if self.seed is None else {"seed": self.seed}
        return {**head(), **drawn, self.command: self.listing.objects()}

    def page(self, view: View) -> Page:
        """Return the table, below the seed."""
        title = () if self.seed is None else line(view.say("seed {seed}", seed=self.seed), "dim")
        return Page(title, (), (self.listing.table(view),))

    def records(self, view: View) -> Records:
        """Return a row for each thing."""
        return self.listing.records()


def head() -> dict[str, Any]:
    """Return the first entries of every document."""
    return {"schema": SCHEMA, "version": __version__}


def headings(keys: Iterable[str], view: View) -> tuple[Column, ...]:
    """Return columns with these headings; columns of numbers are right-aligned."""
    return tuple(Column(view.say(key), right=key in NUMBERS) for key in keys)


def claim_lines(claims: Iterable[Claim]) -> tuple[Line, ...]:
    """Return `= hidden_states[:, -1, :]`, in the color of the tensor it equals."""
    return tuple((Span("= ", "dim"), Span(str(claim), state_part(claim.label))) for claim in claims)
