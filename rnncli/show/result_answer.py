"""What the answers of computed results share: head and notes, and tensors in JSON and CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby, repeat
from typing import Any

from rnncli.errors import Message, Text
from rnncli.result import ChunkedTensor, Label, ModelHead, NamedTensor, Result, TensorInfo
from rnncli.show.answer import Answer, Field, Listing, NestedNumbers, NestedTexts, Records, Sizes, head
from rnncli.show.page import TEXT_BLOCK, Line, Numbers, Paragraph, Span, View, line, marks
from rnncli.show.visible import visible
from rnncli.show.wording import STATES, meaning
from rnncli.values import SCHEMA, Agreement, Array, Assumed, InputNames, Shape, Spec, format_shape

SINGULAR = {"timesteps": "timestep", "units": "unit", "rows": "row", "cols": "col", "channels": "channel"}
CONDITIONS = {
    "training": "training",
    "calls": "call {count} of {count}",
    "all calls": "{count} calls",
    "mask": "masked",
    "initial_state": "initial state supplied",
    "weights": "weights supplied",
}
"""What the notes say of the conditions of a result."""
MOST_ULPS = 10_000
"""Above this, units in the last place add nothing to a difference; documents always have them."""

Tensor = NamedTensor | ChunkedTensor


def head_of(result: Result, line: int | None = None) -> dict[str, Any]:
    """Return the first entries of the document of a computed result.

    line: the line of a stream, counted from 1; its document is short, because every line has the same layers.
    """
    from rnncli.specs import configs_of, expression_of  # help reads the fields below, and must not load it

    if result.model is not None:
        return _model_head(result, result.model, line)
    if line is not None:
        return {
            "schema": SCHEMA,
            "line": line,
            "engine": result.engine,
            "seed": result.seed,
            "expression": expression_of(result.specs),
            **({"input": names_of(result)} if names_of(result) else {}),
            **_conditions(result),
        }
    return {
        **head(),
        "engine": result.engine,
        "seed": result.seed,
        "expression": expression_of(result.specs),
        "layer": configs_of(result.specs),
        "input": {"shape": list(result.input_shape), "dtype": result.input_dtype, **names_of(result)},
        **_conditions(result),
        **({"hold": list(result.hold)} if result.hold else {}),
        **assumed_document(result.assumed),
        **_agreement(result.agreement),
    }


def names_of(result: Result) -> dict[str, Any]:
    """Return the names of the input's features, time steps and sequences, those that it has."""
    keys = result.names.document()
    return {key: keys[key] for key in ("features", "steps", "batch") if key in keys}


def _conditions(result: Result) -> dict[str, Any]:
    return {"conditions": dict(result.conditions)} if result.conditions else {}


def assumed_document(assumed: Assumed | None) -> dict[str, Any]:
    """Return what was assumed about a file without a graph; {} for anything else."""
    return {} if assumed is None else {"assumed": dict(assumed.values)}


def _agreement(agreement: Agreement | None) -> dict[str, Any]:
    if agreement is None:
        return {}
    document = {
        "object": agreement.title,
        "layer": agreement.layer,
        "agrees": agreement.agrees,
        "difference": agreement.difference,
        "lacks": {layer: str(reason) for layer, reason in agreement.lacks.items()},
        "axes": dict(agreement.axes),
    }
    return {"agreement": document}


def _model_head(result: Result, model: ModelHead, line: int | None) -> dict[str, Any]:
    from rnncli.specs import to_config

    named = {"engine": result.engine, "model": {"file": model.file, "origin": model.origin}}
    if line is not None:
        return {"schema": SCHEMA, "line": line, **named}
    return {
        **head(),
        **named,
        "layers": {name: to_config(spec) for name, spec in model.layers.items()},
        "inputs": {
            name: {"shape": list(shape), "dtype": dtype} for name, (shape, dtype) in model.inputs.items()
        },
        "masks": list(model.masks),
        **_conditions(result),
        **assumed_document(result.assumed),
        **_agreement(result.agreement),
    }


