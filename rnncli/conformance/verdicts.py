"""Is what an implementation answered to a case right?"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np

from rnncli.conformance.oracle import TOLERANCES, KitCase, compute, readings
from rnncli.errors import EMPTY, Message, Text, join, shorten
from rnncli.values import Array

LONGEST_NAME = 60
"""Characters of the name of an unknown array."""
OVERFLOWING = 1e30
"""Beyond it, a number may be too large for float32 in a step before."""


class Failure(NamedTuple):
    """Why an implementation has no outputs.  verdict: refused, crashed or timed out."""

    verdict: str
    reason: Text = EMPTY


class Judgement(NamedTuple):
    """The verdict on a case: right, wrong, refused, crashed, timed out or unclear.

    Unclear are numbers that agree with another reading which the operator's text allows.
    reason: in one sentence, why the case is not right.
    outputs: what was answered, by the names of the case; empty if there was nothing to judge.
    first: of a wrong case of a cell, the `tensor`, `step` and `index` of the first wrong number.
    """

    case: KitCase
    verdict: str
    reason: Text
    outputs: Mapping[str, Array]
    first: Mapping[str, Any] | None = None


@singledispatch
def settle(case: KitCase, outputs: Mapping[str, Array]) -> Mapping[str, Array]:
    """Return the outputs with fixed numbers where a case leaves them open."""
    return outputs


def judge(case: KitCase, answer: Mapping[str, Array] | Failure) -> Judgement:
    """Return the verdict on an answer: arrays by name, or why there are none."""
    expected = compute(case)
    if isinstance(answer, Failure):
        outputs: dict[str, Array] | Failure = answer
    else:  # an input that is written beside the outputs is none of them
        outputs = match_outputs(expected, {name: answer[name] for name in answer if name not in case.inputs})
    if isinstance(outputs, Failure):
        return Judgement(case, outputs.verdict, outputs.reason, {})
    outputs = dict(settle(case, outputs))
    types = {name: array.dtype.name for name, array in outputs.items() if array.dtype != case.dtype}
    if types:
        name, dtype = next(iter(types.items()))
        reason = Message("{name} is {dtype}, not {wanted}.", name=name, dtype=dtype, wanted=case.dtype)
        return Judgement(case, "wrong", reason, outputs)
    texts = readings(case)
    for text, reading in texts.items():
        if is_close(outputs, reading, case.dtype):
            allowed = join(texts, "; ")
            reason = Message(
                "Computed as: {text}. The operator's text allows: {allowed}.", text=text, allowed=allowed
            )
            return Judgement(case, "unclear", reason, outputs)
    if is_close(outputs, expected, case.dtype):
        return Judgement(case, "right", EMPTY, outputs)
    reason, first = (
        _describe_difference(outputs, expected, case.dtype),
        _find_first(outputs, expected, case.dtype),
    )
    return Judgement(case, "wrong", reason, outputs, first)


def match_outputs(expected: Mapping[str, Array], answer: Mapping[str, Array]) -> dict[str, Array] | Failure:
    """Return the arrays of an answer by the names of the case.

    An array is taken by its name; `arr_0, arr_1, ...`, NumPy's names of arrays without names, by the order
    of the graph; another name by its shape, if one array and one output of this shape are left.  An array of
    another shape may be anything, such as an echo of the input: what it stands for is not guessed.
    """
    if set(answer) == {f"arr_{index}" for index in range(len(expected))}:
        answer = {name: answer[f"arr_{index}"] for index, name in enumerate(expected)}
    numbers = {name: array for name, array in answer.items() if array.dtype.kind in "biuf"}
    matched = {name: numbers[name] for name in expected if name in numbers}
    rest = {name: array for name, array in numbers.items() if name not in matched}
    wanted = [name for name in expected if name not in matched]
    for name in wanted:
        shape = expected[name].shape
        fitting = [array for array in rest.values() if array.shape == shape]
        if len(fitting) != 1 or sum(expected[other].shape == shape for other in wanted) != 1:
            got = ", ".join(f"{shorten(key, LONGEST_NAME)} {array.shape}" for key, array in rest.items())
            if not got:
                return Failure("refused", Message("The answer has no {name}.", name=name))
            text = "The answer has no {name} of shape {shape}; it has {got}."
            return Failure("refused", Message(text, name=name, shape=shape, got=got))
        matched[name] = fitting[0]
    return {name: matched[name] for name in expected}


def is_close(
    outputs: Mapping[str, Array],
    expected: Mapping[str, Array],
    dtype: str,
    slack: Mapping[str, Array] | None = None,
    *,
    may_overflow: bool = False,
) -> bool:
    """Return whether all outputs have the shapes and, within the tolerance of a type, the numbers.

    slack: what is added to the tolerance of each number.
    may_overflow: NaN and Inf agree with a number that is too large for float32 in a step before.
    """
    for name, array in expected.items():
        if (output := outputs[name]).shape != array.shape:
            return False
        near = _excess(output, array, dtype, slack[name] if slack else 0) <= 1
        if may_overflow:
            near |= ~np.isfinite(output) & ~(np.abs(array.astype(np.float64)) < OVERFLOWING)
        if not near.all():
            return False
    return True


def _excess(output: Array, expected: Array, dtype: str, slack: Any = 0) -> Array:
    """Return how far each number is off, in tolerances of its type; NaN or Inf where one is not finite."""
    ours, right = output.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):  # Inf - Inf
        excess = np.abs(ours - right) / (TOLERANCES[dtype] * (1 + np.abs(right)) + slack)
    return np.asarray(np.where((ours == right) | (np.isnan(ours) & np.isnan(right)), 0, excess))


def _describe_difference(outputs: Mapping[str, Array], expected: Mapping[str, Array], dtype: str) -> Message:
    for name, array in expected.items():
        if outputs[name].shape != array.shape:
            text = "{name} has shape {shape}, not {wanted}."
            return Message(text, name=name, shape=outputs[name].shape, wanted=array.shape)
    excess = {
        name: np.nan_to_num(_excess(outputs[name], array, dtype), nan=np.inf)
        for name, array in expected.items()
    }
    name = max((name for name in excess if excess[name].size), key=lambda name: float(excess[name].max()))
    index = np.unravel_index(np.argmax(excess[name]), excess[name].shape)
    return Message(
        "{name}[{index}] is {number:.6g}, not {wanted:.6g}.",
        name=name,
        index=", ".join(map(str, index)),
        number=float(outputs[name][index]),
        wanted=float(expected[name][index]),
    )


def _find_first(
    outputs: Mapping[str, Array], expected: Mapping[str, Array], dtype: str
) -> dict[str, Any] | None:
    """Return the tensor, the time step and the index of the first wrong number of a cell's outputs.

    None where the outputs have other shapes, or are those of a node of ONNX.
    """
    if "outputs" not in expected or any(outputs[name].shape != expected[name].shape for name in expected):
        return None
    for name, array in expected.items():
        wrong = np.argwhere(~(_excess(outputs[name], array, dtype) <= 1))
        if len(wrong):
            timed = name == "outputs"
            index = wrong[np.argmin(wrong[:, 1])] if timed else wrong[0]
            step = int(index[1]) if timed else None
            return {"tensor": name.removeprefix("last_"), "step": step, "index": index.tolist()}
    return None
