"""The layers of --against: each with the input and the seed of the first, and its units unless specified."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rnncli.case import Case
from rnncli.commands.gradients.curves import units_of
from rnncli.errors import UsageError
from rnncli.specs import from_flags
from rnncli.specs.build import is_name


def list_layers(layer: Any, against: Collection[Any]) -> list[Any]:
    """Return the first layer, which is `layer` if that is given, and those to compare it with.

    against: layers; a text may name several, `lstm,GRU(3)`.  Raises UsageError if the texts name none.
    """
    others = [one for item in against for one in (_separate(item) if isinstance(item, str) else [item])]
    if against and not others:
        raise UsageError("{--against} does not name a layer.", "For example {--against simple_rnn,lstm,gru}.")
    return [layer, *others] if layer or not others else others


def own_options(layers: Sequence[Any], options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options for layers of --against: names take them, expressions and configs have their own."""
    return options if all(map(is_name, layers)) else {}


def make_variants(case: Case, others: Sequence[Sequence[Any]], options: Mapping[str, Any]) -> list[Case]:
    """Return cases with the same input and seed and other layers, with the same units unless specified.

    others: the layers of each stack.  options: of the layers given by name.
    Raises UsageError if weights or states are supplied, which are for the layers of `case`.
    """
    if others and (case.weights is not None or case.initial_state is not None):
        raise UsageError(
            "{--against} draws the weights of each layer and starts from zero states.",
            "Leave out weights and initial states.",
        )
    sized = {**options, "units": options.get("units") or units_of(case)}
    return [
        case._replace(specs=tuple(from_flags(list(layers), own_options(layers, sized)))) for layers in others
    ]


def _separate(word: str) -> list[str]:
    """Split `lstm,GRU(3, use_bias=False)` at commas outside brackets."""
    parts = re.split(r",(?![^(\[]*[)\]])", word)
    return [part.strip() for part in parts if part.strip()]
