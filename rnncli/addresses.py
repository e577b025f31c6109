"""Parse text that names a tensor and a part of it: `hidden_states[0, -1, 3:]`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from rnncli.errors import Message, Text, UsageError, did_you_mean, format_names, format_range
from rnncli.result import Label, TensorInfo
from rnncli.values import parse_decimal, parse_number, sizes

# Text: most commands parse no address, and compiling takes time.
_TEXT = r"\s*(?P<name>(?:call [0-9]+/)?[\w/]+)\s*(?:\[(?P<index>[^\[\]]*)\])?\s*"
_NAME = (
    r"(?:call (?P<call>[0-9]{1,9})/)?(?:(?P<layer>[0-9]{1,9})/)?(?:(?P<direction>forward|backward)[_/])?"
    r"(?:cell_(?P<cell>[0-9]{1,9})/)?(?P<base>\w+)"
)
_STATE = r"(?P<last>last_)?(?P<part>hidden|cell)_state(?P<all>s)?"

FROM_THE_END = Message("A negative index counts from the end: -1 is the last.")
HOLD_EXAMPLE = Message(
    "Write GATE[:, UNITS]=VALUE@STEPS, such as 'forget[:, 1]=1@2:'; units and steps may be left out."
)


class Address(NamedTuple):
    """A tensor and a part of it.  texts: the index as typed, one text per axis."""

    label: Label
    texts: tuple[str, ...] = ()


@cache
def parse(text: str) -> Address:
    """Parse `1/hidden_states[0, -1]`; cached, because a stream asks for the same tensors for every line.

    Raises ValueError if the text does not have that form.
    """
    match = re.fullmatch(_TEXT, text)
    if match is None:
        raise ValueError(f"{text!r} is not a tensor with an index")
    inside = (match["index"] or "").strip()
    return Address(parse_label(match["name"]), tuple(map(str.strip, inside.split(","))) if inside else ())


def parse_label(name: str) -> Label:
    """Return the label of a tensor name: `forward_last_cell_state`, or in a trace `forward/cell`."""
    match = re.fullmatch(_NAME, name)
    if match is None:
        return Label(name, kind="")
    layer, call, cell = (None if match[key] is None else int(match[key]) for key in ("layer", "call", "cell"))
    state = re.fullmatch(_STATE, match["base"])
    part, flags = match["base"], (False, False)
    if state:
        part, flags = state["part"], (bool(state["all"]), bool(state["last"]))
    label = Label(part, *flags, cell, match["direction"] or "", layer, call, None if state else "")
    return label if str(label) == name else Label(name, kind="")


def label_in_model(name: str) -> Label:
    """Return the label of a tensor that a saved model returned: `inside/gru/hidden_states`."""
    layer, _, tensor = name.rpartition("/")
    return parse_label(tensor)._replace(layer=layer or None, kind=None)


def layer_in_model(text: str, layers: Iterable[str]) -> str:
    """Return which of `layers` is in front of a tensor, `inside/gru/hidden_states[0]`; "" for none."""
    return max((layer for layer in layers if text.startswith(f"{layer}/")), key=len, default="")


def find_tensor(
    text: str, infos: Sequence[TensorInfo], before: Text = "", layer: str = ""
) -> tuple[TensorInfo, tuple[str, ...]]:
    """Find the tensor that `text` names; return it and its index, one text per axis for `parse_part`.

    before: prefix of error messages.  layer: the saved model's layer, `gru/`, already removed from `text`.
    Raises UsageError if there is no such tensor.
    """
    try:
        address = parse(text)
    except ValueError:
        what, example = "{before}{layer}{text}: this is not a tensor.", last_address(infos[0])
        template = "Write a name and an index, such as '{layer}{address}'."
        advice = Message(template, layer=layer, address=example)
        raise UsageError(what, advice, before=before, layer=layer, text=text) from None
    known = {info.name: info for info in infos}
    name = str(address.label)
    if name not in known:
        what, near = "{before}there is no tensor {layer!r}.", suggest_tensor(name, list(known), layer)
        raise UsageError(what, near, before=before, layer=layer + name)
    return known[name], address.texts


def suggest_tensor(name: str, known: Sequence[str], layer: str = "") -> Text:
    """Return advice for a name that is not among `known`, the returned tensors.  layer: see find_tensor."""
    label, returned = label_in_model(name), [label_in_model(other) for other in known]
    single = label._replace(sequence=False)
    if label.sequence and single in returned:
        template = "{layer}{name} exists only with {--return-sequences:on}; without it, use {layer}{single}."
        return Message(template, layer=layer, name=name, single=single)
    stateless = not any(other.last for other in returned)
    # A misspelt name has no label that says so.
    if "last_" in name and stateless and any(other.part == "hidden" for other in returned):
        template = "States are returned only with {--return-state:on}; without it, there is {names}."
        return Message(template, names=format_names([layer + other for other in known]))
    index = parse_label(name).layer
    near = [other for other in known if parse_label(other).layer == index]
    return did_you_mean(name, near or known, layer)


def last_address(info: TensorInfo) -> str:
    """Example address of the last number of a tensor: `hidden_states[0,3,2]`."""
    return f"{info.name}[{','.join(str(size - 1) for size in sizes(info.shape))}]"


def parse_part(text: str) -> int | slice:
    """Parse `-1` or `3:`, the index of one axis.  Raises ValueError for anything else."""
    if ":" not in text:
        return parse_number(text)
    start, stop = (parse_number(bound) if bound.strip() else None for bound in text.split(":"))
    return slice(start, stop)


def place_of(index: int, axis: str, length: int, before: Text) -> int:
    """Return an index of an axis, counted from its start.  Raises UsageError if it is out of range.

    before: what the error begins with.
    """
    if not -length <= index < length:
        what, known = "{before}: index {index} is out of range for {axis} ({range}).", format_range(length)
        raise UsageError(what, FROM_THE_END, before=before, index=index, axis=axis, range=known)
    return index % length


def parse_head(text: str, heads: Mapping[str, int]) -> dict[str, int]:
    """Return the index of each axis of heads: `2`, or `1,0` of two axes.  heads: their sizes."""
    try:
        indices = [parse_number(index) for index in text.split(",")]
    except ValueError:
        raise UsageError("{--head:text}: this is not an index.", "Write 2, or 1,0.", text=text) from None
    if not heads:
        what = "{--head:text}: no state of this layer has heads."
        advice = "Leave it out, or write heads = [...] at the top of the cell's file, with names of axes."
        raise UsageError(what, advice, text=text)
    pairs = zip(indices, heads.values(), strict=False)
    if len(indices) != len(heads) or any(not -size <= index < size for index, size in pairs):
        known = ", ".join(f"{axis} {format_range(size)}" for axis, size in heads.items())
        what = "{--head:text}: this is not a head. The heads are {known}."
        raise UsageError(what, "Give one index for each axis of heads.", text=text, known=known)
    return {axis: index % size for index, (axis, size) in zip(indices, heads.items(), strict=True)}


def parse_steps(text: str) -> slice:
    """Parse a time step, or a range from A to B, B excluded.  Raises UsageError for anything else."""
    match = re.fullmatch(r"(?a)(-?\d{0,18}):(-?\d{0,18})|(-?\d{1,18})", text.strip())
    if match is None or "-" in match.groups():
        what = "{text}: this is not a time step or a range."
        raise UsageError(what, "Write 7, -1, 0:50 or -20: instead.", text=text)
    if match[3]:
        only = int(match[3])
        return slice(only, only + 1 or None)
    return slice(*(int(side) if side else None for side in match.groups()[:2]))


def select_steps(texts: Sequence[str] | None, count: int) -> list[int] | None:
    """Return every named time step of `count`; a single step is not checked against `count` here."""
    if not texts:
        return None
    chosen: list[int] = []
    for text in texts:
        steps = parse_steps(text)
        if ":" not in text:
            chosen.append(int(text))
        elif not (named := range(count)[steps]):
            what, known = "{text}: this contains no time step; {known}.", Message("the only one is 0")
            if count > 1:
                known = Message("there are {count}, 0 to {last}", count=count, last=count - 1)
            raise UsageError(what, FROM_THE_END, text=text, known=known)
        else:
            chosen += named
    return chosen


class HoldText(NamedTuple):
    """The parts of `forget[:, 1]=1@2:`.  units, steps: indices as typed, `1` and `2:`; `:` for all."""

    gate: Label
    units: str
    steps: str
    value: float


def parse_hold(text: str) -> HoldText:
    """Parse a gate, its units, a value and steps.  Raises UsageError if the text does not have that form."""
    gate, equals, rest = text.rpartition("=")
    try:
        address = parse(gate)
    except ValueError:
        equals = ""
    if not equals:
        raise UsageError("{--hold:text}: this is not a gate with a value.", HOLD_EXAMPLE, text=text)
    if address.texts and (len(address.texts) != 2 or address.texts[0] != ":"):
        what = "{--hold:text}: the index of a gate is [:, UNITS]; a gate is held in the whole batch."
        raise UsageError(what, HOLD_EXAMPLE, text=text)
    value, at, steps = rest.partition("@")
    try:
        number = parse_decimal(value)
    except ValueError:
        what = "{--hold:text}: {value!r} is not a number."
        raise UsageError(what, HOLD_EXAMPLE, text=text, value=value) from None
    return HoldText(address.label, address.texts[1] if address.texts else ":", steps if at else ":", number)
