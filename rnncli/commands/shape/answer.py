"""shape: tensors, shapes and parameter counts, without an engine and without NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

from rnncli.commands.shape.formulas import cells_of, formula
from rnncli.errors import Message, Text
from rnncli.layers.stack import Stack
from rnncli.result import LayerShapes, ShapeReport
from rnncli.show.answer import HEAD, LAYERS, TENSOR, Answer, Field, Listing, Records, Sizes, head
from rnncli.show.page import Line, Page, Span, View
from rnncli.show.result_answer import (
    EQUALS,
    input_text,
    note,
    tensor_fields,
    title,
    unpacking,
    variables_of,
)
from rnncli.show.wording import name_layer
from rnncli.specs import configs_of, describe, expression_of
from rnncli.values import Shape, Spec, known_sizes


class Weight(NamedTuple):
    """A weight by its path, `0/forward/kernel`.

    lines: the lines of a user's cell whose columns stand side by side in the weight.
    formula: behind the number of parameters; "" if it is not asked for.
    """

    name: str
    shape: Shape
    lines: tuple[str, ...] = ()
    formula: Text = ""

    @property
    def parameters(self) -> int | None:
        """The number of parameters; None if a size is not a number."""
        sizes = known_sizes(self.shape)
        return None if sizes is None else prod(sizes)


WEIGHTS = (
    Field("name", heading="weight", style="strong"),
    Field("shape", heading="shape", type=Sizes),
    Field(
        "lines",
        heading="columns of",
        show=lambda row, _: ", ".join(row.lines),
        json=lambda row: bool(row.lines),
        csv=False,
        type=list[str],
    ),
    Field(
        "formula",
        lambda row: str(row.formula),
        "formula",
        lambda row, _: row.formula,
        json=lambda row: bool(row.formula),
        csv=False,
    ),
    Field("parameters", heading="parameters", none="unknown", type=int | None),
)
"""What the answer says of a weight."""
OUTPUTS = tuple(field for field in (*tensor_fields("en"), EQUALS) if field.json is True)
DOCUMENTS = (
    HEAD
    | LAYERS
    | {"input": TENSOR, "weights": [WEIGHTS], "parameters": int | None}
    | {"state_size?": int, "outputs": [OUTPUTS]},
)


def outline(specs: tuple[Spec, ...], input_shape: Shape, *, all_layers: bool = False) -> ShapeReport:
    """Return the shape of every weight and tensor, without an engine."""
    stack, parts = Stack(specs), []
    for index, (layer, shape) in enumerate(stack.input_shapes(input_shape)):
        weights = layer.weight_shapes(shape)
        counts = [Weight("", sizes).parameters for sizes in weights.values()]
        known = [count for count in counts if count is not None]
        parameters = sum(known) if len(known) == len(counts) else None
        path = stack.prefix(index).rstrip("/")
        parts.append(LayerShapes(path, layer.spec, weights, parameters, layer.outputs(shape)))
    outputs = stack.outputs(input_shape, all_layers=all_layers)
    claims = stack.claims(all_layers=all_layers)
    state_size = None
    if stack.has_axes:
        state_size = sum(prod(known_sizes(info.shape[1:]) or ()) for info in stack.states(input_shape))
    return ShapeReport(specs, input_shape, stack.dtype, tuple(parts), outputs, claims, state_size)


@dataclass(frozen=True)
class ShapeAnswer(Answer):
    """Every layer's weights, then the returned tensors and which of them are equal.

    explain: with the formula behind each count.
    """

    report: ShapeReport
    explain: bool = False
    command = "shape"

    def document(self, view: View) -> dict[str, Any]:
        """Return weights, parameters and outputs; an unknown size is null, a named one its name."""
        report = self.report
        weights = Listing(WEIGHTS, [weight for layer in report.layers for weight in self._weights(layer)])
        return {
            **head(),
            "expression": expression_of(report.specs),
            "layer": configs_of(report.specs),
            "input": {"shape": list(report.input_shape), "dtype": report.input_dtype},
            "weights": weights.objects(),
            "parameters": self.report.parameters,
            **({} if report.state_size is None else {"state_size": report.state_size}),
            "outputs": self._outputs(view).objects(),
        }

    def page(self, view: View) -> Page:
        """Return the output table, as in `run`, then a table of weights for each layer, and their sum."""
        report, several = self.report, len(self.report.layers) > 1
        tables = [self._outputs(view).table(view)]
        for layer in report.layers:
            if layer.weights:
                path = (Span(f"{name_layer(layer.path, view.lang)}  ", "dim"),) if layer.path else ()
                titled: Line = (*path, Span(describe(layer.spec), "strong")) if several else ()
                weights = self._weights(layer)
                more = [name for name in ("lines", "formula") if any(getattr(row, name) for row in weights)]
                listing = Listing(WEIGHTS, weights, ("name", "shape", *more, "parameters"))
                tables.append(listing.table(view, titled, {"total": _count(layer.parameters, view)}))
        words = f"{view.say('parameters')}, {view.say('total')}  "
        total: Line = (Span(words, "dim"), Span(_count(report.parameters, view), "strong"))
        is_last_alone = all(output.label.layer is None for output in report.outputs)
        notes: tuple[Line, ...] = (
            *(unpacking(variables_of(report.outputs)) if is_last_alone else ()),
            note([input_text(report.input_shape, report.input_dtype, view)], view),
        )
        if report.state_size is not None:
            state_note = Message("states of one sequence: {count} numbers", count=f"{report.state_size:,}")
            notes = (*notes, note([view.say(state_note)], view))
        return Page(title(report.specs, view), notes, (*tables, *(((), total) if several else ())))

    def records(self, view: View) -> Records:
        """Return weights and outputs, one per row."""
        weights = [("weight", weight) for layer in self.report.layers for weight in self._weights(layer)]
        outputs = [("output", tensor) for tensor in self.report.outputs]
        kinds = (
            Field("kind", lambda row: row[0]),
            Field("name", lambda row: row[1].name),
            Field("shape", lambda row: row[1].shape),
            Field("parameters", lambda row: getattr(row[1], "parameters", None)),
        )
        return Listing(kinds, [*weights, *outputs]).records()

    def _weights(self, layer: LayerShapes) -> list[Weight]:
        prefix, spec = f"{layer.path}/" if layer.path else "", layer.spec
        lines = {
            path + name: lines
            for path, cell in cells_of(spec)
            if cell.spec.equations is not None
            for name, lines in cell.text.packing().items()
        }
        weights = (Weight(prefix + name, shape, lines.get(name, ())) for name, shape in layer.weights.items())
        if not self.explain:
            return list(weights)
        return [row._replace(formula=formula(row.name[len(prefix) :], row.shape, spec)) for row in weights]

    def _outputs(self, view: View) -> Listing:
        claims: Mapping[Any, Any] = self.report.claims
        equals = EQUALS._replace(get=lambda output: claims.get(output.label, ()))
        columns = ("name", "shape", "meaning/equals")
        return Listing((*tensor_fields(view.lang), equals), self.report.outputs, columns)


def _count(parameters: int | None, view: View) -> str:
    return view.say("unknown") if parameters is None else f"{parameters:,}"
