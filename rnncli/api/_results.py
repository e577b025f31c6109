"""Return types of the functions of rnncli: arrays, and the same tables that the command line prints."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from rnncli import result
from rnncli.errors import EngineError, Text, UsageError, did_you_mean
from rnncli.show.answer import Answer
from rnncli.show.page import View
from rnncli.specs import expressions_of
from rnncli.values import Array, Spec, format_shape

if TYPE_CHECKING:
    from pandas import DataFrame  # type: ignore[import-untyped]
    from rich.console import RenderableType

    from rnncli.show.statistics import Stats


PLAIN = View()
NUMBERS = ("value", "total")
"""The last words of the columns whose numbers are texts in CSV."""
MOST_LINES = 200
"""Lines of a script that a notebook shows."""
ACTIVATION = "/activation"
"""End of the name of a gate in a trace: `t["forget"]` is `t["forget/activation"]`."""
OF_LAYER = "/layer"
"""End of the name of an array of the layer that a gate shares, as in an LSTM: `t["output/layer"]`."""


class _Tables:
    """Displays an answer as the command line does: in print, in Rich and in a notebook."""

    view: View

    def _answer(self) -> Answer:
        raise NotImplementedError

    def to_dict(self) -> dict[str, Array]:
        """Return the arrays by name.  Raises UsageError if there are none."""
        raise NotImplementedError

    def keys(self) -> tuple[str, ...]:
        """Return the names of the arrays, in their order.  Raises UsageError if there are none."""
        return tuple(self.to_dict())

    def __len__(self) -> int:
        return len(self.keys())

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def _ipython_key_completions_(self) -> list[str]:
        return list(self.keys())

    def document(self) -> dict[str, Any]:
        """Return the document that `--format json` writes, with arrays in it."""
        return self._answer().document(self.view)

    def to_dataframe(self) -> DataFrame:
        """Return the table in long form, as CSV has it: one number per row.  Needs pandas.

        Raises UsageError if the answer is not a table.
        """
        try:
            from pandas import DataFrame
        except ImportError:
            raise EngineError("pandas is not installed.", "pip install pandas") from None
        answer = self._answer()
        header, rows = answer.records(self.view._replace(precision=None))
        dtypes: set[Any] = set()
        with suppress(UsageError):
            dtypes = {array.dtype for array in answer.tensors().values() if array.dtype.kind == "f"}
        columns = list(zip(*rows, strict=True)) or [()] * len(header)
        dtype = dtypes.pop() if len(dtypes) == 1 else None
        pairs = zip(header, columns, strict=True)
        return DataFrame({name: _column(name, values, dtype) for name, values in pairs})

    def save(self, path: str | PathLike[str]) -> None:
        """Write a file in the format of its suffix: .json, .csv, .html, .svg, .md, .npz, .safetensors, ...

        Converted weights also go to their framework's own files, such as .pt.  The file appears whole or not
        at all.
        """
        from rnncli.cli import files
        from rnncli.show import formats

        name = str(path)
        data = self._answer().own_file(name)
        if data is None:
            data = formats.render(self._answer(), formats.for_output(name), self.view)
        files.write(name, data)

    def __str__(self) -> str:
        from rnncli.show import formats

        width = self.view.width or shutil.get_terminal_size((0, 0)).columns or None
        return str(formats.render(self._answer(), "table", self.view._replace(width=width))).rstrip("\n")

    def __rich__(self) -> RenderableType:
        from rnncli.show.formats.table import RichAnswer

        return RichAnswer(self._answer(), self.view)

    def _repr_html_(self) -> str:
        from rnncli.show.formats.html import fragment

        return fragment([self._answer()], self.view)


@dataclass(frozen=True, eq=False, repr=False)
class RunResult(_Tables, result.Result):
    """Result of run: `r["hidden_states"]`, `r.hidden_states`, or `sequence, h, c = r` in Keras's order.

    stats: statistics by tensor name, if requested.  remarks: notes about the input.
    """

    stats: Mapping[str, Stats] = field(default_factory=dict)
    remarks: tuple[Text, ...] = ()
    view: View = PLAIN

    @classmethod
    def of(cls, computed: result.Result, **more: Any) -> RunResult:
        """Make a Result from `computed`, with values for the fields that this class adds."""
        values = {field.name: getattr(computed, field.name) for field in dataclasses.fields(computed)}
        return cls(**{**values, **more})

    def to_dict(self) -> dict[str, Array]:
        """Return the tensors by name."""
        return {tensor.name: tensor.values for tensor in self.outputs}

    def __getitem__(self, key: str | int) -> Array:
        if not isinstance(key, str):
            return self.outputs[key].values
        values = self._find(key)
        if values is not None:
            return values
        raise KeyError(f"there is no tensor {key!r}. {did_you_mean(key, self.keys())}")

    def _find(self, name: str) -> Array | None:
        """Return a tensor; the name of its layer may be left out where no other has a tensor of the name."""
        layers = {tensor.label.layer for tensor in self.outputs}
        for tensor in self.outputs:
            short = str(tensor.label.without_layer) if len(layers) == 1 else ""
            if name in (tensor.name, short):
                return tensor.values
        return None

    def __getattr__(self, name: str) -> Array:
        if not name.startswith("_"):  # copy and pickle look up these names before `outputs` is set
            values = self._find(name)
            if values is not None:
                return values
            raise AttributeError(f"the result has no {name!r}. {did_you_mean(name, self.keys())}")
        raise AttributeError(name)

    def __iter__(self) -> Iterator[Array]:
        return (tensor.values for tensor in self.outputs)

    def __bool__(self) -> bool:
        return self.agrees is not False

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self.keys() if name.isidentifier())]

    def __repr__(self) -> str:
        tensors = ", ".join(f"{tensor.name} {format_shape(tensor.values.shape)}" for tensor in self.outputs)
        return f"<rnncli.Result {_describe_layers(self.specs)}, seed {self.seed}: {tensors}>"

    def _answer(self) -> Answer:
        from rnncli.commands.run import RunAnswer

        labels = {tensor.name: tensor.label for tensor in self.outputs}
        stats = {labels[name]: figures for name, figures in self.stats.items() if name in labels}
        return RunAnswer(self, stats)


@dataclass(frozen=True, eq=False, repr=False)
class Report(_Tables):
    """Result of any other command: a mapping of its arrays, if it has any; falsy if a comparison failed.

    found: the underlying data.  layers: first to last; none if the answer is not about layers.
    """

    command: str
    layers: tuple[Spec, ...]
    found: Any
    answer: Any
    remarks: tuple[Text, ...] = ()
    view: View = PLAIN

    @property
    def parameters(self) -> int | None:
        """The number of parameters; None if a size is not known, or if the command does not count them."""
        document = self.answer.document(PLAIN) if self.command in ("shape", "weights") else {}
        parameters: int | None = document.get("parameters")
        return parameters

    @property
    def agrees(self) -> bool | None:
        """Whether everything that was compared agrees; True if the command compares nothing.

        Of a live object, whether its framework returned the same numbers; None if nothing was compared.
        """
        if self._disagreeing():
            return False
        if getattr(self.answer, "undecided", ""):
            return None
        agreements = [result.agreement for result in self.answer.results() if result.agreement]
        compared = self.command == "compare"  # also what is shown as a framework returned it
        agrees = {
            agreement.agrees for agreement in agreements if agreement.agrees is not None or not compared
        }
        return next((value for value in (False, None) if value in agrees), True)

    def __bool__(self) -> bool:
        return self.agrees is not False

    @property
    def timesteps(self) -> dict[str, list[int]]:
        """The time steps that a trace's layer read, in order: `{"forward": [0, 1], "backward": [1, 0]}`.

        In a stack `0/forward`; empty if the command is not `trace`.
        """
        return dict(getattr(self.answer, "timesteps", {}))

    def _disagreeing(self) -> tuple[str, ...]:
        return getattr(self.answer, "disagreeing", ())

    def tensors(self) -> dict[str, Any]:
        """Return every array, by its name in an .npz file.  Raises UsageError if there are none."""
        return dict(self.answer.tensors())

    def to_dict(self) -> dict[str, Array]:
        """Return the arrays by name, as `report[name]` has them.  Raises UsageError if there are none."""
        held = self.tensors()  # and of none is the name also the short name of a gate
        return {f"{name}{OF_LAYER}" if f"{name}{ACTIVATION}" in held else name: held[name] for name in held}

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __getitem__(self, name: str) -> Array:
        arrays = self.to_dict()
        if name in arrays:
            return arrays[name]
        keys: dict[str, list[str]] = {}
        for key in arrays:
            for end in (ACTIVATION, OF_LAYER):
                if key.endswith(end):
                    keys.setdefault(key.removesuffix(end), []).append(key)
        if len(keys.get(name, ())) == 1:
            return arrays[keys[name][0]]
        what = f"there are two arrays {name!r}" if name in keys else f"there is no array {name!r}"
        meant = [part for part in keys if part == name or part.endswith(f"/{name}")]
        names = [key for part in meant for key in ([part] if len(keys[part]) == 1 else keys[part])]
        advice = (
            f"Name one: {', '.join(names)}."
            if names
            else did_you_mean(name, [*arrays, *(part for part in keys if len(keys[part]) == 1)])
        )
        raise KeyError(f"{what}. {advice}")

    def __repr__(self) -> str:
        layers = f" {_describe_layers(self.layers)}" if self.layers else ""
        differing = ", ".join(self._disagreeing())
        return f"<rnncli.{self.command}{layers}{f': differs in {differing}' if differing else ''}>"

    def _answer(self) -> Answer:
        return self.answer  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False, repr=False)
class Picture:
    """Result of plot: a picture in a notebook, a drawing of characters in print.

    layers: first to last.  remarks: notes about the input and the fonts.
    agrees: whether a live object's framework returned the same numbers; None if nothing was compared.
    """

    layers: tuple[Spec, ...]
    sheet: Any
    style: Any
    size: tuple[float, float] | None
    fonts: list[str]
    remarks: tuple[Text, ...] = ()
    view: View = PLAIN
    agrees: bool | None = None

    def __bool__(self) -> bool:
        return self.agrees is not False

    def render(self, suffix: str = "png") -> bytes:
        """Return the bytes of a png, svg or pdf file."""
        from rnncli.commands.plot.figure import render

        return render(self.sheet, suffix, self.style, self.size, self.fonts)

    def save(self, path: str | PathLike[str]) -> None:
        """Write a .png, .svg or .pdf file.  Raises UsageError for another suffix."""
        from rnncli.commands.plot import write_picture

        write_picture(str(path), self.sheet, self.style, self.size, self.fonts)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the picture, and its width in pixels of a screen: half of its own, so that it is sharp."""
        picture = self.render()
        return picture, {"width": int.from_bytes(picture[16:20], "big") // 2}

    def __str__(self) -> str:
        from rnncli.commands.plot.cells import CellSheet
        from rnncli.show.formats import import_quietly

        if isinstance(self.sheet, CellSheet):
            return repr(self)
        width = self.view.width or shutil.get_terminal_size((0, 0)).columns or None
        terminal = import_quietly("rnncli.commands.plot.terminal")
        text: str = terminal.render(self.sheet, self.style, self.view._replace(width=width), "none")
        return text.rstrip("\n")

    def __repr__(self) -> str:
        return f"<rnncli.plot {_describe_layers(self.layers)}>"


@dataclass(frozen=True, eq=False, repr=False)
class LivePage:
    """Result of report: a page that recomputes, below the tables in a notebook.

    layers: first to last.  text: the whole HTML file.  tables: those of `run` and `trace`, as HTML.
    """

    layers: tuple[Spec, ...]
    text: str
    tables: str
    remarks: tuple[Text, ...] = ()

    def save(self, path: str | PathLike[str]) -> None:
        """Write the page to a file."""
        from rnncli.cli import files

        files.write(str(path), self.text)

    def _repr_html_(self) -> str:
        from html import escape

        frame = 'sandbox="allow-scripts allow-downloads" allow="clipboard-write"'
        style = "width: 100%; height: 800px; border: 0; background: white; color-scheme: light"
        return f'{self.tables}<iframe {frame} style="{style}" srcdoc="{escape(self.text)}"></iframe>'

    def __repr__(self) -> str:
        return f"<rnncli.report {_describe_layers(self.layers)}>"


@dataclass(frozen=True, eq=False, repr=False)
class ExportedFile:
    """Result of export: `print(file)` shows a script, `file.save("lstm.py")` writes it.

    target: what it was made for, `numpy`.  suffix: of such files, `.py`.  data: the bytes.
    remarks: notes about the input.
    """

    target: str
    suffix: str
    data: bytes
    is_text: bool = True
    remarks: tuple[Text, ...] = ()

    def save(self, path: str | PathLike[str]) -> None:
        """Write the file; it appears whole or not at all."""
        from rnncli.cli import files

        files.write(str(path), self.data)

    def __bytes__(self) -> bytes:
        return self.data

    def __str__(self) -> str:
        return self.data.decode() if self.is_text else repr(self)

    def __repr__(self) -> str:
        return f"<rnncli.export to {self.target}: {len(self.data):,} bytes>"

    def _repr_html_(self) -> str | None:
        if not self.is_text or self.suffix == ".tex":
            return None
        from html import escape

        lines = str(self).splitlines()
        rest = len(lines) - MOST_LINES
        more = f"\n... {rest:,} more lines: print(...) or .save(...)" if rest > 0 else ""
        text = "\n".join(lines[:MOST_LINES]) + more
        return f'<pre style="font-family: monospace; white-space: pre; overflow-x: auto">{escape(text)}</pre>'

    def _repr_latex_(self) -> str | None:
        lines = str(self).splitlines()
        return "\n".join(line for line in lines if line[:1] != "%") if self.suffix == ".tex" else None


def _column(name: str, values: Sequence[Any], dtype: Any) -> Any:
    """Return a column of a table: numbers in place of their texts, None for the axes that a tensor lacks.

    dtype: of the column of values.
    """
    if name.rpartition("_")[2] in NUMBERS or any(isinstance(value, float) for value in values):
        return np.array([float(value) if value not in ("", None) else np.nan for value in values], dtype)
    given = [value for value in values if value not in ("", None)]
    if len(given) < len(values) and all(type(value) is int for value in given):
        from pandas import array

        return array([None if value == "" else value for value in values], "Int64")
    return list(values)


def _describe_layers(specs: tuple[Spec, ...]) -> str:
    return " -> ".join(expressions_of(specs))
