"""The Cases of the recurrent layers that `--model FILE[#names]` chooses, with the inputs of the model."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from rnncli import addresses
from rnncli.case import Array, Case
from rnncli.cli import model_inputs
from rnncli.cli.model_files import Model, open_model
from rnncli.errors import UsageError
from rnncli.result import Result

if TYPE_CHECKING:
    from rnncli.cli.flags import InputFlags, LayerFlags, RunFlags
    from rnncli.compute.compare import Tolerance
    from rnncli.compute.models import CasePair, LayerUse


class ReturnFlags(NamedTuple):
    """The options return_sequences and return_state for every recurrent layer; None keeps the model's own."""

    sequences: bool | None = None
    state: bool | None = None

    def of(self, case: Case) -> Case:
        """Return the case with these flags in its last layer."""
        wanted = {"return_sequences": self.sequences, "return_state": self.state}
        given = {name: value for name, value in wanted.items() if value is not None}
        last = case.specs[-1]
        if not given or last.class_name == "TimeDistributed":
            return case
        return case._replace(stack=case.stack.with_returns(**given))


def require_alone(input_flags: InputFlags, layer: LayerFlags, run: RunFlags) -> None:
    """Raise UsageError for a flag that describes a layer: the model has its own layers."""
    from rnncli.cli.flag_groups import collect_flags, flag_name

    others = {"layer": layer, "run": run, "input": input_flags}
    allowed = {"return_sequences", "return_state", "engine", "model", "assume", "input", "input_format"}
    allowed |= {"calls", "delimiter", "decimal", "batch_column", "pad", "pad_value", "input_axes"}
    named = [name for flags in others.values() for name in collect_flags(flags) if name not in allowed]
    if run.calls > 1:
        named.append("calls")
    if named:
        flag = flag_name(named[0])
        if named[0] in {"input_shape", "fill"}:
            raise UsageError(
                f"{flag} cannot be combined with --model: it generates the input of a --layer.",
                "Give a file, or JSON on the command line.",
            )
        raise UsageError(
            f"{flag} cannot be combined with --model: a saved model has its own layers, weights and masks.",
            f"Leave out {flag}; or leave out --model, and name a layer with --layer.",
        )


class ModelLayer(NamedTuple):
    """The one layer that --model chooses.  inputs: of the model.  original: the Case before the flags."""

    model: Model
    inputs: Mapping[str, Array]
    name: str
    original: Case
    case: Case

    def compare_with_framework(
        self, result: Result, atol: Tolerance, rtol: Tolerance
    ) -> tuple[Result, list[str]]:
        """See the function `compare_with_framework`.  result: with every output and state of the layer."""
        from rnncli.compute.models import CasePair

        cases = {self.name: CasePair(self.original, ReturnFlags(state=True).of(self.case))}
        return compare_with_framework(
            self.model, self.inputs, cases, result, atol, rtol, prefix=f"{self.name}/"
        )


def compare_with_framework(
    model: Model,
    inputs: Mapping[str, Array],
    cases: Mapping[str, CasePair],
    result: Result,
    atol: Tolerance,
    rtol: Tolerance,
    *,
    prefix: str = "",
) -> tuple[Result, list[str]]:
    """Return the result with its differences from the model's framework, and the tensors beyond tolerance.

    prefix: precedes the names of `result` in the model, such as `gru/`.
    Raises EngineError if the framework is not installed or cannot run the model.
    """
    from rnncli.compute import compare

    theirs = model.runner.outputs(model.saved, model.path, inputs, cases)
    outputs = tuple(tensor._replace(values=theirs[f"{prefix}{tensor.name}"]) for tensor in result.outputs)
    other = replace(result, outputs=outputs)
    compared = replace(
        result, differences=compare.differences(result, other), reference=model.runner.framework(model.saved)
    )
    return compared, compare.find_disagreements(result, other, atol, rtol)


