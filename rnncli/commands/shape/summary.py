"""The answer of `shape --model`: every layer of a model in a table, and its recurrent layers in another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Any

from rnncli.commands.shape.formulas import formula
from rnncli.errors import Message
from rnncli.models.summary import LayerRow, ModuleRow, Summary, TensorRow, WeightRow
from rnncli.show.answer import HEAD, Answer, Config, Field, Listing, Records, Sizes, head
from rnncli.show.page import Line, Page, PagePart, Paragraph, Span, Variants, View, line, marks
from rnncli.values import format_shape

CONSTANT = "Constant"
"""The operator of the nodes that a table leaves out without --full."""
NAMED = (Field("name"), Field("shape", type=Sizes | None))
TENSORS = (*NAMED, Field("dtype", json=lambda row: bool(row.dtype)))
"""What JSON says of a tensor."""


def _tensors(rows: Iterable[TensorRow]) -> list[dict[str, Any]]:
    return Listing(TENSORS, rows).objects()


def _formula(layer: LayerRow, weight: WeightRow) -> Message:
    return formula(weight.name, weight.shape, layer.spec, layer.class_name)


def _inputs(layer: LayerRow, _: View) -> str:
    return ", ".join(layer.inputs or ())


def _shapes(layer: LayerRow, view: View) -> tuple[Line, ...]:
    shapes = (row.shape for row in layer.outputs)
    return tuple(line(view.say("unknown") if shape is None else format_shape(shape)) for shape in shapes)


def _parameters(layer: LayerRow, view: View) -> str:
    if layer.weights and not layer.parameters:
        return view.say("counted above")
    return f"{layer.parameters:,}" if layer.weights else ""


def _calls(layer: LayerRow, _: View) -> str:
    """Return how often a module was called, if more than once: torchinfo's `(recursive)`."""
    return str(layer.calls) if layer.is_repeated else ""


def _attributes(layer: LayerRow, _: View) -> str:
    return " ".join(f"{name}={value}" for name, value in (layer.attributes or {}).items())


def _states(layer: LayerRow, view: View) -> str:
    """Return `hidden 6, cell 6 in each direction`."""
    forward = [row for row in layer.states if not row.name.startswith("backward/")]
    words = ", ".join(
        f"{row.name.removeprefix('forward/')} {' x '.join(map(str, (row.shape or ())[1:]))}"
        for row in forward
    )
    if len(forward) < len(layer.states):
        return view.say("{states} in each direction", states=words)
    return words or view.say("unknown")


def _returns(module: ModuleRow, _: View) -> tuple[Line, ...]:
    """Return `h_n (2, batch, 3)` and the like, in lines."""
    return tuple(line(f"{row.name} {format_shape(row.shape or ())}") for row in module.returns)


def _gates(layer: LayerRow, _: View) -> str:
    return ", ".join(layer.gates)


LAYERS = (
    Field("name", heading="layer", style="strong"),
    Field("class_name", heading="class"),
    Field("inputs", lambda row: row.inputs and list(row.inputs), "reads", _inputs, lead=True,
          type=list[str] | None),
    Field("outputs", lambda row: _tensors(row.outputs), "output", _shapes, type=[TENSORS]),
    Field("mask", lambda row: row.mask or None, "mask", lambda row, _: row.mask and Message(row.mask),
          lead=True, type=str | None),
    Field("calls", heading="calls", show=_calls, json=lambda row: row.calls is not None, type=int),
    Field("parameters", heading="parameters", show=_parameters, type=int),
    Field("trainable_parameters", lambda row: row.trainable, type=int),
    Field("attributes", show=_attributes, json=lambda row: row.attributes is not None, type=Config),
    Field("input_tensors", lambda row: _tensors(row.taken), json=lambda row: bool(row.taken), type=[TENSORS]),
    Field("recurrent", type=bool),
    Field("states", lambda row: _tensors(row.states), "states", _states, json=attrgetter("recurrent"),
          type=[NAMED]),
    Field("gates", lambda row: list(row.gates), "gates", _gates, json=attrgetter("recurrent"),
          type=list[str]),
    Field("note", lambda row: str(row.note), json=lambda row: bool(row.note)),
)  # fmt: skip
"""What the answer says of a layer."""
RECORDS = (
    *LAYERS[:2],
    Field("inputs", lambda row: " ".join(row.inputs or ())),
    Field("shape", lambda row: "; ".join(format_shape(out.shape) for out in row.outputs if out.shape)),
    LAYERS[4],
    *LAYERS[6:8],
    Field("recurrent"),
    Field("calls"),
)
"""What CSV says of a layer."""
MODULES = (
    Field("name", heading="module", style="strong"),
    Field("returns", lambda row: _tensors(row.returns), "PyTorch returns", _returns, type=[TENSORS]),
)
"""What the answer says of a recurrent module of PyTorch."""
WEIGHTS = (Field("name"), Field("shape", type=Sizes), Field("parameters", type=int))
FORMULA = Field("formula", json=lambda _: False)
OF_LAYER = Field("weights", type=[(*WEIGHTS, FORMULA)])
"""What JSON says of the weights of a layer; of their formulas only with --explain."""
DOCUMENTS = (
    HEAD
    | {"model": {"file": str | None, "name": str | None, "origin": str}, "inputs": [TENSORS]}
    | {"layers": [(*LAYERS, OF_LAYER)], "outputs": ([TENSORS], None)}
    | {"parameters": int, "trainable_parameters": int, "recurrent_parameters": int}
    | {"modules?": [MODULES], "optimizer_parameters?": int},
)
FORMS = (
    ("name", "class_name/attributes", "inputs", "outputs", "mask", "calls", "parameters"),
    ("name", "class_name/attributes/inputs", "outputs", "mask", "calls", "parameters"),
    ("name/class_name/attributes/inputs", "outputs/mask", "calls", "parameters"),
)
"""The columns of the table of layers, for ever narrower pages."""