def title(specs: tuple[Spec, ...], view: View) -> Line:
    """Return `LSTM(3, return_sequences=True)`; for a stack, first to last."""
    from rnncli.specs import expressions_of

    return line(marks(view).arrow.join(expressions_of(specs)), "strong")


def note(pieces: Iterable[str], view: View) -> Line:
    """Return remarks on one line."""
    return line(marks(view).dot.join(pieces), "dim")


def variables_of(outputs: Iterable[TensorInfo]) -> dict[Label, str]:
    """Return the variable to which `outputs, h, c = layer(x)` assigns each tensor that a layer returns."""
    variables = {}
    for label in (info.label for info in outputs):
        state = label.part[0] if label.part in STATES else label.part
        cell = "" if label.cell is None else label.cell
        last = f"{label.direction[:1]}{state}{cell}"
        variables[label] = last if label.last else label.direction or "outputs"
    return variables


def unpacking(variables: Mapping[Label, str]) -> tuple[Line, ...]:
    """Return `outputs, h, c = layer(x)`; nothing without variables."""
    targets = []
    for cell, labels in groupby(variables, key=lambda label: label.cell):
        names = ", ".join(variables[label] for label in labels)
        targets.append(names if cell is None else f"[{names}]")  # a list for each cell of RNN's list
    return (line(f"{', '.join(targets)} = layer(x)"),) if targets else ()


def input_text(shape: Shape, dtype: str, view: View) -> str:
    """Return `input (1, 4, 5) float32`."""
    return f"{view.say('input')} {format_shape(shape)} {dtype}"


def title_of(result: Result, view: View, line: int | None = None) -> Line:
    """Return the layers; of a saved model its file, inputs and engine.  line: of a stream."""
    model = result.model
    if model is None:
        return title(result.specs, view)
    pieces = [] if line is None else [view.say("line {number}", number=line)]
    for name, (shape, dtype) in model.inputs.items():
        words = [view.say("input"), *([] if name == "input" else [name]), format_shape(shape), dtype]
        pieces.append(" ".join(words))
    if result.engine:  # none computes what is shown as a framework returned it
        pieces.append(f"{view.say('engine')} {result.engine}")
    pieces += _condition_texts(result, view)
    if model.masks:
        pieces.append(view.say("mask from {names}", names=", ".join(model.masks)))
    dot = marks(view).dot
    return Span(model.file, "strong"), Span(dot + dot.join(pieces), "dim")


def notes_of(result: Result, view: View, line: int | None = None) -> tuple[Line | Paragraph, ...]:
    """Return `input (1, 4, 5) float32 · seed 42 · engine numpy`, with options such as `training`.

    Before it stands what the document says about the layer.

    A second line says what was assumed about a file without a graph; of a model, it is the only one.
    line: of a stream, shown first.
    """
    about = tuple(note([view.say(text)], view) for text in agreement_texts(result.agreement))
    about = *assumed_lines(result.assumed, view), *about
    if result.model is not None:
        return about
    pieces = [] if line is None else [view.say("line {number}", number=line)]
    if result.agreement is not None and result.agreement.layer:
        names = {"layer": result.agreement.layer, "title": result.agreement.title}
        pieces.append(view.say("{layer} of {title}", **names))
    pieces.append(input_text(result.input_shape, result.input_dtype, view))
    if result.seed is not None:
        pieces.append(f"{view.say('seed')} {result.seed}")
    if result.engine:
        pieces.append(f"{view.say('engine')} {result.engine}")
    pieces += _condition_texts(result, view)
    if result.hold:
        pieces.append(view.say(held_text(result)))
    texts = result.names.about  # what the document says about the layer
    text = texts.get(view.lang) or next(iter(texts.values()), "")
    return (*([Paragraph(visible(text), "dim")] if text else []), note(pieces, view), *about)


