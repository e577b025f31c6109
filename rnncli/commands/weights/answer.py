"""weights: the layers of a file in a table, then a table of gates for each.

No list of fields describes the gates: a row of their table joins a weight and its bias, which JSON and CSV
list one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import TYPE_CHECKING, Any

from rnncli.commands.weights.contents import CellSummary, Contents, Figures, GateSummary, LayerSummary
from rnncli.errors import Message, count, join
from rnncli.models.graph import name_loops
from rnncli.show import answer
from rnncli.show.answer import ASSUMED, HEAD, Answer, Config, Field, Listing, Records, Sizes, head, headings
from rnncli.show.page import (
    Line,
    Page,
    PagePart,
    Table,
    TableCell,
    Variants,
    View,
    cell,
    histogram,
    line,
    marks,
)
from rnncli.show.result_answer import assumed_document, assumed_lines, input_text, note, title
from rnncli.specs import configs_of, expression_of
from rnncli.values import Array, format_shape

if TYPE_CHECKING:
    from rnncli.commands.weights.contents import DescribedLayers

MAX_OTHERS = 10
"""Other tensors in a table; --full shows all."""
RULES = {
    "fans": "fans: fan_in / fan_out of the whole kernel, as initializers use them",
    "radius": "radius: spectral radius of the gate's recurrent kernel; bias: mean of the bias",
}
"""What a column of the table of gates means."""
WIDE = ("gate", "weight", "shape", "fans", "norm", "min", "max", "histogram", "bias", "radius")
BIASES = ("bias", "input_bias", "recurrent_bias")
"""The parts of a gate that stand in the column of biases."""
FORMS = (
    WIDE,
    tuple(key for key in WIDE if key != "fans"),
    tuple(key for key in WIDE if key not in ("fans", "shape")),
    ("gate", "weight", "norm", "min", "max", "bias", "radius"),
    ("gate", "weight", "norm", "bias", "radius"),
    ("gate", "weight", "norm", "radius"),
)
"""The columns of a table of gates, for ever narrower pages."""
RECORDS = (
    "layer", "direction", "gate", "weight", "shape", "norm", "min", "max", "mean", "std", "spectral_radius",
)  # fmt: skip


@dataclass(frozen=True)
class WeightsAnswer(Answer):
    """The weights in a file, or of a --layer."""

    contents: Contents
    description: DescribedLayers | None = None
    command = "weights"

    def document(self, view: View) -> dict[str, Any]:
        """Return every layer with its gates, and the shapes of the other tensors."""
        contents, about = self.contents, self.description
        first = (
            {"file": contents.file, "origin": contents.origin or None}
            if about is None
            else {
                "seed": about.seed,
                "expression": expression_of(about.specs),
                "layer": configs_of(about.specs),
                "input": {"shape": list(about.input_shape), "dtype": about.specs[0].config["dtype"]},
            }
        )
        return {
            **head(),
            **first,
            **assumed_document(contents.assumed),
            "parameters": sum(layer.parameters for layer in contents.layers),
            "layers": Listing(LAYERS, contents.layers).objects(),
            **({"loops": Listing(LOOPS, contents.loops).objects()} if contents.loops else {}),
            "others": Listing(OTHERS, contents.other_shapes.items()).objects(),
            "notes": list(contents.notes),
        }

    def page(self, view: View) -> Page:
        """Return the recurrent layers, then the gates of each of their cells, then the other tensors."""
        contents, about = self.contents, self.description
        layers = contents.layers
        cells = [cell for layer in layers for cell in layer.cells if cell.gates]
        tables = {
            cell.name: [row for gate in cell.gates for row in _rows(cell, gate, view)] for cell in cells
        }

        def form(keys: Sequence[str]) -> tuple[Table | Line, ...]:
            columns = headings(keys, view)
            gates = (
                Table(columns, tuple(tuple(row[key] for key in keys) for row in rows), line(name, "strong"))
                for name, rows in tables.items()
            )
            return (*gates, *(line(view.say(rule), "dim") for key, rule in RULES.items() if key in keys))

        gates = (Variants(tuple(map(form, FORMS))),) if cells else ()
        refused = tuple(line(f"{layer.name}: {layer.note}", "alarm") for layer in layers if layer.note)
        keys = [key for key in COLUMNS if key != "return" or contents.count is not None]
        listed = (Listing(LAYERS, layers, keys).table(view),) if layers else ()
        parts: list[PagePart] = [*listed, *refused, *gates]
        if shapes := list(contents.other_shapes.items()):
            shown = shapes[: None if view.full else MAX_OTHERS]
            total = f"{sum(prod(shape) for _, shape in shapes):,}"
            table = Listing(OTHERS, shown).table(view, totals={"total": total})
            if len(shown) < len(shapes):
                left = (cell(f"{marks(view).ellipsis} {len(shapes) - len(shown)}", "dim"), (), ())
                table = table._replace(rows=(*table.rows[:-1], left, table.rows[-1]))
            parts.append(table)
        titled = line(contents.file, "strong") if about is None else title(about.specs, view)
        notes = (note(self._list_notes(view), view), *assumed_lines(contents.assumed, view))
        return Page(titled, notes, tuple(parts))

    def _list_notes(self, view: View) -> list[str]:
        contents, about = self.contents, self.description
        if about is not None:
            seed = view.say("weights supplied") if about.seed is None else f"{view.say('seed')} {about.seed}"
            return [input_text(about.input_shape, about.specs[0].config["dtype"], view), seed]
        origin = [contents.origin] if contents.origin else []
        if contents.count is None:
            recurrent = view.say("recurrent layers: {recurrent}", recurrent=contents.recurrent)
            return [*origin, recurrent, view.say("no graph")]
        if contents.loops:
            total = view.say(count(contents.count, "layer"))
            layers = view.say(count(contents.recurrent, "recurrent layer"))
            return [*origin, total, f"{layers}; {view.say(name_loops(contents.loops))}"]
        several = "{count} layers, {recurrent} of them recurrent"
        template = "1 layer, {recurrent} recurrent" if contents.count == 1 else several
        return [*origin, view.say(template, count=contents.count, recurrent=contents.recurrent)]

    def records(self, view: View) -> Records:
        """Return one row per gate and weight, and one per state of a loop."""
        gates = (
            (
                cell.name, cell.direction, gate.name, part.name, format_shape(part.shape), part.norm,
                part.stats.min and part.stats.min.value, part.stats.max and part.stats.max.value,
                part.stats.mean, part.stats.std, part.radius,
            )
            for layer in self.contents.layers
            for cell in layer.cells
            for gate in cell.gates
            for part in gate.parts
        )  # fmt: skip
        states = (
            (loop.name, "", "", f"state of a {loop.operator}", format_shape((size,)), *[None] * 6)
            for loop in self.contents.loops
            for size in loop.sizes or (None,)
        )
        return RECORDS, chain(gates, states)

    def tensors(self) -> dict[str, Array]:
        """Return the weights of the recurrent layers in Keras's layout, `bi/forward/kernel`."""
        weights = {
            f"{layer.path}{name}": array
            for layer in self.contents.layers
            for name, array in layer.weights.items()
        }
        return weights or {**super().tensors()}


