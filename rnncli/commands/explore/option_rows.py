"""The rows of the layer pane: every option that has a flag, with its value and the values it can take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from rnncli.case import Case, Spec
from rnncli.cli.flags import LayerFlags
from rnncli.commands.explore.editable_case import EditableCase, class_names, recurrent_places
from rnncli.layers import activations
from rnncli.specs.build import options_of

POSITION = "in stack"
"""The row that chooses the layer of a stack."""

FIRST = ("units", "return_sequences", "return_state", "go_backwards")
MERGE_MODES = ("concat", "sum", "mul", "ave", "none")


class OptionRow(NamedTuple):
    """An option.  choices: the values that left and right go through; (False, True) for a flag."""

    name: str
    value: Any
    choices: Sequence[Any] = ()

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


def rows(experiment: EditableCase) -> list[OptionRow]:
    """Return the rows, the options that change what is returned first."""
    case: Case = experiment.case
    spec, inner = experiment.spec, experiment.inner
    found = []
    if len(case.layers) > 1:
        found.append(OptionRow(POSITION, experiment.layer, recurrent_places(case)))
    found.append(OptionRow("layer", inner.class_name, class_names()))
    found += [row for row in _options(inner) if row.name in FIRST]
    found.append(OptionRow("bidirectional", spec is not inner, (False, True)))
    if spec is not inner:
        found.append(OptionRow("merge_mode", spec.config["merge_mode"] or "none", MERGE_MODES))
    found.append(OptionRow("training", case.training, (False, True)))
    if case.seed is not None:
        found.append(OptionRow("seed", case.seed))
    return found + [row for row in _options(inner) if row.name not in FIRST]


def _options(spec: Spec) -> Iterator[OptionRow]:
    options = options_of(spec.class_name)
    for name in LayerFlags._fields:
        if name not in options or name == "dtype":  # the input was read in this dtype
            continue
        kind, value = options[name].kind, spec.config[name]
        choices: Sequence[Any] = ()
        if kind == "flag":
            choices = (False, True)
        elif kind == "activation":
            choices = activations.names()
        yield OptionRow(name, value, choices)


def apply(experiment: EditableCase, name: str, value: Any) -> EditableCase:
    """Return the experiment with a new value of that row.

    value: typed text or a value of its choices.  Raises RnncliError if it is not accepted.
    """
    if name == POSITION:
        return replace(experiment, layer=value)
    if name == "layer":
        return experiment.with_class(value)
    if name == "training":
        return experiment.with_training(bool(value))
    if name == "seed":
        return experiment.with_seed(int(value))
    return experiment.with_option(name, value)


def apply_text(row: OptionRow, text: str) -> Callable[[EditableCase], EditableCase]:
    """Return the change to typed text.  Raises ValueError if it is not a number but should be."""
    kind = type(row.value)
    value = kind(text) if kind in (int, float) else text.strip()
    return lambda experiment: apply(experiment, row.name, value)
