"""Fill the holes of a cause's texts: `{units:unit}`, `{shape}`, `{own:return_sequences=True}`."""

from __future__ import annotations

import operator
import re
from ast import literal_eval
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from string import Formatter
from typing import Any

from rnncli.case import Dimension, Shape, format_shape
from rnncli.commands.why import expressions
from rnncli.commands.why.message import Message, parse_shape

EVERYWHERE: dict[str, Callable[[Message], Any]] = {
    "layer": lambda message: message.layer,
    "torch": lambda message: message.layer.removeprefix("Simple"),
    "call": lambda message: message.call,
    "own": lambda message: partial(expressions.expression, message),
    "inner": lambda message: partial(expressions.inner_layer, message),
    "before": lambda message: partial(expressions.before, message),
    "wide": lambda message: partial(expressions.with_width, message),
    "last": lambda message: partial(expressions.before_or_wide, message, return_sequences=False),
    "every": lambda message: partial(expressions.before_or_wide, message, return_sequences=True),
    "forward": lambda message: partial(expressions.forward, message),
    "backward": lambda message: partial(expressions.backward, message),
}
"""Fields of every cause: names, and layers that take units and options after a colon.

layer, torch: Keras's and PyTorch's class.  call: the class whose `call` failed.
own, inner: the layer of the message or the code, with and without a Bidirectional around it.
before, wide: as a layer that passes one tensor on, `wide` with so many outputs.
last, every: `before`, or with a number `wide`, with the last output and with those of every time step.
forward, backward: the two directions of a Bidirectional.
"""

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">": operator.gt,
    "has": operator.contains,
    "lacks": lambda text, part: part not in text,
}


class Fields(dict[str, Any]):
    """What the holes of a cause may name: its groups and values, and what EVERYWHERE has.

    A group is a shape if it is one of `shapes`, a number if it is written in digits, else text.
    """

    def __init__(self, message: Message, shapes: Iterable[str]) -> None:
        super().__init__(
            {name: _read(text or "", name in shapes) for name, text in message.match.groupdict().items()}
        )
        self.message = message

    def __missing__(self, name: str) -> Any:
        return EVERYWHERE[name](self.message)


def _read(text: str, is_shape: bool) -> str | int | Shape:
    if is_shape:
        return parse_shape(text)
    return int(text) if text.isdecimal() else text


class _Filler(Formatter):
    def format_field(self, value: Any, spec: str) -> str:
        """Return a layer with the units and options of `spec`, a count with its noun, a shape, or text."""
        if callable(value):
            return str(_call(value, spec))
        if isinstance(value, tuple):
            return format_shape(value)
        if spec == "개":
            return "여러 개" if value is None else f"{value}개"
        return pluralize(value, spec) if spec else str(value)


def pluralize(count: Dimension, noun: str) -> str:
    """Return `1 time step`, `4 time steps`, or `several time steps` if the number is unknown."""
    nouns = "axes" if noun == "axis" else f"{noun}s"
    return f"{'several' if count is None else count} {noun if count == 1 else nouns}"


def _call(layer: Callable[..., str], spec: str) -> str:
    """Return the layer with the arguments of `3, return_sequences=True`."""
    parts = [part.partition("=") for part in spec.split(", ") if part]
    units = [int(name) for name, sign, _ in parts if not sign]
    return layer(*units, **{name: literal_eval(value) for name, sign, value in parts if sign})


def fill(text: str, fields: Mapping[str, Any]) -> str:
    """Return the text with the fields in its holes."""
    return _Filler().vformat(text, (), fields)


def value_of(entry: Any, fields: Mapping[str, Any]) -> Any:
    """Return the field itself if the text is nothing but a hole, else the text, filled; a number as it is."""
    if not isinstance(entry, str):
        return entry
    hole = re.fullmatch(r"\{([\w\[\]]+)\}", entry)
    return _Filler().get_field(hole[1], (), fields)[0] if hole else fill(entry, fields)


def holds(when: str, fields: Mapping[str, Any]) -> bool:
    """Return whether every condition holds: `steps`, `not steps`, `found > {wanted}`, joined by `and`."""
    return all(_holds(one.split(), fields) for one in when.split(" and ") if one)


def _holds(words: list[str], fields: Mapping[str, Any]) -> bool:
    if words[0] == "not":
        return not fields[words[1]]
    if len(words) == 1:
        return bool(fields[words[0]])
    name, sign, wanted = words
    return COMPARISONS[sign](fields[name], int(wanted) if wanted.isdecimal() else value_of(wanted, fields))
