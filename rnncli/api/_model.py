"""Saved models in Python, the counterpart of `--model`."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from rnncli.api._options import LayerOptions, Options
from rnncli.api._results import RunResult, view_of
from rnncli.api._values import array, file, read_options, require_no_file_options
from rnncli.cli import model_files, model_inputs
from rnncli.cli.models import ModelCall, ReturnFlags
from rnncli.errors import UsageError
from rnncli.readers.formats import read_raw

if TYPE_CHECKING:
    from rnncli.compute.compare import TolerancePair

OWN = (
    "seed", "weights", "initial_state", "training", "mask", "mask_value", "input_shape", "fill", "pad",
    "pad_value",
)  # fmt: skip


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
        computed, stats=figures, remarks=tensors.notes, view=view_of(options), answer=answer
    ), disagreeing


def _returns(options: Options) -> ReturnFlags:
    found = ReturnFlags(options.get("return_sequences"), options.get("return_state"))
    for name, value in found._asdict().items():
        if value not in (None, True, False):
            raise UsageError(f"return_{name} is {value!r}.", "It must be True or False.")
    return found


def read_call(inputs: Any, layer: Any, options: Options) -> ModelCall:
    """Open the model that the options name, and read its inputs."""
    given_options = dict(options)
    described = [name for name in LayerOptions.__annotations__ if not name.startswith("return_")]
    named = ["layer"] if layer is not None else []
    named += [name for name in (*described, *OWN) if given_options.get(name) is not None]
    named += ["calls"] if (options.get("calls") or 1) > 1 else []
    if named:
        raise UsageError(
            f"{named[0]} cannot be combined with model: a saved model has its own layers, weights and masks.",
            f"Leave out {named[0]}; or leave out model, and name a layer with layer=.",
        )
    if inputs is None:
        raise UsageError("model needs inputs.", "Give an array, arrays by name, or the path of a file.")
    assume = options.get("assume")
    if assume is not None and not isinstance(assume, (str, Mapping)):
        raise UsageError(f"assume is {assume!r}.", "For example assume='activation=relu'.")
    model = model_files.open_model(str(options.get("model")), assume)
    raw, remarks = _raw(inputs, options)
    axes = options.get("input_axes")
    order = axes if axes is None or isinstance(axes, str) else ",".join(axes)
    given, notes = model_inputs.fit_inputs(model, model_inputs.reorder_axes(model, raw, order))
    return ModelCall(model, given, _returns(options), (*remarks, *notes))


def _raw(inputs: Any, options: Options) -> tuple[Any, tuple[str, ...]]:
    if isinstance(inputs, (str, PathLike)):
        return read_raw(file(inputs, "inputs"), options.get("input_format"), read_options(options))
    require_no_file_options(options)
    if isinstance(inputs, Mapping) and inputs.keys() == {"inputs"} and isinstance(inputs["inputs"], Mapping):
        inputs = inputs["inputs"]  # as in a JSON document
    if isinstance(inputs, Mapping):
        return {name: array(value, name) for name, value in inputs.items()}, ()
    return array(inputs, "inputs"), ()
