"""The tensors of a saved model's layers as one result, for `run --model` and `compare --model`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rnncli.addresses import label_in_model
from rnncli.case import Array, Spec
from rnncli.errors import Text
from rnncli.models import CasePair, ModelRun
from rnncli.result import NamedTensor, Result

if TYPE_CHECKING:
    from rnncli.cli.models import ModelCall


class ModelTensors(NamedTuple):
    """What a model returned.

    result: every tensor by `gru/hidden_state`.  by_layer: the results of the recurrent layers.
    masks: the layers that create masks.  notes: on the inputs, the file and the run.
    """

    result: Result
    by_layer: Mapping[str, Result]
    cases: Mapping[str, CasePair]
    masks: tuple[str, ...]
    notes: tuple[Text, ...]

    @property
    def specs(self) -> dict[str, Spec]:
        """The recurrent layers, by name."""
        return {layer: result.specs[-1] for layer, result in self.by_layer.items()}


def compute_tensors(call: ModelCall, engine: str, *, everything: bool) -> ModelTensors:
    """Compute what every chosen recurrent layer returns.  everything: include all other layers."""
    request = call.model.request(call.inputs, engine, everything=everything)
    run = call.model.run(request)
    cases = {part.layer: CasePair(part.case, call.returns.of(part.case)) for part in run.parts}
    results = {
        part.layer: part.result
        if part.result and cases[part.layer].display is part.case
        else request.compute(cases[part.layer].display)
        for part in run.parts
    }
    notes = (*call.remarks, *call.model.notes_on(run))
    return ModelTensors(_combine(call.inputs, results, run), results, cases, run.masks, notes)


def _combine(inputs: Mapping[str, Array], results: Mapping[str, Result], run: ModelRun) -> Result:
    """Return the tensors of all layers as one result."""
    tensors = [
        tensor._replace(
            label=tensor.label._replace(layer=layer),
            equals=tuple(claim.with_place(layer=layer) for claim in tensor.equals),
        )
        for layer, result in results.items()
        for tensor in result.outputs
    ]
    first = next(iter(inputs.values()))
    return Result(
        engines=tuple(dict.fromkeys(name for result in results.values() for name in result.engines)),
        seed=None,
        specs=tuple(spec for result in results.values() for spec in result.specs),
        input_shape=first.shape,
        input_dtype=str(first.dtype),
        outputs=_order_tensors(tensors, run),
    )


def _order_tensors(tensors: Sequence[NamedTensor], run: ModelRun) -> tuple[NamedTensor, ...]:
    """Return the tensors of all layers, in the order of the model."""
    others = (
        NamedTensor(label_in_model(name), _axes(array), array) for name, array in run.other_outputs.items()
    )
    places: dict[object, int] = {name: index for index, name in enumerate(run.order)}
    return tuple(sorted((*tensors, *others), key=lambda tensor: places[tensor.label.layer]))


def _axes(array: Array) -> tuple[str, ...]:
    """Return the names of the axes of a layer's output, which depend on their number."""
    if array.ndim <= 3:
        return ("batch", "timesteps", "units")[: array.ndim] if array.ndim != 2 else ("batch", "units")
    return ("batch", *(f"axis_{index}" for index in range(1, array.ndim - 1)), "units")
