"""`rnncli run --model`: what every recurrent layer of a saved model returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rnncli import checks
from rnncli.ask import Ask, Remarks, call_of
from rnncli.case import SCHEMA, Array, Spec, format_shape
from rnncli.checks import require_known
from rnncli.commands.run.answer import RunAnswer, RunRequest, stats_of
from rnncli.errors import Flag, UsageError
from rnncli.models.call import compute_tensors
from rnncli.options import first_given
from rnncli.show.answer import Reply, head
from rnncli.show.page import Page, Span, View, marks
from rnncli.show.result_answer import (
    assumed_document,
    assumed_lines,
    condition_texts,
    conditions_document,
    differences_document,
)

if TYPE_CHECKING:
    from rnncli.compute.compare import TolerancePair
    from rnncli.models import SavedModel
    from rnncli.models.call import ModelCall, ModelTensors
    from rnncli.result import Label, Result
    from rnncli.show.statistics import Stats


@dataclass(frozen=True, eq=False)
class ModelAnswer(RunAnswer):
    """The tensors of a model's layers, under their names in the model."""

    model: Any = None
    inputs: Mapping[str, Array] = field(default_factory=dict)
    specs: Mapping[str, Spec] = field(default_factory=dict)
    masks: tuple[str, ...] = ()

    @classmethod
    def of(cls, call: ModelCall, found: ModelTensors, result: Result, **more: Any) -> ModelAnswer:
        """Return the answer about `result`, the tensors to show of those found."""
        about: dict[str, Any] = {"model": call.model, "inputs": call.inputs}
        return cls(result, specs=found.specs, masks=found.masks, **about, **more)

    def document(self, view: View) -> dict[str, Any]:
        """Return the same as RunAnswer, with the model's file, inputs and layers instead of one layer."""
        from rnncli.specs import to_config

        first: dict[str, Any] = {"schema": SCHEMA, "line": self.line}
        about: dict[str, Any] = {}
        if self.line is None:  # the lines of a stream all have the same model
            first = head()
            about["layers"] = {name: to_config(spec) for name, spec in self.specs.items()}
            about["inputs"] = {
                name: {"shape": list(array.shape), "dtype": str(array.dtype)}
                for name, array in self.inputs.items()
            }
            about["masks"] = list(self.masks)
            about |= conditions_document(self.result) | assumed_document(self.result.assumed)
        return {
            **first,
            "engine": self.result.engine,
            "model": {"file": self.model.file, "origin": self.model.origin},
            **about,
            "outputs": self._objects(self.result.outputs, view),
            **differences_document(self.result),
        }

    @property
    def _has_empty_sequences(self) -> bool:
        masks = [one.masked for one in self.result.outputs if one.masked is not None]
        return self.model.contents.kind == "onnx" and any(mask.all(axis=1).any() for mask in masks)

    def page(self, view: View) -> Page:
        """Return one table, a row per tensor."""
        dot, word = marks(view).dot, view.say("input")
        pieces = [] if self.line is None else [view.say("line {number}", number=self.line)]
        pieces += [
            " ".join(
                [word, *([] if name == "input" else [name]), format_shape(array.shape), str(array.dtype)]
            )
            for name, array in self.inputs.items()
        ]
        pieces.append(f"{view.say('engine')} {self.result.engine}")
        pieces += condition_texts(self.result, view)
        if self.masks:
            pieces.append(view.say("mask from {names}", names=", ".join(self.masks)))
        title = (Span(self.model.file, "strong"), Span(dot + dot.join(pieces), "dim"))
        return Page(title, assumed_lines(self.result.assumed, view), self._tables(view))


def require(flags: RunRequest) -> None:
    """Raise UsageError for a flag that does not apply to --model."""
    refuse_layer_flags(memory=flags.memory, all_calls=flags.ask.all_calls or None, hold=flags.ask.hold)


def require_stateless(model: SavedModel) -> None:
    """Raise UsageError for layers that continue from the state after the previous line."""
    stateful = model.stateful_layers()
    if stateful:
        raise UsageError(
            "{--stream}: {stateful} in {file} is stateful, and a stream does not carry the states of a model "
            "from line to line."
            if len(stateful) == 1
            else "{--stream}: {stateful} in {file} are stateful, and a stream does not carry the states of a "
            "model from line to line.",
            "Describe the layer instead: rnncli weights '{file}#{first}' --to keras -o "
            "layer.npz, then rnncli run --stream --stateful --layer ... --weights layer.npz",
            stateful=", ".join(stateful),
            file=model.file,
            first=stateful[0],
        )


def refuse_layer_flags(**given: Any) -> None:
    """Raise UsageError for an option that applies only to --layer.  None: it is not given."""
    if flag := first_given(given, given):
        raise UsageError(
            "{flag} applies to {--layer}, not to {--model}.", "Leave out {flag}.", flag=Flag(flag)
        )


def answer(flags: RunRequest) -> Reply[ModelAnswer]:
    """Return the answer."""
    tolerances = flags.tolerances
    require(flags)
    expected = checks.read_expectation(flags.expect, flags.ask)
    limits = tolerances if flags.check else None
    found, disagreeing, notes = compute_answer(flags.ask, limits, flags.select, stats=flags.stats)
    every = checks.ResultChecks(tolerances, flags.output.format_name, expected, flags.fail_on_nan)
    return every.reply(found, notes, disagreeing)


def compute_answer(
    ask: Ask, tolerances: TolerancePair | None, select: Sequence[str] | None, *, stats: bool
) -> tuple[ModelAnswer, list[str], Remarks]:
    """Return the answer, the tensors that differ from the model's framework, and remarks.

    tolerances: of a check; None without one.  select: names of the tensors to show.
    """
    call = call_of(ask)
    found = compute_tensors(call, ask.engine, everything=ask.all_layers)
    result = found.result
    disagreeing: list[str] = []
    notes = found.notes
    if tolerances is not None:
        notes = (*notes, *checks.note_assumptions(result))
        require_known(tolerances, [tensor.name for tensor in result.outputs])
        result, disagreeing = call.compare_with_framework(found.cases, result, *tolerances)
    result = checks.select_tensors(result, select)
    kept = {tensor.label for tensor in result.outputs}
    figures = _stats_by_tensor(found) if stats else {}
    shown = {label: one for label, one in figures.items() if label in kept}
    return ModelAnswer.of(call, found, result, stats=shown), disagreeing, notes


def _stats_by_tensor(found: ModelTensors) -> dict[Label, Stats]:
    """Return the statistics of the recurrent layers' tensors."""
    return {
        label._replace(layer=layer): stats
        for layer, result in found.by_layer.items()
        for label, stats in stats_of(result).items()
    }
