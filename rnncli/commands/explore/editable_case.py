"""An experiment: a Case that can be changed one option or one number at a time, each time a new one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rnncli import addresses, layers, specs
from rnncli.case import HIGHEST_SEED, Array, Case, Spec
from rnncli.commands.explore.typed_flags import TypedFlags
from rnncli.compute import holds
from rnncli.errors import LayerError, UsageError
from rnncli.specs import fit
from rnncli.specs.build import options_of
from rnncli.specs.stack import Stack


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
        return self.case.specs[self.layer]

    @property
    def inner(self) -> Spec:
        """The same layer; inside Bidirectional, the forward one."""
        return self.spec.inner

    @property
    def is_edited(self) -> bool:
        """Whether numbers were changed, so that flags no longer describe the experiment."""
        now, then = self.case, self.origin.case
        return now.inputs is not then.inputs or now.weights is not then.weights or now.mask is not then.mask

    @property
    def is_input_generated(self) -> bool:
        """Whether the input is drawn from the seed, for --input-shape."""
        return self.origin.input.input_shape is not None

    @property
    def expression(self) -> str:
        """The layers as a Keras script writes them; a stack as a list."""
        texts = self.case.stack.expressions
        return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"

    def with_option(self, name: str, value: Any) -> EditableCase:
        """Return the experiment with a new value of an option of the layer.  name: of its flag.

        Raises LayerError or UsageError if the layer does not accept it.
        """
        self._require_free(name)
        return self._with_spec(specs.from_flags([], {name: value}, self.spec)[0])

    def with_dtype(self, dtype: str) -> EditableCase:
        """Return the experiment with every layer in another dtype, and the input in it too."""
        self._require_free("dtype")
        made = [specs.from_flags([], {"dtype": dtype}, spec)[0] for spec in self.case.specs]
        return self._with_stack(Stack(made)).with_input_again()

    def with_class(self, class_name: str) -> EditableCase:
        """Return the experiment with another recurrent layer, which keeps the options that it has."""
        self._require_free("layer")
        options = options_of(class_name)
        flags = {name: value for name, value in self.inner.config.items() if name in options}
        if self.spec is not self.inner:
            flags |= {"bidirectional": True, "merge_mode": self.spec.config["merge_mode"] or "none"}
        return self._with_spec(specs.from_flags([class_name], flags)[0])

    def with_seed(self, seed: int) -> EditableCase:
        """Return the experiment with weights, and an input of --input-shape, drawn from another seed."""
        if not 0 <= seed <= HIGHEST_SEED:
            raise UsageError(
                "seed is {seed}.", "Seeds go from 0 to {highest_seed}.", seed=seed, highest_seed=HIGHEST_SEED
            )
        made = self._with(seed=seed, weights=None)
        return made.with_input_again() if self.is_input_generated else made

    def with_input_again(self) -> EditableCase:
        """Return the experiment with its input read again for its layers and seed; keep an edited input."""
        case = self.case
        origin = self.origin.read_again(case.stack, case.seed)
        is_edited = case.inputs is not self.origin.case.inputs
        inputs = case.inputs.astype(case.stack.dtype) if is_edited else origin.case.inputs
        return replace(self, origin=origin, case=_fit_holds(case._replace(inputs=inputs)))

    def with_model_layer(self, name: str) -> EditableCase:
        """Return an experiment with another layer of the model, as it was saved."""
        origin = self.origin.in_model_layer(name)
        return EditableCase(origin.case, origin, recurrent_places(origin.case)[-1])

    def with_training(self, training: bool) -> EditableCase:
        """Return the experiment with the layers called in training mode, or not."""
        return self._with(training=training)

    def with_calls(self, calls: int) -> EditableCase:
        """Return the experiment with the layers called this often; the result is that of the last call."""
        if calls < 1:
            raise UsageError("calls is {calls}.", "The layers are called at least once.", calls=calls)
        return self._with(calls=calls)

    def with_holds(self, texts: Sequence[str]) -> EditableCase:
        """Return the experiment with exactly these gates held, each `forget[:, 1]=1@2:`."""
        return replace(self, case=holds.hold_gates(self.case, texts))

    def with_input(self, place: tuple[int, ...], value: float) -> EditableCase:
        """Return the experiment with another number at `place` of the input."""
        return self._with(inputs=_replace_number(self.case.inputs, place, value))

    def with_weight(
        self, weights: Mapping[str, Array], path: str, place: tuple[int, ...], value: float
    ) -> EditableCase:
        """Return the experiment with another number in one weight.

        weights: all of them, as they were used.
        """
        return self._with(weights={**weights, path: _replace_number(weights[path], place, value)})

    def toggle_mask(self, batch: int, timestep: int) -> EditableCase:
        """Return the experiment with one time step masked, or no longer masked."""
        mask = self._copy_mask()
        mask[batch, timestep] = not mask[batch, timestep]
        return self._with(mask=None if mask.all() else mask)

    def with_masked_steps(self, batch: int, text: str) -> EditableCase:
        """Return the experiment with exactly these steps of one sequence masked, `1, 3:`; none if empty.

        Raises UsageError for a text that is not a list of time steps, or a step that does not exist.
        """
        mask = self._copy_mask()
        mask[batch] = True
        for part in filter(str.strip, text.split(",")):
            try:
                place = addresses.parse_part(part)
            except ValueError:
                place = slice(0)
            steps = mask[batch, place if isinstance(place, slice) else slice(place, place + 1 or None)]
            if not steps.size:
                raise UsageError(
                    "mask: {part!r} is not a time step here.",
                    "Write steps from 0 to {last}, such as 1 or 2:.",
                    part=part.strip(),
                    last=mask.shape[1] - 1,
                )
            steps[:] = False
        return self._with(mask=None if mask.all() else mask)

    def masked_steps(self, batch: int) -> str:
        """Return the masked steps of one sequence as they are typed, `1, 3:5`; "" if there are none."""
        if self.case.mask is None:
            return ""
        steps = [step for step, is_kept in enumerate(self.case.mask[batch].tolist()) if not is_kept]
        runs: list[list[int]] = []
        for step in steps:
            if runs and step == runs[-1][-1] + 1:
                runs[-1].append(step)
            else:
                runs.append([step])
        return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}:{run[-1] + 1}" for run in runs)

    def _copy_mask(self) -> Array:
        """Return a mask that can be changed, (batch, timesteps) of bool, True for steps to process."""
        import numpy as np

        mask = self.case.mask
        return np.ones(self.case.inputs.shape[:2], bool) if mask is None else mask.copy()

    def _with(self, **changes: Any) -> EditableCase:
        return replace(self, case=self.case._replace(**changes))

    def _with_spec(self, spec: Spec) -> EditableCase:
        made = [*self.case.specs]
        made[self.layer] = spec
        return self._with_stack(Stack(made))

    def _with_stack(self, stack: Stack) -> EditableCase:
        case = self.case._replace(stack=stack)
        fit.fit_case(case)  # only to raise: the new arrays would count as edited numbers
        return replace(self, case=_fit_holds(case))

    def _require_free(self, name: str) -> None:
        if self.origin.run.model is not None and name not in ("return_sequences", "return_state"):
            raise UsageError(
                "{name} is fixed in a saved model.",
                "return_sequences and return_state can change.",
                name=name,
            )


Change = Callable[[EditableCase], EditableCase]


def class_names() -> tuple[str, ...]:
    """Return the recurrent layers that have units: LSTM, GRU, SimpleRNN."""
    return tuple(name for name in layers.recurrent() if "units" in layers.class_of(name).options)


def recurrent_places(case: Case) -> tuple[int, ...]:
    """Return the indices of the recurrent layers, which options can change."""
    return tuple(index for index, layer in enumerate(case.stack.layers) if layer.recurrent)


def require_sequences(case: Case) -> None:
    """Raise UsageError for inputs other than (batch, timesteps, features)."""
    if case.inputs.ndim != 3:
        raise UsageError(
            "explore shows inputs of 3 axes, but this layer needs {ndim}.",
            "Use rnncli run for it.",
            ndim=case.inputs.ndim,
        )
    if not recurrent_places(case):
        raise LayerError("no layer here has time steps.", "Name a recurrent layer, such as -l lstm.")


def _fit_holds(case: Case) -> Case:
    """Return the case with its holds parsed again.  Raises UsageError if its layers lack one of the gates."""
    try:
        return holds.hold_gates(case, [hold.text for hold in case.hold])
    except UsageError as error:
        raise UsageError(error.sentence, "Press H to release every gate first.") from None


def _replace_number(array: Array, place: tuple[int, ...], value: float) -> Array:
    """Return a copy of `array` with another number at `place`."""
    made = array.copy()
    made[place] = value
    return made
