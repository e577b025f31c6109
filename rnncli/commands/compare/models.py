"""Two models side by side: their layers in pairs, and the first layer at which they part."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rnncli.ask import INPUT_OPTIONS, Ask, subject_of
from rnncli.commands import checks
from rnncli.commands.compare.answer import CompareAnswer, ModelsAnswer
from rnncli.compute.compare import TensorDifference, TolerancePair, measure, require_known
from rnncli.errors import (
    DisagreementError,
    Either,
    Flag,
    Message,
    Text,
    UsageError,
    did_you_mean,
    format_names,
)
from rnncli.inputs.source import split_layers
from rnncli.models.graph import model_option
from rnncli.options import first_given, write_words
from rnncli.result import NamedTensor
from rnncli.show.answer import Reply

if TYPE_CHECKING:
    from rnncli.ask.subject import Returned

Tensors = tuple[NamedTensor, ...]
"""What one layer returned."""
IN_PYTHON = "mapping={'THEIRS': 'OURS'}"
MAP = Either(Flag("--map", "THEIRS=OURS"), Message("{option}", option=IN_PYTHON))


def require_alone(ask: Ask, other: Any, **given: Any) -> None:
    """Raise UsageError if a model is missing, or for an option that compares something else."""
    if other is None:
        raise UsageError("{map} is for two models.", "Name the second one: {--with model.onnx}.", map=MAP)
    if ask.model is None and not ask.layer:
        raise UsageError("{--with} needs a first model.", "Name it: {--model model.keras}.")
    if flag := first_given(given, given):
        raise UsageError("{flag} does not apply to two models.", "Leave {flag} out.", flag=Flag(flag))


def ask_like(ask: Ask, **subject: Any) -> Ask:
    """Return what is asked for about another subject, which gets the inputs of the first one."""
    return Ask(
        seed=ask.seed if subject.get("layer") else None,
        engine=ask.engine,
        initial_state=ask.initial_state,
        assume=ask.assume,
        stdin=False,
        **subject,
    )


def parse_mapping(words: Sequence[str] | None) -> dict[str, str]:
    """Parse `THEIRS=OURS`.  Raises UsageError for a word without both names."""
    mapping = {}
    for word in words or ():
        theirs, _, ours = word.rpartition("=")
        if not theirs or not ours:
            raise UsageError("{--map:word} does not name two layers.", "Write {map}.", word=word, map=MAP)
        mapping[theirs] = ours
    return mapping


def compare_models(
    ask: Ask, other: Ask, tolerances: TolerancePair, mapping: Mapping[str, str]
) -> Reply[CompareAnswer]:
    """Compare what two models return for the input of the first one, layer by layer.

    mapping: the layers of the first model by those of the other one.
    Raises UsageError if the layers cannot be told apart, or if none fits.
    """
    first = subject_of(ask).returned()
    second = subject_of(other).returned(first)
    require_known(tolerances, [tensor.name for tensor in first.result.outputs])
    ours, theirs = first.layers, second.layers
    pairs = _pair_layers(first, second, mapping)
    differences = tuple(_compare_layers(one, ours[one], two, theirs[two], tolerances) for one, two in pairs)
    left = [name for name in ours if name not in dict(pairs)]
    others = [name for name in theirs if name not in dict(pairs).values()]
    engines = tuple(dict.fromkeys((*first.result.engines, *second.result.engines)))
    parting = find_parting(differences)
    returned = () if parting is None else theirs[str(parting.sides[1])]
    atol, rtol = map(checks.format_tolerance, tolerances)
    answer = ModelsAnswer(
        dataclasses.replace(first.result, engines=engines, model=None, assumed=None),
        differences,
        (atol, rtol),
        conclusion=_conclude(parting, differences),
        models=(first.name, second.name),
        theirs={str(tensor.label.without_layer): tensor.values for tensor in returned},
    )
    remarks = [*first.remarks, *second.remarks]
    for names, owner in ((left, first.name), (others, second.name)):
        if names:
            note = (
                "not compared: {names} (only {owner} has it)"
                if len(names) == 1
                else "not compared: {names} (only {owner} has them)"
            )
            remarks.append(Message(note, names=format_names(names), owner=owner))
    return Reply(answer, tuple(dict.fromkeys(remarks)))


def _pair_layers(first: Returned, second: Returned, mapping: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the names of both layers of each pair, in the order of the first model.

    Layers are paired that return tensors of the same names and shapes: by their own names if both models have
    the same ones, else in order.
    """
    ours, theirs = first.layers, second.layers
    for names, known in ((mapping, theirs), (mapping.values(), ours)):
        for name in names:
            if name not in known:
                raise UsageError(
                    "{map}: there is no layer {name!r}.", did_you_mean(name, known), map=MAP, name=name
                )
    partners = {one: two for two, one in mapping.items()}
    groups: dict[Any, tuple[list[str], list[str]]] = {}
    for side, layers in enumerate((ours, theirs)):
        for name, tensors in layers.items():
            if name not in (mapping if side else partners):
                groups.setdefault(_kind(tensors), ([], []))[side].append(name)
    for mine, others in groups.values():
        if set(mine) == set(others):
            others = mine
        elif mine and others and len(mine) != len(others):
            raise _refuse(
                first,
                second,
                Message(
                    "{ours} and {theirs} have the same shapes",
                    ours=format_names(mine),
                    theirs=format_names(others),
                ),
            )
        partners |= zip(mine, others, strict=False)
    if not partners:
        raise _refuse(first, second, Message("no two layers have the same shapes"))
    return [(name, partners[name]) for name in ours if name in partners]


