"""A recurrent node of an ONNX graph in a run: its Case, whose result has to agree with ONNX Runtime's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.case import Array, Case
from rnncli.compute.compare import largest_difference
from rnncli.errors import EngineError, LayerError
from rnncli.layers import fit
from rnncli.layers.stack import Stack
from rnncli.models.inputs import empty_input
from rnncli.models.onnx import nodes as onnx_nodes
from rnncli.result import Result

if TYPE_CHECKING:
    from rnncli.models import Compute

TOLERANCE = 1e-5
"""Tolerance between two float32 computations, absolute and relative."""
ROUNDING_FACTOR = 16
"""Rounding grows with the steps; this multiple of the rounding error of rnncli's computation is allowed."""


class NodeCall(NamedTuple):
    """A node in a run.

    inputs: X (timesteps, batch, features), W, R, B, sequence_lens, initial_h, initial_c, P; None for those
        that it does not take.
    outputs: Y (timesteps, directions, batch, units), Y_h and, of an LSTM, Y_c (directions, batch, units).
    """

    node: Any
    inputs: tuple[Array | None, ...]
    outputs: tuple[Array, ...]


def build_node_case(given: NodeCall) -> Case:
    """Return the Case that computes what the node returns.  Raises LayerError or InputError if none does."""
    import numpy as np

    sequence, kernel, recurrent, bias = (array for array in given.inputs[:4])
    if sequence is None or kernel is None or recurrent is None or 0 in sequence.shape:
        raise empty_input(given.node.name)
    lengths = given.inputs[4]
    steps = len(sequence)
    masked = lengths is not None and bool((lengths < steps).any())
    loop = onnx_nodes.recurrence_of(given.node, recurrent.shape[-1])
    try:
        spec = onnx_nodes.layer_of(loop, masked=masked)
        weights = onnx_nodes.weights_of(loop, kernel, recurrent, bias)
    except LayerError as error:
        raise LayerError(
            "{name}: {sentence}.", error.advice, name=given.node.name, sentence=error.sentence
        ) from None
    case = Case(
        (spec,),
        inputs=np.ascontiguousarray(sequence.swapaxes(0, 1), np.float32),
        mask=np.arange(steps) < lengths[:, None] if masked and lengths is not None else None,
        initial_state=_states(given),
        weights=weights,
        seed=None,
    )
    return fit.fit_case(case)


def _states(given: NodeCall) -> tuple[Array, ...] | None:
    """Return the initial states in Keras's order; zeros if there are no steps, as in ONNX Runtime."""
    import numpy as np

    lengths, *states = given.inputs[4 : 7 if given.node.op_type == "LSTM" else 6]
    if all(state is None for state in states):
        return None
    like = given.outputs[1]
    full = [np.zeros_like(like) if state is None else state for state in states]
    if lengths is not None:
        full = [np.where((lengths > 0)[None, :, None], state, 0) for state in full]
    return tuple(state[place].astype(np.float32) for place in range(len(like)) for state in full)


def list_returns(given: NodeCall) -> dict[str, Array]:
    """Return everything that the node can return, by each name under which it may be shown."""
    import numpy as np

    sequence, *states = given.outputs
    found = {
        "hidden_states": np.concatenate(list(sequence.transpose(1, 2, 0, 3)), axis=-1),
        "hidden_state": np.concatenate(list(states[0]), axis=-1),
    }
    directions = ("",) if len(states[0]) == 1 else ("forward_", "backward_")
    for place, direction in enumerate(directions):
        for part, state in zip(("hidden", "cell"), states, strict=False):
            found[f"{direction}last_{part}_state"] = state[place]
    return found


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
    states = case.initial_state
    return case._replace(
        specs=tuple(spec.with_option("dtype", "float64") for spec in case.specs),
        inputs=case.inputs.astype("float64"),
        initial_state=states and tuple(state.astype("float64") for state in states),
        weights={name: array.astype("float64") for name, array in (case.weights or {}).items()},
    )