def case(input_flags: InputFlags, layer: LayerFlags, run: RunFlags) -> tuple[Case, tuple[str, ...]]:
    """Return the Case of the only layer that --model chooses, for commands that show one layer, and notes."""
    chosen, remarks = choose_layer(input_flags, layer, run)
    return chosen.case, remarks


def choose_layer(
    input_flags: InputFlags, layer: LayerFlags, run: RunFlags
) -> tuple[ModelLayer, tuple[str, ...]]:
    """Return the only layer that --model chooses, with the model's inputs, and notes."""
    require_alone(input_flags, layer, run)
    return _choose_layer(open_model(run.model or "", run.assume), input_flags, layer)


def _choose_layer(
    model: Model, input_flags: InputFlags, layer: LayerFlags
) -> tuple[ModelLayer, tuple[str, ...]]:
    inputs, remarks = model_inputs.read_inputs(model, input_flags)
    part, notes = single_part(model, inputs, ReturnFlags())
    returns = ReturnFlags(layer.return_sequences, layer.return_state)
    return ModelLayer(model, inputs, part.layer, part.case, returns.of(part.case)), (*remarks, *notes)


def choose_parts(
    input_flags: InputFlags, layer: LayerFlags, run: RunFlags
) -> tuple[tuple[LayerUse, ...], tuple[str, ...]]:
    """Return every recurrent layer that --model chooses, in the order of the model, and notes."""
    require_alone(input_flags, layer, run)
    model = open_model(run.model or "", run.assume)
    inputs, remarks = model_inputs.read_inputs(model, input_flags)
    returns = ReturnFlags(layer.return_sequences, layer.return_state)
    if len(_choose_names(model)) == 1:
        part, notes = single_part(model, inputs, returns)
        return (part,), (*remarks, *notes)
    found = model.run(model.request(inputs))
    parts = tuple(part._replace(case=returns.of(part.case)) for part in found.parts)
    return parts, (*remarks, *model.notes_on(found))


def _choose_names(model: Model) -> tuple[str, ...]:
    """Return the names of the chosen layers."""
    names = model.runner.choose(model.saved, model.names)
    if len(model.names) == 1 and model.names[0] in names:
        return model.names  # `lstm` alone is the first use of a shared layer, not also lstm@1
    return names


def single_part(
    model: Model, inputs: Mapping[str, Array], returns: ReturnFlags
) -> tuple[LayerUse, tuple[str, ...]]:
    """Return the only chosen layer, and notes.  Raises UsageError if there are several."""
    file = model.saved.file
    names = _choose_names(model)
    if len(names) > 1:
        raise UsageError(
            f"--model {file}: this command takes one recurrent layer, but the model has several: "
            f"{', '.join(names)}.",
            f"Name one: --model {shlex.quote(f'{file}#{names[0]}')}",
        )
    # The engine of the flags is for this layer alone; what comes before it has its own.
    narrowed = model._replace(names=names)
    found = narrowed.run(narrowed.request(inputs))
    part = next((part for part in found.parts if part.layer == names[0]), found.parts[0])
    note = f"{file}: this is the layer {part.layer}, with the inputs and weights that it has in the model"
    return part._replace(case=returns.of(part.case)), (*model.notes_on(found), note)


def case_of_address(
    input_flags: InputFlags, layer: LayerFlags, run: RunFlags, text: str
) -> tuple[Case, tuple[str, ...], str]:
    """Return the Case of the layer in `gru/last_hidden_state[0,3]`, notes, and the prefix `gru/`.

    Without a layer in the text, --model chooses it, and the prefix is "".
    """
    require_alone(input_flags, layer, run)
    model = open_model(run.model or "", run.assume)
    name = addresses.layer_in_model(text, model.runner.layer_names(model.saved))
    chosen, remarks = _choose_layer(model._replace(names=(name,)) if name else model, input_flags, layer)
    return chosen.case, remarks, f"{name}/" if name else ""
