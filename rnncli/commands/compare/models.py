"""Two models side by side: their layers in pairs, and the first layer at which they part."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from os import PathLike
from typing import Any

import numpy as np

from rnncli.ask import INPUT_OPTIONS, Ask, subject_of
from rnncli.ask.returned import MAP, Returned, pair_layers
from rnncli.ask.subject import Subject
from rnncli.commands import checks
from rnncli.commands.compare.answer import (
    CompareAnswer,
    ComparedWeights,
    ModelsAnswer,
    compare_weights,
    find_largest,
)
from rnncli.compute.compare import TensorDifference, TolerancePair, measure, require_known
from rnncli.errors import DisagreementError, Flag, Message, RnncliError, Text, UsageError, format_names
from rnncli.inputs.source import split_layers
from rnncli.models.graph import model_option
from rnncli.options import first_given, write_words
from rnncli.result import NamedTensor
from rnncli.show.answer import Reply

Tensors = tuple[NamedTensor, ...]
"""What one layer returned."""


def compare_models(
    ask: Ask,
    other: Mapping[str, Any] | None,
    others: Mapping[str, Any],
    tolerances: TolerancePair,
    mapping: Mapping[str, str],
) -> Reply[CompareAnswer]:
    """Compare what two models return for the same input, layer by layer.

    other: the fields of an Ask that hold the second one.  others: options that compare something else.
    mapping: the layers of the first model by those of the second one.
    Raises UsageError if a model is missing, if the layers cannot be told apart, or if none fits.
    """
    if other is None:
        raise UsageError("{map} is for two models.", "Name the second one: {--with model.onnx}.", map=MAP)
    if ask.model is None and not ask.layer:
        raise UsageError("{--with} needs a first model.", "Name it: {--model model.keras}.")
    if flag := first_given(others, others):
        raise UsageError("{flag} does not apply to two models.", "Leave {flag} out.", flag=Flag(flag))
    (first, second), subjects = _return_both(ask, other, mapping)
    pairs = pair_layers(first.name, first.kinds, second.name, second.kinds, mapping)
    weights, unread = ComparedWeights(), list[Text]()
    try:
        weights = compare_weights(subjects[0].weights(), subjects[1].weights(), pairs, tolerances)
    except RnncliError as error:
        unread.append(Message("the weights are not compared: {error}", error=error.sentence))
    names = [tensor.name for tensors in first.layers.values() for tensor in tensors]
    require_known(tolerances, [*names, *(difference.name for difference in weights.differences)])
    differences = tuple(
        _compare_layers(ours, first.layers[ours], theirs, second.layers[theirs], tolerances)
        for ours, theirs in pairs.items()
    )
    parting = next((difference for difference in differences if not difference.agrees), None)
    if parting is None:
        theirs = {tensor.name: tensor.values for layer in pairs.values() for tensor in second.layers[layer]}
    else:
        returned = second.layers[str(parting.sides[1])]
        theirs = {str(tensor.label.without_layer): tensor.values for tensor in returned}
    left = _find_left(first, pairs) | _find_left(second, pairs.values())
    engines = dict.fromkeys((*first.header.engines, *second.header.engines))
    header = dataclasses.replace(first.header, engines=tuple(engines), assumed=None, conditions={})
    answer = ModelsAnswer(
        header,
        differences,
        tolerances,
        conclusion=_conclude(parting, differences, left, same_weights=weights.agree),
        models=(first.name, second.name),
        theirs=theirs,
        weights=weights,
    )
    notes = (
        *_note_left(first.name, first.layers, pairs), *_note_left(second.name, second.layers, pairs.values()),
        *unread, *_note_left(first.name, weights.unmatched[0]),
        *_note_left(second.name, weights.unmatched[1]),
    )  # fmt: skip
    remarks = dict.fromkeys((*first.remarks, *second.remarks, *notes))
    compared = differences if parting is not None else weights.differences
    failure = checks.find_difference([difference._replace(sides=answer.models) for difference in compared])
    failure = failure if parting is None else _advise_port(ask, parting.name, failure)
    return Reply(answer, tuple(remarks), failure)


def _return_both(
    ask: Ask, other: Mapping[str, Any], mapping: Mapping[str, str]
) -> tuple[tuple[Returned, Returned], tuple[Subject, Subject]]:
    """Return what both models return, and both models.

    The first one gets the input, unless only its layers follow.
    """
    first, second = map(_assume, (ask, _ask_like(ask, other)))
    lost = ask.custom_objects is not None and first.ask.custom_objects is second.ask.custom_objects is None
    if lost or (ask.assume is not None and not (first.follows or second.follows)):
        first = subject_of(ask)  # which says what the option is for
    if not first.follows or second.follows:
        leading = first.returned()
        return (leading, second.returned(leading, mapping)), (first, second)
    leading = _assume(ask._replace(**{"layer": None, "model": None, "assume": None, **other})).returned()
    following = _assume(_ask_like(ask, {"model": ask.model}))
    followed = following.returned(leading, {ours: theirs for theirs, ours in mapping.items()})
    return (followed, leading), (first, second)


def _ask_like(ask: Ask, subject: Mapping[str, Any]) -> Ask:
    seed = ask.seed if subject.get("layer") else None
    states = ask.initial_state
    files = {"assume": ask.assume, "custom_objects": ask.custom_objects}
    return Ask(seed=seed, engine=ask.engine, initial_state=states, stdin=False, **files, **subject)


def _assume(ask: Ask) -> Subject:
    """Return the subject, with --assume and --custom-objects only if they apply to its file."""
    if ask.custom_objects is not None and not _takes_classes(ask._replace(assume=None)):
        ask = ask._replace(custom_objects=None)
    subject = subject_of(ask._replace(assume=None))
    if ask.assume is None:
        return subject
    with suppress(RnncliError):  # without --assume, a file may have no layer
        if not subject.follows:
            return subject
    return subject_of(ask)


def _takes_classes(ask: Ask) -> bool:
    try:
        return ask.model is not None and not subject_of(ask).follows
    except RnncliError:
        return False


def _note_left(model: str, names: Iterable[str], paired: Iterable[str] = ()) -> Iterator[Text]:
    names = [name for name in names if name not in {*paired}]
    if names:
        note = (
            "not compared: {names} (only {owner} has it)"
            if len(names) == 1
            else "not compared: {names} (only {owner} has them)"
        )
        yield Message(note, names=format_names(names), owner=model)


def _find_left(model: Returned, paired: Iterable[str]) -> dict[str, None]:
    names = dict.fromkeys((*model.layers, *model.missing))
    return {name: None for name in names if name not in {*paired}}


def _compare_layers(
    name: str, tensors: Tensors, other_name: str, others: Tensors, tolerances: TolerancePair
) -> TensorDifference:
    by_label = {tensor.label.without_layer: tensor for tensor in others}
    both = [(tensor, by_label.get(tensor.label.without_layer)) for tensor in tensors]
    measured = [
        measure(tensor, _align(tensor, other), (name, other_name), *tolerances)
        for tensor, other in both
        if other is not None
    ]
    if not measured:
        raise UsageError(
            "{map}: {theirs} returns {others}, and {ours} {tensors}.",
            "Pair layers of one kind.",
            map=MAP, ours=name, theirs=other_name,
            others=format_names([tensor.name for tensor in others]),
            tensors=format_names([tensor.name for tensor in tensors]),
        )  # fmt: skip
    return find_largest(measured)


def _align(tensor: NamedTensor, other: NamedTensor) -> Any:
    """Return the numbers of `other` in the order of the rows of `tensor`.

    Rows that both models mask count as equal: frameworks fill them differently.
    """
    values = other.values
    if values.shape != tensor.values.shape or "timesteps" not in tensor.axes:
        return values
    steps = range(values.shape[1])
    ours, theirs = (list(side.time or steps) for side in (tensor, other))
    values = values[:, [theirs.index(step) for step in ours]]
    if tensor.masked is None or other.masked is None:
        return values
    masked = tensor.masked & other.masked[:, [theirs.index(step) for step in ours]]
    return np.where(masked.reshape(masked.shape + (1,) * (values.ndim - 2)), tensor.values, values)


def _conclude(
    parting: TensorDifference | None,
    differences: Iterable[TensorDifference],
    left: Iterable[str],
    *,
    same_weights: bool,
) -> Text:
    if parting is not None:
        ours, theirs = parting.sides
        if parting.step is None:
            return Message("the models part at {ours}, {theirs}", ours=ours, theirs=theirs)
        text = "the models part at {ours}, {theirs}, from time step {step} on"
        return Message(text, ours=ours, theirs=theirs, step=parting.step)
    rounding, names = any(difference.absolute for difference in differences), [*left]
    if same_weights and not names and rounding:
        return Message("the difference between the models is rounding")
    if same_weights and not names:
        return Message("the models return exactly the same numbers")
    outputs = Message(
        "the difference between the compared layers is rounding"
        if rounding
        else "the compared layers return exactly the same numbers"
    )
    if names:
        outputs = Message("{outputs}; not compared: {names}", outputs=outputs, names=format_names(names))
    return outputs if same_weights else Message("weights differ; {outputs}", outputs=outputs)


def _advise_port(ask: Ask, name: str, error: DisagreementError | None) -> DisagreementError | None:
    """Return the error with the command that asks for the reason.

    name: of the first tensor that differs, `gru/hidden_states`.
    """
    layer, _, tensor = name.rpartition("/")
    if error is None or ask.model is None or "state" not in tensor:
        return error
    if ask.stdin:  # the command line
        words = shlex.join(write_words({name: getattr(ask, name) for name in (*INPUT_OPTIONS, "assume")}))
        text = "Add -o theirs.npz, then ask why: rnncli port {words} {model} --expect theirs.npz"
        advice = Message(text, words=words, model=model_option(split_layers(str(ask.model))[0], [layer]))
    else:
        is_file = isinstance(ask.model, (str, PathLike))
        word = repr(f"{split_layers(str(ask.model))[0]}#{layer}") if is_file else f"..., at={layer!r}"
        advice = Message("ask why: rnncli.port(x, model={word}, expect=found.tensors())", word=word)
    return DisagreementError(error.detail, advice)
