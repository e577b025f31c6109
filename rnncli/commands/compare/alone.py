"""Each sequence alone, and in its batch: without its masked steps, and with its padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rnncli.ask import Ask, subject_of
from rnncli.ask.returned import Returned
from rnncli.ask.subject import Subject
from rnncli.case import Array
from rnncli.commands.compare.answer import CompareAnswer, conclude, find_largest
from rnncli.compute.compare import TensorDifference, TolerancePair, measure, require_known
from rnncli.errors import Flag, InputError, Message, Text, UsageError, format_names
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
    subject = subject_of(ask)
    whole = subject.returned()
    if not whole.cases:
        raise UsageError(
            "{--alone} compares recurrent layers, and {name} has none here.",
            "Name one after the #, or leave {--alone} out.",
            name=whole.name,
        )
    for case in whole.cases.values():
        case.require_one_call("compare --alone")
    cut = CUT if whole.masked else UNPADDED if whole.real else None
    if whole.batch == 1 and cut is None:
        raise UsageError(
            "{--alone} needs several sequences, or masked steps, and the input is one sequence.",
            "Give a batch, such as {--input-shape 3,10,5}.",
        )
    names = [tensor.name for tensors in whole.layers.values() for tensor in tensors]
    require_known(tolerances, names)
    differences: list[TensorDifference] = []
    remarks: list[Text] = [*whole.remarks, *subject.note_alone(whole)]
    if cut is not None:
        try:
            difference, skipped = _compare(subject, whole, cut, tolerances, cut=True)
            differences.append(difference)
            if skipped:
                text = "not compared {cut}: {names}, with another number of steps"
                remarks.append(Message(text, cut=cut, names=format_names(skipped)))
        except InputError as error:  # a model that takes only one number of steps
            remarks.append(Message("not compared {cut}: {error}", cut=cut, error=error))
    kept = ALONE if cut is None else KEPT
    differences.append(_compare(subject, whole, kept, tolerances, cut=False)[0])
    conclusion = conclude(differences, IDENTICAL, ROUNDING, REAL)
    answer = CompareAnswer(whole.header, tuple(differences), tolerances, conclusion=conclusion)
    return Reply(answer, tuple(remarks))


def _compare(
    subject: Subject, whole: Returned, side: Text, tolerances: TolerancePair, *, cut: bool
) -> tuple[TensorDifference, list[str]]:
    """Return the largest difference between the batch and its sequences alone, and tensors without partner.

    cut: leave out the masked steps or the padding, which count as equal.
    """
    known = {tensor.name: tensor for tensors in whole.layers.values() for tensor in tensors}
    joined: dict[str, Array] = {}
    skipped: dict[str, None] = {}
    masks = [whole.mask] if whole.masked else [*whole.real.values()]
    for index in range(whole.batch):
        alone = subject.alone(whole.of_sequence(index, cut=cut))
        for tensor in (tensor for tensors in alone.layers.values() for tensor in tensors):
            rows = _real_rows(known[tensor.name], masks, index, tensor.values.shape)
            if rows is None:
                skipped[tensor.name] = None
            else:
                array = joined.setdefault(tensor.name, known[tensor.name].values.copy())
                array[index, rows] = tensor.values[0]
    pairs = [(known[name], array) for name, array in joined.items() if name not in skipped]
    return find_largest([measure(tensor, array, (BATCH, side), *tolerances) for tensor, array in pairs]), [
        *skipped
    ]


def _real_rows(tensor: NamedTensor, masks: Sequence[Array | None], index: int, shape: tuple[int, ...]) -> Any:
    """Return the rows of a sequence in its batch that a tensor of this shape has; all if it has as many.

    masks: of several inputs with padding.  Where two have the numbers of steps of the tensor, they are equal,
        as all padding is on one side.
    None if they are not known: the model changes the number of steps.
    """
    if tensor.values.shape[1:] == shape[1:]:
        return ...
    if tensor.masked is not None and tensor.masked.any():
        real = np.flatnonzero(~tensor.masked[index])
        return real if len(real) == shape[1] else None
    for mask in masks:
        if mask is not None and (mask.shape[1], mask[index].sum()) == (tensor.values.shape[1], shape[1]):
            return np.flatnonzero(mask[index][list(tensor.time)] if len(tensor.time) else mask[index])
    return None
