"""Remarks on what has no effect."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

from rnncli.errors import Flag, Message, Text
from rnncli.layers.case import Case
from rnncli.layers.stack import Stack
from rnncli.options import flag_name


def note_missing(case: Case, stack: Stack) -> tuple[Text, ...]:
    """Return remarks on what a stateful layer, or several calls, need to have an effect."""
    if stack.is_stateful and case.calls == 1:
        return (
            Message("stateful has no effect on the first call; add {--calls 2} to see the state carry over"),
        )
    if stack.is_stateful and case.initial_state is not None:
        return (
            Message("every call restarts from the given initial state; leave it out to carry the state over"),
        )
    return note_equal_calls(stack, case.calls, training=case.training)


def note_equal_calls(stack: Stack, calls: int, *, training: bool) -> tuple[Text, ...]:
    """Return a remark if several calls return the same numbers."""
    if calls == 1 or stack.is_stateful or (training and stack.draws_in_training):
        return ()
    if calls == 2:
        return (Message("both calls return the same numbers: only a stateful layer keeps its state"),)
    note = "all {calls} calls return the same numbers: only a stateful layer keeps its state"
    return (Message(note, calls=calls),)


def note_dropout(options: Mapping[str, Any], calls: int, *, training: bool | None) -> tuple[Text, ...]:
    """Return a remark on an option that changes nothing, because Keras leaves out values only in training.

    training: None if neither a flag nor the input says whether the call is in training.
    """
    name = next((name for name in ("dropout", "recurrent_dropout") if options.get(name)), "")
    if not name or training is not None or calls > 1:
        return ()
    return (Message("{flag} has no effect without {--training}", flag=Flag(flag_name(name))),)


def note_weights_file(weights: Any) -> tuple[Text, ...]:
    """Return a remark for a file that may hold a whole model, of which only the weights are used."""
    from rnncli.inputs.source import KERAS_SUFFIXES, split_layers

    file = split_layers(str(weights))[0] if isinstance(weights, (str, PathLike)) else ""
    if not file.lower().endswith(KERAS_SUFFIXES) or file.lower().endswith(".weights.h5"):
        return ()
    from rnncli.inputs.source import find_source
    from rnncli.models import call

    note = call.note_whole_model(find_source(file))
    return () if note is None else (note,)
