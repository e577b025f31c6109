"""All that is given besides the inputs, from which a Case is made; and remarks on what has no effect."""

# Annotations are objects rather than text, which named tuples would have to evaluate when the command starts.

import math
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

from rnncli.case import Case, Document, Shape, known_sizes
from rnncli.errors import Flag, Message, Text, UsageError
from rnncli.options import flag_name

if TYPE_CHECKING:
    from rnncli.inputs.arrange import Arrangement, ArrangeOptions
    from rnncli.layers.stack import Stack

SEEDS = 1_000_000_000
"""Random seeds are below this, so that they are short enough to retype."""


class RawValue(NamedTuple):
    """Weights or states as they were read; None if there are none.  where: name of their source in errors."""

    value: Any = None
    where: Text = ""


class Given(NamedTuple):
    """The layers, and all that is given besides the inputs: it makes the Case of every input."""

    stack: "Stack"
    arranging: "ArrangeOptions"
    weights: RawValue
    initial_state: RawValue
    seed: int
    training: bool | None
    calls: int
    all_layers: bool
    all_calls: bool

    def arrange(self, document: Document) -> "Arrangement":
        """Return the inputs and the mask of the document.  Raises InputError if they do not fit."""
        from rnncli.inputs.arrange import arrange

        return arrange(document, self.arranging)

    def case(self, arranged: "Arrangement") -> Case:
        """Return the Case of these inputs.  Raises InputError or LayerError for a part that does not fit."""
        from rnncli.layers import fit

        given = Case(
            specs=self.stack.specs,
            inputs=arranged.inputs,
            mask=arranged.mask,
            initial_state=self.initial_state.value,
            weights=self.weights.value,
            seed=self.seed,
            training=bool(self.training),
            calls=self.calls,
            all_layers=self.all_layers,
            all_calls=self.all_calls,
            feature_names=arranged.feature_names,
        )
        return fit.fit_case(given, self.weights.where, self.initial_state.where)


def draw_seed() -> int:
    """Return a random seed, for use when none was given."""
    import random

    return random.Random().randrange(SEEDS)  # the caller's generator stays as it is


def note_missing(case: Case) -> tuple[Text, ...]:
    """Return remarks on what a stateful layer, or several calls, need to have an effect."""
    from rnncli.layers.stack import Stack

    stack = Stack(case.specs)
    if stack.is_stateful and case.calls == 1:
        return (
            Message("stateful has no effect on the first call; add {--calls 2} to see the state carry over"),
        )
    if stack.is_stateful and case.initial_state is not None:
        return (
            Message("every call restarts from the given initial state; leave it out to carry the state over"),
        )
    return note_equal_calls(stack, case.calls, training=case.training)


def note_equal_calls(stack: "Stack", calls: int, *, training: bool) -> tuple[Text, ...]:
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


def make_document(stack: "Stack", shape: Shape, seed: int, fill: str | None, weights: Any) -> Document:
    """Generate the input that --input-shape asks for.

    Raises, before drawing numbers, UsageError for an unknown size, LayerError if the layers reject the
    shape, and InputError if memory is too small.
    """
    import numpy as np

    from rnncli.compute import call
    from rnncli.inputs import arrange

    sizes = known_sizes(shape)
    if sizes is None:
        unknown = next(size for size in shape if not isinstance(size, int))
        raise UsageError(
            "{--input-shape:option}: {unknown} is not a number; run needs concrete sizes, None "
            "works only with shape.",
            "Give every size, or use rnncli shape, which accepts names.",
            option=",".join(map(str, shape)),
            unknown=unknown,
        )
    if not isinstance(weights, (str, PathLike)) and math.prod(sizes) < 2**40:
        nothing = np.zeros((), np.float64 if stack.dtype == "float64" else np.float32)
        call.require_room(Case(stack.specs, np.broadcast_to(nothing, sizes)), 1)
    return Document(inputs=arrange.make_input(sizes, fill or "normal", seed, "float64"))


def note_whole_model(weights: Any) -> tuple[Text, ...]:
    """Return a remark for a file that may hold a whole model, of which only the weights are used."""
    from rnncli.inputs.source import KERAS_SUFFIXES, split_layers

    file = split_layers(str(weights))[0] if isinstance(weights, (str, PathLike)) else ""
    if not file.lower().endswith(KERAS_SUFFIXES) or file.lower().endswith(".weights.h5"):
        return ()
    from rnncli.inputs.given import find_source
    from rnncli.models import call

    note = call.note_whole_model(find_source(file))
    return () if note is None else (note,)