def _kind(tensors: Tensors) -> tuple[Any, ...]:
    """Return the names and shapes of what a layer returned."""
    return tuple((str(tensor.label.without_layer), tensor.values.shape) for tensor in tensors)


def _refuse(first: Returned, second: Returned, reason: Text) -> UsageError:
    """Return the error that shows the layers of both models."""
    return UsageError(
        "the layers cannot be paired: {reason}. {first} has {ours}; {second} has {theirs}.",
        "Pair them: {map}.",
        reason=reason,
        first=first.name,
        ours=_list_layers(first.layers),
        second=second.name,
        theirs=_list_layers(second.layers),
        map=MAP,
    )


def _list_layers(layers: Mapping[str, Tensors]) -> str:
    """Return `lstm (1, 4, 3), dense (1, 2)`."""
    from rnncli.case import format_shape

    return ", ".join(f"{name} {format_shape(tensors[0].values.shape)}" for name, tensors in layers.items())


def _compare_layers(
    name: str, tensors: Tensors, other_name: str, others: Tensors, tolerances: TolerancePair
) -> TensorDifference:
    """Return the largest difference of two layers, with the first time step at which any tensor differs."""
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
    largest = max(measured, key=lambda difference: (not difference.agrees, difference.absolute))
    steps = [difference.step for difference in measured if difference.step is not None]
    return largest._replace(step=min(steps, default=None))


def _align(tensor: NamedTensor, other: NamedTensor) -> Any:
    """Return the numbers of `other` in the order of the rows of `tensor`.

    Rows that both models mask count as equal: frameworks fill them differently.
    """
    values = other.values
    if values.shape != tensor.values.shape or "timesteps" not in tensor.axes:
        return values
    steps = range(values.shape[1])
    ours, theirs = (list(one.time or steps) for one in (tensor, other))
    values = values[:, [theirs.index(step) for step in ours]]
    if tensor.masked is None or other.masked is None:
        return values
    masked = tensor.masked & other.masked[:, [theirs.index(step) for step in ours]]
    return np.where(masked.reshape(masked.shape + (1,) * (values.ndim - 2)), tensor.values, values)


def _conclude(parting: TensorDifference | None, differences: Iterable[TensorDifference]) -> Text:
    """Return where the models part, or how near they are."""
    if parting is not None:
        ours, theirs = parting.sides
        if parting.step is None:
            return Message("the models part at {ours}, {theirs}", ours=ours, theirs=theirs)
        return Message(
            "the models part at {ours}, {theirs}, from time step {step} on",
            ours=ours,
            theirs=theirs,
            step=parting.step,
        )
    if any(difference.absolute for difference in differences):
        return Message("the difference between the models is rounding")
    return Message("the models return exactly the same numbers")


def find_parting(differences: Iterable[TensorDifference]) -> TensorDifference | None:
    """Return the first pair of layers that differs; None if none does."""
    return next((difference for difference in differences if not difference.agrees), None)


def explain_parting(ask: Ask, differences: Sequence[TensorDifference]) -> DisagreementError | None:
    """Return the error for the first pair that differs, with the command that asks for the reason."""
    parting = find_parting(differences)
    error = checks.find_difference(differences)
    if error is None or parting is None:
        return None
    layer, _, tensor = parting.name.rpartition("/")
    if ask.model is None or tensor.startswith("output"):
        return error
    words = shlex.join(write_words({name: getattr(ask, name) for name in (*INPUT_OPTIONS, "assume")}))
    return DisagreementError(
        error.detail,
        "Add -o theirs.npz, then ask why: rnncli port {words} {model} --expect theirs.npz",
        words=words,
        model=model_option(split_layers(str(ask.model))[0], [layer]),
    )