@dataclass(frozen=True)
class SummaryAnswer(Answer):
    """Every layer of a model.  explain: with the formula behind each count."""

    summary: Summary
    explain: bool = False
    command = "shape"

    def document(self, view: View) -> dict[str, Any]:
        """Return the layers with all that is known of them; an unknown shape or axis is null."""
        summary = self.summary

        def weights(layer: LayerRow) -> list[dict[str, Any]]:
            formula = FORMULA._replace(get=lambda row: str(_formula(layer, row)), json=self.explain)
            return Listing((*WEIGHTS, formula), layer.weights).objects()

        return {
            **head(),
            "model": {"file": summary.file or None, "name": summary.name or None, "origin": summary.origin},
            "inputs": _tensors(summary.inputs),
            "layers": Listing((*LAYERS, OF_LAYER._replace(get=weights)), summary.layers).objects(),
            "outputs": None if summary.outputs is None else _tensors(summary.outputs),
            "parameters": summary.parameters,
            "trainable_parameters": summary.trainable_parameters,
            "recurrent_parameters": summary.recurrent_parameters,
            **({"modules": Listing(MODULES, summary.modules).objects()} if summary.modules else {}),
            **({"optimizer_parameters": optimizer} if (optimizer := summary.optimizer_parameters) else {}),
        }

    def page(self, view: View) -> Page:
        """Return the table of layers, their sum, and what the recurrent layers keep."""
        summary, dot = self.summary, marks(view).dot
        shown = [row for row in summary.layers if view.full or row.class_name != CONSTANT]
        empty = {name for name in ("mask", "attributes") if not any(getattr(row, name) for row in shown)}
        empty |= set() if any(row.is_repeated for row in shown) else {"calls"}
        before = [{row.name for row in summary.inputs}, *({row.name} for row in shown)]
        if all(
            row.inputs is None or {*row.inputs} == names for row, names in zip(shown, before, strict=False)
        ):
            empty |= {"inputs"}  # each layer reads from the one before: a reader need not be told
        stacks = (
            [[name for name in column.split("/") if name not in empty] for column in form] for form in FORMS
        )
        listings = (Listing(LAYERS, shown, ["/".join(each) for each in stack if each]) for stack in stacks)
        totals = {"total": summary.parameters, "optimizer parameters": summary.optimizer_parameters}
        sums = {name: f"{number:,}" for name, number in totals.items() if number or name == "total"}
        tables = (listing.table(view, totals=sums) for listing in listings)
        parts: list[PagePart] = [Variants([(table,) for table in tables])]
        if left_out := len(summary.layers) - len(shown):
            text = "{count} Constant nodes are not shown; {--full} shows them"
            parts.append(line(view.say(text, count=left_out), "dim"))
        words = []
        if any(row.recurrent for row in summary.layers):
            words.append(view.say("{count} in recurrent layers", count=f"{summary.recurrent_parameters:,}"))
        if frozen := summary.parameters - summary.trainable_parameters:
            words.append(view.say("{count} not trainable", count=f"{frozen:,}"))
        if words:
            parts += [(), line(dot.join(words), "dim")]
        if recurrent := [row for row in shown if row.recurrent]:
            parts.append(Listing(LAYERS, recurrent, ("name", "states", "gates")).table(view))
        if summary.modules:
            parts.append(Listing(MODULES, summary.modules).table(view))
        for layer in summary.layers if self.explain else ():
            weight = Field("name", heading="weight", style="strong")
            fields = (
                weight,
                Field("shape", heading="shape"),
                Field("formula", partial(_formula, layer), "formula"),
            )
            if layer.weights:
                parts.append(Listing(fields, layer.weights).table(view, line(layer.name, "strong")))
        first: Line = (Span(summary.file or summary.name, "strong"),)
        if summary.origin:
            first += (Span(f"{dot}{summary.origin}", "dim"),)
        tensors = {"input": summary.inputs, "output": summary.outputs or ()}
        texts = (" ".join([view.say(kind), *_words(kind, row)]) for kind in tensors for row in tensors[kind])
        notes = tuple(Paragraph(text, "dim", "dots") for text in [dot.join(texts)] if text)
        return Page(first, notes, tuple(parts))

    def records(self, view: View) -> Records:
        """Return one row per layer, and a row with the parameters of the optimizer, if there is one."""
        header, rows = Listing(RECORDS, self.summary.layers).records()
        if not (optimizer := self.summary.optimizer_parameters):
            return header, rows
        last = {"name": "optimizer parameters", "parameters": optimizer}
        return header, chain(rows, [tuple(last.get(name, "") for name in header)])


def _words(kind: str, row: TensorRow) -> list[str]:
    """Return `tokens (batch, 12) int64`, in words."""
    shape = "" if row.shape is None else format_shape(row.shape)
    return [text for text in ("" if row.name == kind else row.name, shape, row.dtype) if text]
