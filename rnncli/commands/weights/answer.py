"""weights: the layers of a file in a table, then a table of gates for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

from rnncli.case import Array, format_shape
from rnncli.commands.weights import contents
from rnncli.commands.weights.contents import Contents, Figures, GateSummary, LayerSummary
from rnncli.renderers.page import (
    Cell,
    Column,
    Line,
    Page,
    Records,
    Table,
    View,
    cell,
    histogram,
    line,
    marks,
)
from rnncli.renderers.parts import head, no_tensors, note
from rnncli.renderers.wording import say

SHOWN = 10
"""Other tensors in a table; --full shows all."""


@dataclass(frozen=True)
class WeightsAnswer:
    """What is in a file."""

    found: Contents

    def document(self, view: View) -> dict[str, Any]:
        """Every layer with its gates, and the shapes of the other tensors."""
        found = self.found
        return {
            **head(),
            "file": found.file,
            "origin": found.origin,
            "parameters": sum(layer.parameters for layer in found.layers),
            "layers": [_layer(layer) for layer in found.layers],
            "others": [
                {"name": name, "shape": list(shape), "parameters": prod(shape)}
                for name, shape in found.others.items()
            ],
            "notes": list(found.notes),
        }

    def page(self, view: View) -> Page:
        """The recurrent layers, then the gates of each of their cells, then the other tensors."""
        found = self.found
        key = "recurrent layers" if found.count is None else "layers of"
        said = [found.origin, say(key, view.lang).format(count=found.count, recurrent=found.recurrent)]
        if found.count is None:
            said.append(say("no graph", view.lang))
        cells = [one for layer in found.layers for one in layer.cells if one.gates]
        gates = tuple(_gates(one, view) for one in cells)
        rule = (line(say("radius rule", view.lang), "dim"),) if gates else ()
        refused = tuple(line(f"{layer.name}: {layer.note}", "alarm") for layer in found.layers if layer.note)
        tables = (_layers(found, view),) if found.layers else ()
        parts = (*tables, *refused, *gates, *rule, *_others(found, view))
        return Page(line(found.file, "strong"), (note(said, view),), parts)

    def records(self, view: View) -> Records:
        """A gate's part of a weight a row."""
        header = ("layer", "direction", "gate", "weight", "shape", "norm", "min", "max", "mean", "std")
        return (*header, "spectral_radius"), self._records()

    def tensors(self) -> dict[str, Array]:
        """The weights of the recurrent layers in Keras's layout, `bi/forward/kernel`."""
        found = {
            f"{layer.name}/{name}": array
            for layer in self.found.layers
            for name, array in layer.weights.items()
        }
        return found or no_tensors("weights")

    def _records(self) -> Iterator[tuple[Any, ...]]:
        for layer in self.found.layers:
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
        "units": [one.units for one in layer.cells],
        "features": layer.cells[0].features if layer.cells else None,
        "direction": _direction(layer),
        "return": layer.returned or None,
        "parameters": layer.parameters,
        "refused": layer.note or None,
        "weights": [{"name": name, "shape": list(array.shape)} for name, array in layer.weights.items()],
        "cells": [
            {
                "name": one.name,
                "direction": one.direction,
                "units": one.units,
                "features": one.features,
                "gates": [
                    {"gate": gate.name, **{part.name: _part(part) for part in gate.parts}}
                    for gate in one.gates
                ],
            }
            for one in layer.cells
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


def _layers(found: Contents, view: View) -> Table:
    graph = found.count is not None
    columns = [Column(say("layer", view.lang)), Column(say("class", view.lang))]
    columns += [Column(say(key, view.lang), right=True) for key in ("features", "units")]
    columns += [Column(say("return", view.lang))] if graph else []
    columns += [Column(say("parameters", view.lang), right=True)]
    rows = []
    for layer in found.layers:
        features = str(layer.cells[0].features) if layer.cells else ""
        returned = [cell(layer.returned)] if graph else []
        units = " + ".join(str(one.units) for one in layer.cells)
        rows.append(
            (
                cell(layer.name, "strong"),
                cell(_class(layer)),
                cell(features),
                cell(units),
                *returned,
                cell(f"{layer.parameters:,}"),
            )
        )
    return Table(tuple(columns), tuple(rows))


def _class(layer: LayerSummary) -> str:
    inner = layer.config.get("layer")
    config = inner.get("config", {}) if isinstance(inner, dict) else layer.config
    extra = [name for name in ("reset_after", "go_backwards") if config.get(name)]
    return ", ".join([layer.class_name, *extra])


def _gates(one: contents.CellSummary, view: View) -> Table:
    keys = ("gate", "weight", "shape", "norm", "min", "max", "histogram", "bias", "radius")
    right = ("norm", "min", "max", "bias", "radius")
    columns = tuple(Column(say(key, view.lang), right=key in right) for key in keys)
    rows = tuple(row for gate in one.gates for row in _rows(gate, view))
    return Table(columns, rows, line(one.name, "strong"))


def _rows(gate: GateSummary, view: View) -> Iterator[tuple[Cell, ...]]:
    """The kernel in the first row, the recurrent kernel in the second."""
    parts = {part.name: part for part in gate.parts}
    for name, title, words in (
        ("kernel", gate.name, "kernel"),
        ("recurrent_kernel", "", "recurrent"),
    ):
        part = parts[name]
        edges = [edge.value if edge else None for edge in (part.stats.min, part.stats.max)]
        bias = parts.get("recurrent_bias") if not title else parts.get("bias") or parts.get("input_bias")
        yield (
            cell(title, "strong"),
            cell(words),
            cell(format_shape(part.shape)),
            *(_number(number, view) for number in (part.norm, *edges)),
            cell(histogram(part.stats.histogram, view), "dim"),
            _number(bias.stats.mean, view) if bias else (),
            () if title or len(part.shape) > 2 else _number(part.radius, view),
        )


def _number(value: float | None, view: View) -> Cell:
    """`-0.51`; a very large or small one as `1.2e+06`."""
    if value is None:
        return cell("?", "dim")
    digits = 2 if view.precision is None else view.precision
    plain = value == 0 or 10.0**-digits <= abs(value) < 1e5
    return cell(f"{value:.{digits}f}" if plain else f"{value:.{max(digits - 1, 0)}e}")


def _others(found: Contents, view: View) -> tuple[Line | Table, ...]:
    """Names and shapes of the tensors that belong to no recurrent layer."""
    if not found.others:
        return ()
    shown = list(found.others.items())[: None if view.full else SHOWN]
    total = sum(prod(shape) for shape in found.others.values())
    rows = [(cell(name), cell(format_shape(shape)), cell(f"{prod(shape):,}")) for name, shape in shown]
    if len(shown) < len(found.others):
        rows.append((cell(f"{marks(view).ellipsis} {len(found.others) - len(shown)}", "dim"), (), ()))
    rows.append((cell(say("total", view.lang), "dim"), (), cell(f"{total:,}", "strong")))
    columns = (
        Column(say("other weights", view.lang)),
        Column(say("shape", view.lang)),
        Column(say("parameters", view.lang), right=True),
    )
    return (Table(columns, tuple(rows)),)
