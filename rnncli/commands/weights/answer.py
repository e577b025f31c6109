"""weights: the layers of a file in a table, then a table of gates for each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from rnncli.case import Array, format_shape
from rnncli.commands.weights.contents import CellSummary, Contents, GateSummary, LayerSummary
from rnncli.commands.weights.figures import Figures
from rnncli.commands.weights.weight_words import say
from rnncli.show.page import (
    Answer,
    Line,
    Page,
    Records,
    Table,
    TableCell,
    Variants,
    View,
    cell,
    histogram,
    line,
    marks,
)
from rnncli.show.parts import (
    head,
    headings,
    input_text,
    note,
    refuse_tensors,
    title,
)
from rnncli.show.wording import Bilingual
from rnncli.specs import configs_of, expression_of

if TYPE_CHECKING:
    from rnncli.commands.weights.weight_source import Description

MAX_OTHERS = 10
"""Other tensors in a table; --full shows all."""
RIGHT = ("features", "units", "parameters", "fans", "norm", "min", "max", "bias", "radius")
"""The columns of numbers."""


@dataclass(frozen=True)
class WeightsAnswer(Answer):
    """The weights in a file, or of a --layer."""

    contents: Contents
    description: Description | None = None

    def document(self, view: View) -> dict[str, Any]:
        """Return every layer with its gates, and the shapes of the other tensors."""
        found = self.contents
        return {
            **head(),
            **self._head(),
            "parameters": sum(layer.parameters for layer in found.layers),
            "layers": [_layer(layer) for layer in found.layers],
            "others": [
                {"name": name, "shape": list(shape), "parameters": prod(shape)}
                for name, shape in found.other_shapes.items()
            ],
            "notes": list(found.notes),
        }

    def _head(self) -> dict[str, Any]:
        about = self.description
        if about is None:
            return {"file": self.contents.file, "origin": self.contents.origin or None}
        return {
            "seed": about.seed,
            "expression": expression_of(about.specs),
            "layer": configs_of(about.specs),
            "input": {"shape": list(about.input_shape), "dtype": about.specs[0].config["dtype"]},
        }

    def page(self, view: View) -> Page:
        """Return the recurrent layers, then the gates of each of their cells, then the other tensors."""
        found, about = self.contents, self.description
        cells = [one for layer in found.layers for one in layer.cells if one.gates]
        gates = (_gates(cells, view),) if cells else ()
        refused = tuple(line(f"{layer.name}: {layer.note}", "alarm") for layer in found.layers if layer.note)
        tables = (_layers(found, view),) if found.layers else ()
        parts = (*tables, *refused, *gates, *_other_tensors(found, view))
        titled = line(found.file, "strong") if about is None else title(about.specs, view)
        return Page(titled, (note(self._list_notes(view), view),), parts)

    def _list_notes(self, view: View) -> list[str]:
        found, about = self.contents, self.description
        if about is not None:
            seed = f"{say('seed', view.lang)} {about.seed}"
            supplied = say("with weights", view.lang)
            shown = input_text(about.input_shape, about.specs[0].config["dtype"], view)
            return [shown, supplied if about.seed is None else seed]
        key = "recurrent layers" if found.count is None else "layer of" if found.count == 1 else "layers of"
        said = [
            *filter(None, [found.origin]),
            say(key, view.lang).format(count=found.count, recurrent=found.recurrent),
        ]
        return said if found.count is not None else [*said, say("no graph", view.lang)]

    def records(self, view: View) -> Records:
        """Return one row per gate and weight."""
        header = ("layer", "direction", "gate", "weight", "shape", "norm", "min", "max", "mean", "std")
        return (*header, "spectral_radius"), self._records()

    def tensors(self) -> dict[str, Array]:
        """Return the weights of the recurrent layers in Keras's layout, `bi/forward/kernel`."""
        found = {
            f"{layer.path}{name}": array
            for layer in self.contents.layers
            for name, array in layer.weights.items()
        }
        return found or refuse_tensors("weights")

    def _records(self) -> Iterator[tuple[Any, ...]]:
        for layer in self.contents.layers:
            for one in layer.cells:
                for gate in one.gates:
                    for part in gate.parts:
                        stats = part.stats
                        low, high = (edge and edge.value for edge in (stats.min, stats.max))
                        place = (one.name, one.direction, gate.name, part.name, format_shape(part.shape))
                        yield (*place, part.norm, low, high, stats.mean, stats.std, part.radius)


def _layer(layer: LayerSummary) -> dict[str, Any]:
    return {
        "name": layer.name,
        "class_name": layer.class_name,
        "config": dict(layer.config),
        "units": [summary.units for summary in layer.cells],
        "features": layer.cells[0].features if layer.cells else None,
        "direction": _direction(layer),
        "return": layer.return_text or None,
        "parameters": layer.parameters,
        "refused": layer.note or None,
        "weights": [{"name": name, "shape": list(array.shape)} for name, array in layer.weights.items()],
        "cells": [
            {
                "name": summary.name,
                "direction": summary.direction,
                "units": summary.units,
                "features": summary.features,
                "fans": {
                    name: {"fan_in": pair[0], "fan_out": pair[1]} for name, pair in summary.fans.items()
                },
                "gates": [
                    {"gate": gate.name, **{part.name: _part(part) for part in gate.parts}}
                    for gate in summary.gates
                ],
            }
            for summary in layer.cells
        ],
    }


