"""Flags and a document -> a Case.  What the flags say wins over the document."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast

from rnncli import addresses, specs
from rnncli import layers as registry
from rnncli.case import HIGHEST_SEED, Array, Case, Document, Shape, Spec, format_shape, walk
from rnncli.cli import sources
from rnncli.cli.flags import CheckFlags, InputFlags, LayerFlags, RunFlags, given
from rnncli.compute import beyond, checks
from rnncli.errors import DisagreementError, InputError, LayerError, UsageError
from rnncli.layers.stack import Stack
from rnncli.readers import fit, formats
from rnncli.result import Result

if TYPE_CHECKING:
    from rnncli.readers.arrange import Arranged, ArrangeOptions

DRAWN = ("dropout", "recurrent_dropout", "rate")
"""The options of what is drawn anew at every call in training."""

SEEDS = 1_000_000_000
"""Seeds are drawn below this: short enough to be typed again."""

WITHOUT_DIFFERENCES = ("csv", "npz", "npy", "safetensors")
"""The formats that hold the tensors alone."""

Remarks = tuple[str, ...]


def case(
    input: InputFlags, layer: LayerFlags, run: RunFlags, *, all_layers: bool = False, all_calls: bool = False
) -> tuple[Case, Remarks]:
    """The experiment that is asked for, and what is to be said of its input."""
    import random

    sources.demand_one_reader(input, layer, run)
    if run.model is not None:
        return _in_model(input, layer, run)
    seed = run.seed if run.seed is not None else random.randrange(SEEDS)
    said: Remarks = ()
    if input.input_shape is None:
        document, name = sources.read(input)
    else:
        (document, name), said = _made(input, layers_of(layer, Document()), run, seed)
    if run.seed is None and document.seed is not None:
        if document.seed > HIGHEST_SEED:
            raise InputError(f"{name}: seed is {document.seed}.", f"The highest seed is {HIGHEST_SEED}.")
        seed = document.seed
    layers = layers_of(layer, document, name)
    arranged = _arranged(input, document, layers, name)
    shape = arranged.inputs.shape
    weights = given_weights(run, layer, document, name)
    asked = Case(
        layers=layers,
        inputs=arranged.inputs,
        mask=arranged.mask,
        initial_state=given_states(run, document, name).fitted(layers, shape),
        weights=weights.fitted(layers, shape),
        seed=seed,
        training=bool(run.training if run.training is not None else document.training),
        calls=run.calls,
        all_layers=all_layers,
        all_calls=all_calls,
        feature_names=arranged.feature_names,
    )
    unanswered = () if run.engine == "tensorflow" else beyond.unanswered(asked)
    return asked, (
        *said,
        *arranged.remarks,
        *left_out(layer),
        *drawn(layer, weights),
        *unanswered,
        *missing(layers, run, asked),
    )


def _in_model(input: InputFlags, layer: LayerFlags, run: RunFlags) -> tuple[Case, Remarks]:
    from rnncli.cli import models

    return models.case(input, layer, run)


def _made(
    input: InputFlags, layers: tuple[Spec, ...], run: RunFlags, seed: int
) -> tuple[tuple[Document, str], Remarks]:
    """An input that --input-shape asks for, and what is to be said of it.

    Before a number is drawn: UsageError where the layers take no such shape, InputError without the memory.
    """
    import numpy as np

    shape, said = _with_batch(sources.shape_of(input), rank_of(layers))
    sizes = tuple(size for size in shape if isinstance(size, int))
    if run.weights is None and len(sizes) == len(shape) and math.prod(sizes) < 2**40:
        wide = specs.dtype_of(layers) == "float64"
        nothing = np.broadcast_to(np.zeros((), np.float64 if wide else np.float32), sizes)
        checks.demand_room(Case(layers=layers, inputs=nothing), 1)
    return sources.made(input, shape, seed), said


def missing(
    layers: tuple[Spec, ...], run: RunFlags, case: Case | None = None, *, stream: bool = False
) -> Remarks:
    """What is missing for a stateful layer, or for several calls, to show anything."""
    stateful = any(inner.config.get("stateful") for spec in layers for inner in walk(spec))
    if stateful and run.calls == 1 and not stream:
        return ("stateful has no effect in the first call: add --calls 2 to see what the layer keeps",)
    started = run.initial_state is not None or (case is not None and case.initial_state is not None)
    if stateful and run.calls > 1 and started and not stream:
        return ("every call begins with the initial state given: leave it out to see what the layer keeps",)
    training = run.training if case is None else case.training
    drawn = training and any(
        inner.config.get(name) for spec in layers for inner in walk(spec) for name in DRAWN
    )
    if run.calls > 1 and not stateful and not drawn:
        return (f"all {run.calls} calls return the same numbers: add --stateful to keep the state",)
    return ()


def shapes(input: InputFlags, layer: LayerFlags) -> tuple[tuple[Spec, ...], Shape, str, Remarks]:
    """Layers, input shape and dtype; an input is read for its shape alone, and not without need."""
    sources.demand_one_reader(input, layer)
    if input.input_shape is not None:
        layers = layers_of(layer, Document())
        shape, remarks = _with_batch(sources.shape_of(input), rank_of(layers))
    elif sources.is_bare(input) and not given(input):
        layers = layers_of(layer, Document())
        shape, remarks = sources.SAMPLE_SHAPE, (sources.SAMPLE_REMARK,)
    else:
        document, name = sources.read(input)
        layers = layers_of(layer, document, name)
        arranged = _arranged(input, document, layers, name)
        shape, remarks = arranged.inputs.shape, arranged.remarks
    return layers, shape, specs.dtype_of(layers), (*remarks, *left_out(layer))


def layers_of(flags: LayerFlags, document: Document, name: str = "") -> tuple[Spec, ...]:
    """The stack, first to last; `name` is what errors call the document."""
    texts = [text for word in flags.layer or () for text in _readable(word)]
    options = {name: value for name, value in given(flags).items() if name != "layer"}
    if not texts and document.layer is not None:
        _demand_layers([document.layer], f"{name}: " if name else "")
    return specs.from_flags(texts, options, document.layer)


def _readable(word: str) -> list[Any]:
    """What a --layer says; the file that `@` names is looked through before flags are put into it."""
    texts = sources.layer(word)
    if word.startswith("@"):
        _demand_layers(texts, f"{word[1:]}: ")
    return texts


def _demand_layers(texts: list[Any], place: str) -> None:
    try:
        specs.from_flags(texts, {})
    except LayerError as error:
        raise LayerError(f"{place}{error.what}", error.advice) from None


def left_out(flags: LayerFlags) -> Remarks:
    """What the --layers leave out of the models that they name."""
    return tuple(filter(None, map(sources.left_out, flags.layer or ())))


def drawn(flags: LayerFlags, weights: GivenWeights) -> Remarks:
    """What is to be said where a --layer names a model, whose weights are not asked for."""
    models = [word[1:] for word in flags.layer or () if sources.is_model(word)] if weights.raw is None else []
    if not models:
        return ()
    import shlex

    return tuple(
        f"{name}: the weights are newly drawn, not the saved ones; to use those, add --weights "
        f"{shlex.quote(name)}"
        for name in models
    )


def rank_of(layers: tuple[Spec, ...]) -> int:
    """How many axes the first layer's input has; a layer that takes any gets a sequence."""
    return registry.make(layers[0]).input_rank or 3


