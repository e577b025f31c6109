"""The Cases of the recurrent layers that `--model FILE[#names]` chooses, with the inputs of the model."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli import addresses
from rnncli.case import Array, Case
from rnncli.cli import model_inputs
from rnncli.cli.model_files import Model, open_model
from rnncli.errors import Flag, Message, UsageError
from rnncli.layers.stack import Stack
from rnncli.options import flag_name
from rnncli.result import Result

if TYPE_CHECKING:
    from rnncli.ask import Ask
    from rnncli.cli.case_request import Remarks
    from rnncli.compute.compare import Tolerance
    from rnncli.models import CasePair, LayerUse


class ReturnFlags(NamedTuple):
    """The options return_sequences and return_state for every recurrent layer; None keeps the model's own."""

    sequences: bool | None = None
    state: bool | None = None

    @classmethod
    def asked(cls, ask: Ask) -> ReturnFlags:
        """Return those that are asked for."""
        return cls(ask.options.get("return_sequences"), ask.options.get("return_state"))

    def of(self, case: Case) -> Case:
        """Return the case with these flags in its last layer."""
        wanted = {"return_sequences": self.sequences, "return_state": self.state}
        given = {name: value for name, value in wanted.items() if value is not None}
        last = case.specs[-1]
        if not given or last.class_name == "TimeDistributed":
            return case
        return case._replace(specs=Stack(case.specs).with_returns(**given))


WITH_MODEL = frozenset((
    "model", "assume", "engine", "calls", "return_sequences", "return_state", "input", "input_format",
    "input_axes", "delimiter", "decimal", "batch_column", "pad", "pad_value",
))  # fmt: skip
"""The options that apply to a saved model."""


def require_alone(ask: Ask) -> None:
    """Raise UsageError for a flag that describes a layer: the model has its own layers."""
    from rnncli.ask import INPUT_OPTIONS, RUN_OPTIONS

    given = ask.given("layer", *RUN_OPTIONS, *INPUT_OPTIONS)
    refuse_layer_options({"layer": ask.layer, **ask.options, **given})


def refuse_layer_options(given: Mapping[str, Any]) -> None:
    """Raise UsageError for an option that describes a layer.

    given: options of the layer, the run and the input by name; None for those that are not given.
    """
    named = [name for name, value in given.items() if value is not None and name not in WITH_MODEL]
    if (given.get("calls") or 1) > 1:
        named.append("calls")
    if named:
        flag = flag_name(named[0])
        if named[0] in {"input_shape", "fill"}:
            raise UsageError(
                "{flag} cannot be combined with {--model}: it generates the input of a {--layer}.",
                "{give}",
                flag=Flag(flag),
                give=model_inputs.GIVE,
            )
        raise UsageError(
            "{flag} cannot be combined with {--model}: a saved model has its own layers, weights and masks.",
            "Leave out {flag}; or leave out {--model}, and name a layer with {--layer}.",
            flag=Flag(flag),
        )


class ModelCall(NamedTuple):
    """A saved model, and what to run it with.

    inputs: by name.  returns: what its recurrent layers return.  remarks: on the inputs.
    """

    model: Model
    inputs: Mapping[str, Array]
    returns: ReturnFlags
    remarks: Remarks = ()

    def choose_layer(self) -> tuple[ModelLayer, Remarks]:
        """Return the only chosen layer, and notes.  Raises UsageError if there are several."""
        part, notes = self._run_layer()
        return ModelLayer(self, part.layer, part.case, self.returns.of(part.case)), notes

    def choose_address(self, text: str) -> tuple[ModelLayer, Remarks, str]:
        """Return the layer that `gru/last_hidden_state[0,3]` begins with, notes, and the prefix `gru/`.

        Without a layer in the text, the model has the only one, and the prefix is "".
        """
        name = addresses.layer_in_model(text, self.model.saved.layer_names())
        if not name:
            return *self.choose_layer(), ""
        return *self._replace(model=self.model._replace(names=(name,))).choose_layer(), f"{name}/"

    def choose_parts(self) -> tuple[tuple[LayerUse, ...], Remarks]:
        """Return every chosen recurrent layer, in the order of the model, and notes."""
        if len(self._choose_names()) == 1:
            part, notes = self._run_layer()
            parts: tuple[LayerUse, ...] = (part,)
        else:
            found = self.model.run(self.model.request(self.inputs))
            parts, notes = found.parts, (*self.remarks, *self.model.notes_on(found))
        return tuple(part._replace(case=self.returns.of(part.case)) for part in parts), notes

    def _run_layer(self) -> tuple[LayerUse, Remarks]:
        """Run the model up to the only chosen layer; return that, as it is in the model, and notes."""
        model, names = self.model, self._choose_names()
        file = model.saved.file
        if len(names) > 1:
            raise UsageError(
                "{--model:file}: this command takes one recurrent layer, but the model has several: {names}.",
                "Name one: {--model:value}",
                file=file,
                names=", ".join(names),
                value=shlex.quote(f"{file}#{names[0]}"),
            )
        # The engine of the flags is for this layer alone; what comes before it has its own.
        narrowed = model._replace(names=names)
        found = narrowed.run(narrowed.request(self.inputs))
        part = next((part for part in found.parts if part.layer == names[0]), found.parts[0])
        note = Message(
            "{file}: this is the layer {layer}, with the inputs and weights that it has in the model",
            file=file,
            layer=part.layer,
        )
        return part, (*self.remarks, *model.notes_on(found), note)

    def _choose_names(self) -> tuple[str, ...]:
        """Return the names of the chosen layers."""
        names = self.model.saved.choose(self.model.names)
        if len(self.model.names) == 1 and self.model.names[0] in names:
            return self.model.names  # `lstm` alone is the first use of a shared layer, not also lstm@1
        return names

    def compare_with_framework(
        self,
        cases: Mapping[str, CasePair],
        result: Result,
        atol: Tolerance,
        rtol: Tolerance,
        *,
        prefix: str = "",
    ) -> tuple[Result, list[str]]:
        """Return the result with its differences from the framework, and the tensors beyond tolerance.

        prefix: precedes the names of `result` in the model, such as `gru/`.
        Raises EngineError if the framework is not installed or cannot run the model.
        """
        from rnncli.compute import compare

        saved = self.model.saved
        theirs = saved.outputs(self.inputs, cases)
        outputs = tuple(tensor._replace(values=theirs[f"{prefix}{tensor.name}"]) for tensor in result.outputs)
        other = replace(result, outputs=outputs)
        compared = replace(
            result,
            differences=compare.differences(result, other),
            reference=saved.framework,
            assumed=saved.assumed,
        )
        return compared, compare.find_disagreements(result, other, atol, rtol)


class ModelLayer(NamedTuple):
    """The one layer that --model chooses.  original: the Case before the flags."""

    call: ModelCall
    name: str
    original: Case
    case: Case

    def compare_with_framework(
        self, result: Result, atol: Tolerance, rtol: Tolerance
    ) -> tuple[Result, list[str]]:
        """See ModelCall.  result: with every output and state of the layer."""
        from rnncli.models import CasePair

        cases = {self.name: CasePair(self.original, ReturnFlags(state=True).of(self.case))}
        return self.call.compare_with_framework(cases, result, atol, rtol, prefix=f"{self.name}/")


def read_call(ask: Ask) -> ModelCall:
    """Open the model that the flags name, and read its inputs."""
    require_alone(ask)
    model = open_model(ask.model or "", ask.assume)
    inputs, remarks = model_inputs.read_inputs(model, ask)
    return ModelCall(model, inputs, ReturnFlags.asked(ask), remarks)
