"""One recurrent node of an ONNX graph, as a Case, and its outputs under rnncli's names."""

from __future__ import annotations

from typing import Any, NamedTuple

from rnncli.case import Array, Case
from rnncli.errors import LayerError
from rnncli.layers import fit
from rnncli.models._inputs import empty_input
from rnncli.models.onnx import _recurrence
from rnncli.models.onnx._onnx_nodes import recurrence_of


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
    loop = recurrence_of(given.node, recurrent.shape[-1])
    try:
        spec = _recurrence.layer_of(loop, masked=masked)
        weights = _recurrence.weights_of(loop, kernel, recurrent, bias)
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
