"""Build a Case for the command line and for Python: read, arrange and fit everything once."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnncli import specs
from rnncli.case import Case, Document, Shape, format_shape, known_sizes
from rnncli.compute import engines, keras_differences
from rnncli.errors import Flag, Message, Text, UsageError, inside
from rnncli.inputs.source import KERAS_SUFFIXES, split_layers
from rnncli.layers.stack import Stack
from rnncli.options import flag_name

if TYPE_CHECKING:
    from rnncli.inputs.case_builder import CaseBuilder, CaseOptions

Remarks = tuple[Text, ...]


class CaseRequest(ABC):
    """What a Case is built from; its messages name the flags of the command line.

    layers: names, expressions and configs, first to last; options: of the layers, by Keras's names.
    shape: shape of a generated input, or None; fill: its values.
    weights_file: the file of the weights; "" if they are not in a file.
    engine: its name, or `auto`.
    all_layers: same as in `specs.from_flags`.
    one_call: whether the command refuses several calls, or makes them itself.
    """

    layers: Sequence[Any]
    options: Mapping[str, Any]
    shape: Shape | None
    fill: str | None
    seed: int | None
    weights_file: str
    engine: str
    all_layers: bool
    one_call: bool

    @abstractmethod
    def read(self) -> tuple[Document, Text]:
        """Read the input; return it with its name in error messages."""

    @abstractmethod
    def collect_options(self, stack: Stack, seed: int, where: Text) -> CaseOptions:
        """Read what is given besides the input.  seed: used if neither that nor the input sets one."""


def build_case(request: CaseRequest) -> tuple[Case, Remarks]:
    """Return the Case, and remarks about its input."""
    from rnncli.inputs import case_builder

    seed = case_builder.draw_seed() if request.seed is None else request.seed
    notes: Remarks = ()
    if request.shape is None:
        document, name = request.read()
        stack = _stack_of(request, document, name)
    else:
        stack = _stack_of(request)
        shape, notes = add_batch(request.shape, stack.input_rank)
        document, name = _make_input(request, stack, shape, seed), f"--input-shape {_format_option(shape)}"
    builder = make_builder(request.options, stack, request.collect_options(stack, seed, name), document)
    arranged = builder.arrange(document)
    case = builder.case(arranged)
    keras_notes = () if request.engine == engines.REFERENCE else keras_differences.note_keras_errors(case)
    return case, (
        *notes, *arranged.remarks, *keras_notes, *keras_differences.note_sequential(stack),
        *(() if request.one_call else note_missing(case)),
        *_note_whole_model(request.weights_file),
        *note_dropout(request.options, case.calls, training=builder.options.training),
    )  # fmt: skip


def _stack_of(request: CaseRequest, document: Document | None = None, name: Text = "") -> Stack:
    every = request.all_layers
    return make_stack(request.layers, request.options, document, name, all_layers=every)


def make_stack(
    layers: Sequence[Any],
    options: Mapping[str, Any],
    document: Document | None = None,
    name: Text = "",
    *,
    all_layers: bool = False,
) -> Stack:
    """Return the layers, first to last; those of the document, called `name`, if no others are given.

    all_layers: same as in `specs.from_flags`.
    """
    own = None if document is None else document.layer
    if not layers and own is not None:
        with inside(name):
            specs.from_flags([own], {})
    return Stack(specs.from_flags(list(layers), options, own, all_layers=all_layers))


def make_builder(
    layer_options: Mapping[str, Any], stack: Stack, given: CaseOptions, document: Document
) -> CaseBuilder:
    """Return the builder of the Cases of these layers; what is not given is taken from the document.

    Raises UsageError if an initializer is given but every weight is supplied.
    """
    from rnncli.inputs.case_builder import CaseBuilder

    builder = CaseBuilder(stack, given.fill_from(document))
    if builder.options.weights.value is not None:
        source = Message("the input" if given.weights.value is None else "{--weights}")
        _refuse_unused_initializer(layer_options, source)
    return builder


def _refuse_unused_initializer(options: Mapping[str, Any], source: Text) -> None:
    """Raise UsageError if an initializer is given.  source: what supplies every weight."""
    idle = next((name for name in options if name.endswith("_initializer") and options[name] is not None), "")
    if idle:
        raise UsageError(
            "{flag} has no effect: {source} supplies every weight.",
            "Leave one of them out.",
            flag=Flag(flag_name(idle)),
            source=source,
        )


def note_missing(case: Case) -> Remarks:
    """Return remarks on what a stateful layer, or several calls, need to have an effect."""
    stateful = Stack(case.specs).is_stateful
    if stateful and case.calls == 1:
        return (
            Message("stateful has no effect on the first call; add {--calls 2} to see the state carry over"),
        )
    if stateful and case.initial_state is not None:
        return (
            Message("every call restarts from the given initial state; leave it out to carry the state over"),
        )
    return note_equal_calls(Stack(case.specs), case.calls, training=case.training)


def note_equal_calls(stack: Stack, calls: int, *, training: bool) -> Remarks:
    """Return a remark if several calls return the same numbers."""
    if calls == 1 or stack.is_stateful or (training and stack.draws_in_training):
        return ()
    if calls == 2:
        return (Message("both calls return the same numbers: only a stateful layer keeps its state"),)
    note = "all {calls} calls return the same numbers: only a stateful layer keeps its state"
    return (Message(note, calls=calls),)


def note_dropout(options: Mapping[str, Any], calls: int, *, training: bool | None) -> Remarks:
    """Return a remark on an option that changes nothing, because Keras leaves out values only in training.

    training: None if neither a flag nor the input says whether the call is in training.
    """
    name = next((name for name in ("dropout", "recurrent_dropout") if options.get(name)), "")
    if not name or training is not None or calls > 1:
        return ()
    return (Message("{flag} has no effect without {--training}", flag=Flag(flag_name(name))),)


def _make_input(request: CaseRequest, stack: Stack, shape: Shape, seed: int) -> Document:
    """Generate the input.

    Raises, before drawing numbers, UsageError for an unknown size, LayerError if the layers reject the
    shape, and InputError if memory is too small.
    """
    import numpy as np

    from rnncli.compute import checks
    from rnncli.inputs import arrange

    sizes = known_sizes(shape)
    if sizes is None:
        unknown = next(size for size in shape if not isinstance(size, int))
        raise UsageError(
            "{--input-shape:option}: {unknown} is not a number; run needs concrete sizes, None "
            "works only with shape.",
            "Give every size, or use rnncli shape, which accepts names.",
            option=_format_option(shape),
            unknown=unknown,
        )
    if not request.weights_file and math.prod(sizes) < 2**40:
        nothing = np.zeros((), np.float64 if stack.dtype == "float64" else np.float32)
        checks.require_room(Case(stack.specs, np.broadcast_to(nothing, sizes)), 1)
    return Document(inputs=arrange.make_input(sizes, request.fill or "normal", seed, "float64"))


def _note_whole_model(weights: str) -> Remarks:
    """Return a remark for a file that may hold a whole model, of which only the weights are used."""
    file, _ = split_layers(weights)
    if not file.lower().endswith(KERAS_SUFFIXES) or file.lower().endswith(".weights.h5"):
        return ()

    from rnncli.cli import model_files

    note = model_files.note_whole_model(file)
    return () if note is None else (note,)


def add_batch(shape: Shape, rank: int) -> tuple[Shape, Remarks]:
    """Add a batch axis to a shape, as `arrange` does for arrays; return it with a remark.

    Raises UsageError if that does not give `rank` axes.
    """
    if len(shape) == rank:
        return shape, ()
    if len(shape) == rank - 1:
        new = (1, *shape)
        changed: dict[str, Any] = {"before": format_shape(shape), "after": format_shape(new)}
        if rank != 3 or 1 in shape[1:]:
            return new, (Message("added a batch axis: {before} -> {after}", **changed),)
        one = (*shape, 1)
        note = Message(
            "added a batch axis: {before} -> {after}; for one feature in {shape}, write "
            "{--input-shape:option}",
            **changed,
            shape=format_shape(one),
            option=_format_option(one),
        )
        return new, (note,)
    axes = Message("1 axis") if len(shape) == 1 else Message("{count} axes", count=len(shape))
    raise UsageError(
        "{--input-shape} {shape} has {axes}, but this layer needs {rank}.",
        _remedy(shape, rank),
        shape=format_shape(shape),
        axes=axes,
        rank=rank,
    )


def _remedy(shape: Shape, rank: int) -> Text:
    """Suggest a shape of the right rank that keeps as many of the sizes as possible."""
    if rank != 3:
        return Message("Give {rank} sizes, (batch, timesteps, ..., channels).", rank=rank)
    wanted = Message("A recurrent layer needs (batch, timesteps, features)")
    if len(shape) == 1:
        steps, features = _format_option((1, *shape, 1)), _format_option((1, 1, *shape))
        return Message(
            "{wanted}: {steps} is a series of one feature, {features} one time step.",
            wanted=wanted,
            steps=steps,
            features=features,
        )
    return Message("{wanted}, such as {option}.", wanted=wanted, option=_format_option(shape[:3]))


def _format_option(shape: Shape) -> str:
    return ",".join(map(str, shape))
