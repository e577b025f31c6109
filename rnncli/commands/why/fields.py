"""Fill the holes of a cause's texts: `{units:unit}`, `{shape}`, `{own:return_sequences=True}`."""

from __future__ import annotations

import operator
import re
from ast import literal_eval
from collections.abc import Callable, Collection
from functools import partial
from string import Formatter
from typing import Any

from rnncli.case import Dimension, format_shape
from rnncli.commands.why import fix_layers
from rnncli.commands.why.message import Fields, FrameworkMessage, parse_shape

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">": operator.gt,
    "has": operator.contains,
    "lacks": lambda text, part: part not in text,
}


def fields_of(message: FrameworkMessage, shapes: Collection[str], arguments: Collection[str]) -> Fields:
    """Return what the holes of every cause may name: the groups of its pattern, names and layers.

    A group is a number if it is written in digits, a shape if it is one of `shapes`, else text; the shapes of
    the call's `arguments` are fields too. With a shape, `{shape_axes}` is the number of its axes, and
    `{shape_units}` the size of the last one. A layer takes units and options: `{own:3, unroll=True}`.
    """
    groups = message.match.groupdict(default="")
    named = {name: parse_shape(groups[name]) for name in shapes}
    named |= {name: (*message.argument(name), ())[0] for name in arguments}
    return {
        "call": message.call,
        "layer": message.layer,
        "torch": message.layer.removeprefix("Simple"),
        "names": partial(fix_layers.own_names, message),
        # the layer of the message or the code, with and without a Bidirectional around it
        "own": partial(fix_layers.expression, message),
        "inner": partial(fix_layers.inner_layer, message),
        # the layer, if it returns a single tensor; {wide:8}, {last:8} and {every:8} have 8 outputs
        "before": partial(fix_layers.before, message),
        "wide": partial(fix_layers.with_width, message),
        "last": partial(fix_layers.with_width, message, return_sequences=False),
        "every": partial(fix_layers.with_width, message, return_sequences=True),
        # the two directions of a Bidirectional
        "forward": partial(fix_layers.one_way, message),
        "backward": partial(fix_layers.one_way, message, go_backwards=True),
        **{name: int(text) if text.isdecimal() else text for name, text in groups.items()},
        **named,
        **{f"{name}_axes": len(shape) for name, shape in named.items()},
        **{f"{name}_units": fix_layers.units_of(shape) for name, shape in named.items()},
    }


class _Filler(Formatter):
    def format_field(self, value: Any, spec: str) -> str:
        """Return a layer with the units and options of `spec`, a count with its noun, a shape, or text."""
        if callable(value):
            return str(_call(value, spec))
        if isinstance(value, tuple):
            return format_shape(value)
        if spec == "개":
            return "여러 개" if value is None else f"{value}개"
        return _pluralize(value, spec) if spec else str(value)


_FILLER = _Filler()


def _pluralize(count: Dimension, noun: str) -> str:
    """Return `1 time step`, `4 time steps`, or `several time steps` if the number is unknown."""
    nouns = "axes" if noun == "axis" else f"{noun}s"
    return f"{'several' if count is None else count} {noun if count == 1 else nouns}"


def _call(layer: Callable[..., str], spec: str) -> str:
    """Return the layer with the arguments of `3, return_sequences=True`."""
    parts = [part.partition("=") for part in spec.split(", ") if part]
    units = [int(name) for name, sign, _ in parts if not sign]
    return layer(*units, **{name: literal_eval(value) for name, sign, value in parts if sign})


def fill(text: str, fields: Fields) -> str:
    """Return the text with the fields in its holes."""
    return _FILLER.vformat(text, (), fields)


def values_of(entries: list[Any], fields: Fields) -> tuple[Any, ...]:
    """Return the values of layers or sizes; a hole with a shape or several layers gives several values."""
    values: list[Any] = []
    for entry in entries:
        value = _value(entry, fields)
        values += value if isinstance(value, tuple) else (value,)
    return tuple(values)


def _value(entry: Any, fields: Fields) -> Any:
    """Return the field itself for `{size}`, or `batch` for `{size or batch}` if the size is unknown."""
    hole = re.fullmatch(r"\{([\w\[\]]+)(?: or (\w+))?\}", str(entry))
    if not hole:
        return fill(entry, fields) if isinstance(entry, str) else entry
    value = _known(hole[1], fields) if hole[2] else _FILLER.get_field(hole[1], (), fields)[0]
    return hole[2] if value is None else value() if callable(value) else value


def holds(when: str, fields: Fields) -> bool:
    """Return whether all conditions hold: `steps`, `not steps`, `found > {wanted}`, joined by `and`.

    A field that the cause does not have is neither true nor equal to anything.
    """
    return all(_holds(condition.split(), fields) for condition in when.split(" and ")) if when else True


def _holds(words: list[str], fields: Fields) -> bool:
    if words[0] == "not":
        return not _known(words[1], fields)
    if len(words) == 1:
        return bool(_known(words[0], fields))
    name, sign, text = words
    wanted = int(text) if text.isdecimal() else _value(text, fields)
    return COMPARISONS[sign](_known(name, fields), wanted)


def _known(path: str, fields: Fields) -> Any:
    """Return a field, or one size of a shape: `shape[0]`; None if the cause does not have it."""
    name, *indices = re.findall(r"\w+", path)
    value = fields.get(name)
    if not indices:
        return value
    index = int(indices[0])
    return value[index] if value and index < len(value) else None
