"""The rows of the layer pane: every option that has a flag, with its value and the values it can take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rnncli import layers
from rnncli.ask import LAYER_OPTIONS
from rnncli.case import MERGE_MODES, Spec
from rnncli.commands.explore.experiment import (
    MODEL_LAYER,
    NONE,
    POSITION,
    SEPARATOR,
    Experiment,
    masked_steps,
    recurrent_places,
)
from rnncli.layers import activations
from rnncli.specs.build import options_of

FIRST = ("units", "return_sequences", "return_state", "go_backwards")
DTYPES = ("float32", "float64")
"""Those in which the numpy engine, which records steps, rounds as Keras does."""


class OptionRow(NamedTuple):
    """An option.

    choices: the values that left and right go through; (False, True) for a flag.
    typed: the value as the user types it, if it is displayed in another form.
    """

    name: str
    value: Any
    choices: Sequence[Any] = ()
    typed: str | None = None

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

    def parse(self, text: str) -> Any:
        """Return the value of a typed text.  Raises ValueError if it is not a number but should be."""
        kind = type(self.value)
        return kind(text) if kind in (int, float) else text.strip()


def rows(now: Experiment, batch: int = 0) -> list[OptionRow]:
    """Return the rows, the options that change what is returned first.

    batch: the sequence whose mask is shown.
    """
    case, spec, inner, start = now.case, now.spec, now.spec.inner, now.start
    options = list(_options(inner))
    shown = []
    if len(start.layers) > 1:
        shown.append(OptionRow(MODEL_LAYER, start.model_layer, start.layers))
    if len(case.specs) > 1:
        shown.append(OptionRow(POSITION, now.layer, recurrent_places(case)))
    with_units = [name for name in layers.recurrent_names() if "units" in layers.class_of(name).options]
    shown.append(OptionRow("layer", inner.class_name, with_units))
    shown += [row for row in options if row.name in FIRST]
    shown.append(OptionRow("bidirectional", spec is not inner, (False, True)))
    if spec is not inner:
        shown.append(OptionRow("merge_mode", spec.config["merge_mode"] or "none", MERGE_MODES))
    masked = masked_steps(case, batch)
    shown.append(OptionRow("mask", f"t={masked}" if masked else NONE, typed=masked))
    holds = f"{SEPARATOR} ".join(hold.text for hold in case.hold)
    shown.append(OptionRow("hold", holds or NONE, typed=holds))
    if case.seed is not None:
        shown.append(OptionRow("seed", case.seed))
    shown.append(OptionRow("training", case.training, (False, True)))
    shown += [row for row in options if row.name == "stateful"]
    shown.append(OptionRow("calls", case.calls))
    return shown + [row for row in options if row.name not in (*FIRST, "stateful")]


def _options(spec: Spec) -> Iterator[OptionRow]:
    options = options_of(spec.class_name)
    choices = {"flag": (False, True), "activation": activations.names(), "dtype": DTYPES}
    for name in LAYER_OPTIONS:
        if name in options:
            yield OptionRow(name, spec.config[name], choices.get(options[name].kind, ()))
