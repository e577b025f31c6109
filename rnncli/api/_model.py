"""Saved models in Python, the counterpart of `--model`."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from rnncli.api._options import InputOptions, LayerOptions, Options, RunOptions
from rnncli.api._results import RunResult, by_name, view_of
from rnncli.api._values import file, read_options, require_no_file_options, require_pad, sequences
from rnncli.ask import Ask
from rnncli.cli import model_files, model_inputs, models
from rnncli.cli.models import ModelCall, ReturnFlags
from rnncli.errors import Text, UsageError
from rnncli.inputs.formats import read_raw

if TYPE_CHECKING:
    from rnncli.compute.compare import TolerancePair


def run(
    inputs: Any, layer: Any, options: Options, *, everything: bool, stats: bool, limits: TolerancePair | None
) -> tuple[RunResult, list[str]]:
    """Return the tensors of every recurrent layer, and the names of those that differ from the framework.

    limits: absolute and relative tolerance; None to leave out the comparison.
    """
    from rnncli.cli import model_tensors
    from rnncli.commands.run import saved_model as answers

    call, engine = read_call(inputs, layer, options), options.get("engine") or "auto"
    tensors = model_tensors.compute_tensors(call, engine, everything=everything)
    computed, figures = tensors.result, answers.stats_by_tensor(tensors) if stats else {}
    disagreeing: list[str] = []
    if limits is not None:
        computed, disagreeing = call.compare_with_framework(tensors.cases, computed, *limits)
    answer = answers.ModelAnswer(
        computed, figures, None, call.model.saved, call.inputs, tensors.specs, tensors.masks
    )
    return RunResult.of(
        computed, stats=by_name(figures), remarks=tensors.notes, view=view_of(options), answer=answer
    ), disagreeing


def _returns(options: Options) -> ReturnFlags:
    found = ReturnFlags(options.get("return_sequences"), options.get("return_state"))
    for name, value in found._asdict().items():
        if value not in (None, True, False):
            raise UsageError(
                "return_{name} is {value!r}.", "It must be True or False.", name=name, value=value
            )
    return found


def read_call(inputs: Any, layer: Any, options: Options) -> ModelCall:
    """Open the model that the options name, and read its inputs."""
    names = (*LayerOptions.__annotations__, *RunOptions.__annotations__, *InputOptions.__annotations__)
    every = dict(options)
    models.refuse_layer_options({"layer": layer, **{name: every.get(name) for name in names}})
    if inputs is None:
        raise UsageError("model needs inputs.", "Give an array, arrays by name, or the path of a file.")
    assume = options.get("assume")
    if assume is not None and not isinstance(assume, (str, Mapping)):
        raise UsageError("assume is {assume!r}.", "For example assume='activation=relu'.", assume=assume)
    model = model_files.open_model(str(options.get("model")), assume)
    axes, pad = options.get("input_axes"), require_pad(options)
    order = axes if axes is None or isinstance(axes, str) else ",".join(axes)
    asked = Ask(input_axes=order, pad=pad, pad_value=options.get("pad_value"))
    model_inputs.require_paddable(model, asked)
    raw, remarks = _raw(inputs, options)
    given, notes = model_inputs.arrange_inputs(model, raw, asked)
    return ModelCall(model, given, _returns(options), (*remarks, *notes))


def _raw(inputs: Any, options: Options) -> tuple[Any, tuple[Text, ...]]:
    if isinstance(inputs, (str, PathLike)):
        return read_raw(file(inputs, "inputs"), options.get("input_format"), read_options(options))
    require_no_file_options(options)
    if isinstance(inputs, Mapping) and inputs.keys() == {"inputs"} and isinstance(inputs["inputs"], Mapping):
        inputs = inputs["inputs"]  # as in a JSON document
    if isinstance(inputs, Mapping):
        return {name: sequences(value, name) for name, value in inputs.items()}, ()
    return sequences(inputs, "inputs"), ()