def _cell_document(cell: CellSummary) -> dict[str, Any]:
    fans = {name: {"fan_in": fan_in, "fan_out": fan_out} for name, (fan_in, fan_out) in cell.fans.items()}
    gates = [{"gate": gate.name, **{part.name: _part(part) for part in gate.parts}} for gate in cell.gates]
    return {
        "name": cell.name,
        "direction": cell.direction,
        "units": cell.units,
        "features": cell.features,
        "fans": fans,
        "gates": gates,
    }


def _part(part: Figures) -> dict[str, Any]:
    stats = part.stats
    return {
        "shape": list(part.shape),
        "norm": part.norm,
        "min": stats.min and stats.min.value,
        "max": stats.max and stats.max.value,
        "mean": stats.mean,
        "std": stats.std,
        "nan": stats.nan,
        "infinite": stats.infinite,
        "histogram": list(stats.histogram),
        **({"spectral_radius": part.radius} if part.name == "recurrent_kernel" else {}),
    }


def _features(layer: LayerSummary) -> int | None:
    return layer.cells[0].features if layer.cells else None


def _direction(layer: LayerSummary) -> str:
    direction = layer.cells[0].direction if layer.cells else "forward"
    return "bidirectional" if layer.class_name.startswith("Bidirectional") else direction


def _describe_returns(layer: LayerSummary, _: View) -> Message:
    return join((Message(part) for part in layer.return_text.split(" + ") if part), " + ")


def _class(layer: LayerSummary, _: View) -> str:
    inner = layer.config.get("layer")
    config = inner.get("config", {}) if isinstance(inner, dict) else layer.config
    extra = [name for name in ("reset_after", "go_backwards") if config.get(name)]
    return ", ".join([layer.class_name, *extra])


