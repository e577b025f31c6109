"""What was asked for and what a document says -> a Case: arranged, checked and fitted in one place."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, NamedTuple

from rnncli.case import HIGHEST_SEED, Array, Case, Document, Shape
from rnncli.errors import InputError
from rnncli.layers.stack import Stack
from rnncli.readers.arrange import Arranged, ArrangeOptions, arrange
from rnncli.specs import fit

SEEDS = 1_000_000_000
"""Seeds are drawn below this: short enough to be typed again."""


class Part(NamedTuple):
    """Weights or states as they were read, None where there are none.  where: what an error begins with."""

    value: Any = None
    where: str = ""


class Given(NamedTuple):
    """What was asked for beside inputs and layers; flags and keywords alike.

    drawn: the seed where none is given.
    """

    arranging: ArrangeOptions
    drawn: int
    weights: Part = Part()
    initial_state: Part = Part()
    seed: int | None = None
    training: bool | None = None
    calls: int = 1
    all_layers: bool = False
    all_calls: bool = False

    def completed(self, document: Document) -> Given:
        """With what the document says where nothing else was asked for.  Raises InputError for its seed."""
        where, seed = self.arranging.where, document.seed
        if self.seed is None and seed is not None and seed > HIGHEST_SEED:
            raise InputError(f"{where}seed is {seed}.", f"The highest seed is {HIGHEST_SEED}.")
        weights, states = (
            asked if asked.value is not None else Part(getattr(document, name), f"{where}{name}: ")
            for name, asked in (("weights", self.weights), ("initial_state", self.initial_state))
        )
        return self._replace(
            weights=weights,
            initial_state=states,
            seed=seed if self.seed is None else self.seed,
            training=document.training if self.training is None else self.training,
        )


def draw_seed() -> int:
    """A seed for who gave none."""
    return random.randrange(SEEDS)


def build(document: Document, stack: Stack, given: Given) -> tuple[Case, tuple[str, ...]]:
    """The Case, and what is to be said of its input.  Raises InputError where a part does not fit."""
    arranged = arrange(document, given.arranging)
    return case_of(arranged, stack, given.completed(document)), arranged.remarks


def case_of(arranged: Arranged, stack: Stack, given: Given) -> Case:
    """The Case of inputs that are arranged."""
    shape = arranged.inputs.shape
    return Case(
        stack=stack,
        inputs=arranged.inputs,
        mask=arranged.mask,
        initial_state=states(given.initial_state, stack, shape),
        weights=weights(given.weights, stack, shape),
        seed=given.drawn if given.seed is None else given.seed,
        training=bool(given.training),
        calls=given.calls,
        all_layers=given.all_layers,
        all_calls=given.all_calls,
        feature_names=arranged.feature_names,
    )


def weights(part: Part, stack: Stack, input_shape: Shape) -> Mapping[str, Array] | None:
    """As the layers want them.  Raises InputError where they do not fit."""
    return None if part.value is None else fit.fitted(part.value, stack, input_shape, part.where)


def states(part: Part, stack: Stack, input_shape: Shape) -> tuple[Array, ...] | None:
    """As the layers want them.  Raises InputError where they do not fit."""
    if part.value is None:
        return None
    wanted = stack.states(input_shape)
    by_name = isinstance(part.value, Mapping)
    ordered = fit.by_name(part.value, wanted, part.where) if by_name else list(part.value)
    return fit.fitted_states(ordered, wanted, part.where)
