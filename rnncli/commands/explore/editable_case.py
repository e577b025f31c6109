"""An experiment: a Case that can be changed one option or one number at a time, each time a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from rnncli import layers, specs
from rnncli.case import HIGHEST_SEED, Array, Case, Spec
from rnncli.cli.flags import InputFlags, RunFlags
from rnncli.errors import LayerError, UsageError
from rnncli.layers.stack import Stack
from rnncli.specs.build import options_of


class TypedFlags(NamedTuple):
    """The flags that were typed, and the Case that they describe."""

    input: InputFlags
    run: RunFlags
    case: Case


@dataclass(frozen=True, eq=False)
class EditableCase:
    """A Case, and where it came from.

    layer: index of the layer in the stack that options change.
    """

    case: Case
    origin: TypedFlags
    layer: int = 0

    @property
    def spec(self) -> Spec:
        """The layer that options change."""
        return self.case.layers[self.layer]

    @property
    def inner(self) -> Spec:
        """The same layer; inside Bidirectional, the forward one."""
        found: Spec = self.spec.config.get("layer", self.spec)
        return found

    @property
    def is_edited(self) -> bool:
        """Whether numbers were changed, so that flags no longer describe the experiment."""
        now, then = self.case, self.origin.case
        return now.inputs is not then.inputs or now.weights is not then.weights or now.mask is not then.mask

    @property
    def expression(self) -> str:
        """The layers as a Keras script writes them; a stack as a list."""
        texts = [specs.describe(spec) for spec in self.case.layers]
        return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"

    def with_option(self, name: str, value: Any) -> EditableCase:
        """Return the experiment with another option of the layer, by the name of its flag.

        Raises LayerError or UsageError if the layer does not accept it.
        """
        self._demand_free(name)
        return self._with_spec(specs.from_flags([], {name: value}, self.spec)[0])

    def with_class(self, class_name: str) -> EditableCase:
        """Return the experiment with another recurrent layer, which keeps the options that it has."""
        self._demand_free("layer")
        options = options_of(class_name)
        flags = {name: value for name, value in self.inner.config.items() if name in options}
        if self.spec is not self.inner:
            flags |= {"bidirectional": True, "merge_mode": self.spec.config["merge_mode"] or "none"}
        return self._with_spec(specs.from_flags([class_name], flags)[0])

    def with_seed(self, seed: int) -> EditableCase:
        """Return the experiment with weights drawn from another seed."""
        if self.origin.run.model is not None:
            raise UsageError("a saved model has its own weights.", "Change single weights instead.")
        if not 0 <= seed <= HIGHEST_SEED:
            raise UsageError(f"seed is {seed}.", f"Seeds go from 0 to {HIGHEST_SEED}.")
        return replace(self, case=replace(self.case, seed=seed, weights=None))

    def with_training(self, training: bool) -> EditableCase:
        """Return the experiment with the layers called in training mode, or not."""
        return replace(self, case=replace(self.case, training=training))

    def with_input(self, place: tuple[int, ...], value: float) -> EditableCase:
        """Return the experiment with another number at `place` of the input."""
        return replace(self, case=replace(self.case, inputs=_replace_number(self.case.inputs, place, value)))

    def with_weight(
        self, weights: Mapping[str, Array], path: str, place: tuple[int, ...], value: float
    ) -> EditableCase:
        """Return the experiment with another number in one weight.

        weights: all of them, as they were used.
        """
        made = {**weights, path: _replace_number(weights[path], place, value)}
        return replace(self, case=replace(self.case, weights=made))

    def with_masked(self, batch: int, timestep: int) -> EditableCase:
        """Return the experiment with one time step masked, or no longer masked."""
        import numpy as np

        shape = self.case.inputs.shape[:2]
        mask = np.ones(shape, bool) if self.case.mask is None else self.case.mask.copy()
        mask[batch, timestep] = not mask[batch, timestep]
        return replace(self, case=replace(self.case, mask=None if mask.all() else mask))

    def _with_spec(self, spec: Spec) -> EditableCase:
        made = [*self.case.layers]
        made[self.layer] = spec
        return replace(self, case=replace(self.case, stack=Stack(made)))

    def _demand_free(self, name: str) -> None:
        if self.origin.run.model is not None and name not in ("return_sequences", "return_state"):
            raise UsageError(
                f"{name} is fixed in a saved model.", "return_sequences and return_state can change."
            )


class History:
    """The experiments so far, for undo and redo."""

    def __init__(self, first: EditableCase) -> None:
        self._made, self._place = [first], 0

    @property
    def current(self) -> EditableCase:
        """The current experiment."""
        return self._made[self._place]

    def add(self, experiment: EditableCase) -> None:
        """Go on to `experiment`; those that were undone are dropped."""
        self._made[self._place + 1 :] = [experiment]
        self._place += 1

    def peek(self, by: int) -> EditableCase | None:
        """Return the experiment before (-1) or after (1) the current one; None if there is none."""
        place = self._place + by
        return self._made[place] if 0 <= place < len(self._made) else None

    def move(self, by: int) -> None:
        """Undo (-1) or redo (1)."""
        self._place += by


def class_names() -> tuple[str, ...]:
    """Return the recurrent layers that have units: LSTM, GRU, SimpleRNN."""
    return tuple(
        name
        for name in layers.names()
        if layers.class_of(name).recurrent and "units" in layers.class_of(name).options
    )


def recurrent_places(case: Case) -> tuple[int, ...]:
    """Return the indices of the recurrent layers, which options can change."""
    return tuple(index for index, layer in enumerate(case.stack.layers) if layer.recurrent)


def demand_sequences(case: Case) -> None:
    """Raise UsageError for inputs other than (batch, timesteps, features)."""
    if case.inputs.ndim != 3:
        raise UsageError(
            f"explore shows inputs of 3 axes, and this layer needs {case.inputs.ndim}.",
            "Use rnncli run for it.",
        )
    if not recurrent_places(case):
        raise LayerError("no layer here has time steps.", "Name a recurrent layer, such as -l lstm.")


def _replace_number(array: Array, place: tuple[int, ...], value: float) -> Array:
    """Return a copy of `array` with another number at `place`."""
    made = array.copy()
    made[place] = value
    return made
