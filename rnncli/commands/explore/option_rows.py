"""The rows of the layer pane: every option that has a flag, with its value and the values it can take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from rnncli.case import MERGE_MODES, Case, Spec
from rnncli.cli.flags import LayerFlags
from rnncli.commands.explore.editable_case import Change, EditableCase, class_names, recurrent_places
from rnncli.layers import activations
from rnncli.specs.build import options_of

POSITION = "in stack"
"""The row that chooses the layer of a stack."""

MODEL_LAYER = "in model"
"""The row that chooses the layer of a saved model."""

NONE = "none"
"""The value of a row in which nothing is masked or held."""

SEPARATOR = ";"
"""Between the gates to hold in one typed text."""

FIRST = ("units", "return_sequences", "return_state", "go_backwards")
DTYPES = ("float32", "float64")
"""Those in which the numpy engine, which records steps, rounds as Keras does."""


class OptionRow(NamedTuple):
    """An option.

    choices: the values that left and right go through; (False, True) for a flag.
    edit_text: the value as the user types it, if it is displayed in another form.
    """

    name: str
    value: Any
    choices: Sequence[Any] = ()
    edit_text: str | None = None

    @property
    def is_flag(self) -> bool:
        """Whether it is on or off."""
        return isinstance(self.value, bool)

    @property
    def text(self) -> str:
        """The value as it is shown."""
        return self.value.class_name if isinstance(self.value, Spec) else str(self.value)

    def next(self, by: int) -> Any:
        """Return the value `by` places further; of a number without choices, the number plus `by`.

        Returns None for a value that has to be typed.
        """
        if self.choices:
            place = self.choices.index(self.value) if self.value in self.choices else -by
            return self.choices[(place + by) % len(self.choices)]
        return self.value + by if type(self.value) is int else None


def rows(experiment: EditableCase, batch: int = 0) -> list[OptionRow]:
    """Return the rows, the options that change what is returned first.

    batch: the sequence whose mask is shown.
    """
    case: Case = experiment.case
    spec, inner, origin = experiment.spec, experiment.inner, experiment.origin
    shown = []
    if len(origin.model_layers) > 1:
        shown.append(OptionRow(MODEL_LAYER, origin.model_layer, origin.model_layers))
    if len(case.specs) > 1:
        shown.append(OptionRow(POSITION, experiment.layer, recurrent_places(case)))
    shown.append(OptionRow("layer", inner.class_name, class_names()))
    shown += [row for row in _options(inner) if row.name in FIRST]
    shown.append(OptionRow("bidirectional", spec is not inner, (False, True)))
    if spec is not inner:
        shown.append(OptionRow("merge_mode", spec.config["merge_mode"] or "none", MERGE_MODES))
    masked = experiment.masked_steps(batch)
    shown.append(OptionRow("mask", f"t={masked}" if masked else NONE, edit_text=masked))
    holds = f"{SEPARATOR} ".join(hold.text for hold in case.hold)
    shown.append(OptionRow("hold", holds or NONE, edit_text=holds))
    if case.seed is not None:
        shown.append(OptionRow("seed", case.seed))
    shown.append(OptionRow("training", case.training, (False, True)))
    more = [row for row in _options(inner) if row.name not in FIRST]
    shown += [row for row in more if row.name == "stateful"]
    shown.append(OptionRow("calls", case.calls))
    return shown + [row for row in more if row.name != "stateful"]


def _options(spec: Spec) -> Iterator[OptionRow]:
    options = options_of(spec.class_name)
    for name in LayerFlags._fields:
        if name not in options:
            continue
        kind, value = options[name].kind, spec.config[name]
        choices: Sequence[Any] = ()
        if kind == "flag":
            choices = (False, True)
        elif kind == "activation":
            choices = activations.names()
        elif kind == "dtype":
            choices = DTYPES
        yield OptionRow(name, value, choices)


def step(experiment: EditableCase, name: str, by: int, batch: int) -> EditableCase:
    """Return the experiment with the next (1) or the previous (-1) value of a row, if it has that row."""
    row = next((row for row in rows(experiment, batch) if row.name == name), None)
    return experiment if row is None else apply(experiment, name, row.next(by), batch)


def reads_input(experiment: EditableCase, name: str) -> bool:
    """Return whether a new value of a row reads or generates the input again, which takes time."""
    return name in (MODEL_LAYER, "dtype") or (name == "seed" and experiment.is_input_generated)


def apply(experiment: EditableCase, name: str, value: Any, batch: int = 0) -> EditableCase:
    """Return the experiment with a new value of a row.

    value: typed text or a value of its choices.  batch: the sequence to mask.
    Raises RnncliError if the value is not accepted.
    """
    if name == POSITION:
        return replace(experiment, layer=value)
    special: dict[str, Callable[[Any], EditableCase]] = {
        MODEL_LAYER: experiment.with_model_layer,
        "layer": experiment.with_class,
        "mask": lambda text: experiment.with_masked_steps(batch, "" if text == NONE else text),
        "hold": lambda text: experiment.with_holds(split_holds(text)),
        "training": experiment.with_training,
        "seed": experiment.with_seed,
        "calls": experiment.with_calls,
        "dtype": experiment.with_dtype,
    }
    change = special.get(name, lambda value: experiment.with_option(name, value))
    return change(value)


def apply_text(row: OptionRow, text: str, batch: int = 0) -> Change:
    """Return the change to typed text.  Raises ValueError if it is not a number but should be."""
    kind = type(row.value)
    value = kind(text) if kind in (int, float) else text.strip()
    return lambda experiment: apply(experiment, row.name, value, batch)


def split_holds(text: str) -> list[str]:
    """Split `forget=1; input=0@2:` into the text of each gate; nothing for an empty text or `none`."""
    texts = [part.strip() for part in text.split(SEPARATOR)]
    return [part for part in texts if part not in ("", NONE)]
