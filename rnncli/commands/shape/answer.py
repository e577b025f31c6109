"""shape: tensors, shapes and parameter counts, without computing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rnncli.case import Array, Shape, format_shape
from rnncli.commands.shape.outline import add_counts, count_parameters
from rnncli.result import LayerShapes, ShapeReport
from rnncli.show.page import Answer, Line, Page, Records, Span, Table, View, cell, line
from rnncli.show.parts import (
    claim_lines,
    head,
    headings,
    input_text,
    name_cell,
    note,
    refuse_tensors,
    title,
)
from rnncli.show.wording import meaning, say
from rnncli.specs import configs_of, describe, expression_of


@dataclass(frozen=True)
class ShapeAnswer(Answer):
    """Every layer's weights, then the returned tensors and which of them are equal."""

    report: ShapeReport

    def document(self, view: View) -> dict[str, Any]:
        """Return weights, parameters and outputs; an unknown size is null, a named one its name."""
        report = self.report
        return {
            **head(),
            "expression": expression_of(report.specs),
            "layer": configs_of(report.specs),
            "input": {"shape": list(report.input_shape), "dtype": report.input_dtype},
            "weights": [
                {"name": name, "shape": list(shape), "parameters": count_parameters(shape)}
                for layer in report.layers
                for name, shape in _weights(layer)
            ],
            "parameters": _total(report),
            "outputs": [
                {
                    "name": output.name,
                    "axes": list(output.axes),
                    "shape": list(output.shape),
                    "meaning": meaning(output.label, view.lang),
                    "equals": list(map(str, report.claims.get(output.label, ()))),
                }
                for output in report.outputs
            ],
        }

    def page(self, view: View) -> Page:
        """Return the output table, as in `run`, then a table of weights for each layer."""
        notes = (note([input_text(self.report.input_shape, self.report.input_dtype, view)], view),)
        weights = tuple(self._weights(layer, view) for layer in self.report.layers if layer.weights)
        return Page(title(self.report.specs, view), notes, (self._outputs(view), *weights, *self._sum(view)))

    def records(self, view: View) -> Records:
        """Return weights and outputs, one per row."""
        return ("kind", "name", "shape", "parameters"), self._records()

    def tensors(self) -> dict[str, Array]:
        """Raise UsageError; this command has no tensors."""
        return refuse_tensors("shape")

    def _records(self) -> Iterator[tuple[Any, ...]]:
        for layer in self.report.layers:
            for name, shape in _weights(layer):
                yield "weight", name, format_shape(shape), count_parameters(shape)
        for output in self.report.outputs:
            yield "output", output.name, format_shape(output.shape), None

    def _outputs(self, view: View) -> Table:
        rows = tuple(
            (
                name_cell(output.label),
                cell(format_shape(output.shape)),
                (
                    line(meaning(output.label, view.lang), "dim"),
                    *claim_lines(self.report.claims.get(output.label, ())),
                ),
            )
            for output in self.report.outputs
        )
        return Table(headings(("tensor", "shape", "meaning"), view), rows)

    def _sum(self, view: View) -> tuple[Line, ...]:
        """Return the total parameters of a stack, after an empty line; a single layer shows its own."""
        if len(self.report.layers) == 1:
            return ()
        count = _count(_total(self.report), view)
        words = f"{say('parameters', view.lang)}, {say('total', view.lang)}  "
        return ((), (Span(words, "dim"), Span(count, "strong")))

    def _weights(self, layer: LayerShapes, view: View) -> Table:
        columns = headings(("weight", "shape", "parameters"), view, right=("parameters",))
        rows = [
            (cell(name, "strong"), cell(format_shape(shape)), cell(_count(count_parameters(shape), view)))
            for name, shape in _weights(layer)
        ]
        rows.append(
            (cell(say("total", view.lang), "dim"), (), cell(_count(layer.parameters, view), "strong"))
        )
        named = (Span(f"{say('layer', view.lang)} {layer.path}  ", "dim"),) if layer.path else ()
        alone = (*named, Span(describe(layer.spec), "strong")) if len(self.report.layers) > 1 else ()
        return Table(columns, tuple(rows), alone)


def _weights(layer: LayerShapes) -> Iterator[tuple[str, Shape]]:
    for name, shape in layer.weights.items():
        yield (f"{layer.path}/{name}" if layer.path else name), shape


def _total(report: ShapeReport) -> int | None:
    return add_counts(layer.parameters for layer in report.layers)


def _count(number: int | None, view: View) -> str:
    return say("unknown", view.lang) if number is None else f"{number:,}"