def _direction(layer: LayerSummary) -> str:
    if layer.class_name.startswith("Bidirectional"):
        return "bidirectional"
    return layer.cells[0].direction if layer.cells else "forward"


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


def _layers(contents: Contents, view: View) -> Table:
    graph = contents.count is not None
    keys = ("layer", "class", "features", "units", *(["return"] if graph else []), "parameters")
    rows = []
    for layer in contents.layers:
        texts = [
            _class(layer),
            str(layer.cells[0].features) if layer.cells else "",
            " + ".join(str(summary.units) for summary in layer.cells),
            *([_describe_returns(layer, view.lang)] if graph else []),
            f"{layer.parameters:,}",
        ]
        rows.append((cell(layer.name, "strong"), *map(cell, texts)))
    return Table(headings(keys, view, RIGHT), tuple(rows))


RETURNED = {
    "sequences": Bilingual("sequences", "시퀀스"),
    "last": Bilingual("last", "마지막"),
    "state": Bilingual("state", "상태"),
}


def _describe_returns(layer: LayerSummary, lang: str) -> str:
    """Return what the layer returns, such as `sequences + state`."""
    parts = layer.return_text.split(" + ") if layer.return_text else []
    return " + ".join(RETURNED[part].in_language(lang) for part in parts)


def _class(layer: LayerSummary) -> str:
    inner = layer.config.get("layer")
    config = inner.get("config", {}) if isinstance(inner, dict) else layer.config
    extra = [name for name in ("reset_after", "go_backwards") if config.get(name)]
    return ", ".join([layer.class_name, *extra])


WIDE = ("gate", "weight", "shape", "fans", "norm", "min", "max", "histogram", "bias", "radius")
FORMS = (
    WIDE,
    tuple(key for key in WIDE if key != "fans"),
    tuple(key for key in WIDE if key not in ("fans", "shape")),
    ("gate", "weight", "norm", "min", "max", "bias", "radius"),
    ("gate", "weight", "norm", "bias", "radius"),
    ("gate", "weight", "norm", "radius"),
)
"""The columns of a table of gates, for ever narrower pages."""


def _gates(cells: Sequence[CellSummary], view: View) -> Variants:
    """Return a table of gates for each cell, and what their columns mean."""
    rows = {
        summary.name: [row for gate in summary.gates for row in _rows(summary, gate, view)]
        for summary in cells
    }

    def form(keys: Sequence[str]) -> tuple[Table | Line, ...]:
        rules = [key for key in ("fans", "radius") if key in keys]
        columns = headings(keys, view, RIGHT)
        tables = (
            Table(columns, tuple(tuple(row[key] for key in keys) for row in cell_rows), line(name, "strong"))
            for name, cell_rows in rows.items()
        )
        return (*tables, *(line(say(f"{key} rule", view.lang), "dim") for key in rules))

    return Variants(tuple(map(form, FORMS)))


def _rows(one: CellSummary, gate: GateSummary, view: View) -> Iterator[dict[str, TableCell]]:
    """Yield the row of the kernel, then that of the recurrent kernel; cells by their columns."""
    parts = {part.name: part for part in gate.parts}
    for name, heading, words in (("kernel", gate.name, "kernel"), ("recurrent_kernel", "", "recurrent")):
        part = parts[name]
        edges = [edge.value if edge else None for edge in (part.stats.min, part.stats.max)]
        bias = parts.get("recurrent_bias") if not heading else parts.get("bias") or parts.get("input_bias")
        numbers = (_number(number, view) for number in (part.norm, *edges))
        yield {
            "gate": cell(heading, "strong") if heading else (),
            "weight": cell(words),
            "shape": cell(format_shape(part.shape)),
            "fans": cell(" / ".join(map(str, one.fans[name]))),
            **dict(zip(("norm", "min", "max"), numbers, strict=True)),
            "histogram": cell(histogram(part.stats.histogram, view), "dim"),
            "bias": _number(bias.stats.mean, view) if bias else (),
            "radius": () if heading or len(part.shape) > 2 else _number(part.radius, view),
        }


def _number(value: float | None, view: View) -> TableCell:
    """Return `-0.51`; a very large or small number as `1.2e+06`."""
    if value is None:
        return cell("?", "dim")
    digits = 2 if view.precision is None else view.precision
    plain = value == 0 or 10.0**-digits <= abs(value) < 1e5
    return cell(f"{value:.{digits}f}" if plain else f"{value:.{max(digits - 1, 0)}e}")


def _other_tensors(found: Contents, view: View) -> tuple[Line | Table, ...]:
    """Return the names and shapes of the tensors that belong to no recurrent layer."""
    if not found.other_shapes:
        return ()
    shown = list(found.other_shapes.items())[: None if view.full else MAX_OTHERS]
    total = sum(prod(shape) for shape in found.other_shapes.values())
    rows = [(cell(name), cell(format_shape(shape)), cell(f"{prod(shape):,}")) for name, shape in shown]
    if len(shown) < len(found.other_shapes):
        rows.append((cell(f"{marks(view).ellipsis} {len(found.other_shapes) - len(shown)}", "dim"), (), ()))
    rows.append((cell(say("total", view.lang), "dim"), (), cell(f"{total:,}", "strong")))
    columns = headings(("other weights", "shape", "parameters"), view, RIGHT)
    return (Table(columns, tuple(rows)),)
