"""A recurrent node of an ONNX model in a run: the Case that computes it, and what ONNX Runtime returned.

A node in float16 is computed in float32, as ONNX Runtime does.  ONNX Runtime computes a node in float64 in
float32, too, and the numbers are compared there; rnncli computes it in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.compute.compare import measure
from rnncli.errors import EngineError, LayerError
from rnncli.layers.case import Case
from rnncli.layers.shape_checks import check_case, to_dtype
from rnncli.layers.stack import Stack
from rnncli.models.inputs import empty_input
from rnncli.models.onnx import nodes as onnx_nodes
from rnncli.result import Result
from rnncli.values import Array

if TYPE_CHECKING:
    from rnncli.models import Compute

TOLERANCE = 1e-5
"""Tolerance between two float32 computations, absolute and relative."""
LENGTHS = 4
"""The index of the input sequence_lens."""
ROUNDING_FACTOR = 16
"""Rounding grows with the steps; this multiple of the rounding error of rnncli's computation is allowed."""


class NodeCall(NamedTuple):
    """A node in a run.

    inputs: X (timesteps, batch, features), W, R, B, sequence_lens, initial_h, initial_c, P; None for an
        input that the node does not take.
    outputs: Y (timesteps, directions, batch, units), Y_h and, of an LSTM, Y_c (directions, batch, units),
        in float32.
    """

    node: Any
    inputs: tuple[Array | None, ...]
    outputs: tuple[Array, ...]

    @property
    def dtype(self) -> str:
        """The type in which the file computes the node: float16, float32 or float64."""
        return str(self.inputs[0].dtype) if self.inputs[0] is not None else "float32"


def build_node_case(given: NodeCall) -> Case:
    """Return the Case that computes the outputs of the node.  Raises LayerError or InputError."""
    import numpy as np

    dtype = "float64" if given.dtype == "float64" else "float32"
    floats = [
        array if array is None else array.astype(dtype, copy=False)
        for index, array in enumerate(given.inputs)
        if index != LENGTHS
    ]
    sequence, kernel, recurrent, bias = floats[:4]
    if sequence is None or kernel is None or recurrent is None or not len(sequence):
        raise empty_input(given.node.name)
    lengths = given.inputs[LENGTHS]
    steps = len(sequence)
    masked = lengths is not None and bool((lengths < steps).any())
    loop = onnx_nodes.recurrence_of(given.node, recurrent.shape[-1])
    try:
        spec = onnx_nodes.layer_of(loop, masked=masked)
        weights = onnx_nodes.weights_of(loop, kernel, recurrent, bias, floats[-1])
    except LayerError as error:
        raise LayerError(
            "{name}: {sentence}.", error.advice, name=given.node.name, sentence=error.sentence
        ) from None
    case = Case(
        Stack((spec.with_option("dtype", dtype),)),
        inputs=np.ascontiguousarray(sequence.swapaxes(0, 1)),
        mask=np.arange(steps) < lengths[:, None] if masked and lengths is not None else None,
        initial_state=_states(given),
        weights=weights,
        seed=None,
    )
    return check_case(case)


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
    return tuple(state[direction] for direction in range(len(like)) for state in full)


def list_returns(given: NodeCall) -> dict[str, Array]:
    """Return everything that the node can return, by each name under which it may be shown."""
    import numpy as np

    sequence, *states = given.outputs
    returned = {
        "hidden_states": np.concatenate(list(sequence.transpose(1, 2, 0, 3)), axis=-1),
        "hidden_state": np.concatenate(list(states[0]), axis=-1),
    }
    directions = ("",) if len(states[0]) == 1 else ("forward_", "backward_")
    for index, direction in enumerate(directions):
        for part, state in zip(("hidden", "cell"), states, strict=False):
            returned[f"{direction}last_{part}_state"] = state[index]
    return returned


def empty_outputs(sequence: Array, recurrent: Array, count: int) -> tuple[Array, ...]:
    """Return the outputs of a node that gets no sequences, for its X and R; count: how many it has."""
    import numpy as np

    directions, _, units = recurrent.shape
    state = np.zeros((directions, 0, units), np.float32)
    return (np.zeros((len(sequence), *state.shape), np.float32), *[state] * (count - 1))


def returned_tensors(given: NodeCall) -> tuple[Array, ...]:
    """Return Y, Y_h and, of an LSTM, Y_c as rnncli computes them, in the type of the node's input."""
    import numpy as np

    from rnncli import compute

    case = build_node_case(given)
    case = case._replace(stack=case.stack.with_everything())
    arrays = {tensor.name: tensor.values for tensor in compute.run(case, "numpy").outputs}
    directions = ("",) if len(given.outputs[1]) == 1 else ("forward_", "backward_")
    halves = np.split(arrays["hidden_states"], len(directions), axis=-1)
    sequence = np.stack(halves).transpose(2, 0, 1, 3)
    states = (
        np.stack([arrays[f"{direction}last_{part}_state"] for direction in directions])
        for part in ("hidden", "cell")[: len(given.outputs) - 1]
    )
    return tuple(array.astype(given.dtype) for array in (sequence, *states))


def compute_and_compare(given: NodeCall, case: Case, compute: Compute) -> Result | None:
    """Return the result of the Case; None if it is not what was compared.

    All tensors that the node can return are compared in float32, also those that the model does not use.
    Raises EngineError if the numbers differ by more than rounding explains.
    """
    if case.inputs.dtype == "float64":
        compute_and_compare(given, to_dtype(case, "float32"), compute)
        return None
    full = case._replace(stack=case.stack.with_everything())
    result = compute(full)
    theirs = list_returns(given)
    ours = {tensor.name: tensor.values for tensor in result.outputs}
    if not _agrees(ours, theirs, {}):
        allowed = _estimate_rounding(full, ours)
        if not _agrees(ours, theirs, allowed):
            gaps = (measure(tensor, theirs[tensor.name], ("", ""), 0, 0) for tensor in result.outputs)
            largest = max(gap.absolute for gap in gaps)
            what = "{name}: rnncli's result differs from ONNX Runtime's by up to {largest:.2g}."
            advice = "Check the node's inputs for NaN, infinity or numbers above 1e18; the two differ there."
            raise EngineError(what, advice, name=given.node.name, largest=largest)
    return result if full.stack == case.stack else None


def _agrees(ours: Mapping[str, Array], theirs: Mapping[str, Array], allowed: Mapping[str, Array]) -> bool:
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
    """A sequence has the largest error of all its steps: two programs round differently at each step."""
    import numpy as np

    from rnncli import compute

    exact = {tensor.name: tensor.values for tensor in compute.run(to_dtype(case, "float64"), "numpy").outputs}
    errors = {}
    for name, array in ours.items():
        with np.errstate(all="ignore"):
            apart = np.nan_to_num(np.abs(array - exact[name]), nan=0.0, posinf=0.0)
        axes = tuple(range(1, apart.ndim))
        errors[name] = ROUNDING_FACTOR * apart.max(axis=axes, keepdims=True)
    return errors
