"""Layers that are described: by flags, by a document, or in Python."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from os import PathLike
from typing import TYPE_CHECKING, Any

from rnncli import compute
from rnncli.ask.request import INPUT_OPTIONS, Ask, Given, Remarks
from rnncli.ask.subject import Computed, Outline, Parts, Subject
from rnncli.compute import engines, keras_differences
from rnncli.errors import Flag, Message, Text, UsageError, join
from rnncli.inputs import arrange
from rnncli.layers.case import Case
from rnncli.options import flag_name
from rnncli.values import Document, RawValue, Shape

if TYPE_CHECKING:
    from rnncli.ask.lines import Answers, NewRemarks
    from rnncli.compute.compare import TolerancePair
    from rnncli.inputs.arrange import ArrangeOptions
    from rnncli.layers.stack import Stack
    from rnncli.result import Result

LARGEST_DRAWN = 2**40
"""Numbers of a generated input beyond which only its size is refused, before anything else is asked."""


class Described(Subject):
    """Layers that are described.  They are read with their input, which may be a document that names them."""

    def outline(self) -> Outline:
        """Return the layers and the input shape; an input is read only if needed, and only for its shape."""
        from rnncli.inputs import generated
        from rnncli.inputs.source import SAMPLE_REMARK, SAMPLE_SHAPE

        ask = self.ask
        ask.require_options()
        document = Document()
        where: Text = ""
        shape: Shape
        if ask.input_shape is not None:
            stack = ask.stack()
            shape, remarks = generated.add_batch(ask.generated_shape(), stack.input_rank)
        elif ask.is_bare and not ask.given(*INPUT_OPTIONS):
            stack = ask.stack()
            shape, remarks = SAMPLE_SHAPE, (SAMPLE_REMARK,)
        else:
            document, where = ask.read_document()
            stack = ask.stack(document, where)
            arranged = arrange.arrange(document, arranging_for(ask, stack, where))
            shape, remarks = arranged.inputs.shape, arranged.remarks
        return Outline(stack, shape, (*remarks, *keras_differences.note_sequential(stack)), document, where)

    def parts(
        self, address: str = "", *, alone: bool = False, one_call: bool = False, whole: bool = False
    ) -> Parts:
        """Return the layers as one part."""
        from rnncli.models import LayerUse

        ask = self.ask
        ask.require_options()
        remarks: Remarks = ()
        if ask.input_shape is None:
            document, where = ask.read_document()
            stack = ask.stack(document, where)
        else:
            from rnncli.inputs import generated

            shape = ask.generated_shape()
            stack = ask.stack()
            shape, remarks = generated.add_batch(shape, stack.input_rank)
            where = f"--input-shape {','.join(map(str, shape))}"
            document = _generate(ask, stack, shape)
        given = read_given(ask, stack, document, where)
        arranged = arrange.arrange(document, given.arranging)
        case = given.case(arranged)._replace(consecutive=ask.windows_follow)
        in_keras = ask.engine == engines.REFERENCE  # which then raises these errors itself
        remarks = (
            *remarks, *arranged.remarks, *arrange.note_nan({"": case.inputs}),
            *(() if in_keras else keras_differences.note_keras_errors(case, stack)),
            *keras_differences.note_sequential(stack), *(() if one_call else note_missing(case)),
            *ask.note_windows(is_stateful=stack.is_stateful, goes_on=case.goes_on),
            *note_weights_file(ask.weights), *note_dropout(ask, given.training),
        )  # fmt: skip
        if ask.seed is not None and given.seed is None:
            text = "{--seed} has no effect: all weights are given, and nothing else is drawn"
            remarks += (Message(text),)
        remarks += note_directions(given.initial_state.value, stack, case.inputs.shape)
        if ask.hold:
            from rnncli.compute import holds

            case = holds.hold_gates(case, ask.hold)
            remarks += holds.note_bounds(case)
        return Parts((LayerUse("", case),), remarks, _verify_in_keras)

    def with_seed(self, seed: int) -> Subject:
        """Return the same layers with this seed, unless flags or a document give one."""
        ask = self.ask
        if ask.seed is None and (ask.input is None or ask.read_document()[0].seed is None):
            return Described(ask._replace(seed=seed))
        return self

    def compute(self, budget: int | None = None) -> Computed:
        """Return the results of the chunks of the batch."""
        parts = self.parts()
        plan = compute.plan(parts.case, budget)
        results = compute.run_chunks(parts.case, self.ask.engine, plan)
        return Computed(parts, results, len(parts.case.inputs), len(plan))

    def lines(self, remarks: NewRemarks) -> Answers:
        """Return what answers lines: layers and weights are made once, each line brings inputs and a mask."""
        from rnncli.ask.lines import LineCases, Stream

        ask = self.ask
        ask.require_options()
        stack = ask.stack()
        given = read_given(ask, stack, Document())
        remarks.add(note_equal_calls(stack, ask.calls, training=bool(ask.training)))
        remarks.add(keras_differences.note_sequential(stack))
        remarks.add(note_dropout(ask, ask.training))
        cases = LineCases(given, remarks, in_keras=ask.engine == engines.REFERENCE)
        return Stream(cases, ask.engine).answers


def _generate(ask: Ask, stack: Stack, shape: Shape) -> Document:
    """Generate the input that --input-shape asks for; return it with its seed, by default a random one.

    Raises, before drawing numbers, UsageError for an unknown size, LayerError if the layers reject the
    shape, and InputError if memory is too small.
    """

    from rnncli.initializers import draw_seed
    from rnncli.inputs.generated import concrete_sizes, make_input

    sizes = concrete_sizes(shape)
    beside = 0
    if not isinstance(ask.weights, (str, PathLike)) and prod(sizes) < LARGEST_DRAWN:
        import numpy as np

        zero = np.zeros((), np.float64 if stack.dtype == "float64" else np.float32)
        beside = compute.require_room(Case(stack, np.broadcast_to(zero, sizes)), 1)
    seed = draw_seed() if ask.seed is None else ask.seed
    inputs = make_input(sizes, ask.fill or "normal", seed, "float64", beside)
    return Document(inputs=inputs, seed=seed)


def _verify_in_keras(
    parts: Parts, result: Result, tolerances: TolerancePair, budget: int | None
) -> tuple[Result, Remarks]:
    from rnncli.compute import compare

    compared = compare.compare_with_keras(parts.case, result, *tolerances, budget)
    return compared, keras_differences.note_tensorflow_numbers(parts.case, compared)


def read_given(ask: Ask, stack: Stack, document: Document, where: Text = "") -> Given:
    """Read what is asked for besides the inputs; what is not given is taken from the document.

    where: the name of the document in errors.
    """
    from rnncli.initializers import draw_seed

    weights, states = ask.read_value("weights"), ask.read_value("initial_state")
    idle = next((name for name in ask.options if name.endswith("_initializer")), "")
    if idle and not (weights.value is document.weights is None):
        raise UsageError(
            "{flag} has no effect: {source} supplies every weight.",
            "Leave one of them out.",
            flag=Flag(flag_name(idle)),
            source=Message("the input") if weights.value is None else Message("{--weights}"),
        )
    training = document.training if ask.training is None else ask.training
    seed = document.seed if ask.seed is None else ask.seed
    draws_weights = weights.value is document.weights is None
    if not draws_weights and ask.input_shape is None and not (training and stack.draws_in_training):
        seed = None  # nothing is drawn
    elif seed is None:
        seed = draw_seed()
    return Given(
        stack,
        arranging_for(ask, stack, where),
        _or_else(weights, document.weights, where, "weights"),
        _or_else(states, document.initial_state, where, "initial_state"),
        seed,
        training,
        ask.calls,
        ask.all_layers,
        ask.all_calls,
        document.layer if weights.value is None else None,
    )


def _or_else(given: RawValue, value: Any, where: Text, name: str) -> RawValue:
    if given.value is not None:
        return given
    return RawValue(value, join((text for text in (where, name) if text), ": "))


def arranging_for(ask: Ask, stack: Stack, where: Text) -> ArrangeOptions:
    """Return the options for arranging an input, called `where` in errors, for these layers."""
    return ask.arranging()._replace(
        dtype=stack.dtype,
        ndim=stack.input_rank,
        mask_ranks=stack.layers[0].mask_ranks,
        axes_by_name=stack.input_axes,
        where=where,
    )


def note_missing(case: Case) -> Remarks:
    """Return remarks on what a stateful layer, or several calls, need to have an effect."""
    if case.stack.is_stateful and case.calls == 1 and not case.goes_on:
        return (
            Message("stateful has no effect on the first call; add {--calls 2} to see the state carry over"),
        )
    if case.stack.is_stateful and case.initial_state is not None:
        return (
            Message("every call restarts from the given initial state; leave it out to carry the state over"),
        )
    return note_equal_calls(case.stack, case.calls, training=case.training)


def note_equal_calls(stack: Stack, calls: int, *, training: bool) -> Remarks:
    """Return a remark if several calls return the same numbers."""
    if calls == 1 or stack.is_stateful or (training and stack.draws_in_training):
        return ()
    if calls == 2:
        return (Message("both calls return the same numbers: only a stateful layer keeps its state"),)
    note = "all {calls} calls return the same numbers: only a stateful layer keeps its state"
    return (Message(note, calls=calls),)


def note_directions(states: Any, stack: Stack, shape: Shape) -> Remarks:
    """Return a remark on the states of a Bidirectional: which layers start from them, and how."""
    if not isinstance(states, Mapping) or not any(name.startswith("forward_") for name in states):
        return ()
    from rnncli.layers.shape_checks import join_directions

    if join_directions(states, [info.name for info in stack.states(shape)]) is None:
        return (Message("the forward and the backward initial states start the two directions"),)
    return (Message("the forward and the backward initial states start one layer, side by side"),)


def note_dropout(ask: Ask, training: bool | None) -> Remarks:
    """Return a remark on an option that changes nothing, because Keras leaves out values only in training.

    training: None if neither a flag nor the input says whether the call is in training.
    """
    name = next((name for name in ("dropout", "recurrent_dropout") if ask.options.get(name)), "")
    if not name or training is not None or ask.calls > 1:
        return ()
    return (Message("{flag} has no effect without {--training}", flag=Flag(flag_name(name))),)


def note_weights_file(weights: Any) -> Remarks:
    """Return a remark for a file that may hold a whole model, of which only the weights are used."""
    from rnncli.inputs.source import KERAS_SUFFIXES, split_layers

    file = split_layers(str(weights))[0] if isinstance(weights, (str, PathLike)) else ""
    if not file.lower().endswith(KERAS_SUFFIXES) or file.lower().endswith(".weights.h5"):
        return ()
    from rnncli.inputs.source import find_source
    from rnncli.models import call

    note = call.note_whole_model(find_source(file))
    return () if note is None else (note,)
