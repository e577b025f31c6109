"""Each sequence alone, and in its batch: without its masked steps, and with its padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rnncli.ask import Ask, subject_of
from rnncli.ask.alone import Batch, find_part
from rnncli.ask.returned import Alone
from rnncli.commands.compare.answer import CompareAnswer, conclude, find_largest
from rnncli.compute.compare import TensorDifference, TolerancePair, measure, require_known
from rnncli.errors import DisagreementError, Flag, Message, RnncliError, Text, UsageError, format_names, join
from rnncli.options import first_given
from rnncli.result import NamedTensor
from rnncli.show.answer import Reply

BATCH = Message("in its batch")
CUT = Message("alone, without its masked steps")
UNPADDED = Message("alone, without its padding")
KEPT = Message("alone, with its padding")
ALONE = Message("alone")
IDENTICAL = Message("each sequence returns exactly the same numbers alone and in its batch")
ROUNDING = Message("the difference between a sequence alone and in its batch is rounding")
REAL = Message("what a sequence returns depends on its batch or its padding")
LEFT = "not compared {side}: {what}"
OTHER_STEPS = "{names}, with another number of steps"
NO_AXIS = "{names} (no axis of the sequences)"
NOT_COMPUTED = "{names} (not computed)"
NOT_RETURNED = "{names} (not returned for one sequence)"
"""Why tensors are not compared."""


def compare_alone(ask: Ask, tolerances: TolerancePair, others: Mapping[str, Any]) -> Reply[CompareAnswer]:
    """Compare each sequence of the batch with the same sequence alone.

    others: options that compare something else.
    Raises UsageError if there is nothing to compare, or if the layers draw random numbers.
    """
    if flag := first_given(others, others):
        raise UsageError("{flag} does not apply to {--alone:on}.", "Leave {flag} out.", flag=Flag(flag))
    if ask.training or ask.calls > 1:
        raise UsageError(
            "{--alone} compares one call without dropout.", "Leave {--training} and {--calls} out."
        )
    batch = subject_of(ask).batch()
    whole = batch.whole
    for case in whole.cases.values():
        case.require_one_call("compare --alone")
    cut = CUT if batch.masked else UNPADDED if batch.padded else None
    if batch.size == 1 and cut is None:
        raise UsageError(
            "{--alone} needs several sequences, or masked steps, and the input is one sequence.",
            "Give a batch, such as {--input-shape 3,10,5}.",
        )
    require_known(tolerances, [tensor.name for tensors in whole.layers.values() for tensor in tensors])
    side = ALONE if cut is None else KEPT
    sides = {} if cut is None else {cut: _compare(batch, cut, tolerances, cut=True)}
    sides[side] = _compare(batch, side, tolerances, cut=False)
    first = next((name for found in sides.values() if (name := found.find_first(whole.layers))), "")
    every = [difference for found in sides.values() for difference in found.differences]
    conclusion: Text = conclude(every, IDENTICAL, ROUNDING, REAL)
    if first and len(whole.layers) > 1:
        conclusion = Message("{real}, first in {name}", real=REAL, name=first)
    left = [Message(LEFT, side=text, what=what) for text, found in sides.items() for what in found.left]
    undecided: Text = ""
    if sides[side].left and not first:
        what = join(sides[side].left, "; ")
        text = "whether a sequence returns the same numbers alone is not known; not compared {side}: {what}"
        conclusion = undecided = Message(text, side=side, what=what)
        left = left[: -len(sides[side].left)]
    answer = CompareAnswer(
        whole.header,
        tuple(find_largest(found.differences) for found in sides.values() if found.differences),
        tolerances,
        conclusion=conclusion,
        undecided=undecided,
    )
    if batch.compared < batch.size:
        text = "{name} is called with each of the first {count} of {size} sequences"
        left.append(Message(text, name=whole.name, count=batch.compared, size=batch.size))
    failure = DisagreementError(undecided) if undecided else None
    return Reply(answer, (*whole.remarks, *batch.remarks(), *left), failure)


class _Side(NamedTuple):
    """How far each tensor of the batch is from what its sequences return alone.

    left: what was not compared, and why.
    """

    differences: Sequence[TensorDifference]
    left: Sequence[Text]

    def find_first(self, layers: Mapping[str, Sequence[NamedTensor]]) -> str:
        """Return the first of the layers, or of the model's outputs, that differs; "" if none does."""
        differing = {difference.name for difference in self.differences if not difference.agrees}
        names = (name for name, tensors in layers.items() if {tensor.name for tensor in tensors} & differing)
        return next(names, "")


def _compare(batch: Batch, side: Text, tolerances: TolerancePair, *, cut: bool) -> _Side:
    tensors = [tensor for layer in batch.whole.layers.values() for tensor in layer]
    joined: dict[str, NamedTensor] = {}
    left: dict[str, dict[str, None]] = {}
    for index in range(batch.compared):
        try:
            alone = batch.call(index, cut)
        except RnncliError as error:  # a model that takes only one number of sequences, or of steps
            return _Side((), (Message("{error}", error=error),))
        for tensor in tensors:
            known = joined.get(tensor.name) or tensor._replace(values=tensor.values.copy())
            put = _put(known, tensor, alone, batch, index)
            if isinstance(put, str):
                left.setdefault(put, {})[tensor.name] = None
            else:
                joined[tensor.name] = put
    skipped = {name for names in left.values() for name in names}
    differences = [
        measure(
            tensor._replace(has_guessed_axes=joined[tensor.name].has_guessed_axes),
            joined[tensor.name].values,
            (BATCH, side),
            *tolerances,
        )
        for tensor in tensors
        if tensor.name not in skipped
    ]
    if batch.whole.missing:
        left[NOT_COMPUTED] = dict.fromkeys(batch.whole.missing)
    return _Side(differences, [Message(why, names=format_names([*names])) for why, names in left.items()])


def _put(
    known: NamedTensor, tensor: NamedTensor, alone: Alone, batch: Batch, index: int
) -> NamedTensor | str:
    """Put what a sequence returned into its rows of a copy of the tensor of the batch, and return this.

    A template of the reason if it cannot be compared.
    """
    values = alone.tensors.get(tensor.name)
    if values is None:
        return NOT_RETURNED
    row = alone.rows.get(str(tensor.label.layer), index)
    part = find_part(tensor, values.shape, batch.size, row, batch.real(index))
    if part is None:
        return OTHER_STEPS
    if part.axis is None and not np.allclose(tensor.values, values, equal_nan=True):
        return NO_AXIS

    def distance(place: Any) -> float:  # infinity if a number is NaN
        apart = np.abs(tensor.values[place].astype(float) - values)
        return float(np.nan_to_num(apart, nan=np.inf).max(initial=0.0))

    places = [np.ix_(*indices) if indices else () for indices in part.indices]
    place = min(places, key=distance) if places[1:] else places[0]
    known.values[place] = values
    if tensor.axes[part.axis or 0 : 1 + (part.axis or 0)] != ("batch",):
        known = known._replace(has_guessed_axes=True)  # what is called time may be the sequences
    return known
