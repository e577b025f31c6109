"""The rows of the layer pane: every option, its value, the values it can take, and how it is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from rnncli import layers, specs
from rnncli.ask import LAYER_OPTIONS
from rnncli.cells import activations
from rnncli.commands.explore.experiment import (
    LESSON_SEED,
    NONE,
    Experiment,
    fit_holds,
    in_model_layer,
    mask_steps,
    masked_steps,
    read_again,
    recurrent_places,
)
from rnncli.compute import holds
from rnncli.errors import Message, Text, UsageError
from rnncli.layers.shape_checks import check_case
from rnncli.layers.stack import Stack
from rnncli.options import OPTIONS
from rnncli.specs.build import options_of
from rnncli.values import HIGHEST_SEED, MERGE_MODES, Option, Spec

FIRST = ("units", "return_sequences", "return_state")
DTYPES = ("float32", "float64")
"""The dtypes in which the numpy engine, which records steps, rounds as Keras does."""
SEPARATOR = ";"
"""Between the gates to hold in one typed text."""


ABOUT = {
    "in model": Message("the layer of the saved model to explore"),
    "in stack": Message("the layer of the stack that the rows below change"),
    "layer": Message("LSTM, GRU or SimpleRNN; only GRU has reset_after"),
    "units": Message("how many numbers the layer keeps; the last axis of what it returns"),
    "return_sequences": Message("on: one row per time step; off: only the last time step"),
    "return_state": Message("on: also the state after the last time step; an LSTM has two, hidden and cell"),
    "bidirectional": Message("on: a second layer reads backwards; its numbers are the right half"),
    "merge_mode": Message("joins both directions: concat side by side, none as two tensors"),
    "mask": Message("time steps to skip, such as padding; the state stays as it was"),
    "stateful": Message("on: the next call starts where this one ended; off: every call starts at zero"),
    "calls": Message("how often the layer is called with this input; you see the last call"),
    "reset_after": Message("on: the reset gate multiplies the product h U; off: it multiplies h"),
    "go_backwards": Message("on: the layer reads from the last time step to the first"),
    "seed": Message("another seed draws other weights"),
    "hold": Message("sets a gate instead of computing it; forget=1@2: sets it from t=2 on"),
    "training": Message("on: as in fit(), where dropout leaves numbers out"),
}
"""What a row means; an option that is not here has its help of the command line."""
TOPICS = {
    "return_sequences": "return_sequences", "return_state": "return_state", "bidirectional": "bidirectional",
    "merge_mode": "bidirectional", "mask": "masks", "stateful": "stateful", "calls": "stateful",
    "reset_after": "reset_after",
}  # fmt: skip
"""The page of `rnncli help` about a row."""


def about(name: str) -> Text:
    """Return what a row means."""
    helps = (entry.help for entry in OPTIONS if entry.name == name and name in LAYER_OPTIONS)
    return ABOUT.get(name) or next(helps, "")


class OptionRow(NamedTuple):
    """An option.

    change: returns the experiment with another value; raises RnncliError if that is not possible.
    choices: the values that left and right go through; (False, True) for a flag.
    typed: the value as the user types it, if the displayed value has another form.
    reads: whether the change reads or generates the input again, which takes time.
    """

    name: str
    value: Any
    change: Callable[[Experiment, Any], Experiment]
    choices: Sequence[Any] = ()
    typed: str | None = None
    reads: bool = False

    @property
    def text(self) -> str:
        """The value as it is shown."""
        return self.value.class_name if isinstance(self.value, Spec) else str(self.value)

    def next(self, by: int) -> Any:
        """Return the choice after `by` steps, or a whole number plus `by`; None if it has to be typed."""
        if self.choices:
            index = self.choices.index(self.value) if self.value in self.choices else -by
            return self.choices[(index + by) % len(self.choices)]
        return self.value + by if type(self.value) is int else None

    def parse(self, text: str) -> Any:
        """Return the value of a typed text.  Raises ValueError if a number is needed and the text is none."""
        kind = type(self.value)
        return kind(text) if kind in (int, float) else text.strip()


def rows(now: Experiment, batch: int = 0) -> list[OptionRow]:
    """Return the rows, what changes the returned tensors first.  batch: the sequence whose mask is shown."""
    case, spec, inner, start = now.case, now.spec, now.spec.inner, now.start
    of_layer = {row.name: row for row in _options(inner)}
    shown = []
    if len(start.layers) > 1:
        layer = (start.ask.model or "").rpartition("#")[2]
        shown.append(OptionRow("in model", layer, in_model_layer, start.layers, reads=True))
    if len(case.stack) > 1:
        places = recurrent_places(case)
        shown.append(OptionRow("in stack", now.layer, lambda now, index: replace(now, layer=index), places))
    with_units = [name for name in layers.recurrent_names() if "units" in layers.class_of(name).options]
    shown.append(OptionRow("layer", inner.title, partial(_set_option, "layer"), with_units))
    shown += [of_layer.pop(name) for name in FIRST if name in of_layer]
    wrapped = spec is not inner
    shown.append(OptionRow("bidirectional", wrapped, partial(_set_option, "bidirectional"), (False, True)))
    if wrapped:
        mode = spec.config["merge_mode"] or "none"
        shown.append(OptionRow("merge_mode", mode, partial(_set_option, "merge_mode"), MERGE_MODES))
    masked = masked_steps(case, batch)
    mask = partial(mask_steps, batch)
    shown.append(OptionRow("mask", f"t={masked}" if masked else NONE, mask, typed=masked))
    shown += [of_layer.pop("stateful")] if "stateful" in of_layer else []
    shown.append(OptionRow("calls", case.calls, _set_calls))
    shown += [of_layer.pop(name) for name in ("reset_after", "go_backwards") if name in of_layer]
    if case.seed is not None:
        draws = start.ask.input_shape is not None
        shown.append(OptionRow("seed", case.seed, _set_seed, reads=draws))
    held = f"{SEPARATOR} ".join(hold.text for hold in case.hold)
    shown.append(OptionRow("hold", held or NONE, hold_gates, typed=held))
    train = OptionRow("training", case.training, _set_training, (False, True))
    return [*shown, train, *of_layer.values()]


def _options(spec: Spec) -> Iterator[OptionRow]:
    options, config = _options_of(spec)
    choices = {"flag": (False, True), "activation": activations.names(), "dtype": DTYPES}
    for name, option in options.items():
        change, reads = partial(_set_option, name), name == "dtype"
        yield OptionRow(name, config[name], change, choices.get(option.kind, ()), reads=reads)


def _options_of(spec: Spec) -> tuple[dict[str, Option], Mapping[str, Any]]:
    """Return the options that have a row, and their values; a cell written as equations adds its options."""
    options, config, names = dict(options_of(spec.class_name)), spec.config, [*LAYER_OPTIONS]
    if spec.title != spec.class_name:
        cell: Spec = config["cell"]
        options, config = {**options_of("", cell.equations), **options}, {**cell.config, **config}
        names += cell.equations.options
    return {name: options[name] for name in dict.fromkeys(names) if name in options}, config


def hold_gates(now: Experiment, text: str) -> Experiment:
    """Return the experiment with exactly these gates held, `forget[:, 1]=1; input=0`; none if empty."""
    texts = [part.strip() for part in text.split(SEPARATOR)]
    return replace(now, case=holds.hold_gates(now.case, [part for part in texts if part not in ("", NONE)]))


def _set_calls(now: Experiment, calls: int) -> Experiment:
    if calls < 1:
        raise UsageError("calls is {calls}.", "The layers are called at least once.", calls=calls)
    return now.with_case(calls=calls)


def _set_training(now: Experiment, on: bool) -> Experiment:
    seed, is_model = now.case.seed, now.start.subject.fixed_layers
    if on and seed is None and not is_model:  # with given weights nothing was drawn until now
        seed = LESSON_SEED
    return now.with_case(training=on, seed=seed)


def _set_seed(now: Experiment, seed: int) -> Experiment:
    if not 0 <= seed <= HIGHEST_SEED:
        raise UsageError(
            "seed is {seed}.", "Seeds go from 0 to {highest_seed}.", seed=seed, highest_seed=HIGHEST_SEED
        )
    experiment = now.with_case(seed=seed, weights=None)
    return read_again(experiment) if now.start.ask.input_shape is not None else experiment


def _set_option(name: str, now: Experiment, value: Any) -> Experiment:
    if now.start.subject.fixed_layers and name not in ("return_sequences", "return_state"):
        raise UsageError(
            "{name} is fixed in a saved model.", "return_sequences and return_state can change.", name=name
        )
    spec, specs_now = now.spec, list(now.case.stack)
    if name == "dtype":
        specs_now = [specs.from_flags([], {"dtype": value}, layer)[0] for layer in specs_now]
    elif name == "layer":  # the new layer keeps the options that both layers have
        flags = {key: old for key, old in _options_of(spec.inner)[1].items() if key in options_of(value)}
        if spec is not spec.inner:
            flags |= {"bidirectional": True, "merge_mode": spec.config["merge_mode"] or "none"}
        specs_now[now.layer] = specs.from_flags([value], flags)[0]
    else:
        specs_now[now.layer] = specs.from_flags([], {name: value}, spec)[0]
    case = now.case._replace(stack=Stack(specs_now))
    check_case(case)  # only to raise: the new arrays would count as edited numbers
    experiment = replace(now, case=fit_holds(case))
    return read_again(experiment) if name == "dtype" else experiment