def agreement_texts(agreement: Agreement | None) -> Iterator[Message]:
    """Yield `agrees with PyTorch: largest difference 6.0e-08`, and a text for each layer without gates.

    Nothing for anything but a live object.
    """
    if agreement is None:
        return
    if agreement.difference is not None:
        yield Message(
            "agrees with {framework}: largest difference {difference}"
            if agreement.agrees
            else "differs from {framework}: largest difference {difference}",
            framework=agreement.framework,
            difference=format_difference(agreement.difference),
        )
    for layer, reason in agreement.lacks.items():
        template = "{layer}: as {framework} returned it: {reason}"
        yield Message(template, layer=layer, framework=agreement.framework, reason=reason)
    yield from agreement.axes_texts()


def _condition_texts(result: Result, view: View) -> Iterator[str]:
    shows_all = any(tensor.label.call for tensor in result.outputs)
    for name, value in result.conditions.items():
        if name != "weights" or result.agreement is None:
            yield view.say(CONDITIONS["all calls" if name == "calls" and shows_all else name], count=value)


def assumed_lines(assumed: Assumed | None, view: View) -> tuple[Line, ...]:
    """Return `assumed: batch first, gates rzn`; nothing for layers that are not of a file without a graph."""
    return () if assumed is None else (note([view.say(assumed_text(assumed))], view),)


def assumed_text(assumed: Assumed) -> Message:
    """Return `assumed: batch first, gates rzn`."""
    return Message("assumed: {words}", words=assumed.words)


def held_text(result: Result) -> Message:
    """Return `held: forget=1`."""
    return Message("held: {gates}", gates=", ".join(result.hold))


@lru_cache  # a stream asks for them at every line
def tensor_fields(lang: str) -> tuple[Field, ...]:
    """Return what every answer says of a tensor, with its numbers or without."""
    return (
        Field("name", lambda tensor: tensor.label, heading="tensor"),
        Field("axes", type=list[str]),
        Field(
            "batch",
            lambda tensor: list(tensor.names.sequences),
            json=lambda t: not isinstance(t, TensorInfo) and bool(t.names.sequences),
            csv=False,
            type=list[str],
        ),
        Field(
            "time",
            lambda tensor: list(tensor.time),
            json=lambda t: bool(getattr(t, "time", ())),
            type=list[int],
        ),
        Field("shape", _shape, "shape", lambda tensor, _: format_shape(_shape(tensor)), type=Sizes),
        Field(
            "dtype",
            lambda tensor: str(tensor.values.dtype),
            json=lambda tensor: not isinstance(tensor, TensorInfo),
        ),
        Field("meaning", lambda tensor: meaning(tensor.label, lang, tensor.ends), "meaning", style="dim"),
    )


def _shape(tensor: Tensor | TensorInfo) -> Shape:
    return tensor.shape if isinstance(tensor, TensorInfo) else tensor.values.shape


def answers_of(names: InputNames, values: Array, masked: Array | None = None) -> Any:
    """Return the answer nearest to each number, in lists; of a row of one number that answer alone.

    masked: which rows have none, ""; None if all have some.
    """
    import numpy as np

    answers = np.vectorize(names.answer, otypes=[object])(values)
    if masked is not None:
        answers[masked] = ""
    return (answers[..., 0] if values.shape[-1] == 1 else answers).tolist()


def _has_answers(tensor: Tensor) -> bool:
    is_whole = isinstance(tensor, NamedTensor) and tensor.values.size > 0
    return is_whole and tensor.label.part == "hidden" and bool(tensor.names.answers)


ANSWERS = Field(
    "answers",
    lambda tensor: answers_of(tensor.names, tensor.values, tensor.masked),
    json=_has_answers,
    csv=False,
    type=NestedTexts,
)
EQUALS = Field("equals", heading="equal", type=list[str])
VALUES = Field(
    "values",
    heading="values",
    show=lambda tensor, _: (
        Numbers(
            tensor.values,
            tensor.axes,
            tensor.time,
            tensor.masked,
            tensor.half,
            tensor.names if tensor.label.part == "hidden" else tensor.names._replace(answers={}),
        ),
    ),
    csv=False,
    type=NestedNumbers,
)
TENSORS = (*tensor_fields("en"), EQUALS, VALUES, ANSWERS)
"""What JSON says of a tensor with its numbers."""