def selected(result: Result, names: Sequence[str] | None) -> Result:
    """`result` with those tensors alone, in Keras's order."""
    if not names:
        return result
    known = [tensor.name for tensor in result.outputs]
    short = list(map(addresses.without_call, known))  # a name alone means that tensor of every call
    for name in names:
        if name not in (*known, *short):
            raise UsageError(f"--select: there is no tensor {name!r}.", addresses.instead_of(name, known))
    kept = tuple(
        tensor
        for tensor, plain in zip(result.outputs, short, strict=True)
        if tensor.name in names or plain in names
    )
    return replace(result, outputs=kept)


def unseen(result: Result, format: str, elsewhere: Sequence[str] = ()) -> Remarks:
    """What --check found, to be said where `format`, or one of `elsewhere`, has no place for it."""
    if result.differences and result.engine == "tensorflow":
        return ("--check: tensorflow computed this itself, and there is nothing to hold it against",)
    if format not in (*WITHOUT_DIFFERENCES, *elsewhere):
        return ()
    shown = {tensor.name for tensor in result.outputs}
    return tuple(
        f"{name}: largest difference from tensorflow {difference:.1e}"
        for name, difference in result.differences.items()
        if name in shown
    )


def demand_agreement(disagreeing: Sequence[str], result: Result, check: CheckFlags) -> None:
    """Raises DisagreementError where a tensor that was shown disagrees."""
    shown = [tensor.name for tensor in result.outputs if tensor.name in disagreeing]
    if shown:
        atol, rtol = check.tolerances
        raise DisagreementError(
            f"{', '.join(shown)}: not the numbers of tensorflow.",
            f"They differ by more than --atol {atol:g} and --rtol {rtol:g} allow.",
        )


def demand_steps(run: RunFlags) -> None:
    """UsageError for an engine that keeps no steps."""
    if run.engine not in ("auto", "numpy"):
        raise UsageError(
            f"--engine {run.engine}: this engine keeps no steps.",
            "Leave --engine out; rnncli trace --check holds a trace to tensorflow.",
        )


def demand_numbers(place: str | None) -> None:
    """DisagreementError for a NaN at `place`."""
    if place is not None:
        raise DisagreementError(
            f"NaN came out, first in {place}.",
            "Look for a NaN or a very large number in the input and the weights.",
        )


