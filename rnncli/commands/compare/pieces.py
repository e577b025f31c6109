"""One long call against consecutive calls, where every layer continues from its last state."""

from __future__ import annotations

from collections.abc import Sequence

from rnncli import compute
from rnncli.errors import Message, Text, UsageError, count
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.result import NamedTensor, Result
from rnncli.values import Array


def run_whole(case: Case, steps: int, engine: str) -> Result:
    """Return the result of one call.  Raises UsageError if pieces of `steps` cannot carry the states."""
    _require_splittable(case, steps)
    return compute.run(case._replace(stack=_with_stateful(case.stack, stateful=False)), engine)


def run_pieces(case: Case, steps: int, whole: Result, *, stateful: bool) -> dict[str, Array]:
    """Return the tensors that pieces of `steps` time steps give.

    A sequence is joined along time, in the order of a single call; the last state comes from the last piece.
    stateful: whether each piece continues from the previous piece's last state; otherwise from zeros.
    """
    kept = case._replace(stack=_with_stateful(case.stack, stateful=stateful))
    bounds = range(0, case.inputs.shape[1], steps)
    # The layers are built once, so that they keep their states; an initial state would replace what is kept.
    prepared = compute.prepare(_piece(kept, bounds, 0), whole.engines[0])
    continued = kept._replace(initial_state=None)
    pieces = [prepared(_piece(continued if index else kept, bounds, index)) for index in range(len(bounds))]
    return {
        tensor.name: _join(
            [(start, piece.outputs[index]) for start, piece in zip(bounds, pieces, strict=True)], tensor
        )
        for index, tensor in enumerate(whole.outputs)
    }


def explain_difference(case: Case) -> tuple[Text, ...]:
    """Return the reasons, found in the layers and the mask, why pieces differ from one call."""
    reasons = []
    if any(spec.class_name == "Bidirectional" for spec in case.stack):
        reasons.append(Message("the backward layer starts each piece without the later time steps"))
    if any(spec.config.get("go_backwards") for spec in case.stack):
        reasons.append(Message("with go_backwards each piece starts without the later time steps"))
    if case.mask is not None or any(layer.makes_mask for layer in case.stack.layers):
        text = "a masked step at the start of a piece has no earlier output to repeat, and returns zeros"
        reasons.append(Message(text))
    return tuple(reasons)


def _piece(case: Case, bounds: range, index: int) -> Case:
    part = slice(bounds[index], bounds[index] + bounds.step)
    mask = None if case.mask is None else case.mask[:, part]
    return case._replace(inputs=case.inputs[:, part], mask=mask)


def _join(pieces: Sequence[tuple[int, NamedTensor]], whole: NamedTensor) -> Array:
    import numpy as np

    if "timesteps" not in whole.axes:
        return pieces[-1][1].values
    axis = whole.axes.index("timesteps")
    rows = {
        start + (tensor.time[row] if tensor.time else row): np.take(tensor.values, row, axis)
        for start, tensor in pieces
        for row in range(tensor.values.shape[axis])
    }
    times = whole.time or range(whole.values.shape[axis])
    return np.stack([rows[time] for time in times], axis)


def _require_splittable(case: Case, steps: int) -> None:
    length, *features = case.inputs.shape[1:]
    if steps >= length:
        longer = ",".join(map(str, (1, 2 * steps, *features)))
        raise UsageError(
            "{--split:steps} leaves one piece: the input has only {length}.",
            "Give a longer input: {--input-shape:longer}."
            if length == 1
            else "Use a smaller N, or give a longer input: {--input-shape:longer}.",
            longer=longer,
            steps=steps,
            length=count(length, "time step"),
        )
    if case.calls > 1:
        raise UsageError("{--split} makes the calls itself.", "Leave {--calls} out.")
    if case.training:
        raise UsageError("{--split} compares calls without dropout.", "Leave {--training} out.")
    if not any(layer.recurrent for layer in case.stack.layers):
        raise UsageError(
            "{--split} needs a recurrent layer, whose state can be kept.", "Add one: {--layer lstm}."
        )


def _with_stateful(stack: Stack, *, stateful: bool) -> Stack:
    return Stack(
        spec if spec.class_name == "TimeDistributed" else spec.with_option("stateful", stateful)
        for spec in stack
    )