PART = {
    "shape": list[int],
    "norm": float | None,
    "min": float | None,
    "max": float | None,
    "mean": float | None,
    "std": float | None,
    "nan": int,
    "infinite": int,
    "histogram": list[int],
    "spectral_radius?": float | None,
}
CELL = {
    "name": str,
    "direction": str,
    "units": int,
    "features": int | None,
    "fans": {str: {"fan_in": int, "fan_out": int}},
    "gates": [{"gate": str, str: PART}],
}
LAYERS = (
    Field("name", heading="layer", style="strong"),
    Field("class_name", None, "class", _class),
    Field("config", lambda layer: dict(layer.config), type=Config),
    Field(
        "units",
        lambda layer: [cell.units for cell in layer.cells],
        "units",
        lambda layer, _: " + ".join(str(cell.units) for cell in layer.cells),
        type=list[int],
    ),
    Field("features", _features, "in", lambda layer, _: str(_features(layer) or ""), type=int | None),
    Field("direction", _direction),
    Field("return", lambda layer: layer.return_text or None, "return", _describe_returns, type=str | None),
    Field("parameters", heading="parameters", type=int),
    Field("refused", lambda layer: layer.note or None, type=str | None),
    Field(
        "weights",
        lambda layer: [{"name": name, "shape": list(array.shape)} for name, array in layer.weights.items()],
        type=[{"name": str, "shape": Sizes}],
    ),
    Field("cells", lambda layer: list(map(_cell_document, layer.cells)), type=[CELL]),
)
"""What is said of a layer."""
COLUMNS = ("name", "class_name", "features", "units", "return", "parameters")
"""The columns of the table; without a graph it is not known what a layer returns."""

LOOPS = (Field("name"), Field("operator"), Field("state", lambda loop: list(loop.sizes), type=list[int]))
"""What is said of a loop that carries a state: the sizes of its states."""
OTHERS = (
    Field("name", lambda item: item[0], "other tensors"),
    Field("shape", lambda item: item[1], "shape", type=Sizes),
    Field("parameters", lambda item: prod(item[1]), "parameters", type=int),
)
"""What is said of a tensor that belongs to no recurrent layer."""
BODY = HEAD | ASSUMED | {"parameters": int, "layers": [LAYERS], "loops?": [LOOPS], "others": [OTHERS]}
DOCUMENTS = (
    BODY | {"file": str, "origin": str | None, "notes": list[str]},
    BODY | answer.LAYERS | {"seed": int | None, "input": answer.TENSOR, "notes": list[str]},
)


def _rows(summary: CellSummary, gate: GateSummary, view: View) -> Iterator[dict[str, TableCell]]:
    """Yield a row for each kernel of a gate, with its bias, by the keys of WIDE; else for each bias."""
    parts = {part.name: part for part in gate.parts}
    rows = [name for name in parts if name not in BIASES] or list(parts)
    for name in rows:
        part, heading = parts[name], gate.name if name == rows[0] else ""
        edges = [edge.value if edge else None for edge in (part.stats.min, part.stats.max)]
        second = parts.get("recurrent_bias") if name == "recurrent_kernel" else None
        bias = parts.get("bias") or parts.get("input_bias") if heading else second
        numbers = (_number(number, view) for number in (part.norm, *edges))
        yield {
            "gate": cell(heading, "strong") if heading else (),
            "weight": cell("recurrent" if name == "recurrent_kernel" else name),
            "shape": cell(format_shape(part.shape)),
            "fans": cell(" / ".join(map(str, summary.fans.get(name, ())))),
            **dict(zip(("norm", "min", "max"), numbers, strict=True)),
            "histogram": cell(histogram(part.stats.histogram, view), "dim"),
            "bias": _number(bias.stats.mean, view) if bias else (),
            "radius": () if name != "recurrent_kernel" or len(part.shape) > 2 else _number(part.radius, view),
        }


def _number(value: float | None, view: View) -> TableCell:
    """Return `-0.51`; a very large or small number as `1.2e+06`."""
    if value is None:
        return cell("?", "dim")
    digits = 2 if view.precision is None else view.precision
    plain = value == 0 or 10.0**-digits <= abs(value) < 1e5
    return cell(f"{value:.{digits}f}" if plain else f"{value:.{max(digits - 1, 0)}e}")
