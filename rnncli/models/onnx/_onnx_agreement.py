"""Compare the results computed here with those of ONNX Runtime for the same node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rnncli.case import Array, Case
from rnncli.compute.compare import largest_difference
from rnncli.errors import EngineError
from rnncli.layers.stack import Stack
from rnncli.models.onnx._onnx_case import NodeCall, list_returns
from rnncli.result import Result

if TYPE_CHECKING:
    from rnncli.models import Compute

TOLERANCE = 1e-5
"""Tolerance between two float32 computations, absolute and relative."""
ROUNDING_FACTOR = 16
"""Rounding grows with the steps; this multiple of the rounding error of rnncli's computation is allowed."""


def compute_alike(given: NodeCall, case: Case, compute: Compute) -> Result | None:
    """Return the result of the Case; None if it returns fewer tensors than are compared.

    Compares everything that the node can return, also what the model does not use.
    Raises EngineError if the numbers differ by more than rounding explains.
    """
    full = case._replace(specs=Stack(case.specs).with_returns(return_sequences=True, return_state=True))
    result = compute(full)
    theirs = list_returns(given)
    ours = {tensor.name: tensor.values for tensor in result.outputs}
    if not _agrees(ours, theirs, {}):
        allowed = _estimate_rounding(full, ours)
        if not _agrees(ours, theirs, allowed):
            pairs = ((ours[name].astype("float64"), theirs[name].astype("float64")) for name in ours)
            largest = max(largest_difference(*pair) for pair in pairs)
            raise EngineError(
                "{name}: rnncli's result differs from ONNX Runtime's by up to {largest:.2g}.",
                "Check the node's inputs for NaN, infinity or numbers above 1e18; the two differ there.",
                name=given.node.name,
                largest=largest,
            )
    return result if full.specs == case.specs else None


def _agrees(ours: Mapping[str, Array], theirs: Mapping[str, Array], allowed: Mapping[str, Array]) -> bool:
    """Return whether all numbers are near enough.  allowed: additional tolerance by tensor."""
    import numpy as np

    for name, array in ours.items():
        other = theirs[name]
        with np.errstate(all="ignore"):
            bound = TOLERANCE * (1 + np.abs(other)) + allowed.get(name, 0)
            same = (array == other) | (np.isnan(array) & np.isnan(other)) | (np.abs(array - other) <= bound)
        if array.shape != other.shape or not same.all():
            return False
    return True


def _estimate_rounding(case: Case, ours: Mapping[str, Array]) -> dict[str, Array]:
    """Return the rounding error of float32 for each number: the difference from float64, times TIMES.

    For a sequence it is the largest of all steps, since two programs do not round alike at each step.
    """
    import numpy as np

    from rnncli import compute

    exact = {tensor.name: tensor.values for tensor in compute.run(_to_float64(case), "numpy").outputs}
    found = {}
    for name, array in ours.items():
        with np.errstate(all="ignore"):
            apart = np.nan_to_num(np.abs(array - exact[name]), nan=0.0, posinf=0.0)
        axes = tuple(range(1, apart.ndim))
        found[name] = ROUNDING_FACTOR * apart.max(axis=axes, keepdims=True)
    return found


def _to_float64(case: Case) -> Case:
    def widen(array: Any) -> Any:
        return None if array is None else array.astype("float64")

    weights: Mapping[str, Array] = case.weights or {}
    return case._replace(
        specs=tuple(spec.with_option("dtype", "float64") for spec in case.specs),
        inputs=widen(case.inputs),
        initial_state=tuple(map(widen, case.initial_state)) if case.initial_state else None,
        weights={name: widen(array) for name, array in weights.items()},
    )
