"""`rnncli run --model`: what every recurrent layer of a saved model returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rnncli.case import Array, Spec, format_shape
from rnncli.cli import model_tensors, models, result_checks, sources
from rnncli.cli.output import delivery
from rnncli.commands.run.answer import RunAnswer, stats_of
from rnncli.errors import Flag, UsageError
from rnncli.options import first_given
from rnncli.result import SCHEMA
from rnncli.show.answer import head
from rnncli.show.page import Page, Span, View, marks
from rnncli.show.parts import differences_document

if TYPE_CHECKING:
    from rnncli.cli.model_tensors import ModelTensors
    from rnncli.commands.run.run_request import RunRequest
    from rnncli.result import Label
    from rnncli.show.statistics import Stats


@dataclass(frozen=True, eq=False)
class ModelAnswer(RunAnswer):
    """The tensors of a model's layers, under their names in the model."""

    model: Any = None
    inputs: Mapping[str, Array] = field(default_factory=dict)
    specs: Mapping[str, Spec] = field(default_factory=dict)
    masks: tuple[str, ...] = ()

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
        return {
            **first,
            "engine": self.result.engine,
            "model": {"file": self.model.file, "origin": self.model.origin},
            **about,
            "outputs": [self._document(tensor, view, tensor.label) for tensor in self.result.outputs],
            **differences_document(self.result),
        }

    def page(self, view: View) -> Page:
        """Return one table, a row per tensor."""
        dot, word = marks(view).dot, view.say("input")
        pieces = [] if self.line is None else [f"{view.say('line')} {self.line}"]
        pieces += [
            " ".join(
                [word, *([] if name == "input" else [name]), format_shape(array.shape), str(array.dtype)]
            )
            for name, array in self.inputs.items()
        ]
        pieces.append(f"{view.say('engine')} {self.result.engine}")
        if self.masks:
            pieces.append(view.say("mask from {names}", names=", ".join(self.masks)))
        title = (Span(self.model.file, "strong"), Span(dot + dot.join(pieces), "dim"))
        return Page(title, (), self._tables(view))


def require(flags: RunRequest) -> None:
    """Raise UsageError for a flag that does not apply to --model."""
    models.require_alone(flags.ask)
    sources.validate_sources(flags.ask)
    refuse_layer_flags(memory=flags.memory, all_calls=flags.ask.all_calls or None, hold=flags.ask.hold)


def refuse_layer_flags(**given: Any) -> None:
    """Raise UsageError for one of these, which apply to --layer alone; None for those that are not given."""
    if flag := first_given(given, given):
        raise UsageError(
            "{flag} applies to {--layer}, not to {--model}.", "Leave out {flag}.", flag=Flag(flag)
        )


def answer(flags: RunRequest) -> None:
    """Compute and show the answer."""
    _ = flags.tolerances
    require(flags)
    deliver = delivery(flags.output, flags.ask.files)
    expected = flags.read_expectation()
    call = models.read_call(flags.ask)
    everything = flags.ask.all_layers
    found = model_tensors.compute_tensors(call, flags.ask.engine, everything=everything)
    result = found.result
    disagreeing: list[str] = []
    if flags.check:
        result, disagreeing = call.compare_with_framework(found.cases, result, *flags.tolerances)
    result = result_checks.select_tensors(result, flags.select)
    kept = {tensor.label for tensor in result.outputs}
    figures = stats_by_tensor(found) if flags.stats else {}
    stats = {label: one for label, one in figures.items() if label in kept}
    model_answer = ModelAnswer(result, stats, None, call.model.saved, call.inputs, found.specs, found.masks)
    flags.checks(expected).show(model_answer, found.notes, disagreeing, deliver)


def stats_by_tensor(found: ModelTensors) -> dict[Label, Stats]:
    """Return the statistics of the recurrent layers' tensors."""
    return {
        label._replace(layer=layer): stats
        for layer, result in found.by_layer.items()
        for label, stats in stats_of(result).items()
    }