def tensor_listing(
    tensors: Sequence[NamedTensor], view: View, *more: Field, columns: Sequence[str] = ()
) -> Listing:
    """Return tensors with their numbers.  more: fields of one answer alone."""
    return Listing((*tensor_fields(view.lang), EQUALS, VALUES, ANSWERS, *more), tensors, columns)


def records_of(
    groups: Sequence[tuple[tuple[Any, ...], Sequence[Tensor]]], view: View, *leading: str
) -> Records:
    """Return one number per row: `name, batch, timestep, unit, value`; axes in place of units if any.

    With a column `step` after `timestep` where time steps have names, unless a leading column is called so.
    groups: tensors, with the values of the `leading` columns.
    """
    known = dict.fromkeys(axis for _, tensors in groups for tensor in tensors for axis in tensor.axes)
    others = [axis for axis in known if axis not in ("batch", "timesteps")]
    has_names = any(tensor.names.steps for _, tensors in groups for tensor in tensors)
    steps = ["step"] if has_names and "step" not in leading else []
    axes = ("batch", "timesteps", *steps, *(others or ["units"]))
    rows = (
        (*first, *row) for first, tensors in groups for tensor in tensors for row in _rows(tensor, axes, view)
    )
    return (*leading, "name", *(SINGULAR.get(axis, axis) for axis in axes), "value"), rows


def _rows(tensor: Tensor, axes: Sequence[str], view: View) -> Iterator[tuple[Any, ...]]:
    import numpy as np

    from rnncli import arrays
    from rnncli.show.digits import format_exactly

    start, shape = 0, tensor.values.shape
    for block in arrays.blocks(tensor.values, TEXT_BLOCK):
        places = np.unravel_index(np.arange(start, start + block.size), shape) if shape else ()
        by_axis = dict(zip(tensor.axes, places, strict=True))
        if tensor.time:
            by_axis["timesteps"] = np.asarray(tensor.time)[by_axis["timesteps"]]
        if tensor.names.steps and "timesteps" in by_axis:
            by_axis["step"] = np.asarray(tensor.names.steps)[by_axis["batch"], by_axis["timesteps"]]
        if tensor.names.sequences:
            by_axis["batch"] = np.asarray(tensor.names.sequences)[by_axis["batch"]]
        indices: Any = (by_axis[axis].tolist() if axis in by_axis else repeat("") for axis in axes)
        yield from zip(repeat(tensor.name), *indices, format_exactly(block, view.precision), strict=False)
        start += block.size


def difference_text(result: Result) -> Text:
    """Return `largest difference from TensorFlow`, or from the run without --hold."""
    if result.hold:
        return Message("largest difference from the run without --hold")
    if result.assumed:
        template = "largest difference from {reference} under the same assumptions"
        return Message(template, reference=result.reference)
    return Message("largest difference from {reference}", reference=result.reference)


def differences_document(result: Result) -> dict[str, Any]:
    """Return what --check found; {} without --check."""
    return {"differences": dict(result.differences), "ulps": dict(result.ulps)} if result.differences else {}


def format_difference(number: float, ulps: int | None = None) -> str:
    """Format a difference: `3.0e-08 (1 ulp)`, or `0`.  ulps: units in the last place; None if not known."""
    text = f"{number:.1e}" if number else "0"
    return text if ulps is None or ulps > MOST_ULPS else f"{text} ({ulps} ulp)"


class ResultAnswer(Answer):
    """An answer with a computed result, whose numbers --check, --expect and --fail-on-nan are about."""

    result: Result

    def results(self) -> tuple[Result, ...]:
        """Return the result."""
        return (self.result,)

    def named_tensors(self) -> Sequence[NamedTensor]:
        """Return the tensors that --expect compares."""
        return self.result.outputs

    def first_nan(self) -> str | None:
        """Return the location of the first NaN; None if there is none."""
        raise NotImplementedError

    def tensors(self) -> dict[str, Array]:
        """Return the tensors, by name."""
        return {tensor.name: tensor.values for tensor in self.named_tensors()}
