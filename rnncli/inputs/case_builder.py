"""Build a Case from the user's options and a document: arrange the inputs, check them, fit the weights."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, NamedTuple

from rnncli.case import HIGHEST_SEED, Array, Case, Document, Shape
from rnncli.errors import InputError, Text, inside, join
from rnncli.inputs.arrange import Arrangement, ArrangeOptions, arrange
from rnncli.layers import fit
from rnncli.layers.stack import Stack

SEEDS = 1_000_000_000
"""Random seeds are below this, so that they are short enough to retype."""


class RawValue(NamedTuple):
    """Weights or states as they were read; None if there are none.  where: name of their source in errors."""

    value: Any = None
    where: Text = ""

    def or_else(self, value: Any, *where: Text) -> RawValue:
        """Return this value; where there is none, another one."""
        return RawValue(value, join((one for one in where if one), ": ")) if self.value is None else self


class CaseOptions(NamedTuple):
    """The user's options other than inputs and layers, from flags or keyword arguments.

    default_seed: the seed to use if none is given.
    """

    arranging: ArrangeOptions
    default_seed: int
    weights: RawValue = RawValue()
    initial_state: RawValue = RawValue()
    seed: int | None = None
    training: bool | None = None
    calls: int = 1
    all_layers: bool = False
    all_calls: bool = False

    def fill_from(self, document: Document) -> CaseOptions:
        """Fill in unset options from the document.  Raises InputError if the document's seed is too high."""
        where, seed = self.arranging.where, document.seed
        if self.seed is None and seed is not None and seed > HIGHEST_SEED:
            with inside(where):
                raise InputError(
                    "seed is {seed}.",
                    "The highest seed is {highest_seed}.",
                    seed=seed,
                    highest_seed=HIGHEST_SEED,
                )
        return self._replace(
            weights=self.weights.or_else(document.weights, where, "weights"),
            initial_state=self.initial_state.or_else(document.initial_state, where, "initial_state"),
            seed=seed if self.seed is None else self.seed,
            training=document.training if self.training is None else self.training,
        )


def draw_seed() -> int:
    """Return a random seed, for use when none was given."""
    return random.Random().randrange(SEEDS)  # the caller's generator stays as it is


class CaseBuilder(NamedTuple):
    """Builds the Case of every input of these layers."""

    stack: Stack
    options: CaseOptions

    def arrange(self, document: Document) -> Arrangement:
        """Return the inputs and the mask of the document.  Raises InputError if they do not fit."""
        return arrange(document, self.options.arranging)

    def case(self, arranged: Arrangement) -> Case:
        """Return the Case of these inputs.  Raises InputError or LayerError for a part that does not fit."""
        given, shape = self.options, arranged.inputs.shape
        case = Case(
            specs=self.stack.specs,
            inputs=arranged.inputs,
            mask=arranged.mask,
            initial_state=states(given.initial_state, self.stack, shape),
            weights=weights(given.weights, self.stack, shape),
            seed=given.default_seed if given.seed is None else given.seed,
            training=bool(given.training),
            calls=given.calls,
            all_layers=given.all_layers,
            all_calls=given.all_calls,
            feature_names=arranged.feature_names,
        )
        return fit.cast(case)


def weights(part: RawValue, stack: Stack, input_shape: Shape) -> Mapping[str, Array] | None:
    """Return the weights by path, in Keras's order.  Raises InputError if they do not fit the layers."""
    if part.value is None:
        return None
    with inside(part.where):
        return fit.fit_weights(part.value, stack, input_shape, part.where)


def states(part: RawValue, stack: Stack, input_shape: Shape) -> tuple[Array, ...] | None:
    """Return the initial states in Keras's order.  Raises InputError or LayerError, see fit_case."""
    if part.value is None:
        return None
    stack.require_start()
    with inside(part.where):
        return fit.fit_states(part.value, stack, input_shape)
