"""A model held to its own framework: `rnncli run --model FILE --check`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from rnncli.case import Array
from rnncli.errors import EngineError

if TYPE_CHECKING:
    from rnncli.cli.models import Model
    from rnncli.commands.run.model import ModelResult


def held(
    model: Model, inputs: Mapping[str, Array], found: ModelResult, atol: float, rtol: float
) -> tuple[dict[str, float], list[str]]:
    """By tensor the largest difference from what Keras returns for the whole model, and those too far.

    Raises EngineError for a model of Keras 2, which today's Keras may read otherwise.
    """
    from rnncli.compute import compare

    if model.graph.generation < 3:
        raise EngineError(
            f"--check: {model.graph.file} was saved by {model.graph.origin}, which today's Keras may read "
            "otherwise.",
            "Leave --check out; models of Keras 2 are not checked yet.",
        )
    theirs = _tensors(model, inputs, found)
    result = found.result
    others = tuple(tensor._replace(values=theirs[tensor.name]) for tensor in result.outputs)
    keras = replace(result, outputs=others)
    return compare.differences(result, keras), compare.find_disagreements(result, keras, atol, rtol)


def _tensors(model: Model, inputs: Mapping[str, Array], found: ModelResult) -> dict[str, Array]:
    """Every shown tensor as Keras has it: of its run of the model, else of the layer asked to return more."""
    from rnncli import compute
    from rnncli.compute.models import keras_backend

    named: dict[str, Array] = {}
    returned = keras_backend.outputs(model.graph, model.path, inputs)
    for layer, arrays in returned.items():
        names = [f"output{f'_{index}' if len(arrays) > 1 else ''}" for index in range(len(arrays))]
        if layer in found.cases:
            own = found.cases[layer].model
            names = [info.name for info in own.stack.outputs(own.inputs.shape)]
        named |= {f"{layer}/{name}": array for name, array in zip(names, arrays, strict=True)}
    for layer, (_, shown) in found.cases.items():
        names = [f"{layer}/{info.name}" for info in shown.stack.outputs(shown.inputs.shape)]
        if any(name not in named for name in names):
            more = compute.run(shown, "tensorflow").outputs
            named = {f"{layer}/{tensor.name}": tensor.values for tensor in more} | named
    return named
