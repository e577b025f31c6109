"""`rnncli shape`: tensors, shapes and parameter counts, without an engine and without NumPy."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import prod
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.ask import Ask, subject_of
from rnncli.errors import Message, Text, join
from rnncli.result import LayerShapes, ShapeReport
from rnncli.show.answer import (
    HEAD,
    LAYERS,
    TENSOR,
    Answer,
    Config,
    Field,
    Listing,
    Records,
    Reply,
    Sizes,
    head,
)
from rnncli.show.page import Line, Page, PagePart, Paragraph, Span, Variants, View, line, marks
from rnncli.show.result_answer import EQUALS, input_text, note, tensor_fields, title, unpacking, variables_of
from rnncli.show.wording import name_layer
from rnncli.values import Shape, Spec, format_shape, known_sizes

if TYPE_CHECKING:
    from rnncli.models.summary import LayerRow, ModuleRow, Summary, TensorRow, WeightRow

EXAMPLES = """\
rnncli shape --layer lstm --return-sequences --return-state
rnncli shape --input-shape batch,None,8 --layer gru --units 64
rnncli shape data.csv --layer bilstm --layer 'Dense(1)' --all-layers
rnncli shape --model tagger.keras
"""


def shape(ask: Ask, *, explain: bool = False) -> Reply[ShapeAnswer | SummaryAnswer]:
    """Tensors, shapes and parameter counts, without computing.

    Of a --model, every layer.  In --input-shape a dimension may be None or a name, such as batch.
    """
    subject = subject_of(ask)
    if summary := subject.summary():
        return Reply(SummaryAnswer(summary, explain), summary.remarks)
    asked = subject.outline()
    report = outline(asked.stack, asked.shape, all_layers=ask.all_layers)
    return Reply(ShapeAnswer(report, explain), asked.remarks)


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


def outline(specs: tuple[Spec, ...], input_shape: Shape, *, all_layers: bool = False) -> ShapeReport:
    """Return the shape of every weight and tensor, without an engine."""
    from rnncli.layers.stack import Stack

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
        from rnncli.specs import configs_of, expression_of

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
        from rnncli.specs import describe

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


Factor = tuple[Any, str]
"""A size, and what is counted."""

COUNTED = {
    "bias": ("{number} bias", "{number} biases"),
    "channel": ("{number} channel", "{number} channels"),
    "direction": ("{number} direction", "{number} directions"),
    "feature": ("{number} feature", "{number} features"),
    "filter": ("{number} filter", "{number} filters"),
    "gate": ("{number} gate", "{number} gates"),
    "number": ("{number} number", "{number} numbers"),
    "token id": ("{number} token id", "{number} token ids"),
    "time step": ("{number} time step", "{number} time steps"),
    "unit": ("{number} unit", "{number} units"),
}
"""What is counted: one, and several."""
PLAIN: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "Dense": {"kernel": ("feature", "unit"), "bias": ("unit",)},
    "Embedding": {"embeddings": ("token id", "number")},
    "Conv1D": {"kernel": ("time step", "channel", "filter"), "bias": ("filter",)},
    "BatchNormalization": dict.fromkeys(("gamma", "beta", "moving_mean", "moving_variance"), ("feature",)),
    "LayerNormalization": dict.fromkeys(("gamma", "beta"), ("feature",)),
}
"""What the axes of the weights of other layers count."""


def formula(name: str, shape: Shape, spec: Spec | None, class_name: str = "") -> Message:
    """Return the formula.

    name: the path of a weight in Keras, `forward/kernel`, or its name in PyTorch or ONNX.
    spec: of the layer.  class_name: of a layer without one, such as TimeDistributed(Dense).
    """
    for factors in _candidates(name, shape, spec, class_name):
        known = known_sizes(shape)
        if known is None or prod(size for size, _ in factors) == prod(known):
            return _write(factors)
    return _write([(size, "") for size in shape])


def _write(factors: Sequence[Factor]) -> Message:
    """Return `3 features x 8 units = 24`; `? features` for a size that is not known."""
    sizes = [size for size, _ in factors]
    shown = [("?" if size is None else size, noun) for size, noun in factors]
    counts = (Message(COUNTED[noun][size != 1], number=size) if noun else str(size) for size, noun in shown)
    words = join(counts, " x ")
    if len(factors) < 2 or not all(isinstance(size, int) for size in sizes):
        return words
    return Message("{words} = {total}", words=words, total=f"{prod(sizes):,}")


def _candidates(name: str, shape: Shape, spec: Spec | None, class_name: str) -> Iterator[list[Factor]]:
    """Yield what the sizes of the weight may be made of."""
    leaf = name.rpartition("/")[2]
    cells = [] if spec is None else list(cells_of(spec))
    if not cells:
        core = re.sub(r"^(TimeDistributed\()+|\)+$", "", class_name or (spec.title if spec else ""))
        nouns = PLAIN.get(core, {}).get(leaf, ())
        if len(nouns) == len(shape):
            yield list(zip(shape, nouns, strict=True))
        return
    named = [cell for path, cell in cells if path and name.startswith(path)]
    for cell in named or [cell for _, cell in cells]:
        packing = cell.text.packing()
        lines = len(packing.get(leaf, ())) or max(map(len, packing.values()), default=1)
        units: Factor = (cell.units, "unit")
        packed = [*([(lines, "gate")] if lines > 1 else []), units]
        first, last = (shape[0], "feature"), (shape[-1], "feature")
        directions: list[Factor] = [(shape[0], "direction")] if shape[0] != 1 else []
        yield from {
            "kernel": [[first, *packed]],
            "recurrent_kernel": [[units, *packed]],
            "bias": [packed, [(2, "bias"), *packed]],
        }.get(leaf, [])
        if "weight_hh" in leaf:
            yield [*packed, units]
        elif leaf.startswith("weight_ih"):
            yield [*packed, last]
        elif len(shape) == 3:  # W and R of ONNX
            yield [*directions, *packed, last]
        elif leaf not in packing:  # bias_ih; B of ONNX
            yield packed
            yield [*directions, (2, "bias"), *packed]


def cells_of(spec: Spec) -> Iterator[tuple[str, Any]]:
    """Yield the cells of a recurrent layer, each with what the paths of its weights begin with."""
    from rnncli import layers

    for direction, loop in layers.make(spec).loops.items():
        core: Any = getattr(loop, "cell", None)
        for index, cell in core.by_index.items() if core else ():
            if hasattr(cell, "text"):
                yield (f"{direction}/" if direction else "") + ("" if index is None else f"{index}/"), cell


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


ROWS = (
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
    *ROWS[:2],
    Field("inputs", lambda row: " ".join(row.inputs or ())),
    Field("shape", lambda row: "; ".join(format_shape(out.shape) for out in row.outputs if out.shape)),
    ROWS[4],
    *ROWS[6:8],
    Field("recurrent"),
    Field("calls"),
)
"""What CSV says of a layer."""
MODULES = (
    Field("name", heading="module", style="strong"),
    Field("returns", lambda row: _tensors(row.returns), "PyTorch returns", _returns, type=[TENSORS]),
)
"""What the answer says of a recurrent module of PyTorch."""
WEIGHT_ROW = (Field("name"), Field("shape", type=Sizes), Field("parameters", type=int))
FORMULA = Field("formula", json=lambda _: False)
OF_LAYER = Field("weights", type=[(*WEIGHT_ROW, FORMULA)])
"""What JSON says of the weights of a layer; of their formulas only with --explain."""
FORMS = (
    ("name", "class_name/attributes", "inputs", "outputs", "mask", "calls", "parameters"),
    ("name", "class_name/attributes/inputs", "outputs", "mask", "calls", "parameters"),
    ("name/class_name/attributes/inputs", "outputs/mask", "calls", "parameters"),
)
"""The columns of the table of layers, for ever narrower pages."""
DOCUMENTS = (
    HEAD
    | LAYERS
    | {"input": TENSOR, "weights": [WEIGHTS], "parameters": int | None}
    | {"state_size?": int, "outputs": [OUTPUTS]},
    HEAD
    | {"model": {"file": str | None, "name": str | None, "origin": str}, "inputs": [TENSORS]}
    | {"layers": [(*ROWS, OF_LAYER)], "outputs": ([TENSORS], None)}
    | {"parameters": int, "trainable_parameters": int, "recurrent_parameters": int}
    | {"modules?": [MODULES], "optimizer_parameters?": int},
)


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
            return Listing((*WEIGHT_ROW, formula), layer.weights).objects()

        return {
            **head(),
            "model": {"file": summary.file or None, "name": summary.name or None, "origin": summary.origin},
            "inputs": _tensors(summary.inputs),
            "layers": Listing((*ROWS, OF_LAYER._replace(get=weights)), summary.layers).objects(),
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
        listings = (Listing(ROWS, shown, ["/".join(each) for each in stack if each]) for stack in stacks)
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
            parts.append(Listing(ROWS, recurrent, ("name", "states", "gates")).table(view))
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
