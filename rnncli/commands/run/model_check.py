"""A model compared with its own framework: `rnncli run --model FILE --check`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from rnncli.case import Array

if TYPE_CHECKING:
    from rnncli.cli.models import Model
    from rnncli.commands.run.model import ModelResult
    from rnncli.compute.compare import Tolerance


def compare_with_framework(
    model: Model, inputs: Mapping[str, Array], found: ModelResult, atol: Tolerance, rtol: Tolerance
) -> tuple[dict[str, float], list[str]]:
    """The largest difference of every tensor from what the model's framework returns, and those beyond.

    Raises EngineError where the framework is not installed or cannot run the model.
    """
    from rnncli.compute import compare

    theirs = model.kind.outputs(model.saved, model.path, inputs, found.cases)
    result = found.result
    others = tuple(tensor._replace(values=theirs[tensor.name]) for tensor in result.outputs)
    reference = replace(result, outputs=others)
    return compare.differences(result, reference), compare.find_disagreements(result, reference, atol, rtol)
