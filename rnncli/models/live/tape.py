"""Gradients from the output of a live object to its input, by its framework's tape.

`make_tape` of `torch.py` and `keras.py` makes one for a call.  Shapes say which axes are sequences and
time steps; where time may be first, gradients do: those of one sequence's output are 0 in other sequences.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from inspect import BoundArguments
from typing import Any, ClassVar, NamedTuple

import numpy as np

from rnncli.addresses import place_of
from rnncli.errors import InputError, LayerError, Message
from rnncli.values import Array, format_shape

MOST_NUMBERS = 4096
"""Numbers of the output that are differentiated, each by a separate pass."""
Orders = tuple[tuple[int, int], ...]
BATCH_FIRST: Orders = ((0, 0),)
ANY_ORDER: Orders = ((0, 0), (1, 1), (1, 0), (0, 1))
"""Pairs of axes of the input and the output that may be the axes of the sequences, the likeliest first."""


class InputGradients(NamedTuple):
    """How much the last step of the first output depends on each time step of the input, for one sequence.

    output: the output's name.  numbers: their index in it, `0, 3, :`.  batch: the sequence.
    entries: how many they are.
    name, shape, dtype: of the input.  norms: (timesteps,).  is_reached: whether the tape leads to the input.
    others: further inputs of floating-point numbers.
    """

    output: str
    numbers: str
    batch: int
    entries: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    norms: Array
    is_reached: bool
    others: tuple[str, ...] = ()


class Axes(NamedTuple):
    """Axes of the sequences of the input and of the output; None for one sequence without such an axis."""

    of_input: int | None
    of_output: int | None


class Tape(ABC):
    """One call of an object, which is differentiated at once, while everything is as during the call.

    batch: the sequence that is asked for.  found: set by `call`.
    orders: BATCH_FIRST or ANY_ORDER.
    """

    orders: ClassVar[Orders] = BATCH_FIRST
    found: InputGradients

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.names: list[str] = []
        self.leaf: Any = None

    @abstractmethod
    def call(self, run: Callable[[], Any], arguments: BoundArguments) -> Any:
        """Return what the object returns for its arguments, and set `found`.  run: calls the object."""

    @abstractmethod
    def make_leaf(self, value: Any) -> tuple[Any, Any]:
        """Return the tensor to differentiate by, and what the object is given; None for other values.

        The first is None for a further input: only the first one is differentiated by.
        """

    @abstractmethod
    def pull_back(self, vector: Array) -> Array | None:
        """Return the gradient of sum(vector * output) with respect to the input; None without a path."""

    def watch(self, arguments: BoundArguments) -> None:
        """Let the tape follow the first input of floating-point numbers.  Raises InputError without one."""
        for name, value in list(arguments.arguments.items()):
            arguments.arguments[name] = self._watch(name, value)
        if not self.names:
            raise InputError(
                "{--whole}: the input has no floating-point numbers, so there is no gradient.",
                "Give floats, not integers; of a model that reads token ids, give a part that reads their "
                "vectors.",
            )

    def _watch(self, name: str, value: Any) -> Any:
        if type(value) in (list, tuple):
            return type(value)(self._watch(f"{name}_{index}", part) for index, part in enumerate(value))
        if isinstance(value, dict):
            return {key: self._watch(f"{name}_{key}", part) for key, part in value.items()}
        leaf, given = self.make_leaf(value)
        if given is None:
            return value
        self.names.append(name)
        if self.leaf is None:
            self.leaf = leaf
        return given

    def measure(
        self, output: str, shapes: tuple[tuple[int, ...], tuple[int, ...]], dtype: str, lengths: Any = None
    ) -> InputGradients:
        """Return the gradients of the last step of the output.

        shapes: of the input and of the output, as `pull_back` has them.  dtype: of the input.
        lengths: of the sequences of a padded output, by which the last steps are known; else None.
        """
        given, returned = shapes
        axes = self._find_axes(given, returned)
        row, index = self._last_step(axes, returned, lengths)
        numbers = np.arange(int(np.prod(returned))).reshape(returned)[index].ravel()
        if len(numbers) > MOST_NUMBERS:
            raise LayerError(
                "{--whole}: the last step of the output has {count} numbers; at most {most} are "
                "differentiated.",
                "Give the model without its last layer.",
                count=len(numbers),
                most=MOST_NUMBERS,
            )
        squares: Any = 0.0
        is_reached = False
        for number in numbers:
            vector = np.zeros(returned, np.float32)
            vector.flat[number] = 1
            gradient = self.pull_back(vector)
            if gradient is not None:
                is_reached = True
                squares = squares + np.square(gradient.astype(np.float64))
        squares = np.broadcast_to(squares, given)
        own = squares if axes.of_input is None else np.take(squares, row, axes.of_input)
        norms = np.sqrt(own.reshape(len(own), -1).sum(axis=1))
        text = ", ".join([*map(str, index), *([":"] * (len(returned) - len(index)))])
        first, *others = self.names
        return InputGradients(
            output, text, row, len(numbers), first, given, dtype, norms, is_reached, tuple(others)
        )

    def _find_axes(self, given: tuple[int, ...], returned: tuple[int, ...]) -> Axes:
        fitting = [
            (ours, theirs)
            for ours, theirs in self.orders
            if ours < len(given) and theirs < max(1, len(returned) - 1)
            if len(given) > 1 and len(returned) and given[ours] == returned[theirs]
        ]
        if len(self.orders) > 1:
            for ours, theirs in fitting:
                if self._stays_in_sequence(returned, ours, theirs):
                    return Axes(ours, theirs)
            if len(given) == 2 and len(returned) < 3:
                return Axes(None, None)
        if not fitting:
            raise LayerError(
                "{--whole}: the input is {given} and the first output {returned}: which axis of them is the "
                "batch is not known.",
                "Let the model return (batch, ...) or (batch, timesteps, ...) first.",
                given=format_shape(given),
                returned=format_shape(returned),
            )
        return Axes(*fitting[0])

    def _stays_in_sequence(self, returned: tuple[int, ...], ours: int, theirs: int) -> bool:
        """Return whether the last entry of an axis of the output depends on the last of the input's alone."""
        vector = np.zeros(returned, np.float32)
        last = tuple(-1 if axis == theirs else slice(None) for axis in range(len(returned)))
        vector[last] = np.linspace(1, 2, int(vector[last].size)).reshape(vector[last].shape)
        gradient = self.pull_back(vector)
        if gradient is None:
            return False
        sizes = np.abs(np.moveaxis(gradient, ours, 0)).reshape(gradient.shape[ours], -1).max(axis=1)
        return bool(sizes[-1] > 0 and not sizes[:-1].any())

    def _last_step(self, axes: Axes, returned: tuple[int, ...], lengths: Any) -> tuple[int, tuple[int, ...]]:
        count = 1 if axes.of_output is None else returned[axes.of_output]
        row = place_of(self.batch, "batch", count, Message("{--batch:batch}", batch=self.batch))
        if axes.of_output is None:  # one sequence: (timesteps, units), or its last step
            return row, (returned[0] - 1,) if len(returned) == 2 else ()
        if len(returned) < 3:
            return row, (row,)
        step = returned[1 - axes.of_output] - 1 if lengths is None else int(lengths[row]) - 1
        return row, (row, step) if axes.of_output == 0 else (step, row)