def as_asked(result: Result, layers: tuple[Spec, ...]) -> Result:
    """`result` under the layers that were asked for, where others were run to see more."""
    return replace(result, layers=layers)


def arranging(flags: InputFlags, layers: tuple[Spec, ...]) -> ArrangeOptions:
    """How the flags want an input arranged for these layers."""
    from rnncli.readers.arrange import ArrangeOptions

    if flags.pad_value is not None and flags.pad is None:
        raise UsageError("--pad-value is for --pad.", "Add --pad post.")
    source = None if flags.mask is None else sources.named(flags.mask)
    return ArrangeOptions(
        axes=None if flags.input_axes is None else tuple(flags.input_axes.split(",")),
        pad=cast("Literal['pre', 'post'] | None", flags.pad),
        pad_value=flags.pad_value or 0.0,
        mask=None if source is None else formats.read_tensor(source),
        mask_value=flags.mask_value,
        dtype=specs.dtype_of(layers),
        ndim=rank_of(layers),
        mask_where="" if source is None else f"{source.name}: ",
    )


def _arranged(flags: InputFlags, document: Document, layers: tuple[Spec, ...], name: str) -> Arranged:
    from rnncli.readers.arrange import arrange

    return arrange(document, arranging(flags, layers)._replace(where=f"{name}: "))


def _with_batch(shape: Shape, rank: int) -> tuple[Shape, Remarks]:
    """As `arrange` does with numbers."""
    if len(shape) == rank:
        return shape, ()
    if len(shape) == rank - 1:
        new = (1, *shape)
        old = f"{format_shape(shape)} -> {format_shape(new)}"
        said = f"one sequence: a batch axis of 1 was put in front, {old}"
        if rank == 3 and 1 not in shape[1:]:
            one = (*shape, 1)
            said += f"; for one feature in {format_shape(one)}, write --input-shape {_typed(one)}"
        return new, (said,)
    axes = "1 axis" if len(shape) == 1 else f"{len(shape)} axes"
    raise UsageError(
        f"--input-shape {format_shape(shape)} has {axes}, and this layer wants {rank}.", _remedy(shape, rank)
    )


def _remedy(shape: Shape, rank: int) -> str:
    """A shape of the right rank, of the same sizes as far as possible."""
    if rank != 3:
        return f"Give {rank} sizes, (batch, timesteps, ..., channels)."
    wanted = "A recurrent layer wants (batch, timesteps, features)"
    if len(shape) == 1:
        steps, features = _typed((1, *shape, 1)), _typed((1, 1, *shape))
        return f"{wanted}: {steps} is a series of one feature, {features} one time step."
    return f"{wanted}, such as {_typed(shape[:3])}."


def _typed(shape: Shape) -> str:
    return ",".join(map(str, shape))


class GivenWeights(NamedTuple):
    """Weights as they were read, None where there are none.  place: what an error begins with."""

    raw: Any
    place: str

    def fitted(self, layers: tuple[Spec, ...], input_shape: Shape) -> Mapping[str, Array] | None:
        """As the layers want them.  Raises InputError where they do not fit."""
        return None if self.raw is None else fit.fitted(self.raw, Stack(layers), input_shape, self.place)


class GivenStates(NamedTuple):
    """Initial states, likewise."""

    raw: Any
    place: str

    def fitted(self, layers: tuple[Spec, ...], input_shape: Shape) -> tuple[Array, ...] | None:
        """As the layers want them.  Raises InputError where they do not fit."""
        if self.raw is None:
            return None
        wanted = Stack(layers).states(input_shape)
        by_name = isinstance(self.raw, Mapping)
        ordered = fit.by_name(self.raw, wanted, self.place) if by_name else list(self.raw)
        return fit.fitted_states(ordered, wanted, self.place)


def given_weights(run: RunFlags, layer: LayerFlags, document: Document, name: str) -> GivenWeights:
    """Those of --weights, else of the document; initializers would then fill nothing."""
    found = GivenWeights(document.weights, f"{name}: weights: ")
    if run.weights is not None:
        source = sources.named(run.weights)
        found = GivenWeights(formats.read_weights(source), f"{source.name}: ")
    idle = next((name for name in given(layer) if name.endswith("_initializer")), None)
    if found.raw is not None and idle is not None:
        where = "the input" if run.weights is None else "--weights"
        raise UsageError(
            f"--{idle.replace('_', '-')} has nothing to fill: {where} gives every weight.",
            "Leave one of them out.",
        )
    return found


def given_states(run: RunFlags, document: Document, name: str) -> GivenStates:
    """Those of --initial-state, else of the document."""
    if run.initial_state is None:
        return GivenStates(document.initial_state, f"{name}: initial_state: ")
    source = sources.named(run.initial_state)
    return GivenStates(formats.read_states(source), f"{source.name}: ")
